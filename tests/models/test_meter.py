"""What is wrong with an input, in words; measured on sounds whose fault is known."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from models.meter import Meter, findings, level_dbfs

GATE_DBFS = -85.0


def sine(peak: float, n_frames: int = 4800) -> NDArray[np.float32]:
    """Give a tone of 480 Hz at 48 kHz."""
    tone: NDArray[np.float32] = (peak * np.sin(np.arange(n_frames) * np.pi / 50)).astype(np.float32)
    return tone


def measured(*blocks: NDArray[np.float32]) -> Meter:
    """Measure blocks."""
    meter = Meter()
    for block in blocks:
        meter.take(block)
    return meter


def said(meter: Meter, n_events: int = 0, channels_dbfs: tuple[float, ...] = ()) -> list[str]:
    """Give the findings."""
    return list(findings(meter, n_events, GATE_DBFS, channels_dbfs))


def test_no_sound_at_all_is_said() -> None:
    """Not even silence has come."""
    assert said(measured()) == ["No sound has arrived."]


def test_digital_silence_is_told_from_a_soft_sound() -> None:
    """Zeros come from a mute or a missing permission; a soft sound from a gain."""
    (zeros,) = said(measured(np.zeros(480, np.float32)))
    assert zeros.startswith("Every sample is 0")
    (soft,) = said(measured(sine(1e-5)))
    assert soft.startswith("The loudest was -103 dBFS, below [listener] gate_dbfs = -85")


def test_a_recording_is_not_told_to_be_plugged_in() -> None:
    """Nor to be allowed to use the microphone."""
    zeros = measured(np.zeros(480, np.float32))
    (why,) = findings(zeros, 0, GATE_DBFS, is_live=False)
    assert why.startswith("Every sample is 0")
    assert "microphone" not in why


def test_a_level_is_that_of_the_loudest_moment_however_long_the_blocks_are() -> None:
    """A note in a second of silence is as loud as it is."""
    second = np.concatenate(
        [np.zeros(20_480, np.float32), sine(0.5, 4096), np.zeros(99, np.float32)]
    )
    whole, pieces = measured(second), measured(*np.split(second, np.arange(1024, 24_675, 1024)))
    assert whole.loudest_dbfs == pytest.approx(-9.03, abs=0.1)
    assert whole.loudest_dbfs == pytest.approx(pieces.loudest_dbfs)


def test_steady_sound_is_said_to_begin_no_note() -> None:
    """There is level, and still no event."""
    (steady,) = said(measured(sine(0.1)))
    assert "at most -23 dBFS, but no note begins and ends" in steady


def test_nothing_is_said_of_a_sound_input() -> None:
    """Also where single samples touch full scale."""
    loud = sine(0.5)
    loud[50::100] = 1.0
    loud[100::100] = -1.0
    assert said(measured(loud), n_events=1) == []


@pytest.mark.parametrize(("n_full", "n_clipped"), [(2, 0), (3, 3), (10, 10)])
def test_clipping_is_runs_of_full_scale(n_full: int, n_clipped: int) -> None:
    """Of either sign, and of three samples or more."""
    clipped = sine(0.5)
    clipped[100 : 100 + n_full] = -1.0
    meter = measured(clipped)
    assert meter.n_clipped == n_clipped
    assert any("clips" in finding for finding in said(meter, n_events=1)) == (n_clipped > 0)


def test_a_constant_offset_is_said() -> None:
    """Its sign with it."""
    (finding,) = said(measured(sine(0.1) + np.float32(0.25)), n_events=1)
    assert "off its zero line by +0.25" in finding


def test_what_is_cut_off_on_one_side_is_said_to_clip_and_no_more() -> None:
    """Its mean is a consequence, and no cable's fault."""
    (finding,) = said(measured(np.clip(3 * sine(1.0) + 1, -1, 1).astype(np.float32)), n_events=1)
    assert "clips" in finding


def test_the_channel_that_sounds_is_named() -> None:
    """Counted from 1, and only if it is much louder than what was listened to."""
    quiet = measured(sine(1e-5))
    assert any("Channel 2 is at -20 dBFS" in finding for finding in said(quiet, 0, (-90.0, -20.0)))
    assert len(said(quiet, 0, (-90.0, -86.0))) == 1
    assert len(said(measured(sine(0.1)), 0, (-23.0, -20.0))) == 1


def test_levels_are_those_of_what_was_measured() -> None:
    """A sine is 3 dB below its peak; nothing is infinitely soft."""
    assert level_dbfs(sine(1.0)) == pytest.approx(-3.01, abs=0.01)
    assert level_dbfs(np.zeros(4, np.float32)) == -math.inf
    meter = measured(sine(0.1), sine(1.0), sine(0.01))
    assert meter.loudest_dbfs == pytest.approx(level_dbfs(sine(1.0)), abs=0.1)
    assert meter.n_frames == 3 * 4800
    assert meter.peak == pytest.approx(1.0)
