"""Spectra: a real Fourier transform, a window and a log-frequency filterbank, all precomputed.

The listener's kernels run in its thread without the interpreter, so the transform is compiled here:
it works in its own tables and never allocates. Tables are made once, by the thread that builds
the listener.
"""

import math
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

REFERENCE_HZ = 440.0
"""Bands of the filterbank are laid out from concert A."""


class FourierTables(NamedTuple):
    """Constants and work space of one transform length `n`, a power of two.

    `cosine` and `sine` hold cos, sin of 2πk/n [shape=(n/2,), float64]; `order` the bit reversal
    of n/2 [int64]; `samples` [shape=(n,)] is what to transform; `re`, `im` [shape=(n/2+1,)] are the
    transform once `_real_fft` has run.
    """

    cosine: NDArray[np.float64]
    sine: NDArray[np.float64]
    order: NDArray[np.int64]
    samples: NDArray[np.float64]
    re: NDArray[np.float64]
    im: NDArray[np.float64]


class Filterbank(NamedTuple):
    """Triangular filters over the bins of a spectrum, stored as runs of weights.

    Band `b` weighs the bins `first[b]` … with `weights[start[b]:start[b+1]]`.
    """

    first: NDArray[np.int64]
    start: NDArray[np.int64]
    weights: NDArray[np.float64]


def nearest_power_of_two(value: float) -> int:
    """Return the power of two nearest to `value` ≥ 1 on a logarithmic scale."""
    return 1 << round(math.log2(value))


def fourier_tables(n: int) -> FourierTables:
    """Precompute a real transform of `n` samples.

    Raises
    ------
    ValueError
        If `n` is not a power of two of at least 4.
    """
    if n < 4 or n & (n - 1):
        raise ValueError(f"n must be a power of two >= 4, got {n}")
    half = n // 2
    angle = 2 * np.pi * np.arange(half) / n
    n_bits = half.bit_length() - 1
    order = [int(f"{k:0{n_bits}b}"[::-1], 2) for k in range(half)]
    return FourierTables(
        cosine=np.cos(angle),
        sine=np.sin(angle),
        order=np.array(order, np.int64),
        samples=np.zeros(n),
        re=np.zeros(half + 1),
        im=np.zeros(half + 1),
    )


def rise_fall_window(n: int, n_fall: int) -> NDArray[np.float64]:
    """Return two halves of Hann windows, `n_fall` samples falling after the others have risen.

    Its sum is 2, so that a sine of amplitude 1 peaks at 1 in the spectrum.
    """
    rise = np.sin(0.5 * np.pi * (np.arange(n - n_fall) + 0.5) / (n - n_fall)) ** 2
    fall = np.cos(0.5 * np.pi * (np.arange(n_fall) + 0.5) / n_fall) ** 2
    window = np.concatenate([rise, fall])
    return np.asarray(window * (2 / window.sum()))


def log_filterbank(
    rate_hz: float, n_fft: int, bands_per_octave: int, low_hz: float, high_hz: float
) -> Filterbank:
    """Lay overlapping triangles on a logarithmic frequency scale (Böck, Krebs, Schedl, ISMIR 2012).

    Centres closer together than one bin fall on the same bin and are kept once, so that low bands
    are bins and high bands are `bands_per_octave` to the octave. Each triangle peaks at 1.
    """
    high_hz = min(high_hz, rate_hz / 2)
    lowest = np.ceil(bands_per_octave * np.log2(low_hz / REFERENCE_HZ))
    highest = np.floor(bands_per_octave * np.log2(high_hz / REFERENCE_HZ))
    centre_hz = REFERENCE_HZ * 2.0 ** (np.arange(lowest, highest + 1) / bands_per_octave)
    bins = np.unique(np.round(centre_hz * n_fft / rate_hz).astype(np.int64))
    bins = bins[(bins >= 2) & (bins <= n_fft // 2)]  # a constant offset leaks into bins 0 and 1
    runs = [
        np.concatenate(
            [
                (np.arange(left + 1, centre) - left) / (centre - left),
                (right - np.arange(centre, right)) / (right - centre),
            ]
        )
        for left, centre, right in zip(bins[:-2], bins[1:-1], bins[2:], strict=True)
    ]
    return Filterbank(
        first=bins[:-2] + 1,
        start=np.cumsum([0, *map(len, runs)]).astype(np.int64),
        weights=np.concatenate(runs),
    )


@njit(nogil=True, cache=True, error_model="numpy")
def _real_fft(tables: FourierTables) -> None:
    """Transform `tables.samples` into `tables.re`, `tables.im`.

    Even samples ride as the real and odd ones as the imaginary part of a transform of half the
    length (radix 2, decimation in time), whose symmetric halves are then told apart.
    """
    cosine, sine, order, samples, re, im = tables
    n = samples.size
    half = n // 2
    for k in range(half):
        source = 2 * order[k]
        re[k] = samples[source]
        im[k] = samples[source + 1]
    span = 1
    while span < half:
        stride = half // span  # of the twiddle, in steps of 2π/n
        for block in range(0, half, 2 * span):
            for j in range(span):
                c = cosine[j * stride]
                s = -sine[j * stride]
                low = block + j
                high = low + span
                turned_re = re[high] * c - im[high] * s
                turned_im = re[high] * s + im[high] * c
                re[high] = re[low] - turned_re
                im[high] = im[low] - turned_im
                re[low] += turned_re
                im[low] += turned_im
        span *= 2
    re[half] = re[0] - im[0]
    im[half] = 0.0
    re[0] += im[0]
    im[0] = 0.0
    for k in range(1, half // 2 + 1):
        mirror = half - k
        even_re = 0.5 * (re[k] + re[mirror])
        even_im = 0.5 * (im[k] - im[mirror])
        odd_re = 0.5 * (im[k] + im[mirror])
        odd_im = 0.5 * (re[mirror] - re[k])
        c = cosine[k]
        s = -sine[k]
        turned_re = odd_re * c - odd_im * s
        turned_im = odd_re * s + odd_im * c
        re[k] = even_re + turned_re
        im[k] = even_im + turned_im
        re[mirror] = even_re - turned_re
        im[mirror] = turned_im - even_im


@njit(nogil=True, cache=True)
def _autocorrelate(tables: FourierTables) -> None:
    """Replace `tables.samples` by their circular autocorrelation (Wiener–Khinchin).

    The power spectrum is real and even, so a second forward transform of it is its inverse times n.
    Zeros in the upper half of `samples` make the lower half the linear autocorrelation.
    """
    _real_fft(tables)
    samples, re, im = tables.samples, tables.re, tables.im
    n = samples.size
    for k in range(n // 2 + 1):
        samples[k] = re[k] * re[k] + im[k] * im[k]
    for k in range(1, n // 2):
        samples[n - k] = samples[k]
    _real_fft(tables)
    for lag in range(n // 2 + 1):
        samples[lag] = re[lag] / n


@njit(nogil=True, cache=True)
def _filter_magnitudes(tables: FourierTables, bank: Filterbank, bands: NDArray[np.float64]) -> None:
    """Sum a spectrum's magnitudes into `bands` [shape=(n_bands,)], the bands of the filterbank."""
    for band in range(bands.size):
        total = 0.0
        start = bank.start[band]
        for offset in range(bank.start[band + 1] - start):
            k = bank.first[band] + offset
            magnitude = np.sqrt(tables.re[k] ** 2 + tables.im[k] ** 2)
            total += bank.weights[start + offset] * magnitude
        bands[band] = total


@njit(nogil=True, cache=True, error_model="numpy")
def _magnitudes(
    fourier: FourierTables,
    history: NDArray[np.float64],
    start_frame: int,
    end_frame: int,
    order: int,
    out: NDArray[np.float64],
) -> None:
    """Write the magnitudes of the frames [start, end) into `out`; a sine of 1 is 1.

    The window is that power of a sine: 1 the sine window, 2 Hann's.
    """
    samples, mask = fourier.samples, history.size - 1
    n = end_frame - start_frame
    total = 0.0
    for i in range(n):
        window = np.sin(np.pi * (i + 0.5) / n) ** order
        total += window
        samples[i] = window * history[(start_frame + i) & mask]
    samples[n:] = 0.0
    _real_fft(fourier)
    for k in range(out.size):
        out[k] = 2.0 / total * np.sqrt(fourier.re[k] ** 2 + fourier.im[k] ** 2)


@njit(nogil=True, cache=True, error_model="numpy")
def _peak(magnitudes: NDArray[np.float64], k: int) -> tuple[float, float]:
    """Return how many bins off `k` the peak there lies, and its height.

    By a parabola through three log magnitudes.
    """
    left = np.log(magnitudes[k - 1] + 1e-30)
    top = np.log(magnitudes[k] + 1e-30)
    right = np.log(magnitudes[k + 1] + 1e-30)
    bend = left - 2.0 * top + right
    shift = 0.5 * (left - right) / bend if bend < 0.0 else 0.0
    return shift, np.exp(top - 0.25 * (left - right) * shift)
