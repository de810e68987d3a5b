"""The listener's settings and memory."""

import dataclasses

import numpy as np
import pytest

from models.listener_state import EVENT_DTYPE, ListenerConfig, listener_state


@pytest.mark.parametrize("name", [field.name for field in dataclasses.fields(ListenerConfig)])
@pytest.mark.parametrize("value", [-1e9, 1e9, float("nan")])
def test_a_setting_out_of_range_is_refused_by_name(name: str, value: float) -> None:
    """Too low, too high, no number."""
    with pytest.raises(ValueError, match=f"{name} must be within"):
        ListenerConfig(**{name: value})


def test_a_record_has_no_padding() -> None:
    """Equal records are equal bytes."""
    sizes = [EVENT_DTYPE[name].itemsize for name in EVENT_DTYPE.names or ()]
    assert EVENT_DTYPE.itemsize == sum(sizes)


@pytest.mark.parametrize(
    ("rate_hz", "frame_frames"),
    [(8000.0, 512), (44100.0, 2048), (48000.0, 2048), (96000.0, 4096), (192000.0, 8192)],
)
def test_the_frame_is_the_power_of_two_nearest_to_46_ms(rate_hz: float, frame_frames: int) -> None:
    """At any rate."""
    state = listener_state(rate_hz, ListenerConfig())
    assert state.onset.window.size == frame_frames
    assert state.long.samples.size == 2 * frame_frames


@pytest.mark.parametrize("heard_ms", [1.0, 25.0, 100.0])
def test_the_history_reaches_back_two_long_windows_before_what_is_heard(heard_ms: float) -> None:
    """A power of two, for the mask."""
    state = listener_state(48000.0, ListenerConfig(heard_ms=heard_ms))
    assert state.history.size & (state.history.size - 1) == 0
    assert state.history.size >= 2 * state.long.samples.size + state.heard_frames
    assert not np.any(state.history)


def test_the_refractory_time_is_never_less_than_what_is_heard() -> None:
    """An event's ATTACK is out before the next may begin."""
    state = listener_state(48000.0, ListenerConfig(heard_ms=90.0, refractory_ms=40.0))
    assert state.refractory_frames == state.heard_frames
