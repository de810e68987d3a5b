"""Several voices at once: what rose in the spectrum at an onset, its chroma and its notes.

Compiled for the listener's thread; it never allocates. Notes are found as Klapuri does (ISMIR 2006): the
pitch whose harmonics sum highest is a note, its harmonics are taken out, and again until too little is
left. What already sounded before the onset is subtracted first, so that held notes are not struck anew.
"""

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from models.spectrum import FourierTables, _real_fft

LOWEST_PITCH, HIGHEST_PITCH = 33, 96
N_HARMONICS = 12
LOWEST_HZ, HIGHEST_HZ = 50.0, 5000.0


class SonorityState(NamedTuple):
    """Work space of the note search."""

    before: NDArray[np.float64]  # [shape=(n_bins,)] magnitudes that end at the onset
    rise: NDArray[np.float64]  # [shape=(n_bins,)] magnitudes since, less those before
    salience: NDArray[np.float64]  # [shape=(128,)] by MIDI pitch


def sonority_state(n_fft: int) -> SonorityState:
    """Make the work space for spectra of `n_fft` frames."""
    n_bins = n_fft // 2 + 1
    return SonorityState(np.zeros(n_bins), np.zeros(n_bins), np.zeros(128))


@njit(nogil=True, cache=True, error_model="numpy")
def _magnitudes(
    fourier: FourierTables,
    history: NDArray[np.float64],
    start_frame: int,
    end_frame: int,
    out: NDArray[np.float64],
) -> None:
    """Write the Hann-windowed magnitudes of the frames [start, end) into `out`; a sine of 1 is 1."""
    samples, mask = fourier.samples, history.size - 1
    n = end_frame - start_frame
    for i in range(n):
        window = 2.0 * (0.5 - 0.5 * np.cos(2 * np.pi * (i + 0.5) / n)) / n
        samples[i] = 2.0 * window * history[(start_frame + i) & mask]
    samples[n:] = 0.0
    _real_fft(fourier)
    for k in range(out.size):
        out[k] = np.sqrt(fourier.re[k] ** 2 + fourier.im[k] ** 2)


@njit(nogil=True, cache=True, error_model="numpy")
def _peak_hz(magnitudes: NDArray[np.float64], k: int, bin_hz: float) -> float:
    """Return the frequency of the peak at bin `k` by a parabola through three log magnitudes."""
    left = np.log(magnitudes[k - 1] + 1e-30)
    top = np.log(magnitudes[k] + 1e-30)
    right = np.log(magnitudes[k + 1] + 1e-30)
    bend = left - 2.0 * top + right
    shift = 0.5 * (left - right) / bend if bend < 0.0 else 0.0
    return (k + shift) * bin_hz


@njit(nogil=True, cache=True, error_model="numpy")
def _chroma(magnitudes: NDArray[np.float64], bin_hz: float, out: NDArray[np.float32]) -> None:
    """Sum the spectral peaks by pitch class into `out` [shape=(12,)]: unit sum, or zeros."""
    out[:] = 0.0
    low, high = int(LOWEST_HZ / bin_hz) + 1, min(int(HIGHEST_HZ / bin_hz), magnitudes.size - 2)
    loudest = 0.0
    for k in range(low, high):
        loudest = max(loudest, magnitudes[k])
    total = 0.0
    for k in range(low, high):
        top = magnitudes[k]
        if top > 0.05 * loudest and magnitudes[k - 1] < top >= magnitudes[k + 1]:
            pitch = 69.0 + 12.0 * np.log2(_peak_hz(magnitudes, k, bin_hz) / 440.0)
            out[int(np.round(pitch)) % 12] += top
            total += top
    if total > 0.0:
        for i in range(12):
            out[i] /= total


@njit(nogil=True, cache=True, error_model="numpy")
def _harmonic_peak(magnitudes: NDArray[np.float64], centre: float) -> tuple[float, int]:
    """Return the highest magnitude within a quarter tone of a fractional bin, and where it is."""
    reach = max(1.0, 0.029 * centre)
    best, best_k = 0.0, 0
    for k in range(int(np.ceil(centre - reach)), min(int(centre + reach) + 1, magnitudes.size)):
        if magnitudes[k] > best:
            best, best_k = magnitudes[k], k
    return best, best_k


@njit(nogil=True, cache=True, error_model="numpy")
def _salient_notes(
    state: SonorityState,
    bin_hz: float,
    share: float,
    pitches: NDArray[np.int16],
    weights: NDArray[np.float64],
) -> int:
    """Find up to `pitches.size` notes in `state.rise`, loudest first; return how many.

    A note must be at least `share` as salient as the first, and its fundamental must be there.
    """
    rise = state.rise
    n_notes = 0
    for slot in range(pitches.size):
        best, best_pitch = 0.0, -1
        for pitch in range(LOWEST_PITCH, HIGHEST_PITCH + 1):
            fundamental = 440.0 * 2.0 ** ((pitch - 69) / 12) / bin_hz
            salience = 0.0
            for harmonic in range(1, N_HARMONICS + 1):
                centre = harmonic * fundamental
                if centre >= rise.size - 2:
                    break
                height, _ = _harmonic_peak(rise, centre)
                weight = (fundamental * bin_hz + 52.0) / (centre * bin_hz + 320.0)
                salience += weight * height
            if salience > best:
                best, best_pitch = salience, pitch
        if best_pitch < 0 or (slot > 0 and best < share * weights[0]):
            break
        fundamental = 440.0 * 2.0 ** ((best_pitch - 69) / 12) / bin_hz
        pitches[slot] = best_pitch
        weights[slot] = best
        n_notes += 1
        for harmonic in range(1, N_HARMONICS + 1):
            centre = harmonic * fundamental
            if centre >= rise.size - 3:
                break
            _, k = _harmonic_peak(rise, centre)
            rise[max(k - 3, 0) : k + 4] = 0.0
    return n_notes
