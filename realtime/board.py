"""Board: what one performance counts, in shared memory, for other processes to read.

The event loop's thread writes it, once a second and at each note; anybody may read. It is a small
file, mapped into memory, in a folder of the user's own: no lock, no message, no waiting. Each value
is one word and only grows, or is one moment's, so a reader can be a second late but never wrong.
"""

import contextlib
import json
import mmap
import os
import stat
import tempfile
import zlib
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Final

import numpy as np
import structlog
from numpy.typing import NDArray

from realtime.budget import BudgetConfig
from realtime.histogram import Histogram
from realtime.midi import NOTE_ON, Message, NoteSink, Scheduler, Timer
from realtime.monotonic import monotonic_ns
from realtime.report import STAGES, Performance

SUFFIX: Final = ".board"
BEAT_S: Final = 1.0
N_NOTES: Final = 256
N_TALLIES: Final = 64
_ABOUT_BYTES: Final = 4096
_MODES_BYTES: Final = 256
_N_MODES: Final = 16
"""The newest are put up."""

_COUNTERS: Final = tuple(f.name for f in fields(Performance) if f.type in (int, "int"))
_HISTOGRAMS: Final = ("event_latency", "token_age", "heard", *STAGES)
_TALLIED: Final = ("unanswered", "answers_by", "relaxed")
_DTYPE: Final = np.dtype(
    [
        ("layout", np.int64),  # last written at the start: a reader trusts nothing before
        ("pid", np.int64),
        ("start_ns", np.int64),
        ("beat_ns", np.int64),
        ("counters", np.int64, (len(_COUNTERS),)),
        ("histograms", np.int64, (len(_HISTOGRAMS), Histogram.N_WORDS)),
        ("tally_names", "S48", (N_TALLIES,)),
        ("tallies", np.int64, (N_TALLIES,)),
        ("modes", f"S{_MODES_BYTES}"),
        ("n_notes", np.int64),
        ("notes", [("sent_ns", np.int64), ("pitch", np.int64)], (N_NOTES,)),
        ("about", f"S{_ABOUT_BYTES}"),
    ],
    align=True,
)
_LAYOUT: Final = zlib.crc32(repr((_DTYPE, _COUNTERS, _HISTOGRAMS)).encode())
"""Programs of different versions do not read each other's boards."""


_log = structlog.get_logger()


def board_folder() -> Path:
    """Return the user's own folder of boards, which may not exist."""
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    if runtime and os.access(runtime, os.W_OK):
        return Path(runtime) / "musichal"
    return Path(tempfile.gettempdir()) / f"musichal-{os.getuid()}"


class Board:
    """The writer's side: a `NoteSink` that also puts up, once a second, what was counted.

    Loop thread only. It is up from its making until it is closed.

    Parameters
    ----------
    about
        What is played, as the report names it, and ``budget``, its table.
    performance
        What is put up.
    scheduler
        Books the next time.
    folder
        Where readers look.

    Raises
    ------
    OSError
        There is no room, no such place, or it is not the user's own.
    """

    name = "the status board"

    def __init__(
        self, about: dict[str, Any], performance: Performance, scheduler: Scheduler, folder: Path
    ) -> None:
        self._performance = performance
        self._scheduler = scheduler
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _require_own(folder)
        self._path = folder / f"{os.getpid()}{SUFFIX}"
        # written out, as a page of a sparse file on a full disk would end us when it is touched
        self._path.unlink(missing_ok=True)
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with os.fdopen(os.open(self._path, flags, 0o600), "r+b") as file:
            file.write(bytes(_DTYPE.itemsize))
            file.flush()
            self._words = np.frombuffer(mmap.mmap(file.fileno(), 0), _DTYPE)
        board = self._words[0]
        text = json.dumps(about).encode()
        board["about"] = text if len(text) < _ABOUT_BYTES else b"{}"
        board["pid"] = os.getpid()
        board["start_ns"] = board["beat_ns"] = monotonic_ns()
        self._words["layout"] = _LAYOUT
        self._timer = self._book()

    def publish(self) -> None:
        """Put up what has been counted so far."""
        board, performance = self._words[0], self._performance
        board["counters"][:] = [getattr(performance, name) for name in _COUNTERS]
        for words, histogram in zip(board["histograms"], _histograms(performance), strict=True):
            histogram.write_to(words)
        board["modes"] = " ".join(performance.modes[-_N_MODES:]).encode()
        self._tally()
        board["beat_ns"] = monotonic_ns()

    def send(self, message: Message, at_s: float) -> None:
        """Put up a note that begins."""
        status, pitch, _ = message
        if status & 0xF0 != NOTE_ON:
            return
        board = self._words[0]
        n_notes = int(board["n_notes"])
        board["notes"][n_notes % N_NOTES] = (monotonic_ns(), pitch)
        board["n_notes"] = n_notes + 1

    def close(self) -> None:
        """Take the board down; twice is once."""
        self._timer.cancel()
        self._path.unlink(missing_ok=True)

    def _book(self) -> Timer:
        """Book the next time."""
        return self._scheduler.call_at(self._scheduler.now_s() + BEAT_S, self._beat)

    def _beat(self) -> None:
        self.publish()
        self._timer = self._book()

    def _tally(self) -> None:
        """Put up the counts that have names of their own, each at its place for good."""
        board = self._words[0]
        places = {name: i for i, name in enumerate(board["tally_names"].tolist()) if name}
        for group in _TALLIED:
            for said, count in getattr(self._performance, group).items():
                name = f"{group}:{said}".encode()[:48]
                place = places.setdefault(name, len(places))
                if place < N_TALLIES:
                    board["tally_names"][place] = name
                    board["tallies"][place] = count


def put_up(
    about: dict[str, Any], budget: BudgetConfig, performance: Performance, scheduler: Scheduler
) -> list[NoteSink]:
    """Put a board up, and take down those of the dead; without room for one, play without."""
    folder = board_folder()
    try:
        board = Board({**about, "budget": asdict(budget)}, performance, scheduler, folder)
    except OSError as error:
        _log.warning("board.refused", folder=str(folder), reason=str(error))
        return []
    with contextlib.suppress(OSError):
        sweep(folder)
    return [board]


def _require_own(folder: Path) -> None:
    """Refuse a folder in which somebody else could have laid a trap."""
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise PermissionError(f"{folder} must be a folder that only its owner, you, may use")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What a board said.

    Attributes
    ----------
    about
        What is played.
    start_ns, beat_ns
        When it began, and when it last gave a sign of life; monotonic.
    notes
        [shape=(n,), (sent_ns, pitch)] The newest notes that began, oldest first.
    """

    pid: int
    about: dict[str, Any]
    start_ns: int
    beat_ns: int
    performance: Performance
    notes: NDArray[np.void]

    @property
    def is_running(self) -> bool:
        """Whether the process that wrote it is there."""
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            return True
        return True


def read_boards(folder: Path) -> list[Reading]:
    """Read the boards in a folder, the newest performance first; none if there is no folder."""
    readings = [read_board(path) for path in folder.glob(f"*{SUFFIX}")]
    found = [reading for reading in readings if reading is not None]
    return sorted(found, key=lambda reading: -reading.start_ns)


def read_board(path: Path) -> Reading | None:
    """Read one board; None where there is none, or one of another version."""
    try:
        content = path.read_bytes()
    except OSError:  # taken down meanwhile
        return None
    if len(content) != _DTYPE.itemsize:
        return None
    board = np.frombuffer(content, _DTYPE)[0]
    if board["layout"] != _LAYOUT:
        return None
    performance = Performance()
    for name, count in zip(_COUNTERS, board["counters"].tolist(), strict=True):
        setattr(performance, name, count)
    for words, histogram in zip(board["histograms"], _histograms(performance), strict=True):
        histogram.read_from(words)
    for name, count in zip(board["tally_names"].tolist(), board["tallies"].tolist(), strict=True):
        if name:
            group, _, said = name.decode(errors="replace").partition(":")
            getattr(performance, group)[said] = count
    performance.modes = board["modes"].decode().split()
    n_notes = int(board["n_notes"])
    notes = np.roll(board["notes"], -(n_notes % N_NOTES))[N_NOTES - min(n_notes, N_NOTES) :]
    return Reading(
        pid=int(board["pid"]),
        about=json.loads(board["about"]),
        start_ns=int(board["start_ns"]),
        beat_ns=int(board["beat_ns"]),
        performance=performance,
        notes=notes,
    )


def sweep(folder: Path) -> None:
    """Take down the boards of processes that ended without doing so."""
    for reading in read_boards(folder):
        if not reading.is_running:
            (folder / f"{reading.pid}{SUFFIX}").unlink(missing_ok=True)


def _histograms(performance: Performance) -> list[Histogram]:
    """Give a performance's histograms in the order of the board."""
    own = (performance.event_latency, performance.token_age, performance.heard)
    return [*own, *(performance.stages[stage] for stage in STAGES)]
