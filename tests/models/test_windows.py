import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.encoder import EncoderSpec
from models.windows import WindowCutter

RATES_HZ = [8_000, 11_025, 16_000, 22_050, 24_000, 44_100, 48_000, 96_000, 192_000]


def spec(window_frames: int = 12_000, rate_hz: int = 24_000) -> EncoderSpec:
    """Give a spec with the window asked for."""
    return EncoderSpec(
        name="test", revision="1", rate_hz=rate_hz, window_frames=window_frames, dim=1
    )


def sine(n_frames: int, rate_hz: int, pitch_hz: float = 1000.0) -> NDArray[np.float32]:
    """Give a sine whose phase is 0 at the end."""
    return np.sin(2 * np.pi * pitch_hz * np.arange(-n_frames, 0) / rate_hz).astype(np.float32)


def test_a_window_of_one_frame_is_cut() -> None:
    """The shortest window there is."""
    cutter = WindowCutter(48_000, spec(1))
    assert cutter.cut(np.zeros(cutter.n_frames, np.float32)).shape == (1,)


@given(rate_hz=st.integers(8_000, 192_000), window_frames=st.integers(1, 24_000))
def test_every_rate_fills_every_window(rate_hz: int, window_frames: int) -> None:
    """No pair of rates leaves a window short, and no more is asked for than covers it."""
    cutter = WindowCutter(rate_hz, spec(window_frames))
    assert 0 <= cutter.n_frames / rate_hz - window_frames / 24_000 < 1 / rate_hz
    assert cutter.cut(np.zeros(cutter.n_frames, np.float32)).shape == (window_frames,)


def test_audio_at_the_encoders_rate_is_left_as_it_is() -> None:
    """Nothing is resampled that needs not be."""
    frames = np.random.default_rng(0).standard_normal(12_000).astype(np.float32)
    cutter = WindowCutter(24_000, spec())
    assert cutter.n_frames == 12_000
    assert np.array_equal(cutter.cut(frames), frames)


@pytest.mark.parametrize("rate_hz", RATES_HZ)
def test_a_tone_keeps_its_pitch_level_and_place(rate_hz: int) -> None:
    """1 kHz at any device rate is the same window, to the frame at which it ends."""
    cutter = WindowCutter(rate_hz, spec())
    window = cutter.cut(sine(cutter.n_frames, rate_hz))
    expected = sine(12_000, 24_000)
    # where frames do not divide the window it is shifted by up to half a frame: 0.13 rad at 1 kHz
    tolerance = 1e-3 if rate_hz % 4000 == 0 else 0.27
    assert np.abs(window - expected)[500:-500].max() < tolerance


@pytest.mark.parametrize("rate_hz", RATES_HZ)
def test_the_newest_audio_is_in_the_window(rate_hz: int) -> None:
    """A tone in the last 20 ms alone is heard as loud as it is: nothing is withheld."""
    cutter = WindowCutter(rate_hz, spec())
    frames = np.zeros(cutter.n_frames, np.float32)
    n_newest = rate_hz // 50
    frames[-n_newest:] = sine(n_newest, rate_hz)
    window = cutter.cut(frames)
    newest = window[-24_000 // 50 :]
    assert np.mean(newest**2) == pytest.approx(0.5, rel=0.05)
    assert np.mean(window[: -24_000 // 40] ** 2) < 1e-4


def test_the_window_is_a_function_of_its_frames_alone() -> None:
    """Cutting something else in between changes nothing."""
    rng = np.random.default_rng(0)
    cutter = WindowCutter(44_100, spec())
    frames = rng.standard_normal(cutter.n_frames).astype(np.float32)
    first = cutter.cut(frames)
    cutter.cut(rng.standard_normal(cutter.n_frames).astype(np.float32))
    assert np.array_equal(cutter.cut(frames), first)
    assert np.array_equal(WindowCutter(44_100, spec()).cut(frames), first)


def test_a_row_of_a_batch_can_be_filled_in_place() -> None:
    """What is given as out is what comes back."""
    cutter = WindowCutter(48_000, spec())
    frames = sine(cutter.n_frames, 48_000)
    batch = np.zeros((2, 12_000), np.float32)
    row = batch[1]
    assert cutter.cut(frames, row) is row
    assert np.array_equal(batch[1], cutter.cut(frames))
    assert not batch[0].any()


def test_wrong_shapes_and_rates_are_named() -> None:
    """Name, value, need."""
    with pytest.raises(ValueError, match="rate_hz is 0, needs at least 1"):
        WindowCutter(0, spec())
    cutter = WindowCutter(48_000, spec())
    with pytest.raises(ValueError, match=r"frames has shape \(5,\), needs \(24000,\)"):
        cutter.cut(np.zeros(5, np.float32))
    with pytest.raises(ValueError, match=r"out has shape \(5,\), needs \(12000,\)"):
        cutter.cut(np.zeros(24_000, np.float32), np.zeros(5, np.float32))
