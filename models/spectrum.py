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

    `cosine` and `sine` hold cos, sin of 2πk/n [shape=(n/4+1,), float64]; `turns` those of the
    radix-4 stages, in the order in which they are read; `order` the bit reversal of n/2 [int64];
    `samples` [shape=(n,)] is what to transform; `re`, `im` [shape=(n/2+1,)] are the transform once
    `_real_fft` has run.
    """

    cosine: NDArray[np.float64]
    sine: NDArray[np.float64]
    turns: NDArray[np.float64]
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
    angle = 2 * np.pi * np.arange(half // 2 + 1) / n
    n_bits = half.bit_length() - 1
    order = [int(f"{k:0{n_bits}b}"[::-1], 2) for k in range(half)]
    return FourierTables(
        cosine=np.cos(angle),
        sine=np.sin(angle),
        turns=_turns(half),
        order=np.array(order, np.int64),
        samples=np.zeros(n),
        re=np.zeros(half + 1),
        im=np.zeros(half + 1),
    )


def _turns(n: int) -> NDArray[np.float64]:
    """Return cos and sin of j, 2j and 3j parts of each stage that joins four spans of `n`."""
    runs = [np.zeros(0)]
    span = _first_span(n)
    while span < n:
        angle = np.outer([1, 2, 3], 2 * np.pi * np.arange(span) / (4 * span))
        runs.append(np.stack([np.cos(angle), np.sin(angle)], axis=1).ravel())
        span *= 4
    return np.concatenate(runs)


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
    bins = bins[(bins >= 2) & (bins <= n_fft // 2)]  # rumble leaks into bins 0 and 1
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


@njit(nogil=True, cache=True)
def _first_span(n: int) -> int:
    """Return 4 if `n` is a power of 4, else 2: radix-4 stages make `n` of spans so long."""
    span = n
    while span > 2:
        span //= 4
    return 4 if span == 1 else 2


@njit(nogil=True, cache=True, error_model="numpy")
def _real_fft(tables: FourierTables) -> None:
    """Transform `tables.samples` into `tables.re`, `tables.im`.

    Even samples ride as the real and odd ones as the imaginary part of a transform of half the
    length, whose symmetric halves are then told apart.
    """
    cosine, sine, re, im = tables.cosine, tables.sine, tables.re, tables.im
    half = tables.samples.size // 2
    _complex_fft(tables)
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


@njit(nogil=True, cache=True, error_model="numpy")
def _complex_fft(tables: FourierTables) -> None:
    """Transform the samples, real and imaginary parts in turn, into `re` and `im`.

    Decimation in time, radix 4 after a first stage without multiplications. Each stage reads its
    twiddles and its four spans front to back, so that the compiler makes vectors of them: 5.5 µs
    for 2048 real samples, radix 2 with strides took 15.2.
    """
    turns, order, samples, re, im = tables[2:]
    half = samples.size // 2
    span = _first_span(half)
    if span == 4:
        for k in range(0, half, 4):
            i, j, m, n = 2 * order[k], 2 * order[k + 1], 2 * order[k + 2], 2 * order[k + 3]
            sum_re, sum_im = samples[i] + samples[j], samples[i + 1] + samples[j + 1]
            apart_re, apart_im = samples[i] - samples[j], samples[i + 1] - samples[j + 1]
            odd_re, odd_im = samples[m] + samples[n], samples[m + 1] + samples[n + 1]
            turn_re, turn_im = samples[m] - samples[n], samples[m + 1] - samples[n + 1]
            re[k], im[k] = sum_re + odd_re, sum_im + odd_im
            re[k + 1], im[k + 1] = apart_re + turn_im, apart_im - turn_re
            re[k + 2], im[k + 2] = sum_re - odd_re, sum_im - odd_im
            re[k + 3], im[k + 3] = apart_re - turn_im, apart_im + turn_re
    else:
        for k in range(0, half, 2):
            i, j = 2 * order[k], 2 * order[k + 1]
            re[k], im[k] = samples[i] + samples[j], samples[i + 1] + samples[j + 1]
            re[k + 1], im[k + 1] = samples[i] - samples[j], samples[i + 1] - samples[j + 1]
    done = 0
    while span < half:
        turn = turns[done : done + 6 * span].reshape((6, span))
        for block in range(0, half, 4 * span):
            _join(turn, re[block : block + 4 * span], im[block : block + 4 * span])
        done += 6 * span
        span *= 4


@njit(nogil=True, cache=True, error_model="numpy")
def _join(turn: NDArray[np.float64], re: NDArray[np.float64], im: NDArray[np.float64]) -> None:
    """Join four spans that follow each other into one; bit reversal has swapped the middle two."""
    n = turn.shape[1]
    cos1, sin1, cos2, sin2, cos3, sin3 = turn[0], turn[1], turn[2], turn[3], turn[4], turn[5]
    re0, re2, re1, re3 = re[:n], re[n : 2 * n], re[2 * n : 3 * n], re[3 * n :]
    im0, im2, im1, im3 = im[:n], im[n : 2 * n], im[2 * n : 3 * n], im[3 * n :]
    for j in range(n):
        turned1_re = re1[j] * cos1[j] + im1[j] * sin1[j]
        turned1_im = im1[j] * cos1[j] - re1[j] * sin1[j]
        turned2_re = re2[j] * cos2[j] + im2[j] * sin2[j]
        turned2_im = im2[j] * cos2[j] - re2[j] * sin2[j]
        turned3_re = re3[j] * cos3[j] + im3[j] * sin3[j]
        turned3_im = im3[j] * cos3[j] - re3[j] * sin3[j]
        even_re, even_im = re0[j] + turned2_re, im0[j] + turned2_im
        apart_re, apart_im = re0[j] - turned2_re, im0[j] - turned2_im
        odd_re, odd_im = turned1_re + turned3_re, turned1_im + turned3_im
        turn_re, turn_im = turned1_re - turned3_re, turned1_im - turned3_im
        re0[j], im0[j] = even_re + odd_re, even_im + odd_im
        re2[j], im2[j] = apart_re + turn_im, apart_im - turn_re
        re1[j], im1[j] = even_re - odd_re, even_im - odd_im
        re3[j], im3[j] = apart_re - turn_im, apart_im + turn_re


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
