"""Onsets: spectral flux with a maximum filter (SuperFlux), a causal peak rule, and their first frame.

Compiled for the listener's thread, one call per hop; it never allocates and never looks ahead.
SuperFlux: Böck & Widmer, DAFx 2013. The magnitudes are taken relative to a running reference level, so
that the same playing gives the same flux at any gain. The first frame is picked in the waveform, where
Akaike's information criterion sees two noises best divided (Maeda 1985, as in seismology).
"""

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from models.spectrum import (
    Filterbank,
    FourierTables,
    _filter_magnitudes,
    _real_fft,
    fourier_tables,
    hann,
    log_filterbank,
    nearest_power_of_two,
)

FRAME_S = 0.023
FRAMES_PER_S = 200
BANDS_PER_OCTAVE = 24
LOW_HZ, HIGH_HZ = 30.0, 17000.0
PEAK_HOPS = 6
"""A peak is the highest flux of the last 30 ms …"""
MEAN_HOPS = 20
"""… and exceeds the mean flux of the last 100 ms."""


class OnsetState(NamedTuple):
    """Tables, memory and settings of the onset function at one rate."""

    fourier: FourierTables
    window: NDArray[np.float64]
    bank: Filterbank
    bands: NDArray[np.float64]  # [shape=(2, n_bands)] magnitudes of this hop and the one before
    logs: NDArray[np.float64]  # [shape=(n_bands,)] work space
    flux: NDArray[np.float64]  # [shape=(MEAN_HOPS,)] ring
    reference: NDArray[np.float64]  # [shape=(1,)] loudest band of the recent past
    compression: float  # how far below the reference the logarithm still resolves
    decay: float  # factor on the reference per hop
    floor: float  # the reference is never lower


def onset_state(
    rate_hz: float, *, compression: float, decay_db_per_s: float, floor_db: float
) -> OnsetState:
    """Precompute the onset function at one rate.

    The frame is the power of two nearest to 23 ms: 1024 frames at 44.1 and 48 kHz.
    """
    n_fft = nearest_power_of_two(FRAME_S * rate_hz)
    bank = log_filterbank(rate_hz, n_fft, BANDS_PER_OCTAVE, LOW_HZ, HIGH_HZ)
    n_bands = bank.first.size
    return OnsetState(
        fourier=fourier_tables(n_fft),
        window=hann(n_fft),
        bank=bank,
        bands=np.zeros((2, n_bands)),
        logs=np.zeros(n_bands),
        flux=np.zeros(MEAN_HOPS),
        reference=np.zeros(1),
        compression=compression,
        decay=10 ** (-decay_db_per_s / 20 / FRAMES_PER_S),
        floor=10 ** (floor_db / 20),
    )


@njit(nogil=True, cache=True, error_model="numpy")
def _superflux(
    state: OnsetState, history: NDArray[np.float64], end_frame: int, hop_index: int
) -> float:
    """Return the flux of the frame that ends before `end_frame`: mean rise of log₁₀ per band.

    Both spectra are taken relative to the reference as it is now, and a band's rise is counted
    against the highest of its neighbours one hop ago, so that vibrato does not count.
    """
    samples, mask = state.fourier.samples, history.size - 1
    n_fft = samples.size
    for i in range(n_fft):
        samples[i] = history[(end_frame - n_fft + i) & mask] * state.window[i]
    _real_fft(state.fourier)
    bands, before = state.bands[hop_index & 1], state.bands[1 - (hop_index & 1)]
    _filter_magnitudes(state.fourier, state.bank, bands)

    loudest = state.floor
    for band in range(bands.size):
        loudest = max(loudest, bands[band])
    state.reference[0] = max(loudest, state.reference[0] * state.decay)
    gain = state.compression / state.reference[0]

    for band in range(bands.size):
        state.logs[band] = np.log10(1 + gain * before[band])
    flux = 0.0
    last = bands.size - 1
    for band in range(bands.size):
        highest = max(
            state.logs[max(band - 1, 0)], state.logs[band], state.logs[min(band + 1, last)]
        )
        flux += max(0.0, np.log10(1 + gain * bands[band]) - highest)
    flux /= bands.size
    state.flux[hop_index % MEAN_HOPS] = flux
    return flux


@njit(nogil=True, cache=True)
def _is_peak(state: OnsetState, hop_index: int, threshold: float) -> bool:
    """Say whether this hop's flux is the highest of 30 ms and `threshold` above the mean of 100."""
    flux = state.flux[hop_index % MEAN_HOPS]
    mean = 0.0
    for value in state.flux:
        mean += value
    if flux < mean / MEAN_HOPS + threshold:
        return False
    for back in range(1, PEAK_HOPS):
        if state.flux[(hop_index - back) % MEAN_HOPS] > flux:
            return False
    return True


@njit(nogil=True, cache=True, error_model="numpy")
def _first_frame(history: NDArray[np.float64], start_frame: int, end_frame: int) -> int:
    """Return the frame in [start, end) from which on the sound is another one.

    The criterion k·log var(before) + (n−k)·log var(after) is smallest where the two parts are each
    most uniform. It reads the first difference of the samples, in which a sustained bass weighs little.
    """
    mask = history.size - 1
    n = end_frame - start_frame
    total = 0.0
    for i in range(n):
        frame = start_frame + i
        total += (history[frame & mask] - history[(frame - 1) & mask]) ** 2
    tiny = 1e-9 * total / n + 1e-30
    before = 0.0
    best, best_frame = np.inf, start_frame
    for i in range(n - 1):
        frame = start_frame + i
        before += (history[frame & mask] - history[(frame - 1) & mask]) ** 2
        left, right = i + 1, n - i - 1
        criterion = left * np.log(before / left + tiny)
        criterion += right * np.log(max(total - before, 0.0) / right + tiny)
        if criterion < best:
            best, best_frame = criterion, frame + 1
    return best_frame
