"""The first frame of an onset."""

import os
import subprocess
import sys

import numpy as np
import pytest
from numpy.typing import NDArray

from models.first_frame import _first_frame, _fit, first_frame_state

RATE_HZ = 48_000
SPAN = 1024


def first_frame(history: NDArray[np.float64], start_frame: int, end_frame: int) -> int:
    """Date the onset in a span of this history."""
    state = first_frame_state(RATE_HZ, SPAN)
    return int(_first_frame(state, history, start_frame, end_frame))


@pytest.mark.parametrize("n", [0, 1, 2, 3, 16, 47, 48, 49])
def test_a_short_span_is_divided_within_itself(n: int) -> None:
    """Or not at all."""
    history = np.random.default_rng(0).normal(size=4096)
    assert 2000 <= first_frame(history, 2000, 2000 + n) <= 2000 + n


@pytest.mark.parametrize("planted", [64, 500, 900])
def test_the_first_frame_after_digital_silence_is_exact(planted: int) -> None:
    """The first frame that is not zero."""
    history = np.zeros(4096)
    history[3072 + planted :] = np.random.default_rng(2).normal(size=1024 - planted)
    assert first_frame(history, 3072, 4096) == 3072 + planted


def test_the_first_frame_of_a_louder_noise_is_found_within_a_millisecond() -> None:
    """Forty seeded noises that grow by 20 dB at frame 600 of the span."""
    errors = []
    for seed in range(40):
        history = np.random.default_rng(seed).normal(size=4096)
        history[3672:] *= 10
        errors.append(first_frame(history, 3072, 4096) - 3672)
    assert np.max(np.abs(errors)) <= 44


@pytest.mark.parametrize("hz", [110.0, 155.6, 196.0])
def test_a_low_tone_that_ends_another_is_dated_within_two_milliseconds(hz: float) -> None:
    """It rises softly, and what a short prediction leaves of it is no louder than the noise."""
    t = np.arange(4096) / RATE_HZ
    ringing = sum(0.006 * np.sin(2 * np.pi * 311 * k * t + k) / k for k in range(1, 6))
    history = ringing + np.random.default_rng(0).normal(0, 5e-4, 4096)
    after = t[: 4096 - 3700]
    rise = np.minimum(after / 0.002, 1.0)
    history[3700:] += 0.06 * rise * sum(np.sin(2 * np.pi * hz * k * after) / k for k in range(1, 6))
    assert abs(first_frame(history, 3072, 4096) - 3700) <= 96


def test_the_fit_finds_the_coefficients_of_what_it_made() -> None:
    """A resonance driven by noise is told again within a twentieth."""
    truth = np.array([1.6, -0.9])
    noise = np.random.default_rng(1).normal(size=20_000)
    band = first_frame_state(RATE_HZ, 10_000).whole
    for i in range(2, 20_000):
        band.samples[i] = truth @ band.samples[i - 2 : i][::-1] + noise[i]
    _fit(band, 10_000)
    np.testing.assert_allclose(band.coefficients, truth, rtol=0.05)


def test_the_kernels_run_without_the_compiler() -> None:
    """The first frame in plain Python."""
    code = (
        "import numpy as np\n"
        "from models.first_frame import _first_frame, first_frame_state\n"
        "history = np.zeros(1024); history[868:] = 1 - 2 * (np.arange(156) % 2)\n"
        "assert _first_frame(first_frame_state(48000, 256), history, 768, 1024) == 868\n"
    )
    environment = {**os.environ, "NUMBA_DISABLE_JIT": "1"}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)
