"""Machine: what the system grants a performance: software, scheduling, power, disk.

Main thread, for the doctor. It asks, and leaves everything as it was.
"""

import os
import platform
import shutil
import sys
import threading
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

import kernel_cache
from realtime.board import board_folder
from realtime.examination import FAILED, OK, WARNING, Finding, State
from realtime.privileges import LISTENER, NotAllowedError, run_first

GOVERNOR: Final = Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
SCARCE_BYTES: Final = 1_000_000_000
NONE_BYTES: Final = 50_000_000


def examine_software() -> Iterator[Finding]:
    """Say which versions are at work, and on what torch would run."""
    yield Finding(
        "system",
        OK,
        f"Python {platform.python_version()}, {platform.system()} {platform.machine()}, "
        f"{os.cpu_count()} cores.",
    )
    try:
        yield Finding("torch", OK, f"{version('torch')}, on {_torch_device()}.")
    except (PackageNotFoundError, ImportError, OSError) as error:
        yield Finding(
            "torch",
            WARNING,
            f"torch cannot be used ({error}).",
            "Install it for models such as MERT; --encoder spectral does without.",
        )


def _torch_device() -> str:
    """Name what a model would run on."""
    import torch

    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    if torch.backends.mps.is_available():
        return "the GPU (MPS)"
    return "the CPU"


def examine_real_time() -> Iterator[Finding]:
    """Try whether a thread may ask for real-time scheduling."""
    if sys.platform != "linux":
        yield Finding("real time", OK, "CoreAudio's threads are real-time by themselves.")
    elif _grants_real_time():
        yield Finding("real time", OK, "Threads may ask for real-time scheduling (SCHED_FIFO).")
    else:
        yield Finding(
            "real time",
            WARNING,
            "Threads may not ask for real-time scheduling (SCHED_FIFO).",
            "Join the group audio, with 'rtprio 95' for it in /etc/security/limits.d, and log in "
            "again.",
        )


def _grants_real_time() -> bool:
    """Ask for it on a thread that ends at once."""
    granted: list[bool] = []

    def ask() -> None:
        try:
            run_first(LISTENER)
            granted.append(True)
        except (NotAllowedError, OSError):
            return

    asking = threading.Thread(target=ask, name="doctor")
    asking.start()
    asking.join()
    return bool(granted)


def examine_power() -> Iterator[Finding]:
    """See whether the processor is kept slow, where the system says it."""
    try:
        governor = GOVERNOR.read_text().strip()
    except OSError:
        return
    if governor == "powersave":
        yield Finding(
            "power",
            WARNING,
            "The processor saves power (governor powersave) and may be slow when a note comes.",
            "Set it to performance: cpupower frequency-set -g performance.",
        )
    else:
        yield Finding("power", OK, f"The processor's governor is {governor}.")


def examine_disk(folder: Path) -> Iterator[Finding]:
    """See whether there is room, and where kernels and counters are kept."""
    free = shutil.disk_usage(folder).free
    said = f"{free / 1e9:.1f} GB are free in {folder}."
    if free < SCARCE_BYTES:
        state: State = FAILED if free < NONE_BYTES else WARNING
        yield Finding("disk", state, said, "Free some: performances and memories are kept there.")
    else:
        yield Finding("disk", OK, said)
    if "NUMBA_CACHE_DIR" in os.environ or os.access(kernel_cache.ROOT, os.W_OK):
        yield Finding("kernels", OK, "What is compiled is kept for the next start.")
    else:
        yield Finding(
            "kernels",
            WARNING,
            f"{kernel_cache.ROOT} is not writable: every start compiles anew, about a minute.",
            "Set NUMBA_CACHE_DIR to a folder of your own.",
        )
    parent = board_folder().parent
    if not os.access(parent, os.W_OK):
        yield Finding(
            "status",
            WARNING,
            f"{parent} is not writable, so python -m realtime.status sees nothing.",
            "Set XDG_RUNTIME_DIR to a folder of your own.",
        )
