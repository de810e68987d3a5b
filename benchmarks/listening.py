"""Listening: what the listener hears of recordings with truth, how soon, and what it costs.

Scored with mir_eval. Truth closer together than 30 ms is one onset. One default setting for all.

* onsets: micro F at ±50 ms, as recorded and 24 and 36 dB softer.
* decision: from the true onset to the hop that detected it (a listener with `heard_ms` 1).
* position: of `onset_frame` against the truth. Latency is counted from it. Planted tones say how
  it errs; recordings add the error of their annotation (10 ms grids, aligned MIDI, vowels).
* attack, body: shares of right, wrong and missing pitches of the events that match an onset.
* pitch: the listener's own pitch tracks of the singer, every 10 ms, against the annotated f0.
* sonority: Pearson correlation of −roughness with people's ratings of chords, from the partials
  they are made of ("partials") and as heard from their sound in the BODY ("heard").

How it could mislead: one piano and one singer, and the settings were chosen on these very
recordings: every figure on them is that much too good. A note's `decision` and `position` are no
better than its annotation. Chords are synthesised. Rhythm and beats: see `benchmarks._rhythm`.
"""

import argparse
import csv
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import mir_eval
import numpy as np
from mir_eval.util import match_events
from numpy.typing import NDArray

from benchmarks import _rhythm
from benchmarks._recordings import (
    DATA,
    Recording,
    planted_tones,
    read_drums,
    read_piano,
    read_solo,
    read_voice,
)
from benchmarks._run import Headline, run
from models.listener import ATTACK, BODY, EVENT_DTYPE, Listener, ListenerConfig, hear_kernel
from models.melody import BREATH_DB, LEVELS, TRACK_HOPS, TRACKS
from models.onset import FRAMES_PER_S
from models.roughness import roughness

TOLERANCE_S = 0.05
TAIL_S = 1.0
BLOCK_FRAMES = 128
GAINS_DB = (0.0, -24.0, -36.0)
HEARD_MS = (8.0, 10.0, 12.0, 15.0, 25.0)
VOICED_CLARITY = 0.75
N_HARMONICS = 11
CHORD_S = 0.3
CHORD_RATE_HZ = 44100


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
    """Score the pitch tracks of the singer as melody: unclear or soft ones are unvoiced."""
    truth = np.loadtxt(data / "voice" / "vocadito_1_f0.csv", delimiter=",")
    time_s, pitch, clarity, level_db = track_pitch(recording).T
    kept = time_s >= 0
    hz = 440.0 * 2 ** ((np.nan_to_num(pitch) - 69.0) / 12)
    is_voiced = (clarity >= VOICED_CLARITY) & (level_db >= level_db.max() - BREATH_DB)
    estimate = np.where(np.isnan(pitch), 0.0, np.where(is_voiced, hz, -hz))
    scores = mir_eval.melody.evaluate(truth[:, 0], truth[:, 1], time_s[kept], estimate[kept])
    return {
        "raw_pitch_accuracy": float(scores["Raw Pitch Accuracy"]),
        "overall_accuracy": float(scores["Overall Accuracy"]),
    }


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


def measure_cost(recording: Recording, n_blocks: int) -> dict[str, float]:
    """Measure the kernel in this thread's CPU time, block by block as on stage."""
    listener = Listener(recording.rate_hz)
    records = np.zeros(listener.max_records(BLOCK_FRAMES), EVENT_DTYPE)
    n_frames = n_blocks * BLOCK_FRAMES
    blocks = np.resize(recording.frames, n_frames).reshape(n_blocks, BLOCK_FRAMES)
    hear_kernel(listener.state, blocks[0], records)
    cost_us = np.zeros(n_blocks)
    for i, block in enumerate(blocks):
        start_ns = time.thread_time_ns()
        hear_kernel(listener.state, block, records)
        cost_us[i] = (time.thread_time_ns() - start_ns) / 1e3
    return {
        "block_p50_us": float(np.median(cost_us)),
        "block_p99_us": float(np.percentile(cost_us, 99)),
        "block_max_us": float(cost_us.max()),
        "ms_per_s": float(cost_us.sum() / 1e3 / (n_frames / recording.rate_hz)),
    }


def measure_all(quick: bool, data: Path = DATA) -> dict[str, Any]:
    """Answer the questions; `quick` leaves recordings out and plants fewer tones."""
    n_tones = 20 if quick else 60
    planted = [planted_tones(rise_s, n_tones=n_tones) for rise_s in (0.001, 0.005, 0.02)]
    result: dict[str, Any] = {
        "planted": {tones.name: asdict(score_onsets([tones])) for tones in planted},
        "cost": measure_cost(planted[0], 1000 if quick else 10000),
        "rhythm": _rhythm.rows(quick, data),
    }
    if quick or not data.is_dir():
        return result
    piano, voice = read_piano(data), read_voice(data)
    groups = {"drums": read_drums(data), "piano": piano, "voice": voice}
    result["onsets"] = {
        name: {f"{gain_db:g}": asdict(score_onsets(group, gain_db)) for gain_db in GAINS_DB}
        for name, group in groups.items()
    }
    result["events"] = {
        name: [score_events(recording, heard_ms) for heard_ms in HEARD_MS]
        for name, recording in (("piano", piano[0]), ("voice", voice[0]))
    }
    result["pitch"] = score_pitch(voice[0], data)
    result["solo"] = {recording.name: score_solo(recording) for recording in read_solo(data)}
    result["sonority"] = {
        name: score_sonority(data / "consonance" / f"{name}.csv")
        for name in ("dyads", "triads", "tetrads")
    }
    return result


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Answer the questions, a fraction of them if `options.quick`."""
    return measure_all(options.quick)


def headlines(result: dict[str, Any]) -> Iterator[Headline]:
    """Pick what decides."""
    targets = {"drums": 0.97, "piano": 0.95, "voice": 0.75}
    for name, rows in result.get("onsets", {}).items():
        f_measure = rows["0"]["f_measure"]
        yield Headline(
            name=f"{name}, F of onsets", value=f_measure, target=targets[name], better="higher"
        )
        yield Headline(
            name=f"{name}, F lost 24 dB softer",
            value=f_measure - rows["-24"]["f_measure"],
            target=0.01,
        )
    if "onsets" in result:
        decided_ms = result["onsets"]["drums"]["0"]["decision_p90_ms"]
        yield Headline(name="drums, decision p90", value=decided_ms, unit="ms", target=10)
    for (name, value), target in zip(result.get("pitch", {}).items(), (0.97, 0.965), strict=False):
        text = f"voice, {name.replace('_', ' ')}"
        yield Headline(name=text, value=value, target=target, better="higher")
    if "solo" in result:
        right = [abs(row["body"] - row["true"]) < 0.55 for row in result["solo"].values()]
        yield Headline(
            name="solo tones right", value=sum(right), target=len(right), better="higher"
        )
    wanted = {"dyads": 0.8, "triads": 0.8, "tetrads": 0.74}
    for name, row in result.get("sonority", {}).items():
        yield Headline(
            name=f"{name}, r of the formula",
            value=row["partials"],
            target=wanted[name],
            better="higher",
        )
        yield Headline(name=f"{name}, r as heard", value=row["heard"], better="higher")
    yield Headline(name="cost", value=result["cost"]["ms_per_s"], unit="ms per s", target=12.8)
    yield from _rhythm.headlines(result["rhythm"])


def _show_onsets(name: str, score: dict[str, float]) -> None:
    """Print one row of onsets."""
    print(
        f"{name:30}  P {score['precision']:.3f}  R {score['recall']:.3f}"
        f"  F {score['f_measure']:.3f}  decision {score['decision_p50_ms']:5.1f}"
        f" / {score['decision_p90_ms']:5.1f} ms  position {score['position_p50_ms']:+5.1f}"
        f" ({score['position_p10_ms']:+.1f} … {score['position_p90_ms']:+.1f}) ms"
    )


def show(result: dict[str, Any]) -> None:
    """Print the answers for a reader."""
    for name, score in result["planted"].items():
        _show_onsets(name, score)
    for name, rows in result.get("onsets", {}).items():
        for gain_db, score in rows.items():
            _show_onsets(f"{name}, {gain_db} dB", score)
    for name, rows in result.get("events", {}).items():
        for row in rows:
            shares = "; ".join(
                f"{kind} right {row[kind]['right']:.2f}, wrong {row[kind]['wrong']:.2f},"
                f" missing {row[kind]['missing']:.2f}"
                for kind in ("attack", "body")
            )
            print(
                f"{name}, heard {row['heard_ms']:2.0f} ms: {shares}, notes"
                f" P {row['body_notes_precision']:.2f} R {row['body_notes_recall']:.2f}"
            )
    for name, row in result.get("solo", {}).items():
        print(
            f"{name:14} {row['true']:g}: attack {row['attack']:.1f}, body {row['body']:.1f},"
            f" {row['n_events']} events"
        )
    _rhythm.show(result["rhythm"])
    cost = result["cost"]
    print(
        f"cost at 44.1 kHz, blocks of {BLOCK_FRAMES}: p50 {cost['block_p50_us']:.0f} µs,"
        f" p99 {cost['block_p99_us']:.0f}, max {cost['block_max_us']:.0f}"
    )


def main(arguments: list[str] | None = None) -> int:
    """Measure and print."""
    return run(__doc__, measure, show, headlines, arguments=arguments)


if __name__ == "__main__":
    sys.exit(main())
