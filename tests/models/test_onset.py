"""Onsets: the flux, the peak rule and the first frame."""

import os
import subprocess
import sys

import numpy as np
import pytest
from numpy.typing import NDArray

from models.onset import (
    FRAMES_PER_S,
    MEAN_HOPS,
    STIR_HOPS,
    STIRS,
    _is_peak,
    _stands_out,
    _superflux,
    onset_state,
)

RATE_HZ = 44100
FLOOR_DBFS = -85.0


def flux_of(frames: NDArray[np.float64], rate_hz: int = RATE_HZ) -> NDArray[np.float64]:
    """Return the flux at every hop of frames that fit one history."""
    history = np.zeros(1 << (frames.size - 1).bit_length())
    history[: frames.size] = frames
    state = onset_state(rate_hz, floor_dbfs=FLOOR_DBFS)
    n_hops = frames.size * FRAMES_PER_S // rate_hz
    ends = [round((hop + 1) * rate_hz / FRAMES_PER_S) for hop in range(n_hops)]
    return np.array([_superflux(state, history, end, hop) for hop, end in enumerate(ends)])


def sine(hz: float, seconds: float, amplitude: float = 0.1) -> NDArray[np.float64]:
    """Return a sine at 44.1 kHz."""
    t = np.arange(int(seconds * RATE_HZ)) / RATE_HZ
    return np.asarray(amplitude * np.sin(2 * np.pi * hz * t))


def test_silence_has_no_flux() -> None:
    """Not the smallest."""
    assert not np.any(flux_of(np.zeros(RATE_HZ // 2)))


def test_a_steady_tone_has_flux_only_where_it_begins() -> None:
    """What stays does not rise."""
    flux = flux_of(sine(440, 0.5))
    assert flux[:10].max() > 0.1
    assert flux[20:].max() < 1e-3


def test_vibrato_has_less_flux_than_an_attack() -> None:
    """The maximum filter over neighbouring bands forgives a quarter tone."""
    t = np.arange(RATE_HZ) / RATE_HZ
    phase = 2 * np.pi * 440 * t + 440 * 0.025 / 6 * np.sin(2 * np.pi * 6 * t)
    flux = flux_of(0.1 * np.sin(phase))
    assert flux[20:].max() < 0.05 * flux[:10].max()


@pytest.mark.parametrize("gain", [2.0**-4, 2.0**4])
def test_the_flux_does_not_depend_on_the_gain(gain: float) -> None:
    """Powers of two are exact, so it is the same to the last bit."""
    frames = np.random.default_rng(0).normal(0, 0.05, RATE_HZ // 2) * np.linspace(0.1, 1, 22050)
    np.testing.assert_array_equal(flux_of(frames)[5:], flux_of(gain * frames)[5:])


def test_a_peak_is_the_highest_of_the_last_hops_and_above_their_mean() -> None:
    """Rising counts, falling and staying level do not."""
    state = onset_state(RATE_HZ, floor_dbfs=FLOOR_DBFS)
    state.flux[:] = 0.01
    assert not _is_peak(state, MEAN_HOPS - 1, 0.005)
    state.flux[MEAN_HOPS - 1] = 0.1
    assert _is_peak(state, MEAN_HOPS - 1, 0.005)
    state.flux[MEAN_HOPS - 2] = 0.2
    assert not _is_peak(state, MEAN_HOPS - 1, 0.005)


def test_what_stands_out_passes_what_stirs_anyway() -> None:
    """By a factor of 2.3, in a third of the last two seconds: the rest may be music."""
    state = onset_state(RATE_HZ, floor_dbfs=FLOOR_DBFS)
    assert _stands_out(state, 0)
    hop_index = STIR_HOPS * STIRS
    state.stirs[:] = 0.1
    state.flux[hop_index % MEAN_HOPS] = 0.22
    assert not _stands_out(state, hop_index)
    state.flux[hop_index % MEAN_HOPS] = 0.24
    assert _stands_out(state, hop_index)
    state.stirs[: 2 * STIRS // 3] = 1.0
    assert _stands_out(state, hop_index)
    state.stirs[: 3 * STIRS // 4] = 1.0
    assert not _stands_out(state, hop_index)


def test_the_kernels_run_without_the_compiler() -> None:
    """The flux in plain Python."""
    code = (
        "import numpy as np\n"
        "from models.onset import _superflux, onset_state\n"
        "state = onset_state(8000, floor_dbfs=-85.0)\n"
        "history = np.random.default_rng(0).normal(size=1024)\n"
        "assert _superflux(state, history, 512, 0) > 0\n"
    )
    environment = {**os.environ, "NUMBA_DISABLE_JIT": "1"}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)
