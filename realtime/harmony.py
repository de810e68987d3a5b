"""Harmony: what sounds, and which notes go with it.

Loop thread only; pure numbers by pitch class. A note goes with what sounds where people find their
interval consonant, and better where its pitch class is one that the player lately used. A line is
moved as a whole into the key of the moment; a note of it that would clash is bent to one near by
that does not. What clashes with what is rated, not learned: `RATINGS`.

Half of the pitches are not known yet when a note is answered. Then what is likely counts: a
melody stays in its key and moves by small steps (Temperley 2008).
"""

import math
from collections import deque
from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

RATINGS: Final = (3.89, 1.32, 1.84, 2.69, 3.17, 2.95, 1.95, 3.45, 2.48, 2.71, 1.75, 1.75)
"""How consonant people find 12 (for 0), 1, 2 … 11 semitones, 1 to 4 (Bowling 2018)."""
GOES: Final = 2.2
"""From here on an interval is consonant: the tritone has 1.95, the minor sixth 2.48."""
OUT_OF_KEY: Final = 1.2
"""What it costs, as a rating, to be out of the key: then only octaves and fifths go."""
N_FOR_KEY: Final = 24
"""Notes of the player's that are the key of the moment; of fewer it is less certain."""
MOVES: Final = 2.7
"""Semitones by which a melody goes on, the deviation of a normal distribution."""
UNHEARD: Final = 0.5
"""Of so many notes counts, beside those heard, a pitch class that was not."""
FADES_S: Final = 1.0
"""After so long what no longer sounds counts 1/e."""
FAR: Final = 0.02
"""What moving a line by a semitone costs, as a share of its notes that fit: rather not by much."""
BENT: Final = 0.15
"""What bending a note by a semitone costs, as a rating."""
DOUBLES: Final = 0.5
"""What it costs, as a rating, to be of the very pitch class that sounds."""
ENOUGH: Final = 2.7
"""Nothing is bent to be more consonant than a third or a sixth."""
BENDS: Final = (0, -1, 1, -2, 2)
"""Semitones by which a note may be bent, the least first."""
TRANSPOSITIONS: Final = np.array(sorted(range(-6, 6), key=abs))

_SILENCE: Final = 0.05
"""So little as what sounds has hardly a say."""
_NEAR: Final = np.exp(-((np.arange(-18, 18).reshape(3, 12) / MOVES) ** 2) / 2).sum(0)[
    (np.arange(12) + 6) % 12
]
_ROUNDING: Final = 1e-9
_INTERVALS: Final = np.array(RATINGS)[(np.arange(12)[:, None] - np.arange(12)) % 12]


class Harmony:
    """Follows what the player's notes sound like together."""

    def __init__(self) -> None:
        self._now = np.zeros(12)
        self._ends_s = math.inf
        self._key: deque[int] = deque(maxlen=N_FOR_KEY)
        self._uses = np.zeros(12)
        self._melody: int | None = None  # the highest of the last pitches known for certain

    def begin(self, pitches: Iterable[int]) -> None:
        """Take what is known of an event's notes when it has begun; it may be nothing."""
        self._now = _classes(pitches)
        if not self._now.any() and self._key:
            self._now = self.likely
        self._ends_s = math.inf

    def end(self, pitches: Sequence[int], at_s: float) -> None:
        """Take the notes of the newest event, known for certain now that it is over."""
        self._ends_s = at_s
        if not pitches:
            return
        self._now = _classes(pitches)
        self._melody = max(pitches)
        for pitch in pitches:
            if len(self._key) == N_FOR_KEY:
                self._uses[self._key[0]] -= 1
            self._key.append(pitch % 12)
            self._uses[pitch % 12] += 1

    @property
    def likely(self) -> NDArray[np.float64]:
        """How likely each pitch class is to be the player's next [shape=(12,), sum 1]."""
        uses = self._uses + UNHEARD
        if self._melody is not None:
            uses *= np.roll(_NEAR, self._melody)
        likely: NDArray[np.float64] = uses / uses.sum()
        return likely

    def nearest(self, pitch: int, at_s: float) -> int:
        """Return a pitch, bent so that it goes with what sounds."""
        return pitch + self.bend(pitch, at_s)

    def goes(self, pitch: int, at_s: float) -> bool:
        """Say whether a note goes with what sounds."""
        return bool(self.fit(at_s)[pitch % 12] > GOES - _ROUNDING)

    def bend(self, pitch: int, at_s: float, *, may_double: bool = False) -> int:
        """Return by how many semitones a note is best bent to go with what sounds: few or none.

        Parameters
        ----------
        may_double
            Whether it may as well be what sounds already.
        """
        fit = np.minimum(self.fit(at_s), ENOUGH)
        if not may_double:
            fit -= DOUBLES * self._now
        return max(BENDS, key=lambda by: float(fit[(pitch + by) % 12]) - BENT * abs(by))

    def fit(self, at_s: float) -> NDArray[np.float64]:
        """Rate how each pitch class goes with what sounds [shape=(12,)].

        From `GOES` on it does. Where nothing sounds, what is in key does.
        """
        sounding = self._now * math.exp(min(0.0, self._ends_s - at_s) / FADES_S)
        rating = (_INTERVALS @ sounding + _SILENCE * GOES) / (sounding.sum() + _SILENCE)
        out_of_key = OUT_OF_KEY * len(self._key) / N_FOR_KEY * (1 - self._in_key)
        fit: NDArray[np.float64] = rating - out_of_key
        return fit

    def transposition(self, pitches: Sequence[int], around: int = 0) -> int:
        """Return by how many semitones a line is best moved into the key of the moment.

        The share of its notes whose pitch class was lately heard decides; what was heard once may
        have been passing, and counts half.

        Parameters
        ----------
        around
            Semitones by which it is moved if the key has no say.
        """
        if not self._key or not pitches:
            return around
        moved = (np.asarray(pitches)[:, None] + TRANSPOSITIONS + around) % 12
        met = self._in_key[moved].mean(0) - FAR * np.abs(TRANSPOSITIONS)
        return around + int(TRANSPOSITIONS[met.argmax()])

    @property
    def _in_key(self) -> NDArray[np.float64]:
        """Say of each pitch class whether the player lately used it; once is half."""
        return np.minimum(self._uses, 2) / 2


def _classes(pitches: Iterable[int]) -> NDArray[np.float64]:
    """Count each pitch class once."""
    classes = np.zeros(12)
    for pitch in pitches:
        classes[pitch % 12] = 1.0
    return classes
