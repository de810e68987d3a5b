"""Responder: what becomes of each event, from its ATTACK through its answer to its BODY.

Loop thread only. It sets the deadline, asks for the token, decides whether to wait for it, has the
answer decided and played, and has the event learned; every step is timed and every silence has a
counted reason. It knows no thread and no clock of its own: a performance and a rehearsal drive the
same responder. It never sleeps, and waits for nothing but the timers it sets.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from oracle.transcriber import Attended
from realtime.budget import Budget
from realtime.clock import StreamClock
from realtime.ensemble import Ensemble
from realtime.midi import NotePlayer, Scheduler, Timer
from realtime.monotonic import NS_PER_S
from realtime.playing_on import PlayingOn
from realtime.report import Performance
from realtime.stopwatch import Stopwatch

Ask = Callable[[int, int, int, int], None]
"""Ask for the tokens of an event: its index, the window's end frame, until when that of the memory
that answers is useful, and which memory that is."""


class Record(Protocol):
    """Takes note of something that happened, without waiting."""

    def __call__(self, kind: str, **values: Any) -> None:
        """Note it; nobody changes the values afterwards."""


def nobody(kind: str, **values: Any) -> None:
    """Take no note: the `Record` of a performance that is not recorded."""


@dataclass(slots=True)
class _Event:
    """An event between its ATTACK and its BODY.

    Attributes
    ----------
    turn
        The place of the memory that answers it.
    tokens
        What came for it, its window ending where it was decided, by the memory's place.
    timer
        Set while it waits for the token of the memory that answers.
    """

    attended: Attended
    onset_ns: int
    turn: int
    tokens: dict[int, int] = field(default_factory=dict)
    timer: Timer | None = None


@dataclass(frozen=True, slots=True)
class _TokenInUse:
    """A memory's newest token, whatever it was asked for."""

    token: int
    end_frame: int


class Responder:
    """Answers and learns events.

    Parameters
    ----------
    clock
        From frame positions to the time that `scheduler` keeps.
    rate_hz
        Of the frames.
    ask
        How to ask for a token; the answer comes through `recognise`, or never.
    predict_finish_ns
        When a token asked for now is expected; given the time now and the memory.
    record
        Takes note of every event, token, decision and answer.
    """

    def __init__(
        self,
        *,
        ensemble: Ensemble,
        player: NotePlayer,
        scheduler: Scheduler,
        clock: StreamClock,
        rate_hz: float,
        budget: Budget,
        performance: Performance,
        ask: Ask,
        predict_finish_ns: Callable[[int, int], int],
        record: Record = nobody,
    ) -> None:
        self._ensemble = ensemble
        performance.answers_by.update({str(i + 1): 0 for i in range(ensemble.n_memories)})
        self._stopwatch = Stopwatch(performance, clock, budget)
        self._player = player
        self._scheduler = scheduler
        self._clock = clock
        self._budget = budget
        self._performance = performance
        self._ask = ask
        self._predict_finish_ns = predict_finish_ns
        self._record = record
        self._events: dict[int, _Event] = {}
        self._in_use: dict[int, _TokenInUse] = {}
        self._playing_on = PlayingOn(
            ensemble=ensemble,
            player=player,
            scheduler=scheduler,
            clock=clock,
            rate_hz=rate_hz,
            performance=performance,
            record=record,
        )

    @property
    def is_waiting(self) -> bool:
        """Whether some event still waits for its token."""
        return any(event.timer is not None for event in self._events.values())

    def hear(self, attack: np.void) -> None:
        """Take an ATTACK record: ask for its token, and wait for it if that can be in time."""
        onset_ns = self._clock.monotonic_ns(int(attack["onset_frame"]))
        self._stopwatch.hear(attack, onset_ns)
        index = int(attack["index"])
        # a BODY comes before the next ATTACK: what has had none by now lost it to a full ring
        self._events = {i: event for i, event in self._events.items() if event.timer is not None}
        turn = self._ensemble.take_turn(attack)
        now_ns = self._scheduler.now_ns()
        # before asking: the pass asked for must not be taken for one that delays it
        finish_ns = self._predict_finish_ns(now_ns, turn)
        self._ask(index, int(attack["decision_frame"]), self._budget.deadline_ns(onset_ns), turn)
        # after asking: the encoder is at work meanwhile
        event = self._events[index] = _Event(self._ensemble.attend(attack), onset_ns, turn)
        may_wait = self._budget.may_wait(onset_ns, finish_ns)
        self._record(
            "attack",
            attack=attack,
            onset_ns=onset_ns,
            now_ns=now_ns,
            finish_ns=finish_ns,
            may_wait=may_wait,
        )
        if not may_wait:
            self._answer(event)
            return
        wait_s = (self._budget.last_wait_ns(onset_ns) - now_ns) / NS_PER_S
        event.timer = self._scheduler.call_at(self._scheduler.now_s() + wait_s, self._answer, event)

    def recognise(
        self,
        token: int,
        end_frame: int,
        index: int | None = None,
        memory: int = 0,
        turn: int = 0,
    ) -> None:
        """Take a memory's token, and answer the event `index` if it waits for it.

        It is in use until one of later frames comes.

        Parameters
        ----------
        turn
            The memory that answers the event; what the others' tokens are late for is nothing.
        """
        in_use = self._in_use.get(memory)
        if in_use is None or end_frame >= in_use.end_frame:
            self._in_use[memory] = _TokenInUse(token, end_frame)
        self._record("token", index=index, memory=memory, token=token, end_frame=end_frame)
        if index is None:
            return
        event = self._events.get(index)
        if event is not None:
            event.tokens[memory] = token
        if memory != turn:  # it is for learning
            return
        if event is not None and event.timer is not None:
            self._answer(event)
        else:
            self._performance.late_tokens += 1

    def miss(self, index: int | None, memory: int = 0, turn: int = 0) -> None:
        """Answer the event `index` by reflex if it waits for this token: there will be none."""
        self._record("skipped", index=index, memory=memory)
        event = None if index is None else self._events.get(index)
        if event is not None and memory == turn and event.timer is not None:
            self._answer(event)

    def learn(self, body: np.void) -> None:
        """Take a BODY record: answer its event now if it still waits, then learn it.

        A body whose attack was refused by a full ring has no event, and teaches nothing.
        """
        event = self._events.pop(int(body["index"]), None)
        if event is None:
            return
        if event.timer is not None:
            self._answer(event)
        is_learned = self._ensemble.learn(event.attended, body, event.tokens)
        tokens = [event.tokens.get(memory) for memory in range(self._ensemble.n_memories)]
        self._record(
            "body",
            body=body,
            tokens=tokens,
            is_learned=is_learned,
            n_forgotten=self._ensemble.n_forgotten,
        )
        if is_learned:
            self._performance.n_learned += 1
            self._performance.n_learned_without_token += None in tokens

    def stop(self) -> None:
        """Wait no more and play on no more; events that still waited go unanswered."""
        self._playing_on.let_go()
        for event in self._events.values():
            if event.timer is not None:
                event.timer.cancel()
                event.timer = None
                self._leave(event, "stopped")

    def _answer(self, event: _Event) -> None:
        """Decide and play, considered or by reflex."""
        deciding_ns = self._scheduler.now_ns()
        if event.timer is not None:
            event.timer.cancel()
            event.timer = None
        is_late = self._budget.is_late(event.onset_ns, deciding_ns)
        if is_late and self._budget.config.late_notes == "drop":
            self._leave(event, "too late")
            return
        token, end_frame = self._token_for(event)
        heard_ns = (
            None if end_frame is None else self._clock.monotonic_ns(end_frame) - event.onset_ns
        )
        is_considered = heard_ns is not None and self._budget.is_considered(heard_ns)
        answer = self._ensemble.answer(
            event.attended, turn=event.turn, token=token, is_considered=is_considered
        )
        sent_ns = decided_ns = self._scheduler.now_ns()
        if answer.notes:
            self._player.play(answer.notes)  # before anything is counted or written down
            sent_ns = self._scheduler.now_ns()
            self._performance.answers_by[str(event.turn + 1)] += 1
            self._performance.n_considered += is_considered
            self._stopwatch.answer(
                event.attended.attack,
                event.onset_ns,
                heard_ns,
                deciding_ns=deciding_ns,
                decided_ns=decided_ns,
                sent_ns=sent_ns,
            )
            if self._budget.is_late(event.onset_ns, sent_ns):
                self._performance.late_notes += len(answer.notes)
        else:
            self._performance.unanswered[answer.why] += 1
        self._playing_on.book()
        self._performance.relaxed.update(answer.relaxed)
        self._record(
            "answer",
            index=int(event.attended.attack["index"]),
            memory=event.turn,
            token=token,
            is_considered=is_considered,
            notes=answer.notes,
            transposition_semitones=answer.transposition_semitones,
            trace=answer.trace,
            deciding_ns=deciding_ns,
            decided_ns=decided_ns,
            sent_ns=sent_ns,
        )
        if answer.turn is not None:
            self._record("mode", mode=answer.turn.mode, why=answer.turn.why)
            self._performance.modes.append(answer.turn.mode)

    def _leave(self, event: _Event, why: str) -> None:
        """Leave an event unanswered."""
        self._performance.unanswered[why] += 1
        self._record("unanswered", index=int(event.attended.attack["index"]), why=why)

    def _token_for(self, event: _Event) -> tuple[int | None, int | None]:
        """Give an event's own token, or else the newest, and where its window ended."""
        own = event.tokens.get(event.turn)
        if own is not None:
            return own, int(event.attended.attack["decision_frame"])
        in_use = self._in_use.get(event.turn)
        return (None, None) if in_use is None else (in_use.token, in_use.end_frame)
