"""Rhythm: the eleven numbers of an event that follow from when its onset is, and from how loud.

`RhythmTracker` belongs to the thread that hears the stream. Everything it says of an onset is known
when the onset is: nothing waits for the note to end. What cannot be known is missing, written NaN.
"""

import math
from collections import deque
from typing import Final, NamedTuple

from oracle.beats import BEFORE_BEAT, Beat, BeatTracker
from oracle.ratios import RatioAnalysis

PHRASE_END_S: Final = 3.0
"""A silence this long ends the phrase: what comes after it is a rhythm of its own."""
DENSITY_SPAN_S: Final = 2.0
LIKELY_BEAT: Final = 0.3
"""Below this probability of its tempo and phase there is no beat to speak of."""


class Rhythm(NamedTuple):
    """The rhythm dimensions of an event, in their order and units; NaN where missing.

    `oracle.event.EVENT_DIMS` says what each is.
    """

    log2_interval: float = math.nan
    ratio_p: float = math.nan
    ratio_q: float = math.nan
    deviation: float = math.nan
    polarity: float = math.nan
    log2_tempo: float = math.nan
    pulse: float = math.nan
    beat_phase: float = math.nan
    indigestibility: float = math.nan
    margin: float = math.nan
    onset_density: float = math.nan


class RhythmTracker:
    """Hears the onsets of one stream: their ratios, their beat, and how dense they are."""

    def __init__(self) -> None:
        self._onsets_s: deque[float] = deque()
        self._ratios = RatioAnalysis()
        self._beats = BeatTracker()
        self._beat: Beat | None = None

    @property
    def beat(self) -> Beat | None:
        """The beat as believed at the newest onset, None while there is none to speak of."""
        if self._beat is None or self._beat.probability < LIKELY_BEAT:
            return None
        return self._beat

    def hear(self, onset_s: float, velocity: float = math.nan) -> Rhythm:
        """Take the next onset.

        Parameters
        ----------
        onset_s
            Finite and later than the one before.
        velocity
            MIDI velocity 1…127, NaN where unknown.
        """
        rhythm = Rhythm()
        if self._onsets_s:
            interval_s = onset_s - self._onsets_s[-1]
            rhythm = Rhythm(
                log2_interval=math.log2(interval_s), onset_density=self._density(onset_s)
            )
            if interval_s > PHRASE_END_S:
                self._ratios.end_phrase()
                self._beats.end_phrase()
        self._onsets_s.append(onset_s)

        self._beat = self._beats.hear(onset_s, velocity)
        if self.beat is not None:
            phase = self.beat.phase(onset_s)
            rhythm = rhythm._replace(
                log2_tempo=math.log2(self.beat.bpm),
                beat_phase=phase - 1 if phase >= 1 - BEFORE_BEAT else phase,
            )
        ratio = self._ratios.hear(onset_s)
        if ratio is not None:
            rhythm = rhythm._replace(
                ratio_p=ratio.p,
                ratio_q=ratio.q,
                deviation=ratio.deviation,
                polarity=ratio.polarity,
                pulse=ratio.pulse,
                indigestibility=ratio.indigestibility,
                margin=ratio.margin,
            )
        return rhythm

    def _density(self, onset_s: float) -> float:
        """Count the onsets of the last seconds, over the time they span."""
        while len(self._onsets_s) > 1 and onset_s - self._onsets_s[0] > DENSITY_SPAN_S:
            self._onsets_s.popleft()
        return len(self._onsets_s) / (onset_s - self._onsets_s[0])
