"""Startup: how soon it plays after it is started, and how much memory it holds then.

The program with the bundled take's memory, on a JACK server without hardware: once with an empty
kernel cache (its first start ever on a machine), then as on every evening. Budgets: ready within
3 s, for a supervisor that restarts it in the middle of a concert; 700 MB resident.

How it could mislead: the operating system has just read every file; after a boot it has not.
"""

import argparse
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final
from unittest import mock

import numpy as np

from benchmarks._jack import jack_server
from benchmarks._run import Headline, run
from benchmarks._stage import performer, train
from benchmarks.latency import BLOCK_FRAMES, RATE_HZ

READY_S: Final = 3.0
RESIDENT_MB: Final = 700.0


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Start it again and again."""
    warm_s, resident_mb = [], []
    with (
        tempfile.TemporaryDirectory() as name,
        jack_server(rate_hz=RATE_HZ, block_frames=BLOCK_FRAMES),
    ):
        memory = train(Path(name), options.encoder)
        if options.quick:
            first_s = float("nan")
        else:
            with (
                tempfile.TemporaryDirectory() as empty,
                mock.patch.dict("os.environ", NUMBA_CACHE_DIR=empty),
                performer(memory, midi_out="virtual") as program,
            ):
                first_s = program.starting_s
        for _ in range(1 if options.quick else options.times):
            with performer(memory, midi_out="virtual") as program:
                warm_s.append(program.starting_s)
                resident_mb.append(program.playing.memory_info().rss / 1e6)
                program.report()
    return {
        "encoder": options.encoder,
        "first_s": first_s,
        "ready_s": float(np.median(warm_s)),
        "slowest_s": max(warm_s),
        "resident_mb": max(resident_mb),
    }


def headlines(result: dict[str, Any]) -> Iterator[Headline]:
    """Pick what decides."""
    named = "" if result["encoder"] == "spectral" else " with MERT's shape"
    yield Headline(name=f"first start ever{named}", value=result["first_s"], unit="s")
    yield Headline(name=f"start{named}", value=result["ready_s"], unit="s", target=READY_S)
    yield Headline(
        name=f"resident{named}", value=result["resident_mb"], unit="MB", target=RESIDENT_MB
    )


def show(result: dict[str, Any]) -> None:
    """Print the answer for a reader."""
    print(
        f"{result['encoder']}: playing {result['ready_s']:.2f} s after its start (slowest "
        f"{result['slowest_s']:.2f}; the first time on a machine {result['first_s']:.0f}), "
        f"{result['resident_mb']:.0f} MB resident"
    )


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add what only this benchmark can be asked."""
    parser.add_argument("--encoder", default="spectral", help="as oracle.train takes it")
    parser.add_argument("--times", type=int, default=5, help="how many warm starts")


def main(arguments: list[str] | None = None) -> int:
    """Measure and print."""
    return run(__doc__, measure, show, headlines, add_options=add_options, arguments=arguments)


if __name__ == "__main__":
    sys.exit(main())
