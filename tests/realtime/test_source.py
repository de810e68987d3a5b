"""What every audio source shares: its configuration and the hand-over of a block."""

import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from realtime.doorbell import Doorbell
from realtime.ring import Consumer
from realtime.source import (
    CALLBACKS,
    DROPPED_BLOCKS,
    DROPPED_FRAMES,
    INPUT_OVERFLOW,
    MIX,
    OVERFLOWS,
    SILENCED,
    CaptureConfig,
    deliver,
    end,
    has_ended,
    make_feed,
    mono_channel,
    power_of_two,
)

RATE_HZ = 8_000
SCALE = np.float32(2**15)


@pytest.fixture
def bell() -> Iterator[Doorbell]:
    """Give a doorbell that is closed after the test."""
    doorbell = Doorbell()
    yield doorbell
    doorbell.close()


def block_of(n_frames: int, n_channels: int, start: int = 0) -> Any:
    """Number frames in steps of one and channels in steps of a thousand, scaled to be sound."""
    frames = np.arange(start, start + n_frames, dtype=np.float32)[:, None]
    return (frames + 1000 * np.arange(n_channels, dtype=np.float32)) / SCALE


def test_an_empty_block_is_stamped_and_delivers_nothing(bell: Doorbell) -> None:
    """A callback of no frames is a callback."""
    feed = make_feed(CaptureConfig(), RATE_HZ, bell)
    deliver(feed, block_of(0, 2), MIX, 0.0, 0.0, 0)
    assert feed.counters[CALLBACKS] == 1
    assert Consumer(feed.audio).pop_nowait().size == 0
    assert bell.wait(0)


@pytest.mark.parametrize("n_channels", [1, 2, 32])
def test_the_last_channel_and_the_mean_of_all_can_be_had(bell: Doorbell, n_channels: int) -> None:
    """Channels are interleaved, and mixing is their mean."""
    feed = make_feed(CaptureConfig(), RATE_HZ, bell)
    block = block_of(50, n_channels)
    deliver(feed, block, n_channels - 1, 0.0, 0.0, 0)
    deliver(feed, block, MIX, 0.0, 0.0, 0)
    last, mix = np.split(Consumer(feed.audio).pop_nowait(), 2)
    assert last.tolist() == block[:, -1].tolist()
    np.testing.assert_allclose(mix, block.mean(axis=1), rtol=1e-6)


def test_blocks_go_around_the_end_of_the_ring(bell: Doorbell) -> None:
    """Blocks whose length divides nothing follow each other without a seam."""
    feed = make_feed(CaptureConfig(ring_s=1.0), RATE_HZ, bell)
    audio = Consumer(feed.audio)
    heard = []
    for start in range(0, 30 * 999, 999):
        deliver(feed, block_of(999, 2, start), 0, 0.0, 0.0, 0)
        heard += (audio.pop_nowait() * SCALE).tolist()
    assert heard == list(range(30 * 999))


def test_each_block_is_stamped_with_where_and_when(bell: Doorbell) -> None:
    """Positions count delivered frames; dropped ones are counted beside them."""
    feed = make_feed(CaptureConfig(ring_s=1.0), RATE_HZ, bell)
    audio, stamps = Consumer(feed.audio), Consumer(feed.stamps)
    deliver(feed, block_of(5000, 1), 0, 0.5, 0.7, 0)
    deliver(feed, block_of(5000, 1), 0, 1.5, 1.7, INPUT_OVERFLOW)
    audio.pop_nowait()
    deliver(feed, block_of(3000, 1), 0, 2.5, 2.7, INPUT_OVERFLOW)
    made = stamps.pop_nowait()
    assert made["frame"].tolist() == [0, 5000]
    assert made["n_frames"].tolist() == [5000, 3000]
    assert made["dropped_frames"].tolist() == [0, 5000]
    assert made["adc_s"].tolist() == [0.5, 2.5]
    assert made["current_s"].tolist() == [0.7, 2.7]
    assert made["status"].tolist() == [0, INPUT_OVERFLOW]
    assert 0 < made["host_ns"][0] <= made["host_ns"][1]
    counters = feed.counters[[CALLBACKS, OVERFLOWS, DROPPED_BLOCKS, DROPPED_FRAMES]]
    assert counters.tolist() == [3, 2, 1, 5000]


NO_SOUND = [np.nan, np.inf, -np.inf, np.float32(3e38), np.float32(-8.001)]


@pytest.mark.parametrize("channel", [1, MIX])
def test_what_is_no_sound_is_heard_as_silence_and_counted(bell: Doorbell, channel: int) -> None:
    """A broken driver can poison no encoder; the other channels are heard on."""
    feed = make_feed(CaptureConfig(), RATE_HZ, bell)
    block = block_of(8, 2)
    block[0] = 8.0  # the loudest sound there is
    sound = block.copy()
    block[1:6, 1], sound[1:6, 1] = NO_SOUND, 0.0
    deliver(feed, block, channel, 0.0, 0.0, 0)
    expected = sound.mean(axis=1) if channel == MIX else sound[:, 1]
    assert Consumer(feed.audio).pop_nowait().tolist() == expected.tolist()
    assert feed.counters[SILENCED] == len(NO_SOUND)


def test_stamps_that_nobody_takes_stop_no_sound(bell: Doorbell) -> None:
    """A full stamps ring refuses stamps only."""
    feed = make_feed(CaptureConfig(block_frames=8192), RATE_HZ, bell)
    audio = Consumer(feed.audio)
    for _ in range(100):
        deliver(feed, block_of(16, 1), 0, 0.0, 0.0, 0)
        assert audio.pop_nowait().size == 16
    assert feed.counters[DROPPED_BLOCKS] == 0


def test_the_end_is_said_once_and_wakes_the_listener(bell: Doorbell) -> None:
    """The bell rings for the end as for a block."""
    feed = make_feed(CaptureConfig(), RATE_HZ, bell)
    assert not has_ended(feed.counters)
    end(feed)
    assert bell.wait(0)
    assert has_ended(feed.counters)


def test_ring_sizes_are_rounded_up() -> None:
    """A power of two stays what it is."""
    assert [power_of_two(n) for n in (0.5, 1, 2, 2.1, 1024, 1025)] == [1, 1, 2, 4, 1024, 2048]


def test_channels_count_from_one_for_people() -> None:
    """And from zero for kernels."""
    assert [mono_channel(channel) for channel in ("mix", 1, 32)] == [MIX, 0, 31]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"channel": 0}, 'channel must be from 1 to 32 or "mix", got 0'),
        ({"channel": 33}, "channel must be from 1 to 32"),
        ({"rate_hz": 7_999}, "rate_hz must be from 8000 to 192000, got 7999"),
        ({"rate_hz": 192_001}, "rate_hz must be"),
        ({"block_frames": 15}, "block_frames must be from 16 to 8192, got 15"),
        ({"ring_s": 0.5}, r"ring_s must be from 1 to 60, got 0\.5"),
    ],
)
def test_what_no_source_can_do_is_refused(values: Any, message: str) -> None:
    """Each value out of range is named."""
    with pytest.raises(ValueError, match=message):
        CaptureConfig(**values)


def test_the_kernels_run_interpreted() -> None:
    """With NUMBA_DISABLE_JIT a block is handed over the same."""
    code = """
import numpy as np
from realtime.doorbell import Doorbell
from realtime.ring import Consumer
from realtime.source import MIX, CaptureConfig, deliver, end, has_ended, make_feed
bell = Doorbell()
feed = make_feed(CaptureConfig(ring_s=1.0), 8_000, bell)
block = np.arange(10_000, dtype=np.float32).reshape(-1, 2) / 2**14
audio = Consumer(feed.audio)
for _ in range(3):
    deliver(feed, block, MIX, 0.0, 0.0, 2)
    assert (audio.pop_nowait() == block.mean(axis=1)).all()
assert Consumer(feed.stamps).pop_nowait()["frame"].tolist() == [0, 5000, 10000]
end(feed)
assert has_ended(feed.counters) and bell.wait(0)
"""
    environment = os.environ | {"NUMBA_DISABLE_JIT": "1"}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)
