"""Rooms: the noise of a stage on which nobody plays, and the events that are heard in it."""

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from benchmarks._peer import aubio_onsets_s
from models.listener import ATTACK, Listener

RATE_HZ: Final = 48_000
LEVEL_DBFS: Final = -50.0
LOWEST_HZ: Final = 20.0

ROOMS: Final[dict[str, Callable[[NDArray[np.float64]], NDArray[np.float64]]]] = {
    "hiss": np.ones_like,
    "air": lambda hz: hz**-0.5,
    "rumble": lambda hz: hz**-1.0,
    "ventilator": lambda hz: 1 / np.hypot(1.0, 4 * (hz / 250 - 250 / hz)),
}
"""Magnitudes over frequency: white, pink and brown noise, and a resonance, Q 4, at 250 Hz."""


def room(name: str, duration_s: float, seed: int = 0) -> NDArray[np.float32]:
    """Return a room's noise at −50 dBFS RMS [shape=(n_frames,), float32], seeded."""
    n_frames = round(duration_s * RATE_HZ)
    hz = np.fft.rfftfreq(n_frames, 1 / RATE_HZ)
    magnitudes = np.where(hz >= LOWEST_HZ, ROOMS[name](np.maximum(hz, LOWEST_HZ)), 0.0)
    white = np.random.default_rng(seed).normal(size=n_frames)
    noise = np.fft.irfft(magnitudes * np.fft.rfft(white), n_frames)
    return np.asarray(10 ** (LEVEL_DBFS / 20) * noise / noise.std(), np.float32)


def count_events(frames: NDArray[np.float32]) -> int:
    """Return how many events a listener hears from the first frame on."""
    return int(np.count_nonzero(Listener(RATE_HZ).hear(frames)["kind"] == ATTACK))


def events_per_minute(duration_s: float) -> dict[str, float]:
    """Return what is heard in each room, a minute."""
    return {name: count_events(room(name, duration_s)) * 60 / duration_s for name in ROOMS}


def peer_events_per_minute(python: str, duration_s: float) -> dict[str, dict[str, float]]:
    """Return what each of the peer's methods finds in each room, a minute."""
    found_s = {name: aubio_onsets_s(python, room(name, duration_s), RATE_HZ) for name in ROOMS}
    return {
        name: {method: len(onsets_s) * 60 / duration_s for method, onsets_s in row.items()}
        for name, row in found_s.items()
    }
