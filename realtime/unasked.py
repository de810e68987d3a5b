"""Unasked: when to play without being asked, note after note of a phrase and phrase after phrase.

Loop thread only. Moments are positions in the stream; it knows no clock. A phrase keeps the time of
its line, in the player's tempo; what begins one waits for the player's beat, where there is one.
"""

from typing import Final

from oracle.beats import Beat
from oracle.memory import Memory
from realtime.phrase import Phrase

MEETS_WITHIN: Final = 1 / 2
"""A phrase's next note may come with the player's if so much of the interval to it is left, …"""
TOGETHER_S: Final = 0.1
"""… or so little: nearer notes make no rhythm, but one ragged beginning (London 2004)."""


class Unasked:
    """The next note that nobody asked for.

    Parameters
    ----------
    max_notes
        After so many a phrase is over.

    Attributes
    ----------
    next_s : float or None
        When it is to be played, in seconds since the stream's start.
    beat : Beat or None
        The player's.
    """

    def __init__(self, max_notes: int) -> None:
        self.next_s: float | None = None
        self.beat: Beat | None = None
        self._max_notes = max_notes
        self._phrase: Phrase | None = None
        self._since_s = 0.0  # the newest note of a phrase

    @property
    def stretch(self) -> float | None:
        """By how much the phrase that goes on is slowed; None where none does."""
        return None if self._phrase is None else self._phrase.stretch

    def stop(self) -> None:
        """Play on no more."""
        self._phrase, self.next_s = None, None

    def wait(self, time_s: float | None, now_s: float) -> None:
        """Begin a phrase at a time, or on the player's beat after it; None for not at all."""
        self.next_s = time_s
        if time_s is not None and self.beat is not None:
            self.next_s = self.beat.due_s(time_s, now_s)

    def begin(self, memory: Memory, state: int | None) -> None:
        """Begin a phrase with a state, unless one goes on."""
        if self._phrase is None:
            self._phrase = Phrase.of(memory, state or 0, self.beat, self._max_notes)

    def go_on(self, memory: Memory, state: int, now_s: float) -> bool:
        """Say when the phrase goes on after a state that is played now, or False: it is over."""
        assert self._phrase is not None
        self._since_s = now_s
        in_s = self._phrase.next_in_s(memory, state)
        if in_s is None:
            self.stop()
            return False
        self.next_s = now_s + in_s
        return True

    def meets(self, onset_s: float) -> bool:
        """Say whether the next note may come with one of the player's, as it is due soon.

        The note after it keeps its time, so the phrase keeps its tempo.
        """
        assert self.next_s is not None
        soon_s = max(MEETS_WITHIN * (self.next_s - self._since_s), TOGETHER_S)
        if self.next_s - onset_s > soon_s:
            return False
        self.next_s = max(self.next_s, onset_s)
        return True
