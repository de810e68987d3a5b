"""Notes out: starts notes, ends each of them, and knows what sounds.

Loop thread only. A note-on goes to every sink at once and its note-off is booked with the same
call, so that a note which has begun always ends: after its duration, when its pitch is struck
again, when a newer note needs its place, at `NotePlayer.all_notes_off`, or at `NotePlayer.close`.
It never waits for a port, and a port that dies takes only itself along.
"""

import asyncio
import math
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Final, Protocol, Self

import structlog

from oracle.event import Note
from realtime.errors import LiveError
from realtime.monotonic import NS_PER_S, monotonic_ns
from realtime.panic import ALL_NOTES_OFF, CONTROL_CHANGE, NOTE_OFF

Message = tuple[int, int, int]
"""A MIDI channel message: status, data, data."""

NOTE_ON: Final = 0x90


def begins_note(message: Message) -> bool:
    """Say whether a message is a note-on, and none that ends a note."""
    status, _, velocity = message
    return status & 0xF0 == NOTE_ON and velocity > 0


_log = structlog.get_logger()


class MidiError(LiveError):
    """Raised when notes can no longer be sent to, or kept in, a sink."""


class NoteSink(Protocol):
    """Where MIDI messages go: a port, a file."""

    @property
    def name(self) -> str:
        """What to call it in a message to the musician."""

    def send(self, message: Message, at_s: float) -> None:
        """Take a message at `at_s` seconds since the stream's start, without waiting.

        Raises
        ------
        MidiError
            The sink is gone; nothing more need be sent to it.
        """

    def close(self) -> None:
        """Finish and let go; may wait a moment.

        Raises
        ------
        MidiError
            What it was sent could not be kept.
        """


class Timer(Protocol):
    """A booked call."""

    def cancel(self) -> None:
        """Do not make the call."""


class Scheduler(Protocol):
    """Time, and calls booked in it: the loop's, or a rehearsal's."""

    def now_ns(self) -> int:
        """Nanoseconds of the clock that deadlines are in."""

    def now_s(self) -> float:
        """Seconds since the stream's start."""

    def call_at(self, when_s: float, callback: Callable[..., object], *args: object) -> Timer:
        """Book a call on the loop thread."""


class LoopScheduler:
    """The scheduler of a performance: the running loop's timers, by the monotonic clock.

    Attributes
    ----------
    start_ns : int
        Monotonic time of the stream's start: now, until it is set, before the first note.
    """

    def __init__(self) -> None:
        self.start_ns = monotonic_ns()

    def now_ns(self) -> int:
        """Nanoseconds of the monotonic clock."""
        return monotonic_ns()

    def now_s(self) -> float:
        """Seconds since the stream's start."""
        return (monotonic_ns() - self.start_ns) / NS_PER_S

    def call_at(self, when_s: float, callback: Callable[..., object], *args: object) -> Timer:
        """Book a call; the loop's own clock may have another origin, so by what is left."""
        loop = asyncio.get_running_loop()
        return loop.call_later(max(0.0, when_s - self.now_s()), callback, *args)


@dataclass(frozen=True, slots=True, kw_only=True)
class MidiConfig:
    """The ``[midi]`` table.

    Raises
    ------
    ValueError
        A value is out of range.
    """

    channel: int = 1
    max_polyphony: int = 16

    def __post_init__(self) -> None:
        """Refuse what MIDI does not have."""
        if not 1 <= self.channel <= 16:
            raise ValueError(f"channel must be 1 to 16, got {self.channel}")
        if not 1 <= self.max_polyphony <= 128:
            raise ValueError(f"max_polyphony must be 1 to 128, got {self.max_polyphony}")


class NotePlayer:
    """Play notes into sinks and end every one of them.

    Parameters
    ----------
    sinks
        Served in this order: put the port that someone hears before the file. None is silence.
    scheduler
        Gives the time and makes the calls that end notes.

    Attributes
    ----------
    n_notes : int
        Notes begun.
    n_lost_sinks : int
        Sinks that died while playing.
    """

    def __init__(
        self, sinks: Sequence[NoteSink], scheduler: Scheduler, config: MidiConfig | None = None
    ) -> None:
        config = config or MidiConfig()
        self._sinks = tuple(sinks)
        self._living = list(sinks)
        self._scheduler = scheduler
        self._channel = config.channel - 1
        self._max_polyphony = config.max_polyphony
        self._sounding: dict[int, Timer] = {}  # by pitch, the oldest first
        self._last_s = 0.0
        self._is_closed = False
        self.n_notes = 0
        self.n_lost_sinks = 0

    def __enter__(self) -> Self:
        """Give itself."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Close, whatever happened."""
        self.close()

    @property
    def sounding_pitches(self) -> tuple[int, ...]:
        """The pitches that sound now, the oldest first."""
        return tuple(self._sounding)

    def play(self, notes: Iterable[Note]) -> int:
        """Begin notes now, together, and book their ends; say how many, none once closed.

        Raises
        ------
        ValueError
            A pitch, velocity or duration is out of range; then no note is begun.
        """
        notes = [_checked(note) for note in notes]
        if self._is_closed:
            return 0
        now_s = self._now_s()
        for note in notes:
            self._begin(note, now_s)
        return len(notes)

    def all_notes_off(self) -> None:
        """End what sounds note by note, then say so with controller 123, for what was not ours."""
        now_s = self._now_s()
        for pitch in self.sounding_pitches:
            self._end(pitch, now_s)
        self._send((CONTROL_CHANGE | self._channel, ALL_NOTES_OFF, 0), now_s)

    def close(self) -> None:
        """End what sounds and close every sink, also those that have died; twice is once.

        Raises
        ------
        MidiError
            A file could not be written; the other sinks are closed all the same.
        """
        if self._is_closed:
            return
        self._is_closed = True
        with ExitStack() as closing:
            for sink in reversed(self._sinks):
                closing.callback(sink.close)
            self.all_notes_off()

    def _begin(self, note: Note, now_s: float) -> None:
        if note.pitch in self._sounding:
            self._end(note.pitch, now_s)
        elif len(self._sounding) == self._max_polyphony:
            self._end(next(iter(self._sounding)), now_s)
        self._sounding[note.pitch] = self._scheduler.call_at(
            now_s + note.duration_s, self._end_due, note.pitch
        )
        self._send((NOTE_ON | self._channel, note.pitch, note.velocity), now_s)
        self.n_notes += 1

    def _end_due(self, pitch: int) -> None:
        self._end(pitch, self._now_s())

    def _end(self, pitch: int, now_s: float) -> None:
        self._sounding.pop(pitch).cancel()
        self._send((NOTE_OFF | self._channel, pitch, 0), now_s)

    def _send(self, message: Message, at_s: float) -> None:
        for sink in tuple(self._living):
            try:
                sink.send(message, at_s)
            except MidiError as error:
                self._living.remove(sink)
                self.n_lost_sinks += 1
                _log.error("midi.sink_lost", sink=sink.name, reason=str(error))

    def _now_s(self) -> float:
        """Read the time, which never goes back for a sink."""
        self._last_s = max(self._last_s, self._scheduler.now_s())
        return self._last_s


def _checked(note: Note) -> Note:
    """Refuse a note that MIDI cannot say or that would never end."""
    if not 0 <= note.pitch <= 127:
        raise ValueError(f"pitch must be 0 to 127, got {note.pitch}")
    if not 1 <= note.velocity <= 127:
        raise ValueError(f"velocity must be 1 to 127, got {note.velocity}")
    if not 0 < note.duration_s < math.inf:
        raise ValueError(f"duration_s must be above 0 and finite, got {note.duration_s}")
    return note
