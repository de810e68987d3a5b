"""Soak: whether it plays the last minutes of a night as it played the first, among bad neighbours.

The program plays to a referee through a real JACK server for as long as asked, while two threads of
its own process spin on the GIL and one writes to the disk. Memory, open files and threads are read
from outside every five seconds.

Budgets: no dropped block; memory within ±1 MB/h once it is warm; open files and threads constant;
p99 of event latency in the last sixth (of 30 minutes: the last five) within 10 % of the first.

How it could mislead: half an hour is not a night, and a slope over half an hour is known only as
well as the pages the allocator happens to keep. Live learning grows the memory on purpose up to
`max_events`, here 500, so that forgetting and a steady state come within the first sixth. On two
cores, hogs and server compete for the cores themselves, not for the GIL alone.
"""

import argparse
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import psutil
import soundfile

from benchmarks import _stage
from benchmarks._accounts import percentiles
from benchmarks._jack import jack_server
from benchmarks._run import Headline, run
from benchmarks._stage import latencies_ms, performer, play, referee, train
from benchmarks.latency import BLOCK_FRAMES, LONGEST_MS, RATE_HZ, tones

MAX_EVENTS: Final = 500

_SAMPLE_S: Final = 5.0
_WARM_SHARE: Final = 1 / 6
_N_TONES: Final = 180
_BYTES_PER_MB: Final = 1e6


class Watch(threading.Thread):
    """Reads a process from outside until it is told to stop."""

    def __init__(self, process: psutil.Process) -> None:
        super().__init__(daemon=True)
        self._process = process
        self._is_over = threading.Event()
        self.samples: list[tuple[float, int, int, int]] = []

    def run(self) -> None:
        """Sample seconds, resident bytes, open files and threads."""
        start_s = time.monotonic()
        while not self._is_over.wait(_SAMPLE_S):
            with self._process.oneshot():
                self.samples.append(
                    (
                        time.monotonic() - start_s,
                        self._process.memory_info().rss,
                        self._process.num_fds(),
                        self._process.num_threads(),
                    )
                )

    def stop(self) -> None:
        """End the sampling."""
        self._is_over.set()
        self.join()


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Play, and watch."""
    minutes = 0.5 if options.quick else options.minutes
    frames, onsets = tones(_N_TONES)
    n_times = max(1, round(minutes * 60 * RATE_HZ / frames.size))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        recording = folder / "tones.wav"
        soundfile.write(recording, frames, RATE_HZ, subtype="FLOAT")
        memory = train(folder, options.encoder)
        with (
            jack_server(
                rate_hz=RATE_HZ, block_frames=BLOCK_FRAMES, is_realtime=not options.no_realtime
            ),
            referee(recording, n_times) as client,
        ):
            with performer(memory):
                pass  # kernels are compiled before the neighbours spin, which takes minutes else
            with performer(memory, module="benchmarks._crowd", max_events=MAX_EVENTS) as program:
                watch = Watch(program.playing)
                watch.start()
                game = play(client, longest_s=1.2 * n_times * frames.size / RATE_HZ + 60)
                watch.stop()
                report = program.report()
    all_onsets = (np.arange(n_times)[:, None] * frames.size + onsets).ravel()
    late_ms = latencies_ms(game, all_onsets, LONGEST_MS)
    sixth = max(1, round(len(late_ms) * _WARM_SHARE))
    seconds, resident, n_files, n_threads = np.array(watch.samples, np.float64).T
    is_warm = seconds >= seconds[-1] * _WARM_SHARE
    slope = np.polyfit(seconds[is_warm], resident[is_warm], 1)[0] * 3600 / _BYTES_PER_MB
    return {
        "minutes": seconds[-1] / 60,
        "encoder": options.encoder,
        "n_onsets": len(late_ms),
        "n_answered": int(np.count_nonzero(~np.isnan(late_ms))),
        "first_ms": percentiles(late_ms[:sixth]),
        "last_ms": percentiles(late_ms[-sixth:]),
        "self_report_ms": report["event_latency_ms"],
        "resident_mb": {
            "warm": float(resident[is_warm][0] / _BYTES_PER_MB),
            "end": float(resident[-1] / _BYTES_PER_MB),
            "most": float(resident.max() / _BYTES_PER_MB),
        },
        "mb_per_hour": float(slope),
        "considered_share": report["considered_share"],
        "n_learned": report["n_learned"],
        "open_files": [int(n_files[is_warm].min()), int(n_files[is_warm].max())],
        "threads": [int(n_threads[is_warm].min()), int(n_threads[is_warm].max())],
        "dropped_blocks": report["dropped_blocks"],
        "late_notes": report["late_notes"],
        "server_xruns": game.n_xruns,
        "samples": [[round(float(value)) for value in sample] for sample in watch.samples],
    }


def headlines(result: dict[str, Any]) -> Iterator[Headline]:
    """Pick what decides."""
    first, last = result["first_ms"]["p99"], result["last_ms"]["p99"]
    yield Headline(name="soak", value=result["minutes"], unit="min")
    yield Headline(
        name="soak: onsets answered",
        value=100 * result["n_answered"] / result["n_onsets"],
        unit="%",
    )
    yield Headline(name="soak: dropped blocks", value=result["dropped_blocks"], target=0)
    yield Headline(
        name="soak: growth, either way", value=abs(result["mb_per_hour"]), unit="MB/h", target=1
    )
    for kind in ("open_files", "threads"):
        least, most = result[kind]
        yield Headline(
            name=f"soak: change in {kind.replace('_', ' ')}", value=most - least, target=0
        )
    yield Headline(
        name="soak: p99 at the end above the beginning's",
        value=100 * (last / first - 1),
        unit="%",
        target=10,
    )


def show(result: dict[str, Any]) -> None:
    """Print the answer for a reader."""
    print(
        f"{result['minutes']:.1f} min, {result['encoder']}: {result['n_answered']} of "
        f"{result['n_onsets']} onsets answered, {result['considered_share']:.0%} "
        f"considered, {result['n_learned']} learned"
    )
    for name in ("first_ms", "last_ms"):
        row = result[name]
        values = " / ".join(f"{row[key]:.2f}" for key in ("p50", "p95", "p99", "max"))
        print(f"event latency, {name[:-3]} sixth: {values} ms (p50 / p95 / p99 / max)")
    memory = result["resident_mb"]
    print(
        f"resident {memory['warm']:.1f} MB warm, {memory['end']:.1f} at the end "
        f"({result['mb_per_hour']:+.2f} MB/h); open files {result['open_files']}, threads "
        f"{result['threads']}; {result['dropped_blocks']} dropped blocks, "
        f"{result['late_notes']} late notes, {result['server_xruns']} xruns of the server"
    )


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add what only this benchmark can be asked."""
    parser.add_argument("--minutes", type=float, default=30.0)
    _stage.add_options(parser)


def main(arguments: list[str] | None = None) -> int:
    """Measure and print."""
    return run(__doc__, measure, show, headlines, add_options=add_options, arguments=arguments)


if __name__ == "__main__":
    sys.exit(main())
