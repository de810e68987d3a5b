"""Blend: what of the player's playing an answer takes on: their key, their tempo, their loudness.

Loop thread only; pure numbers. What is answered keeps its intervals, its rhythm and its accents: it
is moved as a whole, as a musician moves a lick into the key and the tempo of the moment.
"""

import math
from collections import Counter, deque
from collections.abc import Collection, Iterable, Sequence
from typing import Final

from oracle.event import Note

N_FOR_KEY: Final = 24
"""Notes of the player's that are the key of the moment."""
N_FOR_LOUDNESS: Final = 8
"""Notes over which the usual velocity is taken, the player's and that of what is answered."""
FAR: Final = 0.02
"""What moving a line by a semitone costs, as a share of its notes that fit: rather not by much."""
TRANSPOSITIONS: Final = tuple(sorted(range(-6, 6), key=abs))


class Blend:
    """Follows how the player plays, and fits what is answered to it."""

    def __init__(self) -> None:
        self._heard: deque[Note] = deque(maxlen=N_FOR_KEY)
        self._played: deque[Note] = deque(maxlen=N_FOR_LOUDNESS)

    def hear(self, notes: Iterable[Note]) -> None:
        """Take the notes of an event of the player's that is over."""
        self._heard.extend(notes)

    def transposition(self, pitches: Sequence[int]) -> int:
        """Return by how many semitones a line is best moved into the key of the moment.

        The share of its notes whose pitch class was lately heard decides; what was heard once may
        have been passing, and counts half.
        """
        if not self._heard or not pitches:
            return 0
        heard = Counter(note.pitch % 12 for note in self._heard)

        def fit(semitones: int) -> float:
            met = sum(min(heard[(pitch + semitones) % 12], 2) / 2 for pitch in pitches)
            return met / len(pitches) - FAR * abs(semitones)

        return max(TRANSPOSITIONS, key=fit)

    def sound(
        self, notes: Sequence[Note], transposition_semitones: int = 0, slower: float = 1.0
    ) -> tuple[Note, ...]:
        """Let the notes of a state sound as loud as the player usually does, moved and slowed."""
        self._played.extend(notes)
        louder = 0
        if self._heard and notes:
            lately = list(self._heard)[-N_FOR_LOUDNESS:]
            louder = round(_usual_velocity(lately) - _usual_velocity(self._played))
        return tuple(
            Note(
                _within(note.pitch + transposition_semitones),
                min(max(note.velocity + louder, 1), 127),
                note.duration_s * slower,
            )
            for note in notes
        )


def stretch(beat_s: float, line_beat_s: float) -> float:
    """Return by how much a line is slowed to go with a beat, √½…√2.

    A line at half or double the tempo goes with it as it is.

    Parameters
    ----------
    beat_s, line_beat_s
        From beat to beat, the player's and the line's.
    """
    ratio = math.log2(beat_s / line_beat_s)
    return float(2.0 ** (ratio - round(ratio)))


def _usual_velocity(notes: Collection[Note]) -> float:
    return sum(note.velocity for note in notes) / len(notes)


def _within(pitch: int) -> int:
    """Bring a pitch back into MIDI's by octaves."""
    return pitch if 0 <= pitch <= 127 else pitch + 12 * (1 if pitch < 0 else -1)
