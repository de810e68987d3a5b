"""Doubles for tests that play notes: a clock one turns by hand, and sinks that remember or die."""

import heapq
import itertools
from collections.abc import Callable

from realtime.midi import Message, MidiError
from realtime.monotonic import NS_PER_S


class HandTimer:
    """A booked call of a `HandScheduler`."""

    def __init__(self, callback: Callable[..., object], args: tuple[object, ...]) -> None:
        self.callback = callback
        self.args = args
        self.is_cancelled = False

    def cancel(self) -> None:
        """Do not make the call."""
        self.is_cancelled = True


class HandScheduler:
    """A scheduler whose time passes when `advance` is called, and by `tick_s` when it is asked."""

    def __init__(self, *, tick_s: float = 0.0) -> None:
        self._now_s = 0.0
        self._tick_s = tick_s
        self._order = itertools.count()
        self._booked: list[tuple[float, int, HandTimer]] = []

    def now_ns(self) -> int:
        """Nanoseconds since the start."""
        return round(self._now_s * NS_PER_S)

    def now_s(self) -> float:
        """Seconds since the start."""
        self._now_s += self._tick_s
        return self._now_s

    def call_at(self, when_s: float, callback: Callable[..., object], *args: object) -> HandTimer:
        """Book a call."""
        timer = HandTimer(callback, args)
        heapq.heappush(self._booked, (when_s, next(self._order), timer))
        return timer

    def advance(self, duration_s: float) -> None:
        """Let time pass, making the calls that fall due, each at its own time."""
        end_s = self._now_s + duration_s
        while self._booked and self._booked[0][0] <= end_s:
            when_s, _, timer = heapq.heappop(self._booked)
            self._now_s = max(self._now_s, when_s)
            if not timer.is_cancelled:
                timer.callback(*timer.args)
        self._now_s = max(self._now_s, end_s)

    @property
    def n_booked(self) -> int:
        """Calls still to be made."""
        return sum(not timer.is_cancelled for _, _, timer in self._booked)


class MemorySink:
    """A sink that remembers what it was sent, and can be told to die."""

    def __init__(self, name: str = "memory") -> None:
        self.name = name
        self.sent: list[tuple[float, Message]] = []
        self.is_dead = False
        self.n_closed = 0

    def send(self, message: Message, at_s: float) -> None:
        """Remember a message, or raise if dead."""
        if self.is_dead:
            raise MidiError(f"{self.name} is dead.")
        self.sent.append((at_s, message))

    def close(self) -> None:
        """Count the closings."""
        self.n_closed += 1
