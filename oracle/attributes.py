"""What can be asked of a state: its attributes, what their values mean and when two are the same.

Plain data and one pure function; any thread. `EVENT_ATTRIBUTES` are those of a musical event: the
fifteen dimensions of its frame and what follows from its notes. Nothing here scores or chooses.
"""

import math
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import ArrayLike, NDArray

from oracle.beats import BEFORE_BEAT


class Measure(IntEnum):
    """How two values of an attribute are compared."""

    LINE = 0  # |a − b|, the shorter way round where the attribute has a period
    CATEGORY = 1  # the same or not
    TOKEN = 2  # a category whose members are as far apart as their centroids
    PITCH = 3  # as a line, in semitones; moves with transposition, as do the next two
    PITCH_CLASS = 4  # in semitones
    REGISTER = 5  # in octaves

    @property
    def is_category(self) -> bool:
        """Whether numbers are only names."""
        return self in (Measure.CATEGORY, Measure.TOKEN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Attribute:
    """One attribute: what it is called, what its values mean and when two of them are the same.

    Parameters
    ----------
    name, unit
        What it is called and measured in.
    low, high
        The values a request may name.
    tolerance
        A state *has* a requested value if it is no further from it than this.
    is_whole
        Whether only whole numbers are values.
    measure
        How values are compared.
    period
        After how much values begin anew; states have values from `low` to less than `low` + period.
        ∞: they lie on a line.
    n_buckets
        Resolution of the index over low…high, a power of two for a category (its numbers are
        taken modulo); 0: not indexed, states are found by sampling.
    """

    name: str
    unit: str
    low: float
    high: float
    tolerance: float = 0.0
    is_whole: bool = False
    measure: Measure = Measure.LINE
    period: float = math.inf
    n_buckets: int = 32

    @property
    def is_circle(self) -> bool:
        """Whether values begin anew: nothing is above or below, only near or far."""
        return self.period < math.inf

    def in_period(self, value: float) -> float:
        """Return a value as states have it."""
        return self.low + (value - self.low) % self.period if self.is_circle else value


def _line(name: str, unit: str, low: float, high: float, tolerance: float) -> Attribute:
    return Attribute(name=name, unit=unit, low=low, high=high, tolerance=tolerance)


def _whole(
    name: str,
    unit: str,
    low: float,
    high: float,
    measure: Measure = Measure.LINE,
    period: float = math.inf,
) -> Attribute:
    return Attribute(
        name=name, unit=unit, low=low, high=high, is_whole=True, measure=measure, period=period,
        n_buckets=int(high - low) + 1,
    )  # fmt: skip


def _category(name: str, unit: str, measure: Measure) -> Attribute:
    return Attribute(
        name=name, unit=unit, low=0, high=2**24 - 1, is_whole=True, measure=measure,
        n_buckets=4096,
    )  # fmt: skip


EVENT_ATTRIBUTES = (
    _category("gesture_token", "index", Measure.TOKEN),
    _line("consonance", "0…1", 0, 1, tolerance=0.05),
    _line("tenney_height", "log2 p·q", 0, 16, tolerance=0.01),
    _line("tonal_fit", "0…1", 0, 1, tolerance=0.05),
    _line("log2_interval", "log2 s", -8, 8, tolerance=0.1),
    _whole("ratio_p", "p of p:q", 1, 64),
    _whole("ratio_q", "q of p:q", 1, 64),
    _line("deviation", "share of the interval", -1, 1, tolerance=0.02),
    _whole("polarity", "early −1, late 1", -1, 1),
    _line("log2_tempo", "log2 bpm", 4, 10, tolerance=0.05),
    _whole("pulse", "ticks in twos or threes", 2, 3),
    Attribute(
        name="beat_phase", unit="beats; 0.95 is -0.05, just before one", low=-BEFORE_BEAT, high=1,
        tolerance=0.05, period=1,
    ),
    _line("indigestibility", "per onset", 0, 32, tolerance=0.1),
    _line("margin", "probability", 0, 1, tolerance=0.05),
    _line("onset_density", "onsets per second", 0, 32, tolerance=0.5),
    Attribute(
        name="pitch", unit="MIDI", low=0, high=127, tolerance=0.5, measure=Measure.PITCH,
        n_buckets=128,
    ),
    _whole("pitch_class", "semitones above C", 0, 11, Measure.PITCH_CLASS, period=12),
    _whole("register", "octave, 4 from middle C", -1, 9, Measure.REGISTER),
    # ratios of whole numbers to 64 are at least 3.5e-4 apart: this tells all of them apart
    Attribute(
        name="rhythm_ratio", unit="log2 p/q", low=-6, high=6, tolerance=1e-4, n_buckets=128
    ),
    _line("loudness", "dBFS", -120, 0, tolerance=3),
    _line("velocity", "MIDI", 1, 127, tolerance=8),
    _line("duration_s", "s", 0, 60, tolerance=0.05),
    _whole("n_notes", "notes", 0, 7),
    _category("cluster", "index", Measure.CATEGORY),
)  # fmt: skip


def attribute_rows(
    frames: ArrayLike,
    *,
    pitch: ArrayLike,
    level_db: ArrayLike,
    velocity: ArrayLike,
    duration_s: ArrayLike,
    n_notes: ArrayLike,
    clusters: ArrayLike,
) -> NDArray[np.float32]:
    """Lay events out in the columns of `EVENT_ATTRIBUTES`.

    Parameters
    ----------
    frames
        [shape=(n, 15)]; every other one is [shape=(n,)].

    Returns
    -------
    rows
        [shape=(n, len(EVENT_ATTRIBUTES)), float32], NaN where missing.
    """
    heard = np.asarray(frames, np.float64)
    nearest = np.round(np.asarray(pitch, np.float64))
    columns = (
        pitch, nearest % 12, nearest // 12 - 1, np.log2(heard[:, 5] / heard[:, 6]),
        level_db, velocity, duration_s, n_notes, clusters,
    )  # fmt: skip
    return np.column_stack([heard, *columns]).astype(np.float32)
