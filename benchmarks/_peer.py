"""The peer's cost: aubio (GPL) in an interpreter of its own, run beside ours, only timed.

``PYTHON -m pip install 'numpy<2' 'setuptools<60' wheel && PYTHON -m pip install
--no-build-isolation aubio`` makes such an interpreter. `aubio_ms_per_s` runs this very file in it.
"""

import importlib
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

WINDOW_FRAMES = 2048
ONSETS_PER_S, PITCHES_PER_S = 200, 100
"""As often as our listener, with the window that its documentation offers for pitch."""


def aubio_ms_per_s(python: str, frames: NDArray[np.float32], rate_hz: int) -> dict[str, float]:
    """Return what aubio's onsets and pitches cost that interpreter, in ms per second of sound."""
    done = subprocess.run(
        [python, str(Path(__file__)), str(rate_hz)],
        input=frames.tobytes(),
        capture_output=True,
        check=True,
    )
    answer: dict[str, float] = json.loads(done.stdout)
    return answer


def _cost_ms_per_s(detector: Any, frames: NDArray[np.float32], rate_hz: int) -> float:
    """Time a detector hop by hop, in this thread's CPU time."""
    hop = int(detector.hop_size)
    hops = frames[: frames.size // hop * hop].reshape(-1, hop)
    start_ns = time.thread_time_ns()
    for block in hops:
        detector(block)
    return (time.thread_time_ns() - start_ns) / 1e6 / (hops.size / rate_hz)


def _main() -> None:
    aubio = importlib.import_module("aubio")
    rate_hz = int(sys.argv[1])
    frames = np.frombuffer(sys.stdin.buffer.read(), np.float32)
    onset_hop, pitch_hop = rate_hz // ONSETS_PER_S, rate_hz // PITCHES_PER_S
    detectors = {
        **{
            f"onset {method}": aubio.onset(method, WINDOW_FRAMES, onset_hop, rate_hz)
            for method in ("hfc", "complex", "specflux")
        },
        **{
            f"pitch {method}": aubio.pitch(method, WINDOW_FRAMES, pitch_hop, rate_hz)
            for method in ("yinfft", "yin")
        },
    }
    print(json.dumps({name: _cost_ms_per_s(it, frames, rate_hz) for name, it in detectors.items()}))


if __name__ == "__main__":
    _main()
