"""Pitch: the McLeod pitch method."""

import os
import subprocess
import sys

import numpy as np
import pytest
from numpy.typing import NDArray

from models.pitch import (
    _hz_to_pitch,
    _mcleod,
    _pitch_to_hz,
)
from models.spectrum import fourier_tables

RATE_HZ = 44100.0
N = 2048


def pitch_of(frames: NDArray[np.float64]) -> tuple[float, float]:
    """Return pitch and clarity of N frames."""
    pitch, clarity = _mcleod(fourier_tables(2 * N), frames, 0, N, RATE_HZ)
    return float(pitch), float(clarity)


def harmonic(pitch: float, amplitudes: list[float]) -> NDArray[np.float64]:
    """Return N frames of a harmonic tone."""
    t = np.arange(N) / RATE_HZ
    hz = 440 * 2 ** ((pitch - 69) / 12)
    partials = [a * np.sin(2 * np.pi * hz * (k + 1) * t) for k, a in enumerate(amplitudes)]
    return np.asarray(np.sum(partials, axis=0))


@pytest.mark.parametrize("frames", [np.zeros(N), np.full(N, 0.7)], ids=["silence", "offset"])
def test_what_does_not_move_has_no_pitch(frames: NDArray[np.float64]) -> None:
    """Silence and a constant offset."""
    pitch, clarity = pitch_of(frames)
    assert np.isnan(pitch)
    assert clarity == 0.0


def test_noise_is_not_clear() -> None:
    """Twenty seeded windows."""
    clarities = [pitch_of(np.random.default_rng(seed).normal(size=N))[1] for seed in range(20)]
    assert max(clarities) < 0.5


@pytest.mark.parametrize("planted", [36.0, 45.3, 57.0, 69.5, 81.0, 93.2, 107.0])
@pytest.mark.parametrize("amplitudes", [[1.0], [1, 0.5, 0.33, 0.25], [0.1, 1.0, 0.5]])
def test_a_tone_is_placed_within_five_cents(planted: float, amplitudes: list[float]) -> None:
    """From C2 to B7: pure, bright, and with a weak fundamental."""
    pitch, clarity = pitch_of(harmonic(planted, amplitudes))
    assert pitch == pytest.approx(planted, abs=0.05)
    assert clarity > 0.98


def test_an_offset_does_not_move_the_pitch() -> None:
    """The mean is taken out first."""
    assert pitch_of(harmonic(60.0, [1.0]) + 3.0)[0] == pytest.approx(60.0, abs=0.03)


def test_pitch_and_frequency_are_inverse() -> None:
    """Concert A is 69."""
    assert _hz_to_pitch(440.0) == 69.0
    assert _hz_to_pitch(_pitch_to_hz(60.25)) == pytest.approx(60.25)


def test_the_kernel_runs_without_the_compiler() -> None:
    """The same answer in plain Python."""
    code = (
        "import numpy as np\n"
        "from models.pitch import _mcleod\n"
        "from models.spectrum import fourier_tables\n"
        "frames = np.sin(2 * np.pi * 440 * np.arange(256) / 8000)\n"
        "pitch, clarity = _mcleod(fourier_tables(512), frames, 0, 256, 8000.0)\n"
        "assert abs(pitch - 69) < 0.05 and clarity > 0.95, (pitch, clarity)\n"
    )
    environment = {**os.environ, "NUMBA_DISABLE_JIT": "1"}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)
