"""Improviser: what to play to what was heard, and what to learn from it.

Loop thread only. It asks the memory for a state as its mode wants it and answers with the notes
that state was learned from, so an answer is always music that someone played, moved so that it goes
with what sounds, at the loudness of the moment. When the player pauses, or when it leads, it plays
on: a phrase of the memory in its own rhythm. What cannot be had is relaxed from the last named
upwards, and reported. It knows no clock, port or thread: moments are positions in the stream.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from oracle.event import Event
from oracle.memory import Memory
from oracle.navigator import Navigator, NavigatorConfig
from oracle.trace import Origin, Trace
from oracle.transcriber import Attended, Transcriber
from realtime.answer import LEADING, NO_STATE, REST, Answer, relaxed_of, silence
from realtime.blend import Blend
from realtime.forgetting import Aside, Forgetting, at_once
from realtime.modes import Modes, Turn
from realtime.phrase import following
from realtime.stance import Heard, Mode, Wish
from realtime.unasked import Unasked

Keep = Callable[[Event], None]
"""Keeps an event that was learned beyond this performance, without waiting."""


def forget(event: Event) -> None:
    """Keep nothing: the `Keep` of a performance that leaves no trace."""


LIVE_SOURCE: Final = "live"
N_AHEAD: Final = 12
"""Events of a line by which it is moved into the key."""
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
        self._blend = Blend()
        self._modes = Modes(config.mode, self._blend.harmony, seed=seed)
        self._navigator = Navigator(
            memory.oracle, memory.attributes, config.navigation(), seed=seed
        )
        self._transcriber = Transcriber(rate_hz, memory.add_source(LIVE_SOURCE))
        self._forgetting = Forgetting(config.max_events, aside)
        self._keep = keep
        self._unasked = Unasked(config.phrase_notes)
        self.n_forgotten = 0

    @property
    def next_s(self) -> float | None:
        """When to call `play_on`, in seconds since the stream's start; an answer may change it."""
        return self._unasked.next_s

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
        self._unasked.beat = attended.beat
        attack = attended.attack
        pitches = attack["note_pitch"][: int(attack["n_notes"])].tolist()
        self._blend.begin(pitches, float(attack["velocity"]))

    def answer(self, attended: Attended, *, token: int | None, is_considered: bool) -> Answer:
        """Decide what to play to an event that was attended to.

        Parameters
        ----------
        token
            The newest one there is.
        is_considered
            Whether that token has heard the event.
        """
        onset_s = self._seconds(attended.attack["onset_frame"])
        pitch = float(attended.attack["pitch"])
        weight = 1.0 if is_considered else self._config.reflex_token_weight
        heard = Heard(round(pitch) if np.isfinite(pitch) else None, token, weight)
        turn = self._modes.hear(heard, onset_s)
        if turn is not None or not self._modes.leads:
            self.fall_silent()
        if turn is not None:
            self._blend.end_line()
        if self.next_s is not None:
            return self.play_on() if self._unasked.meets(onset_s) else silence(LEADING)
        wish = self._modes.wish()
        if wish is None:
            answer = silence(REST, turn=turn)
        else:
            trace = self._navigator.step(wish.request)
            if self._modes.leads and self._config.phrase_notes:
                self._unasked.begin(self._memory, trace.state)
            answer = self._answer(trace, wish, onset_s, turn)
        if self._unasked.stretch is not None:
            self._go_on(onset_s)
        elif self._config.phrase_notes:
            decided_s = float(attended.attack["decision_frame"]) / self._rate_hz
            self._unasked.wait(self._modes.speaks_s(), decided_s)
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
        now_s = self.next_s
        wish = self._modes.phrase_wish(now_s)
        if wish is None:
            self.fall_silent()
            return silence(REST)
        trace = self._navigator.step(wish.request)
        self._unasked.begin(self._memory, trace.state)
        answer = self._answer(trace, wish, now_s)
        self._go_on(now_s)
        return answer

    def fall_silent(self) -> None:
        """Play on no more."""
        self._unasked.stop()

    def _go_on(self, now_s: float) -> None:
        """Say when the phrase goes on after what is played now, or the next one begins."""
        if not self._unasked.go_on(self._memory, self._navigator.state, now_s):
            self._blend.end_line()
            self._unasked.wait(self._modes.speaks_again_s(now_s), now_s)

    def _answer(self, trace: Trace, wish: Wish, at_s: float, turn: Turn | None = None) -> Answer:
        """Give the notes of the state that was chosen, and what led to it."""
        if trace.state is None:
            return silence(NO_STATE, trace=trace, turn=turn)
        assert trace.why is not None
        slower, longest_s = 1.0, self._modes.usual_interval_s or math.inf
        is_jump = trace.why is not Origin.CONTINUATION
        if self._unasked.stretch is not None:
            slower, longest_s, is_jump = self._unasked.stretch, math.inf, False
        if wish.is_line and (is_jump or not self._blend.is_in_line):
            line = following(self._memory, trace.state, N_AHEAD)
            pitches = [note.pitch for event in line for note in event.notes]
            self._blend.begin_line(pitches, wish.register)
        notes, semitones = self._blend.sound(
            self._memory.notes(trace.state), wish, at_s, slower=slower, longest_s=longest_s
        )
        return Answer(
            notes=notes,
            state=trace.state,
            relaxed=relaxed_of(trace),
            why=trace.why.name.lower(),
            trace=trace,
            turn=turn,
            transposition_semitones=semitones,
        )

    def learn(self, attended: Attended, body: np.void, token: int | None) -> bool:
        """Take an event that is over; learn it, unless told not to, and say whether it was."""
        event = self._transcriber.complete(attended, body, token)
        self._blend.hear(event.notes, event.onset_s + event.duration_s)
        if event.notes:
            melody = max(note.pitch for note in event.notes)
            self._modes.put_right(melody, event.onset_s)
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

    def _seconds(self, frame: int) -> float:
        return float(frame) / self._rate_hz
