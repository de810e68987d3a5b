"""Journal: what a SIGKILL at any moment costs of what was learned.

Budget: no start refused, never a second lost.
Writers keep an event every five milliseconds, as no player could, in the real journal, until they
are killed at a random moment; then the next one opens the same journal as at any start. A writer
that is refused says so by its exit code. It could mislead by killing too early: a life lasts up to
1.5 s, several times the beat between two writes, and half of all lives are longer than three beats.
Sixteen writers at a time share the cores, so the figures are those of a busy machine.
"""

import argparse
import hashlib
import json
import mmap
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks._run import Headline, run
from oracle.event import EVENT_DIMS, Event, Note
from realtime.journal import Journal
from realtime.journal_file import SUFFIX, read

LIMIT_LOST_S: Final = 1.0
LONGEST_LIFE_S: Final = 1.5
N_WRITERS: Final = 16
EVENT_S: Final = 0.005
_REFUSED: Final = 3


class Writer:
    """A line of processes, each killed, each going on with the journal of the one before."""

    def __init__(self, folder: Path, number: int) -> None:
        self._memory = folder / f"{number}.memory"
        self._memory.write_bytes(b"any")
        self._sha256 = hashlib.sha256(b"any").hexdigest()
        self._first_s = np.frombuffer(mmap.mmap(-1, 8), np.float64)  # shared with the child
        self._n_before = 0
        self._pid = 0
        self.n_torn = 0
        self.n_events = 0

    def start(self) -> None:
        """Fork a writer that keeps events until it is killed."""
        self._first_s[0] = 0.0
        self._pid = os.fork()
        if self._pid:
            return
        try:
            self._write()
        finally:
            os._exit(_REFUSED)

    def _write(self) -> None:
        journal = Journal(self._memory, "live")
        while True:
            now_s = time.monotonic()
            journal.keep(_event(now_s))
            if not self._first_s[0]:
                self._first_s[0] = now_s
            time.sleep(EVENT_S)

    def kill(self) -> tuple[bool, float]:
        """Kill it, and say whether it was refused and how much of the end is not there, in s."""
        killed_s = time.monotonic()
        os.kill(self._pid, signal.SIGKILL)
        _, status = os.waitpid(self._pid, 0)
        path = self._memory.with_name(self._memory.name + SUFFIX)
        written = path.read_bytes() if path.exists() else b""
        content = read(path, written, self._sha256)
        onsets = [json.loads(payload).get("onset_s") for payload in content.payloads]
        onsets_s = [onset_s for onset_s in onsets if onset_s is not None]
        self.n_torn += content.n_bytes < len(written)
        is_refused = not os.WIFSIGNALED(status) or len(onsets_s) < self._n_before
        self._n_before = self.n_events = len(onsets_s)
        if not self._first_s[0]:  # killed before it kept anything
            return is_refused, 0.0
        newest_s = max([self._first_s[0], *onsets_s[-1:]])
        return is_refused, killed_s - newest_s


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Kill."""
    n_kills = 20 if options.quick else options.kills
    chance = random.Random(options.seed)
    n_refused = 0
    lost_s = []
    with tempfile.TemporaryDirectory() as name:
        writers = [Writer(Path(name), number) for number in range(min(N_WRITERS, n_kills))]
        due = []
        for writer in writers:
            writer.start()
            due.append((time.monotonic() + chance.uniform(0, LONGEST_LIFE_S), writer))
        n_started = len(writers)
        while due:
            due.sort(key=lambda one: one[0])
            end_s, writer = due.pop(0)
            time.sleep(max(0.0, end_s - time.monotonic()))
            is_refused, lost = writer.kill()
            n_refused += is_refused
            lost_s.append(lost)
            if n_started < n_kills:
                n_started += 1
                writer.start()
                due.append((time.monotonic() + chance.uniform(0, LONGEST_LIFE_S), writer))
    return {
        "n_kills": len(lost_s),
        "n_refused": n_refused,
        "n_torn": sum(writer.n_torn for writer in writers),
        "n_events_kept": sum(writer.n_events for writer in writers),
        "lost_s": {
            "p50": float(np.median(lost_s)),
            "p99": float(np.quantile(lost_s, 0.99)),
            "max": max(lost_s),
        },
    }


def headlines(result: dict[str, Any]) -> Iterator[Headline]:
    """Pick what decides."""
    yield Headline(name="journal: SIGKILLs", value=result["n_kills"])
    yield Headline(name="journal: starts refused", value=result["n_refused"], target=0)
    yield Headline(
        name="journal: most lost", value=result["lost_s"]["max"], unit="s", target=LIMIT_LOST_S
    )


def show(result: dict[str, Any]) -> None:
    """Print the answer for a reader."""
    lost = result["lost_s"]
    print(
        f"{result['n_kills']} kills, {result['n_torn']} torn tails cut off, {result['n_refused']} "
        f"starts refused; {result['n_events_kept']} events kept; lost {lost['p50']:.3f} / "
        f"{lost['p99']:.3f} / {lost['max']:.3f} s (p50 / p99 / max)"
    )


def _event(onset_s: float) -> Event:
    frame = np.full(len(EVENT_DIMS), np.nan, np.float32)
    return Event(frame=frame, notes=(Note(60, 64, 0.5),), onset_s=onset_s, duration_s=0.5)


def main(arguments: list[str] | None = None) -> int:
    """Measure and print."""
    return run(
        __doc__,
        measure,
        show,
        headlines,
        add_options=_add_options,
        arguments=arguments,
    )


def _add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)


if __name__ == "__main__":
    sys.exit(main())
