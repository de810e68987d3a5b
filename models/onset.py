"""Onsets: spectral flux with a maximum filter (SuperFlux) and a causal peak rule.

Compiled for the listener's thread, one call per hop; it never allocates and never looks ahead.
SuperFlux: Böck & Widmer, DAFx 2013. The magnitudes are taken relative to a running reference, so
that the same playing gives the same flux at any gain. The window falls much faster than it rises:
it tells semitones apart like its whole length and reacts like its short end.
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
    log_filterbank,
    nearest_power_of_two,
    rise_fall_window,
)

FRAMES_PER_S = 200
FRAME_S = 0.046
FALL_S = 0.008
"""The window's falling end. Best of a random search over the other settings, micro F on six and
seven drum tracks and a piano: .966, .970, .962 with a symmetric 23 ms window, nine of ten drums
decided on within 7 and 11 ms; .971, .975, .965 with this frame falling in 6 ms, within 5 and 9."""
BANDS_PER_OCTAVE = 24
LOW_HZ, HIGH_HZ = 30.0, 17000.0
COMPRESSION = 40.0
"""A band so many times weaker than the reference is where the logarithm turns linear."""
REFERENCE_DB_PER_S = 10.0
"""The reference follows the loudest band at once and forgets it so fast."""
LAG_HOPS = 2
"""A band's rise is counted over 10 ms."""
PEAK_HOPS = 6
"""A peak is the highest flux of the last 30 ms …"""
MEAN_HOPS = 40
"""… and exceeds the mean of the last 200 ms …"""
MEAN_FACTOR = 1.3
"""… times this, which noise seldom does, plus a threshold."""
STIR_HOPS = PEAK_HOPS
STIRS = 64
"""What stirs anyway is the highest flux of each 30 ms of the last two seconds …"""
STIR_SHARE = 0.3
"""… of which so many are passed by strokes that fill the others …"""
STIR_FACTOR = 2.3
"""… and by so much. Noise that is mostly low (a fan, traffic) reaches 2.3 of its .3 quantile once
in twenty of its peaks, and 128 to 180 of those a minute passed for onsets before; .97 of what is
struck, plucked or blown goes beyond."""


class OnsetState(NamedTuple):
    """Tables, memory and settings of the onset function at one rate."""

    fourier: FourierTables
    window: NDArray[np.float64]
    bank: Filterbank
    bands: NDArray[np.float64]  # [shape=(LAG_HOPS + 1, n_bands)] ring of magnitudes by hop
    logs: NDArray[np.float64]  # [shape=(n_bands,)] work space
    flux: NDArray[np.float64]  # [shape=(MEAN_HOPS,)] ring by hop
    stirs: NDArray[np.float64]  # [shape=(STIRS,)] ring of the highest flux of STIR_HOPS each
    reference: NDArray[np.float64]  # [shape=(1,)] loudest band of the recent past
    decay: float  # of the reference, per hop
    floor: float  # of the reference


def onset_state(rate_hz: float, *, floor_dbfs: float) -> OnsetState:
    """Precompute the onset function at one rate.

    The frame is the power of two nearest to 46 ms: 2048 at 44.1 and 48 kHz. Below `floor_dbfs` the
    reference no longer follows the level.
    """
    n_fft = nearest_power_of_two(FRAME_S * rate_hz)
    bank = log_filterbank(rate_hz, n_fft, BANDS_PER_OCTAVE, LOW_HZ, HIGH_HZ)
    n_bands = bank.first.size
    return OnsetState(
        fourier=fourier_tables(n_fft),
        window=rise_fall_window(n_fft, round(FALL_S * rate_hz)),
        bank=bank,
        bands=np.zeros((LAG_HOPS + 1, n_bands)),
        logs=np.zeros(n_bands),
        flux=np.zeros(MEAN_HOPS),
        stirs=np.zeros(STIRS),
        reference=np.zeros(1),
        decay=10 ** (-REFERENCE_DB_PER_S / 20 / FRAMES_PER_S),
        floor=10 ** (floor_dbfs / 20),
    )


@njit(nogil=True, cache=True, error_model="numpy")
def _superflux(
    state: OnsetState, history: NDArray[np.float64], end_frame: int, hop_index: int
) -> float:
    """Return the flux of the frame that ends before `end_frame`: mean rise of log₁₀ per band.

    Both spectra are taken relative to the reference as it is now, and a band's rise is counted
    against the highest of its neighbours LAG_HOPS ago, so that vibrato does not count.
    """
    samples, mask = state.fourier.samples, history.size - 1
    n_fft = samples.size
    for i in range(n_fft):
        samples[i] = history[(end_frame - n_fft + i) & mask] * state.window[i]
    _real_fft(state.fourier)
    bands = state.bands[hop_index % (LAG_HOPS + 1)]
    before = state.bands[(hop_index + 1) % (LAG_HOPS + 1)]
    _filter_magnitudes(state.fourier, state.bank, bands)

    loudest = state.floor
    for band in range(bands.size):
        loudest = max(loudest, bands[band])
    state.reference[0] = max(loudest, state.reference[0] * state.decay)
    gain = COMPRESSION / state.reference[0]

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
    stir, n_before = (hop_index // STIR_HOPS) % STIRS, hop_index % STIR_HOPS
    state.stirs[stir] = flux if n_before == 0 else max(flux, state.stirs[stir])
    return float(flux)


@njit(nogil=True, cache=True)
def _is_peak(state: OnsetState, hop_index: int, threshold: float) -> bool:
    """Say whether this hop's flux is a peak that stands out from the recent mean."""
    flux = state.flux[hop_index % MEAN_HOPS]
    mean = 0.0
    for value in state.flux:
        mean += value
    if flux < MEAN_FACTOR * mean / MEAN_HOPS + threshold:
        return False
    highest = 0.0
    for back in range(1, PEAK_HOPS):
        highest = max(highest, state.flux[(hop_index - back) % MEAN_HOPS])
    return bool(highest <= flux)


@njit(nogil=True, cache=True)
def _stands_out(state: OnsetState, hop_index: int) -> bool:
    """Say whether this hop's flux is more than what stirs anyway."""
    flux = state.flux[hop_index % MEAN_HOPS]
    n_stirs = min(hop_index // STIR_HOPS, STIRS - 1)
    n_passed = 0
    for back in range(1, n_stirs + 1):
        if STIR_FACTOR * state.stirs[(hop_index // STIR_HOPS - back) % STIRS] <= flux:
            n_passed += 1
    return n_passed >= STIR_SHARE * n_stirs
