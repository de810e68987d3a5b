"""Playing on: what is played unasked, booked for its moment and played when that has come.

Loop thread only. The ensemble says when it wants to play next, anew with every answer; such notes
answer nothing, so their lateness is nobody's. It waits for nothing but the timer it sets.
"""

from collections.abc import Callable
from typing import Final

from realtime.clock import StreamClock
from realtime.ensemble import Ensemble
from realtime.midi import NotePlayer, Scheduler, Timer
from realtime.monotonic import NS_PER_S
from realtime.report import Performance

STALE_S: Final = 0.25
"""A phrase so far behind, as after the machine slept, is left where it is: nobody wants a burst."""


class PlayingOn:
    """Books the next note that nobody asked for, and plays it.

    Parameters
    ----------
    clock
        From frame positions to the time that `scheduler` keeps.
    rate_hz
        Of the frames.
    record
        Takes note of what was played; see `realtime.responder.Record`.
    """

    def __init__(
        self,
        *,
        ensemble: Ensemble,
        player: NotePlayer,
        scheduler: Scheduler,
        clock: StreamClock,
        rate_hz: float,
        performance: Performance,
        record: Callable[..., None],
    ) -> None:
        self._ensemble = ensemble
        self._player = player
        self._scheduler = scheduler
        self._clock = clock
        self._rate_hz = rate_hz
        self._performance = performance
        self._record = record
        self._booked: Timer | None = None

    def book(self) -> None:
        """Have the ensemble play on when it wants to, and no longer when it wanted to before."""
        self.let_go()
        next_s = self._ensemble.next_s
        if next_s is None:
            return
        next_ns = self._clock.monotonic_ns(round(next_s * self._rate_hz))
        wait_s = (next_ns - self._scheduler.now_ns()) / NS_PER_S
        if wait_s < -STALE_S:
            return
        self._booked = self._scheduler.call_at(self._scheduler.now_s() + wait_s, self._play)

    def let_go(self) -> None:
        """Play on no more."""
        if self._booked is not None:
            self._booked.cancel()
            self._booked = None

    def _play(self) -> None:
        answer = self._ensemble.play_on()
        self._player.play(answer.notes)
        self.book()
        self._performance.n_played_on += bool(answer.notes)
        self._performance.relaxed.update(answer.relaxed)
        self._record(
            "played_on",
            notes=answer.notes,
            transposition_semitones=answer.transposition_semitones,
            trace=answer.trace,
        )
