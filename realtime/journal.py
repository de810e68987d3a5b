"""Journal: what is learned while playing is kept beside the memory, and learned again next time.

The loop hands over each learned event and never waits; a thread of the journal's own writes what
has come every quarter of a second. So the end of the process, SIGKILL too, loses less than a second
of what was learned; a power cut loses what the system had not yet put on the disk, on Linux up to
half a minute, as only a journal that is closed is flushed that far. A disk that is full stalls the
journal, never the music, and it goes on by itself when there is room.

Run as ``python -m realtime.journal MEMORY --output NEW`` it folds what was learned into a new
memory and changes neither the old one nor its journal.
"""

import argparse
import contextlib
import hashlib
import json
import os
import sys
import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
import structlog

from models.errors import ModelsError
from models.output_path import require_writable
from models.terminal import CommandLine, plain_console, say_error
from oracle.errors import OracleError
from oracle.event import Event, Note
from oracle.memory import Memory
from realtime.errors import LiveError
from realtime.journal_file import (
    SUFFIX,
    JournalError,
    JournalUnwritableError,
    encode,
    opened,
    read,
    repaired,
    set_aside,
    write_all,
)

BEAT_S: Final = 0.25
_CLOSE_S: Final = 2.0
_MOST_WAITING: Final = 1 << 16
"""Events that may wait for room on the disk, an hour of dense playing; those beyond are counted."""

_log = structlog.get_logger()


class Journal:
    """Keeps events in a file. `keep` and `close` are for the loop thread.

    Parameters
    ----------
    memory_path
        Of the memory that learns; the journal lies beside it and belongs to it alone.
    source
        What the events of this performance are said to come from.
    is_afresh
        Whether to set aside what is there and begin anew.

    Attributes
    ----------
    payloads : list of bytes
        What it held when it was opened, for `replay`.
    n_torn_bytes : int
        Of a last record that was not written to its end, and has been cut off.
    n_lost : int
        Events that were not kept, as the disk had no room for too long.

    Raises
    ------
    JournalError
        It is of another memory, no journal, or in use by another performance.
    JournalUnwritableError
        It cannot be opened for writing.
    """

    def __init__(self, memory_path: Path, source: str, *, is_afresh: bool = False) -> None:
        self.path = memory_path.with_name(memory_path.name + SUFFIX)
        sha256 = _file_sha256(memory_path)
        try:
            if is_afresh and self.path.exists():
                set_aside(self.path)
            self._file = opened(self.path)
            try:
                self.payloads, self.n_torn_bytes = repaired(self._file, self.path, sha256)
            except BaseException:
                os.close(self._file)
                raise
        except OSError as error:
            raise JournalUnwritableError(
                f"What it learns will be lost, as {self.path} cannot be written ({error.strerror})."
            ) from None
        self._n_bytes = os.fstat(self._file).st_size
        self._waiting: deque[Event] = deque()
        self._unwritten = encode({"source": source})
        self._n_unwritten = 0
        self._is_stalled = False
        self._error: Exception | None = None
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="journal", daemon=True)
        self.n_lost = 0
        self._thread.start()

    def __enter__(self) -> Self:
        """Give itself."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Close, whatever happened."""
        self.close()

    def keep(self, event: Event) -> None:
        """Take an event that was learned; it is written within the next beat."""
        if self._error is None and len(self._waiting) < _MOST_WAITING:
            self._waiting.append(event)
        else:
            self.n_lost += 1

    def close(self) -> None:
        """Write what is left, through to the disk; a disk that hangs is not waited for long."""
        self._closing.set()
        self._thread.join(_CLOSE_S)
        n_lost = self.n_lost + len(self._waiting) + self._n_unwritten
        if self._thread.is_alive() or n_lost:
            _log.error("journal.lost", path=str(self.path), n_events=n_lost)

    def _run(self) -> None:
        try:
            while not self._closing.wait(BEAT_S):
                self._write()
            self._write()
            with contextlib.suppress(OSError):
                os.fsync(self._file)
        except Exception as error:  # whatever it is, the music goes on
            self._error = error
            _log.error("journal.stopped", path=str(self.path), reason=str(error))
        finally:
            os.close(self._file)

    def _write(self) -> None:
        """Write what waits; of what does not go in whole, leave nothing."""
        if not self._waiting and not self._is_stalled:
            return
        if not self._is_stalled:
            waiting = [self._waiting.popleft() for _ in range(len(self._waiting))]
            self._n_unwritten = len(waiting)
            self._unwritten += b"".join(encode(_record(event)) for event in waiting)
        try:
            if self._is_stalled:  # what went in of it may not have been taken out
                os.ftruncate(self._file, self._n_bytes)
            write_all(self._file, self._unwritten)
        except OSError as error:
            with contextlib.suppress(OSError):
                os.ftruncate(self._file, self._n_bytes)
            if not self._is_stalled:
                self._is_stalled = True
                _log.error("journal.stalled", path=str(self.path), reason=error.strerror)
            return
        self._n_bytes += len(self._unwritten)
        self._unwritten = b""
        self._n_unwritten = 0
        if self._is_stalled:
            self._is_stalled = False
            _log.warning("journal.resumed", path=str(self.path), n_lost=self.n_lost)


def replay(memory: Memory, payloads: Sequence[bytes], max_events: int | None = None) -> int:
    """Learn again what a journal holds, and say how many events that is.

    Parameters
    ----------
    max_events
        Learn no more than the newest so many, as a memory that forgets would.

    Raises
    ------
    JournalError
        A record is whole but says what no event can be.
    """
    try:
        records = [json.loads(payload) for payload in payloads]
        n_left_out = 0
        if max_events is not None:
            n_left_out = max(0, sum("source" not in r for r in records) - max_events)
        events = []
        source = 0
        for record in records:
            if "source" in record:
                source = memory.add_source(record["source"])
            elif n_left_out:
                n_left_out -= 1
            else:
                events.append(_event(record, source))
        memory.extend(events)
    except (ValueError, TypeError, KeyError) as error:
        raise JournalError(
            f"The journal holds what cannot be learned ({error}): start with --afresh."
        ) from None
    return len(events)


def _record(event: Event) -> dict[str, Any]:
    """Give an event as JSON has it, without its source, which the journal names once."""
    record = {field.name: getattr(event, field.name) for field in fields(event)}
    del record["source"]
    return record | {"frame": event.frame.tolist()}


def _event(record: dict[str, Any], source: int) -> Event:
    """Give the event of a record."""
    frame = np.array(record["frame"], np.float32)
    notes = tuple(Note(*note) for note in record["notes"])
    return Event(**record | {"frame": frame, "notes": notes, "source": source})


def _file_sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def main(arguments: list[str] | None = None) -> int:
    """Fold what was learned into a new memory, and return the exit code."""
    options = _parse(arguments)
    console = plain_console(stderr=True)
    path = options.memory.with_name(options.memory.name + SUFFIX)
    try:
        require_writable(options.output, (".memory",), sources=(options.memory, path))
        memory = Memory.load(options.memory)
        try:
            written = path.read_bytes()
        except OSError as error:
            raise JournalError(
                f"Nothing was learned with {options.memory}: {path} cannot be read "
                f"({error.strerror})."
            ) from None
        payloads = read(path, written, _file_sha256(options.memory)).payloads
        n_events = replay(memory, payloads)
        memory.save(options.output)
    except (LiveError, OracleError, ModelsError) as error:
        say_error(console, error)
        return 1
    console.print(f"{options.output} holds {memory.n_events} events, {n_events} learned on stage.")
    return 0


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = CommandLine(
        prog="python -m realtime.journal",
        description="Folds what was learned while playing, kept beside a memory in its journal, "
        "into a new memory. Neither the memory nor its journal is changed.",
    )
    parser.add_argument("memory", type=Path, metavar="MEMORY", help="the memory that was played")
    parser.add_argument(
        "--output", type=Path, required=True, metavar="FILE", help="the new memory's file"
    )
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
