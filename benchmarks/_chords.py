"""Roughness against people's ratings of chords: from the formula, and as heard from their sound."""

import csv
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.listener import BODY, Listener
from models.roughness import roughness

N_HARMONICS = 11
CHORD_S = 0.3
CHORD_RATE_HZ = 44100


def sound_chord(hz: NDArray[np.float64], amplitude: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return partials that sound together for a while, their phases seeded, then silence."""
    rng = np.random.default_rng(0)
    t = np.arange(int(CHORD_S * CHORD_RATE_HZ)) / CHORD_RATE_HZ
    phase = rng.uniform(0, 2 * np.pi, hz.size)
    partials = amplitude[:, None] * np.sin(2 * np.pi * hz[:, None] * t + phase[:, None])
    swell = np.minimum(np.minimum(t / 0.002, (CHORD_S - t) / 0.02), 1.0)
    lead = np.zeros(CHORD_RATE_HZ // 5)
    frames = np.concatenate([lead, 0.03 * swell * partials.sum(axis=0), np.zeros(CHORD_RATE_HZ)])
    return frames.astype(np.float32)


def heard_roughness(frames: NDArray[np.float32]) -> float:
    """Return the roughness in the BODY of the longest event."""
    records = Listener(CHORD_RATE_HZ).hear(frames)
    bodies = records[records["kind"] == BODY]
    return float(bodies["roughness"][np.argmax(bodies["duration_frames"])])


def score_sonority(path: Path) -> dict[str, float]:
    """Correlate −roughness with the ratings of the chords in one table."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        chords = list(csv.DictReader(file))
    names = [name for name in chords[0] if name.startswith("f_")]
    harmonic = np.arange(1, N_HARMONICS + 1)
    ratings, partials, heard = [], [], []
    for chord in chords:
        fundamentals = np.array([float(chord[name]) for name in names])
        hz = np.outer(fundamentals, harmonic).ravel()
        amplitude = np.tile(1.0 / harmonic, fundamentals.size)
        ratings.append(float(chord["rating_mean"]))
        partials.append(-roughness(hz, amplitude))
        heard.append(-heard_roughness(sound_chord(hz, amplitude)))
    is_heard = ~np.isnan(heard)
    return {
        "partials": float(np.corrcoef(ratings, partials)[0, 1]),
        "heard": float(np.corrcoef(np.array(ratings)[is_heard], np.array(heard)[is_heard])[0, 1]),
        "missing": int(np.sum(~is_heard)),
    }
