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

    The tracks are samples, every 10 ms, of pitch, clarity and level in the middle of a window. They
    are interpolated at the annotation's own times and called voiced there, so the scorer has
    nothing to resample. "held" is the tracks as they come: there the scorer lets a track be voiced
    from its middle until the next one's, which is 5 ms late.
    """
    time_s, hz = np.loadtxt(data / "voice" / "vocadito_1_f0.csv", delimiter=",").T
    tracks = track_pitch(recording)
    tracks = tracks[tracks[:, 0] >= 0]
    track_s, loudest_db = tracks[:, 0], float(tracks[:, 3].max())
    at_truth = np.column_stack([time_s, *(np.interp(time_s, track_s, x) for x in tracks.T[1:])])
    scores = mir_eval.melody.evaluate(time_s, hz, time_s, _melody_hz(at_truth, loudest_db))
    held = mir_eval.melody.evaluate(time_s, hz, track_s, _melody_hz(tracks, loudest_db))
    return {
        "raw_pitch_accuracy": float(scores["Raw Pitch Accuracy"]),
        "overall_accuracy": float(scores["Overall Accuracy"]),
        "held_overall_accuracy": float(held["Overall Accuracy"]),
    }


def _melody_hz(tracks: NDArray[np.float64], loudest_db: float) -> NDArray[np.float64]:
    """Return frequencies: negative where the tracks are unvoiced, 0 where they have no pitch."""
    _, pitch, clarity, level_db = tracks.T
    is_voiced = (clarity >= VOICED_CLARITY) & (level_db >= loudest_db - BREATH_DB)
    hz: NDArray[np.float64] = np.nan_to_num(440.0 * 2 ** ((pitch - 69.0) / 12))
    hz[~is_voiced] *= -1
    return hz
