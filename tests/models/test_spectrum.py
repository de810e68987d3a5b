"""Spectra: the transform, the window and the filterbank."""

import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.spectrum import (
    _autocorrelate,
    _filter_magnitudes,
    _real_fft,
    fourier_tables,
    log_filterbank,
    nearest_power_of_two,
    rise_fall_window,
)

RATES_HZ = [8000.0, 44100.0, 48000.0, 192000.0]


def test_the_transform_of_silence_is_silence() -> None:
    """Zeros in, zeros out."""
    tables = fourier_tables(16)
    _real_fft(tables)
    assert not np.any(tables.re)
    assert not np.any(tables.im)


@given(st.integers(2, 12), st.integers(0, 2**32 - 1))
def test_the_transform_is_numpys(n_bits: int, seed: int) -> None:
    """Every length that is a power of two from 4 on."""
    tables = fourier_tables(2**n_bits)
    tables.samples[:] = np.random.default_rng(seed).normal(size=2**n_bits)
    _real_fft(tables)
    expected = np.fft.rfft(tables.samples)
    np.testing.assert_allclose(tables.re + 1j * tables.im, expected, atol=1e-10)


def test_the_autocorrelation_of_a_padded_window_is_the_sum_of_products() -> None:
    """The textbook definition, lag by lag."""
    window = np.random.default_rng(1).normal(size=32)
    tables = fourier_tables(64)
    tables.samples[:32] = window
    _autocorrelate(tables)
    expected = [np.dot(window[: 32 - lag], window[lag:]) for lag in range(32)]
    np.testing.assert_allclose(tables.samples[:32], expected, atol=1e-12)


@pytest.mark.parametrize("n_fall", [64, 256, 512])
def test_a_sine_of_amplitude_one_peaks_at_one(n_fall: int) -> None:
    """Whatever the window's shape."""
    tables = fourier_tables(1024)
    sine = np.sin(2 * np.pi * 100 * np.arange(1024) / 1024)
    tables.samples[:] = sine * rise_fall_window(1024, n_fall)
    _real_fft(tables)
    assert np.hypot(tables.re, tables.im).max() == pytest.approx(1.0, abs=1e-3)


@pytest.mark.parametrize("rate_hz", RATES_HZ)
def test_bands_begin_above_the_leak_of_a_constant_offset(rate_hz: float) -> None:
    """A constant offset has no band at any rate."""
    n_fft = nearest_power_of_two(0.046 * rate_hz)
    bank = log_filterbank(rate_hz, n_fft, 24, 30.0, 17000.0)
    tables = fourier_tables(n_fft)
    tables.samples[:] = rise_fall_window(n_fft, n_fft // 2)
    _real_fft(tables)
    bands = np.zeros(bank.first.size)
    _filter_magnitudes(tables, bank, bands)
    assert bands.max() < 1e-3


@pytest.mark.parametrize("rate_hz", RATES_HZ)
def test_every_band_peaks_at_one_and_stays_below_the_highest_bin(rate_hz: float) -> None:
    """No band is empty and none reads past the spectrum."""
    n_fft = nearest_power_of_two(0.046 * rate_hz)
    bank = log_filterbank(rate_hz, n_fft, 24, 30.0, 17000.0)
    for band, first in enumerate(bank.first):
        weights = bank.weights[bank.start[band] : bank.start[band + 1]]
        assert weights.max() == 1.0
        assert first + weights.size - 1 <= n_fft // 2


@pytest.mark.parametrize(("value", "power"), [(1.0, 1), (184.0, 256), (1104.0, 1024), (90.0, 64)])
def test_the_nearest_power_of_two_is_nearest_in_octaves(value: float, power: int) -> None:
    """Its logarithm is rounded."""
    assert nearest_power_of_two(value) == power


@pytest.mark.parametrize("n", [0, 2, 3, 1000])
def test_a_length_that_is_no_power_of_two_is_refused(n: int) -> None:
    """The error names what was given."""
    with pytest.raises(ValueError, match=f"n must be a power of two >= 4, got {n}"):
        fourier_tables(n)


def test_the_kernels_run_without_the_compiler() -> None:
    """The same numbers in plain Python."""
    code = (
        "import numpy as np\n"
        "from models.spectrum import _real_fft, fourier_tables\n"
        "t = fourier_tables(64); t.samples[:] = np.random.default_rng(0).normal(size=64)\n"
        "_real_fft(t)\n"
        "np.testing.assert_allclose(t.re + 1j * t.im, np.fft.rfft(t.samples), atol=1e-12)\n"
    )
    environment = {**os.environ, "NUMBA_DISABLE_JIT": "1"}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)
