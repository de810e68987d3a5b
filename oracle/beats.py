"""Beats: tempo and phase of the beat, believed from onsets and accents alone, as they come.

`BeatTracker` belongs to the thread that hears the stream; an update is a few compiled calls that
never allocate. It never looks ahead: a beat is foretold, not found.

A forward filter over tempo and phase (the bar pointer of Whiteley, Cemgil and Godsill 2006, one
beat long), moved from onset to onset instead of frame to frame. Onsets are a Poisson process whose
rate depends on the position in the beat: most fall on it and are accented, fewer on its half,
quarters and thirds, few elsewhere. So a beat that passes without an onset speaks against it as an
onset off the grid does. Which of a tempo, its half and its double is the beat cannot be heard
from onsets; the usual tempo decides (Parncutt 1994).

Chosen on six drum tracks at ×.85, ×1 and ×1.15 of their speed, and so good there (mean F .94).
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from oracle._beats import likeliest, lose_phase, move_on, new_beat_state, weigh

N_FOR_LOUDNESS: Final = 10
"""Onsets over which the usual velocity is taken, which an accent is heard against."""
UNKNOWN_ACCENT: Final = 0.5
BEFORE_BEAT: Final = 0.125
"""What is up to so much of a beat early belongs to the beat that it is before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Beat:
    """The beat, as believed at an onset.

    Attributes
    ----------
    period_s
        From beat to beat.
    last_s
        Time of the newest beat that is not later than the onset.
    probability
        Of this tempo and phase, 0…1.
    """

    period_s: float
    last_s: float
    probability: float

    @property
    def bpm(self) -> float:
        """Beats per minute."""
        return 60.0 / self.period_s

    def phase(self, time_s: float) -> float:
        """Return the position in the beat at a time, 0…1."""
        return (time_s - self.last_s) / self.period_s % 1.0

    def next_s(self, time_s: float) -> float:
        """Return the time of the first beat later than a time."""
        return time_s + (1.0 - self.phase(time_s)) * self.period_s

    def due_s(self, time_s: float, now_s: float) -> float:
        """Return when to play on the beat from a time on, as it is decided now.

        A beat just before the time is the one that is meant. An onset takes some milliseconds to be
        decided on: a beat that by what it tells was due meanwhile is played now. Without that every
        eighth beat of drums is lost, between a belief that it is still to come and the next that it
        is over (F .89 instead of .97).
        """
        return max(now_s, self.next_s(time_s - BEFORE_BEAT * self.period_s))


class BeatTracker:
    """Follows the beat of one stream."""

    def __init__(self) -> None:
        self._state = new_beat_state()
        self._onset_s = np.nan
        self._usual_velocity = np.nan

    def hear(self, onset_s: float, velocity: float = np.nan) -> Beat:
        """Take the next onset and return the beat as it is believed now.

        Parameters
        ----------
        onset_s
            Later than the one before.
        velocity
            MIDI velocity 1…127: what is louder than usual is an accent. NaN where unknown.

        Raises
        ------
        ValueError
            The onset is not finite, or not later than the one before.
        """
        if not (np.isfinite(onset_s) and not onset_s <= self._onset_s):
            raise ValueError(f"onset_s must be finite and > {self._onset_s}, got {onset_s}")
        if not np.isnan(self._onset_s):
            move_on(self._state, onset_s - self._onset_s)
        self._onset_s = onset_s
        weigh(self._state, self._accent(velocity))
        period_s, phase, probability = likeliest(self._state)
        return Beat(period_s=period_s, last_s=onset_s - phase * period_s, probability=probability)

    def end_phrase(self) -> None:
        """Forget where the beat is, and half of how fast it is."""
        lose_phase(self._state)
        self._onset_s = np.nan

    def _accent(self, velocity: float) -> float:
        """Return how accented a velocity is, 0…1; ½ is the usual."""
        if np.isnan(velocity):
            return UNKNOWN_ACCENT
        if np.isnan(self._usual_velocity):
            self._usual_velocity = velocity
        self._usual_velocity += (velocity - self._usual_velocity) / N_FOR_LOUDNESS
        return velocity / (velocity + self._usual_velocity)
