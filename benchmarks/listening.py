"""Listening: what the listener hears of recordings with truth, how soon, and what it costs.

Budget: micro F of onsets at ±50 ms of .85 on the piano and .90 on the drums with the default
settings, the same 24 dB softer; 90 % of the drums decided on within 10 ms; a second of audio in
less than 30 ms. Scored with mir_eval. Truth closer together than 30 ms is one onset.

* decision: from the true onset to the hop that detected it (a listener with `heard_ms` 1).
* position: of `onset_frame` against the truth. Latency is counted from it. Planted tones say how
  it errs; recordings add the error of their annotation (10 ms grids, aligned MIDI, vowels).
* pitch: of ATTACK and of BODY against the notes struck, of events that match an onset.

How it could mislead: one piano and one singer, and the settings were chosen on these very drums and
this piano. A note's `decision` and `position` are no better than its annotation.
"""

import argparse
import json
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import mido
import numpy as np
import soundfile
from mir_eval.util import match_events
from numpy.typing import NDArray

from models.listener import ATTACK, BODY, EVENT_DTYPE, Listener, ListenerConfig, hear_kernel

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
TOLERANCE_S = 0.05
MERGE_S = 0.03
TAIL_S = 1.0
BLOCK_FRAMES = 128
HEARD_MS = (10.0, 15.0, 20.0, 25.0, 30.0)
SOLO_PITCH = {"A4": 69, "B3": 59, "C6": 84, "E4": 64, "C3": 48}


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """Mono frames with the onsets to be found, and for each the MIDI pitches struck, if known."""

    name: str
    frames: NDArray[np.float32]
    rate_hz: int
    onsets_s: NDArray[np.float64]
    pitches: tuple[tuple[float, ...], ...] = ()


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


def merge_onsets(times_s: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the sorted times without those that follow a kept one within 30 ms."""
    kept: list[float] = []
    for time_s in np.sort(times_s):
        if not kept or time_s - kept[-1] > MERGE_S:
            kept.append(float(time_s))
    return np.array(kept)


def read_mono(path: Path) -> tuple[NDArray[np.float32], int]:
    """Return a file's frames, channels averaged, and their rate."""
    frames, rate_hz = soundfile.read(path, dtype="float32", always_2d=True)
    return frames.mean(axis=1, dtype=np.float32), rate_hz


def read_drums(data: Path = DATA) -> list[Recording]:
    """Return the drum tracks with their annotated strokes."""
    recordings = []
    for path in sorted((data / "drums").glob("*.flac")):
        lines = path.with_suffix(".onsets.txt").read_text().splitlines()
        times_s = np.array([float(line.split()[0]) for line in lines if line.strip()])
        frames, rate_hz = read_mono(path)
        recordings.append(
            Recording(
                name=path.stem, frames=frames, rate_hz=rate_hz, onsets_s=merge_onsets(times_s)
            )
        )
    return recordings


def read_piano(data: Path = DATA) -> list[Recording]:
    """Return the piano take with the notes its MIDI file strikes."""
    path = data / "piano" / "mozart_k265_var1.mp3"
    strikes: list[tuple[float, int]] = []
    now_s = 0.0
    for message in mido.MidiFile(path.with_suffix(".mid")):
        now_s += message.time
        if message.type == "note_on" and message.velocity > 0:
            strikes.append((now_s, message.note))
    onsets_s = merge_onsets(np.array([time_s for time_s, _ in strikes]))
    pitches = tuple(
        tuple(float(note) for time_s, note in strikes if 0 <= time_s - onset_s <= MERGE_S)
        for onset_s in onsets_s
    )
    frames, rate_hz = read_mono(path)
    return [
        Recording(name="piano", frames=frames, rate_hz=rate_hz, onsets_s=onsets_s, pitches=pitches)
    ]


def read_voice(data: Path = DATA) -> list[Recording]:
    """Return the solo voice with the starts and pitches of its annotated notes."""
    path = data / "voice" / "vocadito_1.flac"
    notes = np.loadtxt(path.with_name("vocadito_1_notesA1.csv"), delimiter=",")
    frames, rate_hz = read_mono(path)
    pitches = tuple((float(69 + 12 * np.log2(hz / 440)),) for hz in notes[:, 1])
    return [
        Recording(
            name="voice", frames=frames, rate_hz=rate_hz, onsets_s=notes[:, 0], pitches=pitches
        )
    ]


def planted_tones(rise_s: float, rate_hz: int = 44100, n_tones: int = 60) -> Recording:
    """Return decaying tones that begin at known frames over noise at −66 dBFS, seeded."""
    rng = np.random.default_rng(0)
    onsets = np.cumsum(rng.integers(int(0.25 * rate_hz), int(0.6 * rate_hz), n_tones))
    frames = rng.normal(0, 5e-4, onsets[-1] + rate_hz)
    for onset in onsets:
        n = min(rate_hz, frames.size - onset)
        t = np.arange(n) / rate_hz
        hz = 440 * 2 ** (rng.integers(-24, 25) / 12)
        tone = sum(np.sin(2 * np.pi * hz * k * t) / k for k in range(1, 6) if hz * k < 10000)
        swell = np.minimum(t / rise_s, 1.0) * np.exp(-t / 0.15)
        frames[onset : onset + n] += 0.1 * rng.uniform(0.3, 1) * swell * tone
    return Recording(
        name=f"planted tones, rising in {rise_s * 1e3:g} ms",
        frames=frames.astype(np.float32),
        rate_hz=rate_hz,
        onsets_s=onsets / rate_hz,
    )


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


def _share_right(pairs: list[tuple[float, tuple[float, ...]]], octave_free: bool) -> float:
    """Return the share of pitches within a semitone's half of a struck one; no pitch is wrong."""
    right = 0
    for pitch, struck in pairs:
        errors = np.abs(np.array(struck) - pitch)
        if octave_free:
            errors = np.abs((errors + 6) % 12 - 6)
        right += bool(np.any(errors <= 0.55))
    return right / max(len(pairs), 1)


def score_pitch(recording: Recording, heard_ms: float) -> dict[str, float]:
    """Score the pitch at decision time and the pitch and the notes of the body."""
    attack, body = [], []
    n_right, n_heard, n_struck = 0, 0, 0
    for struck, attack_record, body_record in _matched(
        recording, ListenerConfig(heard_ms=heard_ms)
    ):
        attack.append((float(attack_record["pitch"]), struck))
        body.append((float(body_record["pitch"]), struck))
        heard = {int(note) for note in body_record["note_pitch"][: body_record["n_notes"]]}
        n_right += len(heard & {round(pitch) for pitch in struck})
        n_heard += len(heard)
        n_struck += len(struck)
    return {
        "heard_ms": heard_ms,
        "attack_pitched": float(np.mean([not np.isnan(pitch) for pitch, _ in attack])),
        "attack_exact": _share_right(attack, octave_free=False),
        "attack_pitch_class": _share_right(attack, octave_free=True),
        "body_exact": _share_right(body, octave_free=False),
        "body_pitch_class": _share_right(body, octave_free=True),
        "body_notes_precision": n_right / max(n_heard, 1),
        "body_notes_recall": n_right / max(n_struck, 1),
    }


def score_solo(data: Path = DATA) -> dict[str, dict[str, float]]:
    """Return the longest event's pitches of the solo files that name theirs."""
    scores = {}
    for path in sorted((data / "solo").glob("*-??.flac")):
        frames, rate_hz = read_mono(path)
        recording = Recording(name=path.stem, frames=frames, rate_hz=rate_hz, onsets_s=np.zeros(0))
        attacks, bodies = hear(recording, ListenerConfig())
        longest = int(np.argmax(bodies["duration_frames"]))
        scores[path.stem] = {
            "true": SOLO_PITCH[path.stem[-2:]],
            "attack": float(attacks["pitch"][longest]),
            "body": float(bodies["pitch"][longest]),
            "n_events": len(attacks),
        }
    return scores


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


def measure(quick: bool, data: Path = DATA) -> dict[str, Any]:
    """Answer the questions; `quick` leaves recordings out and plants fewer tones."""
    n_tones = 20 if quick else 60
    planted = [planted_tones(rise_s, n_tones=n_tones) for rise_s in (0.001, 0.005, 0.02)]
    result: dict[str, Any] = {
        "planted": {tones.name: asdict(score_onsets([tones])) for tones in planted},
        "cost": measure_cost(planted[0], 1000 if quick else 10000),
    }
    if quick or not data.is_dir():
        return result
    piano, voice = read_piano(data), read_voice(data)
    groups = {"drums": read_drums(data), "piano": piano, "voice": voice}
    result["onsets"] = {
        name: asdict(score_onsets(group, gain_db))
        for group_name, group in groups.items()
        for name, gain_db in ((group_name, 0.0), (f"{group_name}, 24 dB softer", -24.0))
    }
    result["pitch"] = {
        name: [score_pitch(recording, heard_ms) for heard_ms in HEARD_MS]
        for name, recording in (("piano", piano[0]), ("voice", voice[0]))
    }
    result["solo"] = score_solo(data)
    return result


def report(result: dict[str, Any]) -> None:
    """Print the answers for a reader."""
    for name, score in {**result["planted"], **result.get("onsets", {})}.items():
        print(
            f"{name:30}  P {score['precision']:.3f}  R {score['recall']:.3f}"
            f"  F {score['f_measure']:.3f}  decision {score['decision_p50_ms']:5.1f}"
            f" / {score['decision_p90_ms']:5.1f} ms  position {score['position_p50_ms']:+5.1f}"
            f" ({score['position_p10_ms']:+.1f} … {score['position_p90_ms']:+.1f}) ms"
        )
    for name, rows in result.get("pitch", {}).items():
        for row in rows:
            print(
                f"{name}, heard {row['heard_ms']:2.0f} ms: attack pitched"
                f" {row['attack_pitched']:.2f}, right {row['attack_exact']:.2f}, pitch class"
                f" {row['attack_pitch_class']:.2f}; body right {row['body_exact']:.2f}, pitch"
                f" class {row['body_pitch_class']:.2f}, notes P {row['body_notes_precision']:.2f}"
                f" R {row['body_notes_recall']:.2f}"
            )
    for name, row in result.get("solo", {}).items():
        print(
            f"{name:14} {row['true']}: attack {row['attack']:.1f}, body {row['body']:.1f},"
            f" {row['n_events']} events"
        )
    cost = result["cost"]
    print(
        f"cost at 44.1 kHz, blocks of {BLOCK_FRAMES}: p50 {cost['block_p50_us']:.0f} µs,"
        f" p99 {cost['block_p99_us']:.0f}, max {cost['block_max_us']:.0f};"
        f" {cost['ms_per_s']:.1f} ms per second of audio"
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--quick", action="store_true", help="planted tones only, seconds")
    arguments = parser.parse_args()
    result = measure(arguments.quick)
    if arguments.json:
        print(json.dumps(result))
    else:
        report(result)


if __name__ == "__main__":
    main()
