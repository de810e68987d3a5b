"""Ratios: which whole numbers the intervals of a rhythm stand in, heard onset by onset.

`RatioAnalysis` belongs to the thread that hears the stream; an update is one compiled call that
never allocates, and costs the same however long the stream has been.

The method is Brandtsegg and Formo's: take every interval and every two neighbours as a reference,
divide the rhythm by it, quantise, keep the different results as hypotheses; judge each by how far
the onsets stray from it and by the indigestibility of its durations; join chunks that share an
onset by hypotheses whose tempi agree within 15 % after a factor of 1, 2, 3, 4, 6, 8 or 12; end a
phrase at a silence. Onsets within 50 ms are one event.

Ours is:

* the grid: a reference is divided into whole numbers of ticks, 5, 7 and 10 among them, and the
  onsets, not the intervals, are quantised, twice, by the least-squares line through them;
* the choice: a hypothesis costs the negative logarithm of its probability, not two ranges scaled
  against each other. The onsets stray from it by a jitter that is not known but expected (a
  Student's t likelihood), and a rhythm is told in few words: each *different* duration costs some
  nats and its indigestibility, a repetition only what tells it from other durations of the grid;
  where the phrase is known to be whole, its length is one more word;
* the chunk: it slides, so that every onset is judged with the eight intervals that it ends, and
  what the tempo may be is carried from the chunk that ended where this one begins. No evidence
  counts twice.

References
----------
Ø. Brandtsegg and D. Formo, online rhythm analysis by rational approximation. C. Barlow, "Two Essays
on Theory", Computer Music Journal 11 (1987): indigestibility.
"""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from oracle._ratio_reading import (
    ON_TIME,
    certainty,
    deviation,
    indigestibility_per_onset,
    pulse,
)
from oracle._ratios import new_ratio_state, take_onset

MERGE_S: Final = 0.05
"""Onsets this close are one event."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ratio:
    """What rhythm an onset ends, by what had been heard when it came.

    Attributes
    ----------
    durations
        Of the chunk in ticks, oldest first, 2 to 8 whole numbers without a common divisor.
    tick_s
        Period of the tick.
    p, q
        Last interval to the one before, p:q, without a common divisor.
    deviation
        How late the onset is, as a share of its interval; early is below 0.
    polarity
        −1 early, 0 within ±.01 of the interval, 1 late.
    pulse
        Whether the ticks go in twos or threes.
    indigestibility
        Mean indigestibility of the durations, ≥ 0.
    margin
        By how much the rhythm is likelier than the second choice, 0…1.
    """

    durations: tuple[int, ...]
    tick_s: float
    p: int
    q: int
    deviation: float
    polarity: int
    pulse: int
    indigestibility: float
    margin: float


class RatioAnalysis:
    """Hears the onsets of one stream and says what ratios they stand in."""

    def __init__(self) -> None:
        self._state = new_ratio_state()
        self._onset_s = -math.inf

    def hear(self, onset_s: float, *, is_last: bool = False) -> Ratio | None:
        """Take the next onset.

        Parameters
        ----------
        is_last
            Whether it is known to end the phrase.

        Returns
        -------
        ratio
            None where there is nothing to say: at the first two onsets of a phrase, at one within
            50 ms of the last, and where no grid fits.

        Raises
        ------
        ValueError
            The onset is not finite, or not later than the one before.
        """
        if not self._onset_s < onset_s < math.inf:
            raise ValueError(f"onset_s must be finite and > {self._onset_s}, got {onset_s}")
        self._onset_s = onset_s
        n_onsets = self._state.counts[0]
        if n_onsets and onset_s - self._state.onsets_s[n_onsets - 1] < MERGE_S:
            return None
        n_hypotheses = take_onset(self._state, onset_s, is_last)
        return self._best(n_hypotheses) if n_hypotheses else None

    def end_phrase(self) -> None:
        """Forget the chunk and the tempi carried; the next onset begins a phrase."""
        self._state.counts[:] = 0
        self._state.carried_costs[:] = math.inf

    def _best(self, n_hypotheses: int) -> Ratio:
        state = self._state
        durations = tuple(state.durations[0, : state.counts[0] - 1].tolist())
        common = math.gcd(durations[-1], durations[-2])
        late = deviation(state)
        return Ratio(
            durations=durations,
            tick_s=float(state.ticks_s[0]),
            p=durations[-1] // common,
            q=durations[-2] // common,
            deviation=late,
            polarity=int(late > ON_TIME) - int(late < -ON_TIME),
            pulse=pulse(state),
            indigestibility=indigestibility_per_onset(state),
            margin=certainty(state, n_hypotheses),
        )


def analyse_phrase(onsets_s: ArrayLike) -> Ratio | None:
    """Analyse a phrase whose end is known; of more than eight intervals, the last eight.

    A phrase of up to eight is judged as a whole: its length, too, is a whole number of something.
    Who hears a stream does not know which onset is the last before it would be too late, and asks
    `RatioAnalysis` onset by onset.

    Parameters
    ----------
    onsets_s
        [shape=(n,)] strictly increasing.

    Returns
    -------
    ratio
        Of the last onset; None where there is nothing to say of it, as `RatioAnalysis.hear` says.

    Raises
    ------
    ValueError
        The onsets are not finite and strictly increasing.
    """
    analysis, ratio = RatioAnalysis(), None
    onsets = np.asarray(onsets_s, np.float64).tolist()
    for place, onset_s in enumerate(onsets, start=1):
        ratio = analysis.hear(onset_s, is_last=place == len(onsets))
    return ratio
