"""Latency: how long after a note's first sound the answer leaves, seen from outside.

A referee, in a process of its own, plays tones with known first frames to the program through a
real JACK server and timestamps the MIDI that comes back, on JACK's clock. What the program recorded
of the same answers (`--record`) stands beside it: at p50 and p99 the two must agree within 2 ms.
What it answered although no tone was played is told apart.

Budgets: p99 below 20 ms and no answer later than 50 with the `spectral` encoder; p99 below 50 with
MERT (`--encoder DIR`, such as a stand-in's folder).

How it could mislead: a dummy server has no converter, so what a device adds (a block and its
converter's delay, some 3 ms at 128 frames) comes on top; MIDI leaves at the next JACK cycle, which
the referee counts (0 to 2.7 ms) and the program cannot; the tones begin as clearly as a plucked
string does and follow each other at a fifth to two fifths of a second, singing is decided later.
Without the right to real-time scheduling the server itself is late on a busy machine: its xruns
are shown.
"""

import argparse
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import soundfile
from numpy.typing import NDArray

from benchmarks import _stage
from benchmarks._accounts import compare, disagreement_ms, percentiles
from benchmarks._jack import jack_server
from benchmarks._run import Headline, run
from benchmarks._stage import first_answers, latencies_ms, performer, play, referee, train

RATE_HZ: Final = 48_000
BLOCK_FRAMES: Final = 128
TARGET_MS: Final = 50.0
SPECTRAL_P99_MS: Final = 20.0
AGREEMENT_MS: Final = 2.0
N_ONSETS: Final = 320
LONGEST_MS: Final = 190.0


def tones(
    n_tones: int, rate_hz: int = RATE_HZ, seed: int = 0
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Give plucked tones over noise at −66 dBFS, and the frame each begins at.

    A tone has five harmonics, rises within 2 ms and decays by a time constant of 0.12 s; pitches
    span four octaves from A2, levels 10 dB.
    """
    generator = np.random.default_rng(seed)
    onsets = rate_hz + np.cumsum(
        generator.integers(round(0.2 * rate_hz), round(0.4 * rate_hz), n_tones)
    )
    frames = generator.normal(0, 5e-4, int(onsets[-1]) + rate_hz)
    for onset in onsets:
        n = min(rate_hz, frames.size - onset)
        t = np.arange(n) / rate_hz
        hz = 110.0 * 2 ** (generator.integers(0, 49) / 12)
        tone = sum(np.sin(2 * np.pi * hz * k * t) / k for k in range(1, 6) if hz * k < 10_000)
        envelope = np.minimum(t / 0.002, 1.0) * np.exp(-t / 0.12)
        frames[onset : onset + n] += 0.15 * generator.uniform(0.3, 1) * envelope * tone
    return frames.astype(np.float32), onsets.astype(np.int64)


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Play the tones to the program, and compare what the referee and the program saw."""
    frames, onsets = tones(20 if options.quick else options.onsets)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        recording = folder / "tones.wav"
        soundfile.write(recording, frames, RATE_HZ, subtype="FLOAT")
        memory = train(folder, options.encoder)
        with (
            jack_server(
                rate_hz=RATE_HZ, block_frames=BLOCK_FRAMES, is_realtime=not options.no_realtime
            ),
            referee(recording) as client,
            performer(memory, is_recorded=True) as program,
        ):
            game = play(client, longest_s=2 * frames.size / RATE_HZ + 30)
            report = program.report()
        account = program.account()
    places = first_answers(game, onsets, LONGEST_MS)
    late_ms = latencies_ms(game, onsets, LONGEST_MS)
    is_answered = places >= 0
    received_ns = np.array(game.received_ns, np.int64)[places[is_answered]]
    if options.plot:
        draw(late_ms, onsets / RATE_HZ, options.plot, f"{options.encoder}, {len(onsets)} onsets")
    return {
        "encoder": options.encoder,
        "n_onsets": len(onsets),
        "n_answered": int(np.count_nonzero(is_answered)),
        "referee_ms": percentiles(late_ms),
        "self_report_ms": report["event_latency_ms"],
        "compared": compare(account, late_ms[is_answered], received_ns),
        "token_age_ms": report["token_age_ms"],
        "considered_share": report["considered_share"],
        "stages": report["stages"],
        "n_events": report["n_events"],
        "dropped_blocks": report["dropped_blocks"],
        "late_notes": report["late_notes"],
        "skipped_windows": report["skipped_windows"],
        "starting_s": program.starting_s,
        "server_xruns": game.n_xruns,
    }


def headlines(result: dict[str, Any]) -> Iterator[Headline]:
    """Pick what decides."""
    is_spectral = result["encoder"] == "spectral"
    named = "" if is_spectral else " with MERT's shape"
    target_ms = SPECTRAL_P99_MS if is_spectral else TARGET_MS
    seen = result["referee_ms"]
    yield Headline(name=f"event latency p50{named}", value=seen["p50"], unit="ms")
    yield Headline(name=f"event latency p99{named}", value=seen["p99"], unit="ms", target=target_ms)
    if is_spectral:
        yield Headline(name="event latency max", value=seen["max"], unit="ms", target=TARGET_MS)
    yield Headline(
        name=f"referee against self-report{named}",
        value=disagreement_ms(result["compared"]),
        unit="ms",
        target=AGREEMENT_MS,
    )
    yield Headline(
        name=f"answers in both accounts{named}",
        value=100 * result["compared"]["n_paired"] / max(result["n_answered"], 1),
        unit="%",
        target=99,
        better="higher",
    )
    yield Headline(
        name=f"onsets answered{named}",
        value=100 * result["n_answered"] / result["n_onsets"],
        unit="%",
    )
    yield Headline(
        name=f"considered answers{named}",
        value=100 * result["considered_share"],
        unit="%",
        target=80,
        better="higher",
    )
    yield Headline(name=f"dropped blocks{named}", value=result["dropped_blocks"], target=0)


def show(result: dict[str, Any]) -> None:
    """Print the answer for a reader."""
    compared = result["compared"]
    print(
        f"{result['encoder']}: {result['n_answered']} of {result['n_onsets']} onsets answered, "
        f"{result['considered_share']:.0%} considered; {compared['n_paired']} in both accounts, "
        f"{compared['n_untold']} answers to no tone"
    )
    print(f"{'ms':28}{'p50':>8}{'p95':>8}{'p99':>8}{'max':>8}")
    rows = {
        "seen by the referee": result["referee_ms"],
        "the same, by the program": compared["reported_ms"],
        "apart, answer by answer": compared["apart_ms"],
        "answers to no tone": compared["untold_ms"],
        "all that the program reports": result["self_report_ms"],
        "token age": result["token_age_ms"],
        **{f"  {stage}": timing for stage, timing in result["stages"].items()},
    }
    for name, row in rows.items():
        print(f"{name:28}" + "".join(f"{row[key]:8.2f}" for key in ("p50", "p95", "p99", "max")))
    print(
        f"{result['dropped_blocks']} dropped blocks, {result['late_notes']} late notes, "
        f"{result['skipped_windows']} skipped windows, {result['server_xruns']} xruns of the "
        f"server; ready {result['starting_s']:.1f} s after its start"
    )


def draw(
    late_ms: NDArray[np.float64], onsets_s: NDArray[np.float64], path: Path, title: str
) -> None:
    """Draw the latencies as a histogram and over time; missing answers as ticks on the axis."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4), layout="constrained")
    histogram, timeline = figure.subplots(1, 2, width_ratios=(1, 2), sharey=True)
    is_missing = np.isnan(late_ms)
    histogram.hist(late_ms[~is_missing], bins=60, orientation="horizontal", color="#1f6f8b")
    histogram.set(xlabel="answers", ylabel="event latency, ms")
    timeline.plot(onsets_s, late_ms, ".", color="#1f6f8b", markersize=4)
    timeline.plot(
        onsets_s[is_missing], np.zeros(is_missing.sum()), "|", color="#c0392b", label="no answer"
    )
    timeline.axhline(TARGET_MS, color="#2b2b2b", linewidth=0.8, linestyle="--")
    timeline.set(xlabel="s", title=title)
    figure.savefig(path, dpi=120)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add what only this benchmark can be asked."""
    _stage.add_options(parser)
    parser.add_argument("--onsets", type=int, default=N_ONSETS, metavar="N")
    parser.add_argument("--plot", type=Path, metavar="FILE.png", help="draw every answer")


def main(arguments: list[str] | None = None) -> int:
    """Measure and print."""
    return run(__doc__, measure, show, headlines, add_options=add_options, arguments=arguments)


if __name__ == "__main__":
    sys.exit(main())
