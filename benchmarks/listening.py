"""Listening: what the listener hears of recordings with truth, how soon, and what it costs.

Scored with mir_eval. Truth closer together than 30 ms is one onset. One default setting for all.

* onsets: micro F at ±50 ms, as recorded and 24 and 36 dB softer.
* decision: from the true onset to the hop that detected it (a listener with `heard_ms` 1).
* position: of `onset_frame` against the truth. Latency is counted from it. Planted tones say how
  it errs; recordings add the error of their annotation (10 ms grids, aligned MIDI, vowels).
* attack, body: shares of right, wrong and missing pitches of the events that match an onset.
* pitch: the listener's own pitch tracks of the singer, every 10 ms, against the annotated f0, each
  interpolated at the annotation's times. "held": as they come, each voiced from its middle until
  the next one's middle, the scorer's default; so every note's voicing is 5 ms late.
* cost: the kernel as the stage calls it, in CPU time.
* ``--peer PYTHON``: what aubio costs and finds of the same sound.
* rooms: events heard in a minute of a stage's noise, hiss to ventilator: each would be answered.
* sonority: Pearson correlation of −roughness with people's ratings of chords, from the partials
  they are made of ("partials") and as heard from their sound in the BODY ("heard").

How it could mislead: one piano and one singer, and the settings were chosen on these very
recordings: every figure on them is that much too good. A note's `decision` and `position` are no
better than its annotation. `benchmarks._synthesised` has instruments to which no setting of onsets
or pitch was tuned, but from one sampler. Chords are synthesised. Rhythm and beats: see
`benchmarks._rhythm`.
"""

import argparse
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from statistics import fmean
from typing import Any

from benchmarks import _rhythm
from benchmarks._chords import score_sonority
from benchmarks._cost import BLOCK_FRAMES, measure_cost
from benchmarks._onsets import score_events, score_onsets, score_peer, score_solo
from benchmarks._peer import aubio_ms_per_s
from benchmarks._recordings import (
    DATA,
    planted_tones,
    read_drums,
    read_piano,
    read_solo,
    read_voice,
)
from benchmarks._rooms import events_per_minute, peer_events_per_minute
from benchmarks._run import Headline, run
from benchmarks._synthesised import score_synthesised
from benchmarks._voice import score_pitch

GAINS_DB = (0.0, -24.0, -36.0)
HEARD_MS = (8.0, 10.0, 12.0, 15.0, 25.0)
ROOM_S = 60.0


def measure_all(quick: bool, data: Path = DATA, peer: str | None = None) -> dict[str, Any]:
    """Answer the questions; `quick` leaves recordings out and plants fewer tones.

    `peer` is an interpreter that has aubio.
    """
    n_tones = 20 if quick else 60
    planted = [planted_tones(rise_s, n_tones=n_tones) for rise_s in (0.001, 0.005, 0.02)]
    result: dict[str, Any] = {
        "planted": {tones.name: asdict(score_onsets([tones])) for tones in planted},
        "cost": measure_cost(planted[0], 1000 if quick else 10000),
        "rhythm": _rhythm.rows(quick, data),
        "rooms": events_per_minute(ROOM_S / 20 if quick else ROOM_S),
    }
    if peer is not None:
        result["peer"] = {
            "ms_per_s": aubio_ms_per_s(peer, planted[0].frames, planted[0].rate_hz),
            "rooms": peer_events_per_minute(peer, ROOM_S / 20 if quick else ROOM_S),
        }
    if quick:
        return result
    result["synthesised"] = score_synthesised()
    if not data.is_dir():
        return result
    piano, voice = read_piano(data), read_voice(data)
    groups = {"drums": read_drums(data), "piano": piano, "voice": voice}
    result["onsets"] = {
        name: {f"{gain_db:g}": asdict(score_onsets(group, gain_db)) for gain_db in GAINS_DB}
        for name, group in groups.items()
    }
    if peer is not None:
        result["peer"]["onsets"] = {name: score_peer(peer, group) for name, group in groups.items()}
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
    return measure_all(options.quick, peer=options.peer)


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
    for name, row in result.get("peer", {}).get("onsets", {}).items():
        yield Headline(
            name=f"{name}, F of aubio's best method", value=max(row.values()), better="higher"
        )
    if "onsets" in result:
        decided_ms = result["onsets"]["drums"]["0"]["decision_p90_ms"]
        yield Headline(name="drums, decision p90", value=decided_ms, unit="ms", target=10)
    wanted_of_pitch = {
        "raw_pitch_accuracy": 0.97,
        "overall_accuracy": 0.965,
        "held_overall_accuracy": 0.965,
    }
    for name, value in result.get("pitch", {}).items():
        text = f"voice, {name.replace('_', ' ')}"
        yield Headline(name=text, value=value, target=wanted_of_pitch.get(name), better="higher")
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
    if result.get("synthesised"):
        mean = fmean(row["f_measure"] for row in result["synthesised"].values())
        yield Headline(name="instruments never tuned to, F of onsets", value=mean, better="higher")
    yield Headline(
        name="events in a minute of a room's noise, at most", value=max(result["rooms"].values())
    )
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


def _show_events(name: str, row: dict[str, Any]) -> None:
    """Print one row of pitches and notes."""
    shares = "; ".join(
        f"{kind} right {row[kind]['right']:.2f}, wrong {row[kind]['wrong']:.2f},"
        f" missing {row[kind]['missing']:.2f}"
        for kind in ("attack", "body")
    )
    print(
        f"{name}, heard {row['heard_ms']:2.0f} ms: {shares}, notes"
        f" P {row['body_notes_precision']:.2f} R {row['body_notes_recall']:.2f}"
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
            _show_events(name, row)
    for name, row in result.get("synthesised", {}).items():
        f_measure = row["f_measure"]
        _show_events(
            f"{name}, P {row['precision']:.2f} R {row['recall']:.2f} F {f_measure:.3f}", row
        )
    for name, row in result.get("solo", {}).items():
        print(
            f"{name:14} {row['true']:g}: attack {row['attack']:.1f}, body {row['body']:.1f},"
            f" {row['n_events']} events"
        )
    rooms = "  ".join(f"{name} {heard:g}" for name, heard in result["rooms"].items())
    print(f"events in a minute of noise     {rooms}")
    _rhythm.show(result["rhythm"])
    cost = result["cost"]
    print(
        f"cost at 44.1 kHz, blocks of {BLOCK_FRAMES}: p50 {cost['block_p50_us']:.0f} µs,"
        f" p99 {cost['block_p99_us']:.0f}, max {cost['block_max_us']:.0f}"
    )
    for name, rows in result.get("peer", {}).items():
        for of, values in rows.items():
            print(f"aubio, {name}, {of}: {values}")


def _add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--peer", metavar="PYTHON", help="an interpreter that has aubio, to stand beside"
    )


def main(arguments: list[str] | None = None) -> int:
    """Measure and print."""
    return run(__doc__, measure, show, headlines, add_options=_add_options, arguments=arguments)


if __name__ == "__main__":
    sys.exit(main())
