"""The peer: aubio (GPL) in an interpreter of its own, run beside ours: what it costs and finds.

``PYTHON -m pip install 'numpy<2' 'setuptools<60' wheel && PYTHON -m pip install
--no-build-isolation aubio`` makes such an interpreter, and this very file is run in it. How could
it mislead: its settings are its defaults, ours were chosen on these recordings.
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

METHODS = ("hfc", "complex", "specflux")
WINDOW_FRAMES = 2048
ONSETS_PER_S, PITCHES_PER_S = 200, 100
"""For the cost: as often as our listener, with the window its documentation offers for pitch."""
ONSET_FRAMES, ONSET_HOP = 1024, 512
"""For what it finds: its own defaults."""


def aubio_ms_per_s(python: str, frames: NDArray[np.float32], rate_hz: int) -> dict[str, float]:
    """Return what aubio's onsets and pitches cost that interpreter, in ms per second of sound."""
    answer: dict[str, float] = _ask(python, "cost", frames, rate_hz)
    return answer


def aubio_onsets_s(
    python: str, frames: NDArray[np.float32], rate_hz: int
) -> dict[str, list[float]]:
    """Return the onsets that aubio finds by each method, in seconds."""
    answer: dict[str, list[float]] = _ask(python, "find", frames, rate_hz)
    return answer


def _ask(python: str, question: str, frames: NDArray[np.float32], rate_hz: int) -> Any:
    done = subprocess.run(
        [python, str(Path(__file__)), question, str(rate_hz)],
        input=frames.tobytes(),
        capture_output=True,
        check=True,
    )
    return json.loads(done.stdout)


def _cost_ms_per_s(detector: Any, frames: NDArray[np.float32], rate_hz: int) -> float:
    """Time a detector hop by hop, in this thread's CPU time."""
    hop = int(detector.hop_size)
    hops = frames[: frames.size // hop * hop].reshape(-1, hop)
    start_ns = time.thread_time_ns()
    for block in hops:
        detector(block)
    return (time.thread_time_ns() - start_ns) / 1e6 / (hops.size / rate_hz)


def _costs(aubio: Any, frames: NDArray[np.float32], rate_hz: int) -> dict[str, float]:
    onset_hop, pitch_hop = rate_hz // ONSETS_PER_S, rate_hz // PITCHES_PER_S
    detectors = {
        **{
            f"onset {method}": aubio.onset(method, WINDOW_FRAMES, onset_hop, rate_hz)
            for method in METHODS
        },
        **{
            f"pitch {method}": aubio.pitch(method, WINDOW_FRAMES, pitch_hop, rate_hz)
            for method in ("yinfft", "yin")
        },
    }
    return {name: _cost_ms_per_s(it, frames, rate_hz) for name, it in detectors.items()}


def _onsets_s(aubio: Any, frames: NDArray[np.float32], rate_hz: int) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {method: [] for method in METHODS}
    hops = frames[: frames.size // ONSET_HOP * ONSET_HOP].reshape(-1, ONSET_HOP)
    for method in METHODS:
        detector = aubio.onset(method, ONSET_FRAMES, ONSET_HOP, rate_hz)
        for block in hops:
            if detector(block)[0]:
                found[method].append(float(detector.get_last_s()))
    return found


def _main() -> None:
    aubio = importlib.import_module("aubio")
    question, rate_hz = sys.argv[1], int(sys.argv[2])
    frames = np.frombuffer(sys.stdin.buffer.read(), np.float32)
    answer = _costs if question == "cost" else _onsets_s
    print(json.dumps(answer(aubio, frames, rate_hz)))


if __name__ == "__main__":
    _main()
