"""Phrasing: where a line of notes is over, told by the silence after it.

Pure; whoever follows a line owns one. A pause that ends a phrase of slow notes is longer than one
that ends a phrase of fast ones, but no pause is shorter than a breath.
"""

from collections import deque
from typing import Final

import numpy as np

PHRASE_GAP_S: Final = 0.8
PHRASE_GAP_INTERVALS: Final = 2.5
"""A phrase has ended when no note came for so long, and for so many of the usual intervals."""

_N_RECENT: Final = 12


class Phrasing:
    """The usual interval between the notes of a line, and what is a pause beside it."""

    def __init__(self) -> None:
        self._intervals_s: deque[float] = deque(maxlen=_N_RECENT)

    @property
    def usual_s(self) -> float | None:
        """The usual interval between its notes, None before there was one."""
        return float(np.median(self._intervals_s)) if self._intervals_s else None

    @property
    def gap_s(self) -> float:
        """After how long without a note a phrase has ended."""
        return max(PHRASE_GAP_S, PHRASE_GAP_INTERVALS * (self.usual_s or 0.0))

    def goes_on(self, interval_s: float) -> bool:
        """Take the interval before a note, and say whether the note still belongs to the phrase."""
        if interval_s > self.gap_s:
            return False
        self._intervals_s.append(interval_s)
        return True
