"""Notation: a melody as text, and the ways a motif comes back.

Runs when a take is composed, never on stage. A motif is a line of ``pitches/beats`` words:
``D4/1.5`` is one tone, ``D3+A3/2`` sounds two together, ``-/1`` is a rest. A pitch is kept as a
step of the white-key scale with its accidental, so that a motif can return on another degree of its
mode and stay in it.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

_WORD: Final = re.compile(r"(?P<pitches>-|[A-G][#b]?\d(?:\+[A-G][#b]?\d)*)/(?P<beats>\d*\.?\d+)")
_SEMITONES: Final = (0, 2, 4, 5, 7, 9, 11)  # C major: the white keys
_ALTERATIONS: Final = {"#": 1, "b": -1}


@dataclass(frozen=True, slots=True, order=True)
class Pitch:
    """A white-key step counted from C-1 (MIDI pitch 0) and its accidental in semitones."""

    step: int
    alteration: int = 0

    @property
    def midi(self) -> int:
        """The MIDI pitch."""
        octave, degree = divmod(self.step, 7)
        return 12 * octave + _SEMITONES[degree] + self.alteration


@dataclass(frozen=True, slots=True)
class Tone:
    """What sounds together, lowest first, and for how many beats; no pitches is a rest."""

    pitches: tuple[Pitch, ...]
    beats: float


Motif = tuple[Tone, ...]


def motif(text: str) -> Motif:
    """Read a motif from its text.

    Raises
    ------
    ValueError
        A word is not ``pitches/beats``.
    """
    return tuple(_tone(word) for word in text.split())


def shifted(line: Motif, n_steps: int) -> Motif:
    """Move a motif by `n_steps` of the scale: the same contour on another degree."""
    return _mapped(line, lambda pitch: replace(pitch, step=pitch.step + n_steps))


def inverted(line: Motif, axis: str) -> Motif:
    """Turn a motif upside down around the pitch `axis`: what rose falls."""
    centre = _pitch(axis).step
    return _mapped(line, lambda pitch: Pitch(2 * centre - pitch.step, -pitch.alteration))


def squeezed(line: Motif, factor: float) -> Motif:
    """Play a motif `factor` times as fast."""
    return tuple(replace(tone, beats=tone.beats / factor) for tone in line)


def doubled(line: Motif, n_steps: int) -> Motif:
    """Add a second voice `n_steps` of the scale away: −2 is a third below, −5 a sixth."""
    return tuple(
        replace(tone, pitches=tuple(sorted((*tone.pitches, *added.pitches))))
        for tone, added in zip(line, shifted(line, n_steps), strict=True)
    )


def _mapped(line: Motif, change: Callable[[Pitch], Pitch]) -> Motif:
    return tuple(
        replace(tone, pitches=tuple(sorted(change(pitch) for pitch in tone.pitches)))
        for tone in line
    )


def _tone(word: str) -> Tone:
    match = _WORD.fullmatch(word)
    if match is None:
        raise ValueError(f"a word must be pitches/beats such as D4/1.5 or -/2, got {word!r}")
    beats = float(match["beats"])
    if match["pitches"] == "-":
        return Tone((), beats)
    return Tone(tuple(sorted(_pitch(name) for name in match["pitches"].split("+"))), beats)


def _pitch(name: str) -> Pitch:
    letter, octave = name[0], int(name[-1])
    return Pitch(7 * (octave + 1) + "CDEFGAB".index(letter), _ALTERATIONS.get(name[1], 0))
