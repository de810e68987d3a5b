"""Pitch of one voice: the McLeod pitch method (McLeod & Wyvill, ICMC 2005).

Compiled for the listener's thread; it never allocates. The normalised square difference function
of a window has its key maxima at multiples of the period; the first that is nearly as high as the
highest is the period, its height the clarity.
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from models.spectrum import FourierTables, _autocorrelate

HIGH_HZ = 4500.0
"""Highest fundamental looked for, a little above the piano's c'''''."""
KEY_MAXIMUM = 0.9
"""A key maximum counts from this share of the highest one."""
LONGEST_LAG = 0.6
"""Longest period looked for, as a share of the window."""


@njit(nogil=True, cache=True)
def _hz_to_pitch(frequency_hz: float) -> float:
    """Convert a frequency to a fractional MIDI pitch."""
    return float(69.0 + 12.0 * np.log2(frequency_hz / 440.0))


@njit(nogil=True, cache=True)
def _pitch_to_hz(pitch: float) -> float:
    """Convert a fractional MIDI pitch to a frequency."""
    return float(440.0 * 2.0 ** ((pitch - 69.0) / 12.0))


@njit(nogil=True, cache=True, error_model="numpy")
def _mcleod(
    fourier: FourierTables,
    history: NDArray[np.float64],
    start_frame: int,
    end_frame: int,
    rate_hz: float,
) -> tuple[float, float]:
    """Return (fractional MIDI pitch, clarity 0…1) of the frames [start, end); (NaN, 0) if none.

    The transform must be at least 1.6 times as long as the window, so that no lag wraps around.
    """
    nsdf, mask = fourier.samples, history.size - 1
    n = end_frame - start_frame
    n_lags = min(int(LONGEST_LAG * n), nsdf.size - n)
    mean = 0.0
    for i in range(n):
        mean += history[(start_frame + i) & mask]
    mean /= n
    energy = 0.0
    for i in range(n):
        sample = history[(start_frame + i) & mask] - mean
        nsdf[i] = sample
        energy += sample * sample
    nsdf[n:] = 0.0
    if energy < 1e-12 * n:
        return np.nan, 0.0
    _autocorrelate(fourier)

    norm = 2.0 * energy
    nsdf[0] = 1.0
    for lag in range(1, n_lags):
        norm -= (history[(start_frame + lag - 1) & mask] - mean) ** 2
        norm -= (history[(end_frame - lag) & mask] - mean) ** 2
        nsdf[lag] = 2.0 * nsdf[lag] / norm if norm > 1e-9 * energy else 0.0

    first = 1
    while first < n_lags and nsdf[first] > 0.0:
        first += 1
    first = max(first, int(rate_hz / HIGH_HZ))
    highest = 0.0
    for lag in range(first, n_lags - 1):
        if nsdf[lag - 1] < nsdf[lag] >= nsdf[lag + 1]:
            highest = max(highest, nsdf[lag])
    period, height = 0, 0.0
    for lag in range(first, n_lags - 1):
        if nsdf[lag] <= 0.0:
            if period > 0 and height >= KEY_MAXIMUM * highest:
                break
            period, height = 0, 0.0
        elif nsdf[lag] > height and nsdf[lag - 1] < nsdf[lag] >= nsdf[lag + 1]:
            period, height = lag, nsdf[lag]
    if period == 0:
        return np.nan, 0.0
    left, right = nsdf[period - 1], nsdf[period + 1]
    bend = left - 2.0 * height + right
    shift = 0.5 * (left - right) / bend if bend < 0.0 else 0.0
    clarity = min(1.0, height - 0.25 * (left - right) * shift)
    return _hz_to_pitch(rate_hz / (period + shift)), clarity
