"""Accident: the program as a musician starts it on a gig rig, with an encoder that can be hurt.

Run as ``python -m benchmarks._accident PORT ARGUMENTS`` it is ``realtime.perform --headless`` under
its supervisor. A performer's encoder hangs for seconds when it gets SIGUSR1, and raises from
SIGUSR2 on.
"""

import signal
import sys
import time

import numpy as np
from numpy.typing import NDArray

from models.spectral import SpectralEncoder
from realtime import perform
from realtime.supervised import Supervised
from realtime.supervisor import supervise
from realtime.telemetry import configure_logging
from realtime.troupe import keeper

HANG_S = 5.0

_accidents: list[str] = []
_encode = SpectralEncoder.encode


def encode(encoder: SpectralEncoder, windows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Encode, if nothing has happened."""
    if _accidents == ["hang"]:
        _accidents.clear()
        time.sleep(HANG_S)
    if _accidents == ["raise"]:
        raise RuntimeError("an accident")
    return _encode(encoder, windows)


def main(port: str, *arguments: str) -> int:
    """Supervise, or perform under a supervisor."""
    if not Supervised():
        configure_logging("info", is_pretty=False)
        command = [sys.executable, "-m", "benchmarks._accident", port, *arguments]
        return supervise(command, keeper(port))
    SpectralEncoder.encode = encode  # type: ignore[assignment,method-assign]
    signal.signal(signal.SIGUSR1, lambda number, frame: _accidents.append("hang"))
    signal.signal(signal.SIGUSR2, lambda number, frame: _accidents.append("raise"))
    return perform.main([*arguments, "--headless", "--midi-out", port])


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
