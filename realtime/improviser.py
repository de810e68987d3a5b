"""Improviser: what to play to what was heard, and what to learn from it.

Loop thread only. It asks the memory for a state as its mode wants it and answers with the notes
that state was learned from, so an answer is always music that someone played, at the loudness of
the moment. When the player pauses, or when it leads, it plays on: a phrase of the memory in its own
rhythm. What cannot be had is relaxed from the last named upwards, and reported. It knows no clock,
port or thread: moments are positions in the stream.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Literal

import numpy as np

from oracle.beats import Beat
from oracle.event import Event, Note
from oracle.memory import Memory
from oracle.navigator import Navigator, NavigatorConfig
from oracle.trace import Trace
from oracle.transcriber import Attended, Transcriber
from realtime.blend import Blend
from realtime.forgetting import Aside, Forgetting, at_once
from realtime.modes import Heard, Mode, Modes, Turn
from realtime.phrase import Phrase

Keep = Callable[[Event], None]
"""Keeps an event that was learned beyond this performance, without waiting."""


def forget(event: Event) -> None:
    """Keep nothing: the `Keep` of a performance that leaves no trace."""


LIVE_SOURCE: Final = "live"
NO_STATE: Final = "no state answers"
REST: Final = "rest"
LEADING: Final = "leading"
_WARM_UP_EVENTS: Final = 100
"""More than a new memory has room for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImproviserConfig:
    """The ``[improviser]`` table.

    Attributes
    ----------
    mode
        How to stand to the player, or "auto" to change it where phrases end.
    is_learning
        Whether what is heard is learned while playing.
    continuity
        How much going on in the memory is preferred to jumping, 0 to 1.
    min_context
        How many states of common past a jump needs.
    phrase_notes
        After so many notes a phrase of its own is over; 0 to do nothing but answer.
    taboo_steps
        For how many answers a state is not played again if another will do.
    reflex_token_weight
        How much the newest token counts, 0 to 1, when it has not heard the event itself.
    max_events
        How many events the memory holds while it learns, 16 or more; then it forgets the oldest.

    Raises
    ------
    ValueError
        A value is out of range.
    """

    mode: Literal["auto"] | Mode = "auto"
    is_learning: bool = True
    phrase_notes: int = 16
    continuity: float = 0.85
    min_context: int = 1
    taboo_steps: int = 4
    reflex_token_weight: float = 0.3
    max_events: int = 100_000

    def __post_init__(self) -> None:
        """Refuse what no answer could follow."""
        self.navigation()
        if not 0 <= self.reflex_token_weight <= 1:
            raise ValueError(f"reflex_token_weight must be 0…1, got {self.reflex_token_weight}")
        if self.phrase_notes < 0:
            raise ValueError(f"phrase_notes must be ≥ 0, got {self.phrase_notes}")
        if self.max_events < 16:
            raise ValueError(f"max_events must be ≥ 16, got {self.max_events}")

    def navigation(self) -> NavigatorConfig:
        """Say how to move through the memory: as asked, and only over states that sound."""
        return NavigatorConfig(
            continuity=self.continuity,
            min_context=self.min_context,
            taboo_steps=self.taboo_steps,
            is_audible=True,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What to play to one event, or as one note of a phrase.

    Attributes
    ----------
    notes
        To begin now, together; none is silence.
    state
        Where they come from; None in silence.
    relaxed
        What of the request was not met as asked.
    why
        What led to the state, or why there is silence.
    trace
        What was asked, considered and chosen; None if nobody did.
    turn
        The change of mode that came with this event, if one did.
    transposition_semitones
        By how much the notes were moved from those of the state.
    """

    notes: tuple[Note, ...]
    state: int | None
    relaxed: tuple[str, ...]
    why: str
    trace: Trace | None = field(default=None, compare=False)
    turn: Turn | None = None
    transposition_semitones: int = 0


class Improviser:
    """Answers one stream from one memory, which grows by what it hears.

    Parameters
    ----------
    rate_hz
        Of the stream.
    seed
        Same memory, seed and events: same answers.
    aside
        Builds a shorter memory when this one has grown too long.
    keep
        Takes what was learned.

    Attributes
    ----------
    next_s : float or None
        When `play_on` is to be called next, in seconds since the stream's start; it may change with
        every answer.
    n_forgotten : int
        How many events the memory has forgotten so far.
    """

    def __init__(
        self,
        memory: Memory,
        rate_hz: float,
        config: ImproviserConfig,
        *,
        seed: int,
        aside: Aside = at_once,
        keep: Keep = forget,
    ) -> None:
        self._memory = memory
        self._rate_hz = rate_hz
        self._config = config
        self._modes = Modes(config.mode, seed=seed)
        self._navigator = Navigator(
            memory.oracle, memory.attributes, config.navigation(), seed=seed
        )
        self._transcriber = Transcriber(rate_hz, memory.add_source(LIVE_SOURCE))
        self._forgetting = Forgetting(config.max_events, aside)
        self._keep = keep
        self._blend = Blend()
        self._beat: Beat | None = None
        self._phrase: Phrase | None = None
        self.next_s: float | None = None
        self.n_forgotten = 0

    def warm_up(self) -> None:
        """Compile the kernels, or load them from the cache, on a scratch memory that grows."""
        Transcriber.warm_up()
        event = self._memory.event(1)
        scratch = self._memory.emptied()
        for _ in range(_WARM_UP_EVENTS):
            scratch.learn(event)
        navigator = Navigator(scratch.oracle, scratch.attributes, self._config.navigation())
        navigator.step({"gesture_token": 0, "pitch_class": 0, "register": 4})

    def attend(self, attack: np.void) -> Attended:
        """Take an ATTACK record, in the order of the stream, whatever becomes of the event."""
        attended = self._transcriber.attend(attack)
        self.follow(attended)
        return attended

    def follow(self, attended: Attended) -> None:
        """Go on from an event that was attended to, by this one or by another for all."""
        self._beat = attended.beat

    def answer(self, attended: Attended, *, token: int | None, is_considered: bool) -> Answer:
        """Decide what to play to an event that was attended to.

        Parameters
        ----------
        token
            The newest one there is.
        is_considered
            Whether that token has heard the event.
        """
        onset_s = float(attended.attack["onset_frame"]) / self._rate_hz
        pitch = float(attended.attack["pitch"])
        weight = 1.0 if is_considered else self._config.reflex_token_weight
        heard = Heard(round(pitch) if np.isfinite(pitch) else None, token, weight)
        turn = self._modes.hear(heard, onset_s)
        if turn is not None or not self._modes.leads:
            self.fall_silent()
        if self.next_s is not None and onset_s < self.next_s:
            return Answer(notes=(), state=None, relaxed=(), why=LEADING)
        request = self._modes.request()
        if request is None:
            answer = Answer(notes=(), state=None, relaxed=(), why=REST, turn=turn)
        else:
            trace = self._navigator.step(request)
            if self._modes.leads and self._config.phrase_notes:
                self._begin_phrase(trace.state)
            answer = self._answer(trace, turn)
        if self._phrase is not None:
            self._go_on(onset_s)
        elif self._config.phrase_notes:
            decided_s = float(attended.attack["decision_frame"]) / self._rate_hz
            self.next_s = self._on_the_beat(self._modes.speaks_s(), decided_s)
        return answer

    def play_on(self) -> Answer:
        """Decide what to play at `next_s`, unasked: the next note of a phrase, or its first.

        Raises
        ------
        RuntimeError
            Nothing is to be played.
        """
        if self.next_s is None:
            raise RuntimeError("there is nothing to play on with")
        request = self._modes.phrase_request()
        if request is None:
            self.fall_silent()
            return Answer(notes=(), state=None, relaxed=(), why=REST)
        trace = self._navigator.step(request)
        if self._phrase is None:
            self._begin_phrase(trace.state)
        answer = self._answer(trace, None)
        self._go_on(self.next_s)
        return answer

    def fall_silent(self) -> None:
        """Play on no more."""
        self._phrase, self.next_s = None, None

    def _begin_phrase(self, state: int | None) -> None:
        beat_s = None if self._beat is None else self._beat.period_s
        self._phrase = Phrase.of(
            self._memory, state or 0, self._blend, beat_s, self._config.phrase_notes
        )

    def _go_on(self, now_s: float) -> None:
        """Say when the phrase goes on after what is played now, or the next one begins."""
        assert self._phrase is not None
        if (in_s := self._phrase.next_in_s(self._memory, self._navigator.state)) is not None:
            self.next_s = now_s + in_s
            return
        self._phrase = None
        self.next_s = self._on_the_beat(self._modes.speaks_again_s(now_s), now_s)

    def _on_the_beat(self, time_s: float | None, now_s: float) -> float | None:
        """Return the player's beat at or after a time, or the time itself where there is none."""
        return time_s if time_s is None or self._beat is None else self._beat.due_s(time_s, now_s)

    def _answer(self, trace: Trace, turn: Turn | None) -> Answer:
        """Give the notes of the state that was chosen, and what led to it."""
        phrase = self._phrase
        semitones, slower = (phrase.transposition_semitones, phrase.stretch) if phrase else (0, 1.0)
        notes = () if trace.state is None else self._memory.notes(trace.state)
        return Answer(
            notes=self._blend.sound(notes, semitones, slower),
            state=trace.state,
            relaxed=tuple(relaxation.what for relaxation in trace.relaxed),
            why=NO_STATE if trace.why is None else trace.why.name.lower(),
            trace=trace,
            turn=turn,
            transposition_semitones=semitones,
        )

    def learn(self, attended: Attended, body: np.void, token: int | None) -> bool:
        """Take an event that is over; learn it, unless told not to, and say whether it was."""
        event = self._transcriber.complete(attended, body, token)
        self._blend.hear(event.notes)
        if not self._config.is_learning:
            return False
        self._memory.learn(event)
        self._keep(event)
        shortened = self._forgetting.after_learning(self._memory)
        if shortened is not None:
            self._memory, n_forgotten = shortened
            self.n_forgotten += n_forgotten
            self._navigator.forget(self._memory.oracle, self._memory.attributes, n_forgotten)
        return True
