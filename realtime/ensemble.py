"""Ensemble: several memories in one session, who take turns with the player's phrases.

Loop thread only. Each memory has an improviser of its own, in a mode of its own. A phrase of the
player's is answered by one of them, and the next phrase by the next, in the order they were given;
who plays without a pause is passed on after as long as a mode is held at least. All of them learn
all that is heard, each by its own gestures. One memory is an ensemble too, whose turn it always is.
It knows no clock, port or thread.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from oracle.memory import Memory
from oracle.transcriber import Attended
from realtime.answer import Answer
from realtime.forgetting import Aside, at_once
from realtime.improviser import Improviser, ImproviserConfig, Keep, forget
from realtime.modes import HOLD_S
from realtime.phrasing import Phrasing


class Ensemble:
    """Whose turn it is, and what they play and learn.

    Parameters
    ----------
    improvisers
        One for each memory, at least one, all of one stream.
    rate_hz
        Of the stream.

    Attributes
    ----------
    turn : int
        The place of the memory that answers what begins now.
    """

    def __init__(self, improvisers: Sequence[Improviser], rate_hz: float) -> None:
        self._improvisers = tuple(improvisers)
        self._rate_hz = rate_hz
        self._phrasing = Phrasing()
        self._last_s: float | None = None
        self._since_s = 0.0
        self._speaker = 0  # who answered last
        self.turn = 0

    @property
    def next_s(self) -> float | None:
        """When who answered last wants to `play_on`, as `Improviser.next_s`."""
        return self._improvisers[self._speaker].next_s

    @property
    def n_memories(self) -> int:
        """How many there are."""
        return len(self._improvisers)

    @property
    def n_forgotten(self) -> list[int]:
        """How many events each memory has forgotten so far."""
        return [improviser.n_forgotten for improviser in self._improvisers]

    def warm_up(self) -> None:
        """Compile the kernels, or load them from the cache."""
        self._improvisers[0].warm_up()

    def take_turn(self, attack: np.void) -> int:
        """Say which memory answers an event that has begun, in the order of the stream."""
        onset_s = float(attack["onset_frame"]) / self._rate_hz
        if self._last_s is None:
            self._since_s = onset_s
        else:
            is_new_phrase = not self._phrasing.goes_on(onset_s - self._last_s)
            if is_new_phrase or onset_s - self._since_s >= HOLD_S[0]:
                self.turn = (self.turn + 1) % self.n_memories
                self._since_s = onset_s
        self._last_s = onset_s
        return self.turn

    def attend(self, attack: np.void) -> Attended:
        """Have all attend to an event that has begun, in the order of the stream.

        What is known of it is the same for all, so one of them finds it out.
        """
        first, *others = self._improvisers
        attended = first.attend(attack)
        for improviser in others:
            improviser.follow(attended)
        return attended

    def answer(
        self, attended: Attended, *, turn: int, token: int | None, is_considered: bool
    ) -> Answer:
        """Have the memory whose turn it was decide, as `Improviser.answer`.

        Parameters
        ----------
        turn
            What `take_turn` said of the event.
        token
            The newest one of that memory's.
        """
        if turn != self._speaker:
            self._improvisers[self._speaker].fall_silent()
            self._speaker = turn
        improviser = self._improvisers[turn]
        return improviser.answer(attended, token=token, is_considered=is_considered)

    def play_on(self) -> Answer:
        """Have who answered last play on, as `Improviser.play_on`."""
        return self._improvisers[self._speaker].play_on()

    def learn(self, attended: Attended, body: np.void, tokens: Mapping[int, int]) -> bool:
        """Have every memory learn an event that is over, and say whether it was learned.

        Parameters
        ----------
        tokens
            Of the event, by the memory's place; one that is not there learns it without a token.
        """
        is_learned = [
            improviser.learn(attended, body, tokens.get(place))
            for place, improviser in enumerate(self._improvisers)
        ]
        return any(is_learned)


def make_ensemble(
    memories: Sequence[Memory],
    rate_hz: float,
    config: ImproviserConfig,
    *,
    seed: int,
    asides: Sequence[Aside] | None = None,
    keeps: Sequence[Keep] | None = None,
) -> Ensemble:
    """Build an improviser for each memory.

    Parameters
    ----------
    seed
        Of the first; the others have the next ones, to each its own chance.
    asides
        As `Improviser` takes them; `at_once` if None.
    keeps
        Where what each of them learned goes; nowhere if None.
    """
    n_memories = len(memories)
    parts = zip(
        memories, asides or [at_once] * n_memories, keeps or [forget] * n_memories, strict=True
    )
    return Ensemble(
        [
            Improviser(memory, rate_hz, config, seed=seed + place, aside=aside, keep=keep)
            for place, (memory, aside, keep) in enumerate(parts)
        ],
        rate_hz,
    )
