"""Roughness of what sounds together: Hutchinson & Knopoff (Interface 7, 1978) on spectral peaks.

Compiled for the listener's thread; it never allocates. Two partials are rough when they lie within
a critical band but not on top of each other, as Plomp & Levelt measured; the curve is Bigand's
(Perception & Psychophysics 58, 1996). No pitch has to be known, so chords are as good as notes;
but a partial that moves within the spectrum is several peaks, so whoever asks must see that the
pitch stays.
"""

import math
from typing import Final, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

from models.spectrum import FourierTables, _magnitudes, _peak, fourier_tables

MAX_PEAKS: Final = 20
WEAKEST_PEAK: Final = 0.01
"""Peaks below this share of the spectrum's highest are noise or a window's side lobe."""
LOWEST_BIN: Final = 3
"""Below it a constant offset leaks."""
LOW_HZ, HIGH_HZ = 50.0, 5000.0
CRITICAL_HZ, CRITICAL_EXPONENT = 1.72, 0.65
"""The critical band is 1.72 f^0.65 Hz wide at f Hz."""
ROUGHEST = 0.25
"""Two partials so many critical bands apart are the roughest …"""
SMOOTH = 1.2
"""… and from here on not rough."""
HANN = 2


class RoughnessState(NamedTuple):
    """Transform and work space of the roughness of one spectrum."""

    fourier: FourierTables  # as long as the longest sound it looks at
    magnitudes: NDArray[np.float64]  # [shape=(n_bins,)]
    hz: NDArray[np.float64]  # [shape=(MAX_PEAKS,)]
    amplitude: NDArray[np.float64]  # [shape=(MAX_PEAKS,)] falling


def roughness_state(n_fft: int) -> RoughnessState:
    """Make the work space for spectra of `n_fft` frames, a power of two."""
    return RoughnessState(
        fourier_tables(n_fft),
        np.zeros(n_fft // 2 + 1),
        np.zeros(MAX_PEAKS),
        np.zeros(MAX_PEAKS),
    )


def roughness(hz: ArrayLike, amplitude: ArrayLike) -> float:
    """Return the roughness of partials that sound together: 0 for one alone, about 0.5 at most.

    Parameters
    ----------
    hz
        Their frequencies > 0 [shape=(n_partials,)].
    amplitude
        Their amplitudes > 0 [shape=(n_partials,)]; only their ratios count.

    Raises
    ------
    ValueError
        If there is none, the shapes differ, or a number is not above 0.

    Examples
    --------
    Two pure tones a semitone apart at middle C:

    >>> round(roughness([261.626, 277.183], [1.0, 1.0]), 3)
    0.499
    """
    partials = np.array([hz, amplitude], np.float64)
    if partials.ndim != 2 or partials.shape[1] == 0 or not np.all(partials > 0):
        raise ValueError(f"hz and amplitude must be as many numbers > 0, got {hz!r}, {amplitude!r}")
    return float(_roughness(partials[0], partials[1], partials.shape[1]))


@njit(nogil=True, cache=True, error_model="numpy")
def _roughness(hz: NDArray[np.float64], amplitude: NDArray[np.float64], n_partials: int) -> float:
    """Return Σ aᵢaⱼ g(yᵢⱼ) / Σ a² over the first `n_partials`."""
    rough, power = 0.0, 0.0
    for i in range(n_partials):
        power += amplitude[i] ** 2
        for j in range(i + 1, n_partials):
            band_hz = CRITICAL_HZ * (0.5 * (hz[i] + hz[j])) ** CRITICAL_EXPONENT
            y = abs(hz[i] - hz[j]) / band_hz
            if y < SMOOTH:
                g = (y / ROUGHEST * math.exp(1.0 - y / ROUGHEST)) ** 2
                rough += amplitude[i] * amplitude[j] * g
    return rough / power


@njit(nogil=True, cache=True, error_model="numpy")
def _heard_roughness(
    state: RoughnessState,
    history: NDArray[np.float64],
    start_frame: int,
    end_frame: int,
    rate_hz: float,
) -> float:
    """Return the roughness of the frames [start, end), NaN where their spectrum has no peak."""
    _magnitudes(state.fourier, history, start_frame, end_frame, HANN, state.magnitudes)
    n_peaks = _strongest_peaks(state, rate_hz / state.fourier.samples.size)
    return _roughness(state.hz, state.amplitude, n_peaks) if n_peaks > 0 else np.nan


@njit(nogil=True, cache=True, error_model="numpy")
def _strongest_peaks(state: RoughnessState, bin_hz: float) -> int:
    """Find the strongest spectral peaks in the band, the strongest first; return how many.

    None where all of the sound lies outside it: what is seen within is then its side lobes.
    """
    magnitudes, hz, amplitude = state.magnitudes, state.hz, state.amplitude
    n_peaks = 0
    for k in range(int(LOW_HZ / bin_hz) + 1, min(int(HIGH_HZ / bin_hz), magnitudes.size - 1)):
        if not magnitudes[k - 1] < magnitudes[k] >= magnitudes[k + 1]:
            continue
        shift, height = _peak(magnitudes, k)
        if n_peaks == MAX_PEAKS and height <= amplitude[n_peaks - 1]:
            continue
        place = min(n_peaks, MAX_PEAKS - 1)
        while place > 0 and amplitude[place - 1] < height:
            hz[place], amplitude[place] = hz[place - 1], amplitude[place - 1]
            place -= 1
        hz[place], amplitude[place] = (k + shift) * bin_hz, height
        n_peaks = min(n_peaks + 1, MAX_PEAKS)
    highest = 0.0
    for k in range(LOWEST_BIN, magnitudes.size):
        highest = max(highest, magnitudes[k])
    while n_peaks > 0 and amplitude[n_peaks - 1] < WEAKEST_PEAK * highest:
        n_peaks -= 1
    return n_peaks
