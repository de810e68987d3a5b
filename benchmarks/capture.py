"""Capture: how many blocks are lost while two Python threads spin on the GIL.

A real JACK server without hardware, a musician in another process who plays a ramp, and this
process listening as on stage. Budget: none lost in a minute, at any block from 32 to 1024 frames.

Three counts: `dropped` (our ring was full), `breaks` (the ramp did not continue, whoever is to
blame) and `xruns` (the server's own, which it reports). A break without an xrun would be ours.
`late` is how much later a callback ran than the earliest between the same two xruns.

How it could mislead: without real-time scheduling (``--realtime``, where the system allows it) the
server itself is late on a busy machine, which shows as xruns and says nothing about us; and a dummy
driver has no hardware that could be slow.
"""

import argparse
import sys
import time
from collections.abc import Iterator
from typing import Any

import numpy as np

from benchmarks._jack import jack_server, musician, seen_by_portaudio
from benchmarks._musician import n_breaks
from benchmarks._neighbours import gil_hogs
from benchmarks._run import Headline, NotMeasuredError, run
from realtime.capture import AudioInput
from realtime.doorbell import Doorbell
from realtime.errors import AudioInputError
from realtime.source import CALLBACKS, DROPPED_BLOCKS, OVERFLOWS, CaptureConfig

RATE_HZ = 48_000
N_HOGS = 2


def listen(block_frames: int, duration_s: float, *, is_realtime: bool) -> dict[str, Any]:
    """Listen to one server with blocks of that length, and return what arrived.

    Raises
    ------
    JackMissingError
        There is no server, or it keeps its clients waiting.
    AudioInputError
        There is no PortAudio library, or the server went away while we listened.
    """
    with (
        jack_server(rate_hz=RATE_HZ, block_frames=block_frames, is_realtime=is_realtime),
        musician() as name,
        seen_by_portaudio(),
    ):
        bell = Doorbell()
        config = CaptureConfig(device=name, channel=1, block_frames=block_frames)
        source = AudioInput(config, bell)  # compiles what it needs, which hogs would make slow
        frames, stamps = [], []
        try:
            with gil_hogs(N_HOGS):
                source.start()
                end_s = time.monotonic() + duration_s
                while time.monotonic() < end_s:
                    bell.wait(1.0)
                    source.check()
                    frames.append(source.audio.pop_nowait())
                    stamps.append(source.stamps.pop_nowait())
        finally:
            if source.stop():
                bell.close()
        frames.append(source.audio.pop_nowait())
    heard = np.concatenate(frames)
    return {
        "block_frames": block_frames,
        "callbacks": int(source.counters[CALLBACKS]),
        "dropped": int(source.counters[DROPPED_BLOCKS]),
        "missing": int(source.counters[CALLBACKS]) - heard.size // block_frames,
        "breaks": n_breaks(heard, block_frames),
        "xruns": int(source.counters[OVERFLOWS]),
        "late_ms": _lateness_ms(np.concatenate(stamps)),
    }


def _lateness_ms(stamps: Any) -> dict[str, float]:
    """Return percentiles of each callback's delay against the least delayed between two xruns."""
    early_ns = stamps["host_ns"] - stamps["frame"] * (1e9 / RATE_HZ)
    stretches = np.split(early_ns, np.flatnonzero(stamps["status"]))
    late_ns = np.concatenate([part - part.min() for part in stretches if part.size])
    p50, p95, p99, largest = np.percentile(late_ns, [50, 95, 99, 100]) / 1e6
    return {"p50": p50, "p95": p95, "p99": p99, "max": largest}


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Listen to a server at each block length asked for."""
    blocks, duration_s = ([128], 2.0) if options.quick else (options.blocks, options.seconds)
    try:
        rows = [listen(n, duration_s, is_realtime=options.realtime) for n in blocks]
    except AudioInputError as error:
        raise NotMeasuredError(str(error)) from None
    return {"seconds": duration_s, "n_gil_hogs": N_HOGS, "rows": rows}


def headlines(result: dict[str, Any]) -> Iterator[Headline]:
    """Pick what decides."""
    for row in result["rows"]:
        where = f"at blocks of {row['block_frames']} frames"
        lost = row["dropped"] + row["missing"]
        yield Headline(name=f"blocks captured {where}", value=row["callbacks"])
        yield Headline(name=f"blocks lost {where}", value=lost, target=0)


def show(result: dict[str, Any]) -> None:
    """Print the answer for a reader."""
    print(f"{result['seconds']:g} s each, {result['n_gil_hogs']} threads spinning on the GIL")
    print("block  callbacks  dropped  missing  breaks  xruns   late ms p50 / p95 / p99 / max")
    for row in result["rows"]:
        counts = [row[name] for name in ("callbacks", "dropped", "missing", "breaks", "xruns")]
        widths = zip(counts, (9, 8, 8, 7, 6), strict=True)
        late = " / ".join(f"{value:.2f}" for value in row["late_ms"].values())
        print(f"{row['block_frames']:5}  " + "".join(f"{n:{w}}" for n, w in widths), "  ", late)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add what only this benchmark can be asked."""
    parser.add_argument("--seconds", type=float, default=60.0, help="per block length")
    parser.add_argument("--blocks", type=int, nargs="+", default=[32, 128, 1024], metavar="FRAMES")
    parser.add_argument("--realtime", action="store_true", help="schedule the server as on a stage")


def main(arguments: list[str] | None = None) -> int:
    """Measure and print."""
    return run(__doc__, measure, show, headlines, add_options=add_options, arguments=arguments)


if __name__ == "__main__":
    sys.exit(main())
