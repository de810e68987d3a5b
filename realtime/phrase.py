"""Phrase: a line of the memory, played on note after note without being asked, in its own rhythm.

Loop thread only. Where the navigator goes is the improviser's, how it sounds the blend's; a phrase
says how soon the next note comes, and when it is over: where the line that was learned paused,
where there is no more of it, or when it has been long enough. It knows no clock.
"""

import math
from typing import Final, Self

import numpy as np

from oracle.beats import Beat
from oracle.event import DIM_INDEX, Event
from oracle.memory import Memory
from realtime.blend import stretch
from realtime.phrasing import Phrasing

N_LEAST: Final = 4
"""A phrase is not over before so many notes: a pause so early is only made shorter, and where the
memory ends so early it is gone on with elsewhere in it."""
_TEMPO: Final = DIM_INDEX["log2_tempo"]


class Phrase:
    """How one phrase is played, and how far it has come.

    Parameters
    ----------
    stretch
        By which its rhythm is slowed.
    max_notes
        After so many events it is over.
    """

    def __init__(self, *, stretch: float, max_notes: int) -> None:
        self.stretch = stretch
        self._max_notes = max_notes
        self._n_played = 0
        self._phrasing = Phrasing()

    @classmethod
    def of(cls, memory: Memory, state: int, beat: Beat | None, max_notes: int) -> Self:
        """Begin with a state, in the player's tempo.

        Parameters
        ----------
        beat
            The player's, None where there is none.
        """
        line = following(memory, state, max_notes)
        tempi = [float(event.frame[_TEMPO]) for event in line]
        known = [tempo for tempo in tempi if math.isfinite(tempo)]
        slower = 1.0
        if beat is not None and known:
            slower = stretch(beat.period_s, 60 / 2.0 ** float(np.median(known)))
        return cls(stretch=slower, max_notes=max_notes)

    def next_in_s(self, memory: Memory, state: int) -> float | None:
        """Count the state that is played now, and say how soon the next is; None: that was all."""
        self._n_played += 1
        line = following(memory, state, 2)
        interval_s = line[1].onset_s - line[0].onset_s if len(line) == 2 else math.inf
        if self._n_played == self._max_notes:
            return None
        if not self._phrasing.goes_on(interval_s):
            if self._n_played >= N_LEAST:
                return None
            interval_s = self._phrasing.gap_s
        return interval_s * self.stretch


def following(memory: Memory, state: int, n_events: int) -> list[Event]:
    """Return a state's event and those that followed it where it was learned, n at most."""
    if not 1 <= state <= memory.n_events:
        return []
    line = [memory.event(state)]
    for later in range(state + 1, min(state + n_events, memory.n_events + 1)):
        event = memory.event(later)
        if event.source != line[0].source or event.onset_s <= line[-1].onset_s:
            break
        line.append(event)
    return line
