"""Several voices at once: what rose in the spectrum at an onset, its chroma and its notes.

Compiled for the listener's thread; it never allocates. Notes are found as Klapuri does (ISMIR
2006): the pitch whose harmonics sum highest is a note, its harmonics are taken out, and again until
too little is left. What sounded before the onset is subtracted first, so that held notes are not
struck anew.
"""

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from models.pitch import _hz_to_pitch, _pitch_to_hz
from models.spectrum import _peak

LOWEST_PITCH, HIGHEST_PITCH = 36, 96
N_HARMONICS = 12
SALIENCE_HZ = (52.0, 320.0)
"""Klapuri's weight of harmonic h of f₀ is (f₀ + 52 Hz) / (h f₀ + 320 Hz)."""
OCTAVE_SHARES = (0.2, 0.1)
"""A note is an octave lower where its half and its three halves have such shares of it."""
QUARTER_TONE = 2 ** (0.5 / 12) - 1
HELD_SHARE = 0.7
"""How much of a held sound is subtracted: its partials beat, so not all of it."""
LOW_HZ, HIGH_HZ = 50.0, 5000.0
"""Where chroma and flatness look."""
SINE = 1
"""The sine window parts two notes in the least time: its main lobe is 3 bins wide, a Hann's 4."""
CHROMA_FLOOR = 0.05
"""Peaks weaker than this share of the strongest have no say in the chroma."""


class SonorityState(NamedTuple):
    """Work space of the note search."""

    before: NDArray[np.float64]  # [shape=(n_bins,)] magnitudes that end at the onset
    rise: NDArray[np.float64]  # [shape=(n_bins,)] magnitudes since, then less those before
    weights: NDArray[np.float64]  # [shape=(max_notes,)] salience of the notes found


def sonority_state(n_fft: int, max_notes: int) -> SonorityState:
    """Make the work space for spectra of `n_fft` frames and that many notes."""
    n_bins = n_fft // 2 + 1
    return SonorityState(np.zeros(n_bins), np.zeros(n_bins), np.zeros(max_notes))


@njit(nogil=True, cache=True)
def _tonal_bins(magnitudes: NDArray[np.float64], bin_hz: float) -> tuple[int, int]:
    """Return the first bin where chroma and flatness look and the one after the last."""
    return int(LOW_HZ / bin_hz) + 1, min(int(HIGH_HZ / bin_hz), magnitudes.size - 1)


@njit(nogil=True, cache=True, error_model="numpy")
def _flatness(magnitudes: NDArray[np.float64], bin_hz: float) -> float:
    """Return the spectral flatness 0…1: geometric over arithmetic mean of the power.

    Medians over 93 ms: piano .0003, jazz trio .0005, voice .004, string orchestra .023, drums .05.
    """
    low, high = _tonal_bins(magnitudes, bin_hz)
    logs, power = 0.0, 0.0
    for k in range(low, high):
        square = magnitudes[k] ** 2 + 1e-20
        logs += np.log(square)
        power += square
    n = high - low
    return float(np.exp(logs / n) / (power / n))


@njit(nogil=True, cache=True, error_model="numpy")
def _chroma(magnitudes: NDArray[np.float64], bin_hz: float, out: NDArray[np.float32]) -> None:
    """Sum the spectral peaks by pitch class into `out` [shape=(12,)]: unit sum, or zeros."""
    out[:] = 0.0
    low, high = _tonal_bins(magnitudes, bin_hz)
    loudest = 0.0
    for k in range(low, high):
        loudest = max(loudest, magnitudes[k])
    total = 0.0
    for k in range(low, high):
        top = magnitudes[k]
        if top > CHROMA_FLOOR * loudest and magnitudes[k - 1] < top >= magnitudes[k + 1]:
            pitch = _hz_to_pitch((k + _peak(magnitudes, k)[0]) * bin_hz)
            out[int(np.round(pitch)) % 12] += top
            total += top
    if total > 0.0:
        for i in range(12):
            out[i] /= total


@njit(nogil=True, cache=True, error_model="numpy")
def _subtract_held(state: SonorityState) -> None:
    """Take out of `state.rise` most of what sounded before."""
    for k in range(state.rise.size):
        state.rise[k] = max(0.0, state.rise[k] - HELD_SHARE * state.before[k])


@njit(nogil=True, cache=True)
def _height(magnitudes: NDArray[np.float64], centre: float) -> float:
    """Return the magnitude at a fractional bin, 0 past the spectrum."""
    k = int(centre)
    if k + 1 >= magnitudes.size:
        return 0.0
    return float(magnitudes[k] + (centre - k) * (magnitudes[k + 1] - magnitudes[k]))


@njit(nogil=True, cache=True)
def _is_octave_above(magnitudes: NDArray[np.float64], fundamental: float, lobe: float) -> bool:
    """Say whether odd harmonics of the octave below are there too, if they can be told apart."""
    if fundamental < 3.0 * lobe:
        return False
    height = _height(magnitudes, fundamental)
    if _height(magnitudes, 0.5 * fundamental) <= OCTAVE_SHARES[0] * height:
        return False
    return bool(_height(magnitudes, 1.5 * fundamental) > OCTAVE_SHARES[1] * height)


@njit(nogil=True, cache=True, error_model="numpy")
def _salience(magnitudes: NDArray[np.float64], fundamental: float, bin_hz: float) -> float:
    """Sum the harmonics of a fundamental (in bins), the higher the lighter."""
    salience = 0.0
    for harmonic in range(1, N_HARMONICS + 1):
        centre = harmonic * fundamental
        salience += _height(magnitudes, centre) / (centre * bin_hz + SALIENCE_HZ[1])
    return salience * (fundamental * bin_hz + SALIENCE_HZ[0])


@njit(nogil=True, cache=True, error_model="numpy")
def _take_out(magnitudes: NDArray[np.float64], fundamental: float, lobe: float) -> None:
    """Zero the peak within a quarter tone of each harmonic, `lobe` bins to each side."""
    for harmonic in range(1, N_HARMONICS + 1):
        centre = harmonic * fundamental
        low, high = int(centre * (1 - QUARTER_TONE)), int(centre * (1 + QUARTER_TONE)) + 2
        if high > magnitudes.size:
            break
        top = low
        for k in range(low + 1, high):
            if magnitudes[k] > magnitudes[top]:
                top = k
        magnitudes[max(0, int(top - lobe)) : int(top + lobe) + 2] = 0.0


@njit(nogil=True, cache=True, error_model="numpy")
def _salient_notes(
    state: SonorityState, bin_hz: float, lobe_hz: float, share: float, pitches: NDArray[np.int16]
) -> int:
    """Find up to `pitches.size` notes in `state.rise`, the most salient first; return how many.

    Each is at least `share` as salient as the first. A spectral peak is `lobe_hz` to each side.
    """
    weights = state.weights
    for n_notes in range(pitches.size):
        weights[n_notes] = 0.0
        for pitch in range(LOWEST_PITCH, HIGHEST_PITCH + 1):
            salience = _salience(state.rise, _pitch_to_hz(pitch) / bin_hz, bin_hz)
            if salience > weights[n_notes]:
                weights[n_notes] = salience
                pitches[n_notes] = pitch
        if weights[n_notes] <= 0.0 or weights[n_notes] < share * weights[0]:
            return n_notes
        fundamental = _pitch_to_hz(np.float64(pitches[n_notes])) / bin_hz
        if _is_octave_above(state.rise, fundamental, lobe_hz / bin_hz):
            pitches[n_notes] -= 12
            fundamental *= 0.5
        _take_out(state.rise, fundamental, lobe_hz / bin_hz)
    return pitches.size
