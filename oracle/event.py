"""An event: one onset with what was heard of it, as fifteen numbers and the notes to play.

`EventTracker` belongs to the thread that decides (the event loop on stage, the learner in
training); the rest is plain data and pure functions. Nothing here invents a value: what was not
heard is missing, written NaN. `oracle.event_metric` says how far two events are apart.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from oracle.beats import Beat
from oracle.rhythm import RhythmTracker


class EventDim(NamedTuple):
    """One dimension of the event: its name and unit."""

    name: str
    unit: str


EVENT_DIMS = (
    EventDim("gesture_token", "index of the nearest codebook centroid"),
    EventDim("consonance", "1 − roughness of the sonority, 0…1"),
    EventDim("tenney_height", "log2(p·q) of the interval to the previous pitch, ≥ 0"),
    EventDim("tonal_fit", "fit to the pitch classes of the recent past, 0…1"),
    EventDim("log2_interval", "log2 of the inter-onset interval in seconds"),
    EventDim("ratio_p", "p of this interval to the one before, p:q"),
    EventDim("ratio_q", "q of this interval to the one before, p:q"),
    EventDim("deviation", "deviation from the pattern, share of the interval"),
    EventDim("polarity", "early −1, on time 0, late 1"),
    EventDim("log2_tempo", "log2 of the beat in beats per minute"),
    EventDim("pulse", "whether ticks go in twos or threes, 2 or 3"),
    EventDim("beat_phase", "position in the beat, −⅛…⅞, below 0 just before it"),
    EventDim("indigestibility", "Barlow's indigestibility per onset"),
    EventDim("margin", "probability of the rhythm less that of the second choice, 0…1"),
    EventDim("onset_density", "onsets per second"),
)
DIM_INDEX = {dim.name: index for index, dim in enumerate(EVENT_DIMS)}
RHYTHM = slice(4, len(EVENT_DIMS))

# Semitones above a tone as just ratios. Mean over pairs against people's ratings of dyads, triads
# and tetrads (Bowling 2018): Pearson .958/.814/.788; with 45:32 for the tritone .875/.677/.654.
JUST_RATIOS = (
    (1, 1), (16, 15), (9, 8), (6, 5), (5, 4), (4, 3),
    (7, 5), (3, 2), (8, 5), (5, 3), (16, 9), (15, 8),
)  # fmt: skip
TONAL_MEMORY_S = 4.0  # a pitch class heard this long ago counts 1/e


class Note(NamedTuple):
    """A note to play: MIDI pitch 0…127, MIDI velocity 1…127, duration in seconds."""

    pitch: int
    velocity: int
    duration_s: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Event:
    """One onset, what was heard of it, and the notes it is answered with.

    Parameters
    ----------
    frame
        [shape=(15,), float32] the dimensions of `EVENT_DIMS`, NaN where missing.
    notes
        What sounded, as known when the note was over; none for an unpitched sound.
    pitch
        Fractional MIDI pitch, NaN where there is none.
    level_db
        dBFS RMS, NaN where unknown.
    velocity
        MIDI velocity 1…127, NaN where unknown.
    onset_s, duration_s
        Position in its recording and length of the sound.
    source
        Which recording of the memory's provenance it comes from.

    Raises
    ------
    ValueError
        A value is out of its range, or the frame is not 15 numbers that are finite or NaN.
    """

    frame: NDArray[np.float32]
    notes: tuple[Note, ...] = ()
    pitch: float = math.nan
    level_db: float = math.nan
    velocity: float = math.nan
    onset_s: float
    duration_s: float
    source: int = 0

    def __post_init__(self) -> None:
        """Refuse what no sound can be."""
        if self.frame.shape != (len(EVENT_DIMS),) or np.isinf(self.frame).any():
            raise ValueError(
                f"frame must be {len(EVENT_DIMS)} numbers, finite or NaN, got {self.frame!r}"
            )
        token = float(self.frame[0])
        if not math.isnan(token) and (token < 0 or token != round(token)):
            raise ValueError(f"gesture_token must be a whole number or NaN, got {token}")
        if (self.frame[5:7] <= 0).any():
            raise ValueError(f"ratio_p and ratio_q must be > 0 or NaN, got {self.frame[5:7]}")
        _require_range("pitch", self.pitch, 0, 127)
        _require_range("velocity", self.velocity, 1, 127)
        _require_range("level_db", self.level_db, -math.inf, math.inf)
        for name, value in (("onset_s", self.onset_s), ("duration_s", self.duration_s)):
            if not (math.isfinite(value) and value >= 0):
                raise ValueError(f"{name} must be finite and ≥ 0, got {value}")
        for note in self.notes:
            if not (0 <= note.pitch <= 127 and 1 <= note.velocity <= 127):
                raise ValueError(f"a note needs pitch 0…127 and velocity 1…127, got {note}")
            if not (math.isfinite(note.duration_s) and note.duration_s >= 0):
                raise ValueError(f"a note needs a finite duration_s ≥ 0, got {note}")
        if self.source < 0:
            raise ValueError(f"source must be ≥ 0, got {self.source}")


class EventTracker:
    """Turn onsets, as they are decided, into the fifteen dimensions of the event.

    One tracker hears one stream: what an event is depends on those before it. The token and the
    consonance are not known yet; the transcriber adds them.
    """

    def __init__(self) -> None:
        self._rhythm = RhythmTracker()
        self._onset_s = math.nan
        self._pitch = math.nan
        self._fifths = 0j  # the recent pitch classes as a vector on the circle of fifths
        self._weight = 0.0
        self._pitched_s = 0.0

    @property
    def beat(self) -> Beat | None:
        """The beat as believed at the newest onset, None while there is none to speak of."""
        return self._rhythm.beat

    def track(
        self,
        onset_s: float,
        *,
        pitch: float = math.nan,
        velocity: float = math.nan,
    ) -> NDArray[np.float32]:
        """Take the next onset and return its frame.

        Parameters
        ----------
        onset_s
            Time of the onset, later than the one before.
        pitch
            Fractional MIDI pitch 0…127, NaN where none was heard.
        velocity
            MIDI velocity 1…127, NaN where unknown.

        Returns
        -------
        frame
            [shape=(15,), float32] in the order of `EVENT_DIMS`, NaN where missing.

        Raises
        ------
        ValueError
            The onset is not finite or not later than the one before, or pitch or velocity is out
            of range; nothing is taken.
        """
        if not math.isfinite(onset_s) or onset_s <= self._onset_s:
            before = "the start" if math.isnan(self._onset_s) else self._onset_s
            raise ValueError(f"onset_s must be finite and later than {before}, got {onset_s}")
        _require_range("pitch", pitch, 0, 127)
        _require_range("velocity", velocity, 1, 127)

        frame = np.full(len(EVENT_DIMS), np.nan, np.float32)
        if not math.isnan(pitch):
            frame[DIM_INDEX["tenney_height"]] = tenney_height(pitch - self._pitch)
            frame[DIM_INDEX["tonal_fit"]] = self._fit(onset_s, pitch)
            self._pitch = pitch
        frame[RHYTHM] = self._rhythm.hear(onset_s, velocity)
        self._onset_s = onset_s
        return frame

    def _fit(self, onset_s: float, pitch: float) -> float:
        """Compare the pitch class with those before, then count it among them.

        A distribution of pitch classes has a direction on the circle of fifths, its fifth Fourier
        coefficient (Quinn 2006); the fit is the cosine to it, scaled to 0…1.
        """
        direction = np.exp(2j * np.pi * 7 * round(pitch) / 12)
        faded = math.exp((self._pitched_s - onset_s) / TONAL_MEMORY_S)
        self._pitched_s = onset_s
        fit = math.nan
        if self._weight > 0:
            fit = (1 + (self._fifths * direction.conjugate()).real / self._weight) / 2
        self._fifths = self._fifths * faded + direction
        self._weight = self._weight * faded + 1
        return min(1.0, max(0.0, fit)) if fit == fit else fit


def consonance(roughness: float) -> float:
    """Return 1 − roughness, no less than 0; NaN where it was not heard."""
    return math.nan if math.isnan(roughness) else max(0.0, 1.0 - roughness)


def tenney_height(interval_semitones: float) -> float:
    """Return log2(p·q) of the just ratio nearest to a melodic interval (Tenney 1983).

    Parameters
    ----------
    interval_semitones
        Signed; a falling interval is as high as the rising one. NaN gives NaN.
    """
    if math.isnan(interval_semitones):
        return math.nan
    octaves, step = divmod(abs(round(interval_semitones)), 12)
    p, q = JUST_RATIOS[step]
    p <<= octaves
    common = math.gcd(p, q)
    return math.log2(p * q // common**2)


def _require_range(name: str, value: float, low: float, high: float) -> None:
    """Refuse a number outside low…high; NaN is missing and passes."""
    if math.isinf(value) or value < low or value > high:
        raise ValueError(f"{name} must be {low:g}…{high:g} or NaN, got {value}")
