"""The listener's pitch tracks of a singer against the annotated fundamental."""

from pathlib import Path

import mir_eval
import numpy as np
from numpy.typing import NDArray

from benchmarks._recordings import DATA, Recording
from models.listener import Listener
from models.melody import BREATH_DB, LEVELS, TRACK_HOPS, TRACKS
from models.onset import FRAMES_PER_S

VOICED_CLARITY = 0.75


def track_pitch(recording: Recording) -> NDArray[np.float64]:
    """Return the listener's pitch tracks [shape=(n, 4)]: time, pitch, clarity and level."""
    listener = Listener(recording.rate_hz)
    melody, live = listener.state.melody, listener.state.live[0]
    half_window_s = listener.state.onset.window.size / 4 / recording.rate_hz
    tracks = []
    for block in np.array_split(recording.frames, recording.frames.size // 64):
        n_before = int(melody.live[0]["n_tracks"])
        listener.hear(block)
        if melody.live[0]["n_tracks"] > n_before:
            newest, hop_index = n_before % TRACKS, int(live["hop_index"]) - 1
            middle_s = (n_before * TRACK_HOPS + 1) / FRAMES_PER_S - half_window_s
            level_db = melody.level_db[hop_index % LEVELS]
            tracks.append((middle_s, melody.pitch[newest], melody.clarity[newest], level_db))
    return np.array(tracks)


def score_pitch(recording: Recording, data: Path = DATA) -> dict[str, float]:
    """Score the pitch tracks of the singer as melody: unclear or soft ones are unvoiced.

    A track counts from halfway since the one before it to halfway to the next. By default the
    scorer lets it count from its middle on, 5 ms late: that is told as "held".
    """
    truth = np.loadtxt(data / "voice" / "vocadito_1_f0.csv", delimiter=",")
    time_s, pitch, clarity, level_db = track_pitch(recording).T
    is_voiced = (clarity >= VOICED_CLARITY) & (level_db >= level_db.max() - BREATH_DB)
    hz = 440.0 * 2 ** ((np.nan_to_num(pitch) - 69.0) / 12)
    estimate = np.where(np.isnan(pitch), 0.0, np.where(is_voiced, hz, -hz))
    kept = time_s >= 0
    melodies = truth[:, 0], truth[:, 1], time_s[kept], estimate[kept]
    nearest = mir_eval.melody.evaluate(*melodies, kind="nearest")
    held = mir_eval.melody.evaluate(*melodies)
    return {
        "raw_pitch_accuracy": float(nearest["Raw Pitch Accuracy"]),
        "overall_accuracy": float(nearest["Overall Accuracy"]),
        "held_overall_accuracy": float(held["Overall Accuracy"]),
    }
