"""Events heard of recordings with truth: their onsets, and the pitches and notes they are given."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from mir_eval.util import match_events
from numpy.typing import NDArray

from benchmarks._peer import aubio_onsets_s
from benchmarks._recordings import Recording
from models.listener import ATTACK, BODY, Listener, ListenerConfig

TOLERANCE_S = 0.05
TAIL_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class OnsetScore:
    """Onsets of a group of recordings, all counted together. Times are ms from the true onset."""

    precision: float
    recall: float
    f_measure: float
    decision_p50_ms: float
    decision_p90_ms: float
    position_p50_ms: float
    position_p10_ms: float
    position_p90_ms: float


def hear(
    recording: Recording, config: ListenerConfig, gain_db: float = 0.0
) -> tuple[NDArray[np.void], NDArray[np.void]]:
    """Return the ATTACKs and the BODYs of a recording and a second of silence after it."""
    tail = np.zeros(int(TAIL_S * recording.rate_hz), np.float32)
    frames = np.concatenate([recording.frames * np.float32(10 ** (gain_db / 20)), tail])
    records = Listener(recording.rate_hz, config).hear(frames)
    return records[records["kind"] == ATTACK], records[records["kind"] == BODY]


def score_onsets(recordings: list[Recording], gain_db: float = 0.0) -> OnsetScore:
    """Score the onsets of several recordings together (micro average)."""
    config = ListenerConfig(heard_ms=1.0)
    n_true, n_found, errors_ms, decisions_ms = 0, 0, [], []
    for recording in recordings:
        attacks, _ = hear(recording, config, gain_db)
        found_s = attacks["onset_frame"] / recording.rate_hz
        decided_s = attacks["decision_frame"] / recording.rate_hz
        n_true += recording.onsets_s.size
        n_found += found_s.size
        for i, j in match_events(recording.onsets_s, found_s, TOLERANCE_S):
            errors_ms.append(1e3 * (found_s[j] - recording.onsets_s[i]))
            decisions_ms.append(1e3 * (decided_s[j] - recording.onsets_s[i]))
    n_hits = len(errors_ms)
    return OnsetScore(
        precision=n_hits / max(n_found, 1),
        recall=n_hits / max(n_true, 1),
        f_measure=2 * n_hits / max(n_found + n_true, 1),
        decision_p50_ms=float(np.median(decisions_ms)),
        decision_p90_ms=float(np.percentile(decisions_ms, 90)),
        position_p50_ms=float(np.median(errors_ms)),
        position_p10_ms=float(np.percentile(errors_ms, 10)),
        position_p90_ms=float(np.percentile(errors_ms, 90)),
    )


def score_peer(python: str, recordings: list[Recording]) -> dict[str, float]:
    """Return each of the peer's methods' F on several recordings together."""
    n_hits: Counter[str] = Counter()
    n_found: Counter[str] = Counter()
    n_true = sum(recording.onsets_s.size for recording in recordings)
    for recording in recordings:
        found_s = aubio_onsets_s(python, recording.frames, recording.rate_hz)
        for method, onsets_s in found_s.items():
            n_found[method] += len(onsets_s)
            hits = match_events(recording.onsets_s, np.array(onsets_s), TOLERANCE_S)
            n_hits[method] += len(hits)
    return {method: 2 * n_hits[method] / (n_found[method] + n_true) for method in n_found}


def _matched(
    recording: Recording, config: ListenerConfig
) -> Iterator[tuple[tuple[float, ...], np.void, np.void]]:
    """Yield the pitches struck, the ATTACK and the BODY of every onset found."""
    attacks, bodies = hear(recording, config)
    found_s = attacks["onset_frame"] / recording.rate_hz
    for i, j in match_events(recording.onsets_s, found_s, TOLERANCE_S):
        yield recording.pitches[i], attacks[j], bodies[j]


def _shares(pairs: list[tuple[float, tuple[float, ...]]]) -> dict[str, float]:
    """Return which shares of the pitches are within half a semitone of a struck one, and not."""
    missing = float(np.mean([np.isnan(pitch) for pitch, _ in pairs]))
    right = float(
        np.mean([np.any(np.abs(np.array(true) - pitch) <= 0.55) for pitch, true in pairs])
    )
    return {"right": right, "wrong": 1.0 - right - missing, "missing": missing}


def score_events(recording: Recording, heard_ms: float) -> dict[str, Any]:
    """Score the pitch at decision time and the pitch and the notes of the body."""
    attack, body = [], []
    n_right, n_heard, n_struck = 0, 0, 0
    config = ListenerConfig(heard_ms=heard_ms)
    for struck, attack_record, body_record in _matched(recording, config):
        attack.append((float(attack_record["pitch"]), struck))
        body.append((float(body_record["pitch"]), struck))
        heard = {int(note) for note in body_record["note_pitch"][: body_record["n_notes"]]}
        n_right += len(heard & {round(pitch) for pitch in struck})
        n_heard += len(heard)
        n_struck += len(struck)
    return {
        "heard_ms": heard_ms,
        "attack": _shares(attack),
        "body": _shares(body),
        "body_notes_precision": n_right / max(n_heard, 1),
        "body_notes_recall": n_right / max(n_struck, 1),
    }


def score_solo(recording: Recording) -> dict[str, float]:
    """Return the pitches of the longest event of a solo tone."""
    attacks, bodies = hear(recording, ListenerConfig())
    longest = int(np.argmax(bodies["duration_frames"]))
    return {
        "true": recording.pitches[0][0],
        "attack": float(attacks["pitch"][longest]),
        "body": float(bodies["pitch"][longest]),
        "n_events": len(attacks),
    }
