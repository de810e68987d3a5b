"""Rehearsal: a performance to a recording in virtual time, as fast as the machine allows.

One thread, no ring and no clock but the frames: a stage takes no time, so every answer is
considered and goes out at its decision frame. The stages, and the `Responder` that decides, are
those of a live performance; the same recording, memory and seed give the same notes, byte for byte.
"""

import heapq
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count

import numpy as np

from models.audio_file import TAIL_S, AudioFile, Channel
from models.listener import ATTACK, Listener
from models.windows import WindowCutter, WindowStream
from realtime.budget import Budget, BudgetConfig
from realtime.clock import StreamClock
from realtime.ensemble import Ensemble
from realtime.midi import NotePlayer, Scheduler
from realtime.monotonic import NS_PER_S
from realtime.recogniser import Recogniser
from realtime.report import Performance
from realtime.responder import Responder


@dataclass(order=True, slots=True)
class _Call:
    """A booked call; ordered by when, then by who booked first."""

    when_s: float
    order: int
    act: Callable[[], object] = field(compare=False)
    is_cancelled: bool = field(default=False, compare=False)

    def cancel(self) -> None:
        """Do not make the call."""
        self.is_cancelled = True


class VirtualScheduler:
    """Time that passes when it is told to: a `Scheduler` for rehearsals."""

    def __init__(self) -> None:
        self._now_ns = 0
        self._calls: list[_Call] = []
        self._order = count()

    def now_ns(self) -> int:
        """Nanoseconds since the stream's start, the clock that deadlines are in."""
        return self._now_ns

    def now_s(self) -> float:
        """Seconds since the stream's start."""
        return self._now_ns / NS_PER_S

    def call_at(self, when_s: float, callback: Callable[..., object], *args: object) -> _Call:
        """Book a call for when time has come so far."""
        call = _Call(when_s, next(self._order), lambda: callback(*args))
        heapq.heappush(self._calls, call)
        return call

    def advance(self, to_ns: int) -> None:
        """Let time pass, never back, making each booked call at its moment."""
        while self._calls and self._calls[0].when_s * NS_PER_S <= to_ns:
            call = heapq.heappop(self._calls)
            self._now_ns = max(self._now_ns, round(call.when_s * NS_PER_S))
            if not call.is_cancelled:
                call.act()
        self._now_ns = max(self._now_ns, to_ns)

    def finish(self) -> None:
        """Let time pass until nothing is booked any more."""
        while self._calls:
            self.advance(round(self._calls[0].when_s * NS_PER_S) + 1)


class Rehearsal:
    """Plays to a recording in virtual time.

    Parameters
    ----------
    block_frames
        How much is heard in one call; changes nothing that is decided.
    performance
        Where it is counted and timed.
    make_player
        Builds the player on the rehearsal's scheduler; `run` closes it.
    """

    def __init__(
        self,
        *,
        file: AudioFile,
        channel: Channel,
        block_frames: int,
        listener: Listener,
        recognisers: Sequence[Recogniser],
        ensemble: Ensemble,
        make_player: Callable[[Scheduler], NotePlayer],
        budget: BudgetConfig,
        performance: Performance,
    ) -> None:
        self._performance = performance
        self._blocks = file.blocks(block_frames, channel, tail_s=TAIL_S)
        self._rate_hz = file.rate_hz
        self._listener = listener
        self._places = [
            (recogniser, WindowStream(WindowCutter(file.rate_hz, recogniser.encoder.spec)))
            for recogniser in recognisers
        ]
        self._scheduler = VirtualScheduler()
        self._make_player = make_player
        self._ensemble = ensemble
        self._budget = budget
        self._asked: list[tuple[int, int, int]] = []
        self._n_heard = 0

    def run(self, seconds: float | None = None) -> None:
        """Play until the recording, or the first `seconds` of it, are over."""
        clock = StreamClock.exact(self._rate_hz, 0)
        with self._make_player(self._scheduler) as player:
            responder = Responder(
                ensemble=self._ensemble,
                player=player,
                scheduler=self._scheduler,
                clock=clock,
                rate_hz=self._rate_hz,
                budget=Budget(self._budget),
                performance=self._performance,
                ask=self._ask,
                predict_finish_ns=lambda now_ns, memory: now_ns,
            )
            for record in self._records(seconds):
                now_ns = clock.monotonic_ns(int(record["decision_frame"]))
                self._scheduler.advance(now_ns)
                record["popped_ns"] = record["published_ns"] = self._scheduler.now_ns()
                if record["kind"] == ATTACK:
                    responder.hear(record)
                    self._recognise(responder)
                else:
                    responder.learn(record)
            self._scheduler.advance(clock.monotonic_ns(self._n_heard))
            responder.stop()
            self._scheduler.finish()
        self._performance.n_notes = player.n_notes
        self._performance.lost_outlets = player.n_lost_sinks

    def _records(self, seconds: float | None) -> Iterator[np.void]:
        """Hear the recording, block by block."""
        n_left = None if seconds is None else round(seconds * self._rate_hz)
        for block in self._blocks:
            if n_left is not None:
                block = block[:n_left]
                n_left -= block.size
            self._n_heard += block.size
            for _, windows in self._places:
                windows.append(block)
            yield from self._listener.hear(block)
            if n_left == 0:
                return

    def _ask(self, index: int, end_frame: int, useful_until_ns: int, turn: int) -> None:
        self._asked.append((index, end_frame, turn))

    def _recognise(self, responder: Responder) -> None:
        """Embed what was asked for, at once."""
        while self._asked:
            index, end_frame, turn = self._asked.pop()
            for recogniser, windows in self._places:
                window = windows.cut(end_frame)
                for memory, (token,) in recogniser.recognise(window[np.newaxis]).items():
                    responder.recognise(int(token), end_frame, index, memory, turn)
