"""Blend: how the notes of a state sound beside the player: moved, bent, as loud and no longer.

Loop thread only; pure numbers. What is answered keeps its intervals, its rhythm and its accents as
far as it can: a line is moved as a whole, as a musician moves a lick into the key and the tempo of
the moment, and single notes of it are bent where they would clash with what sounds.
"""

import math
from collections import deque
from collections.abc import Collection, Sequence
from statistics import fmean, median
from typing import Final

from oracle.event import Note
from realtime.harmony import Harmony
from realtime.stance import Wish

OCTAVES: Final = range(-120, 121, 12)
REACH: Final = 9
"""Semitones from its register within which a line may lie; what is beyond comes an octave nearer,
as a bass' notes between a melody's do."""
N_FOR_LOUDNESS: Final = 8
"""Notes over which the usual velocity is taken, the player's and that of what is answered."""
ACCENTS: Final = 0.5
"""Share of what is answered's accents that is kept: a recording goes from 1 to 127."""
SOFTEST: Final = 16
"""Softer notes are hardly heard on most instruments."""
LOWEST: Final = 28
HIGHEST: Final = 100
"""A bass' lowest string, a violin's highest notes: what is beyond comes an octave nearer."""


class Blend:
    """Follows how the player plays, and fits what is answered to it.

    Attributes
    ----------
    harmony
        What sounds.
    is_in_line
        Whether a line has begun and goes on.
    """

    def __init__(self) -> None:
        self.harmony = Harmony()
        self._heard: deque[float] = deque(maxlen=N_FOR_LOUDNESS)  # velocities
        self._begun_velocity: float | None = None
        self._played: deque[float] = deque(maxlen=N_FOR_LOUDNESS)
        self.is_in_line = False
        self._moved = 0  # semitones, the line that is played
        self._register: int | None = None  # about which it lies
        self._last_pitch: int | None = None  # of it

    def begin(self, pitches: Sequence[int], velocity: float) -> None:
        """Take an event of the player's that begins; the first counts by how loud it is so far."""
        self.harmony.begin(pitches)
        self._begun_velocity = velocity

    def hear(self, notes: Collection[Note], ended_s: float) -> None:
        """Take the notes of an event of the player's that is over."""
        self.harmony.end([note.pitch for note in notes], ended_s)
        self._heard.extend(note.velocity for note in notes)

    def begin_line(self, pitches: Sequence[int], register: int | None = None) -> None:
        """Move a line that begins into the key: about a register, or near the one before it.

        It is one voice, even where several played what was learned: see `REACH`.
        """
        self.is_in_line = True
        around = self._moved
        if register is not None and pitches:
            around = register - round(median(pitches))
        self._moved = self.harmony.transposition(pitches, around)
        self._register = round(median(pitches)) + self._moved if pitches else None

    def end_line(self) -> None:
        """Let what comes next lie where it was learned."""
        self.is_in_line = False
        self._moved, self._register, self._last_pitch = 0, None, None

    def sound(
        self,
        notes: Sequence[Note],
        wish: Wish,
        at_s: float,
        *,
        slower: float = 1.0,
        longest_s: float = math.inf,
    ) -> tuple[tuple[Note, ...], int]:
        """Let the notes of a state sound as is wished, as loud as the player usually does.

        Returns
        -------
        notes
            The one that is wished for, or leads, first; those that would clash are left out.
        semitones
            By how much they were moved.
        """
        if not notes:
            return (), 0
        self._played.extend(note.velocity for note in notes)
        leading = self._leading(notes, wish)
        if wish.pitch is None:
            moved, register = (self._moved, self._register) if wish.is_line else (0, None)
            if wish.register is not None:
                register = wish.register
            if register is not None:
                moved += self._octaves(leading.pitch + moved, register)
            moved += self.harmony.bend(leading.pitch + moved, at_s, may_double=wish.may_double)
        else:
            self.is_in_line = False
            self._moved = moved = wish.pitch - leading.pitch
        self._last_pitch = leading.pitch + moved if wish.is_line else None
        others = [
            note
            for note in notes
            if note is not leading and self.harmony.goes(note.pitch + moved, at_s)
        ]
        return tuple(
            Note(
                _within(note.pitch + moved),
                self._velocity(note),
                min(note.duration_s * slower, longest_s),
            )
            for note in (leading, *others)
        ), moved

    def _velocity(self, note: Note) -> int:
        """Return how loud a note of what is answered is played."""
        usual = fmean(self._heard) if self._heard else self._begun_velocity
        if usual is None:
            return note.velocity
        accent = ACCENTS * (note.velocity - fmean(self._played))
        return min(max(round(usual + accent), SOFTEST), 127)

    def _leading(self, notes: Sequence[Note], wish: Wish) -> Note:
        """Choose the note of a chord that a line goes through: the nearest, else the clearest."""
        near = wish.pitch
        if near is None:
            if self._last_pitch is None:
                return notes[0]
            near = self._last_pitch - self._moved
        return min(notes, key=lambda note: abs(note.pitch - near))

    def _octaves(self, pitch: int, register: int) -> int:
        """Return the octaves by which a note lies within reach of a register.

        Of a line it is the one nearest to the note before.
        """
        before = pitch if self._last_pitch is None else self._last_pitch
        within = (pitch + up for up in OCTAVES if abs(pitch + up - register) <= REACH)
        return min(within, key=lambda there: abs(there - before), default=pitch) - pitch


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


def _within(pitch: int) -> int:
    """Bring a pitch into what instruments play, by octaves."""
    if pitch < LOWEST:
        return LOWEST + (pitch - LOWEST) % 12
    return pitch if pitch <= HIGHEST else HIGHEST - 11 + (pitch - HIGHEST + 11) % 12
