"""The stream clock, with jitter, drift and losses planted in the stamps."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from realtime.clock import StreamClock
from realtime.source import INPUT_OVERFLOW, STAMP_DTYPE

RATE_HZ = 48_000
BLOCK = 128
START_NS = 1_234_567_890_123_456
LATENCY_NS = 5_000_000


def stamps_of(
    n_blocks: int,
    *,
    drift_ppm: float = 0.0,
    late_ns: Any = 0,
    first_block: int = 0,
    gap_frames: int = 0,
    dropped_frames: int = 0,
) -> Any:
    """Stamp blocks of a device whose frame 0 was at the converter at `START_NS`."""
    stamps = np.zeros(n_blocks, STAMP_DTYPE)
    stamps["frame"] = (first_block + np.arange(n_blocks)) * BLOCK
    stamps["n_frames"] = BLOCK
    stamps["dropped_frames"] = dropped_frames
    device_frame = stamps["frame"] + gap_frames
    adc_ns = START_NS + device_frame * (1e9 / RATE_HZ) * (1 + drift_ppm * 1e-6)
    stamps["host_ns"] = adc_ns + LATENCY_NS + late_ns
    stamps["current_s"] = 1000.0 + device_frame / RATE_HZ
    stamps["adc_s"] = stamps["current_s"] - LATENCY_NS / 1e9
    return stamps


def true_ns(frame: int, drift_ppm: float = 0.0) -> float:
    """Give when that device's frame was at the converter."""
    return START_NS + frame * (1e9 / RATE_HZ) * (1 + drift_ppm * 1e-6)


def late(n_blocks: int, seed: int = 0) -> Any:
    """Make callbacks 0.3 ms late on average, and every twentieth 20 ms."""
    rng = np.random.default_rng(seed)
    return rng.exponential(3e5, n_blocks) + 2e7 * (rng.random(n_blocks) < 0.05)


def test_a_clock_without_stamps_knows_nothing() -> None:
    """Asking too early is an error of ours."""
    clock = StreamClock(RATE_HZ)
    clock.follow(np.zeros(0, STAMP_DTYPE))
    with pytest.raises(RuntimeError, match="followed no stamp"):
        clock.monotonic_ns(0)


def test_one_stamp_is_enough() -> None:
    """From the first block on every frame has its moment, at the nominal rate."""
    clock = StreamClock(RATE_HZ)
    clock.follow(stamps_of(1))
    assert clock.monotonic_ns(0) == pytest.approx(START_NS, abs=1000)
    assert clock.monotonic_ns(48_000) == pytest.approx(START_NS + 1e9, abs=1000)


def test_a_late_first_stamp_is_corrected_by_the_next() -> None:
    """Nothing is early, so the earliest so far is nearest to the truth."""
    clock = StreamClock(RATE_HZ)
    clock.follow(stamps_of(3, late_ns=np.array([9e6, 2e6, 4e6])))
    assert clock.monotonic_ns(0) == pytest.approx(START_NS + 2e6, abs=1000)


def test_the_earliest_stamp_of_a_quarter_second_is_found_whatever_came_before() -> None:
    """8, 3 and 0 ms late, then jitter: the line lies where the third stamp puts it, and stays."""
    n_blocks = RATE_HZ // BLOCK // 4 + 4
    late_ns = 5e5 + late(n_blocks)
    late_ns[:3] = 8e6, 3e6, 0.0
    clock = StreamClock(RATE_HZ)
    clock.follow(stamps_of(n_blocks, late_ns=late_ns))
    assert clock.monotonic_ns(0) == pytest.approx(START_NS, abs=1000)


def test_a_quarter_second_of_jitter_does_not_leave_the_clock_late() -> None:
    """Callbacks 2 ms late on average, exponentially, put no frame 0.2 ms too late."""
    n_blocks = 100
    newest = n_blocks * BLOCK
    errors_ns = []
    for seed in range(200):
        late_ns = np.random.default_rng(seed).exponential(2e6, n_blocks)
        clock = StreamClock(RATE_HZ)
        clock.follow(stamps_of(n_blocks, late_ns=late_ns))
        errors_ns.append(clock.monotonic_ns(newest) - true_ns(newest))
    assert np.max(np.abs(errors_ns)) < 2e5


def test_an_exact_clock_is_a_straight_line() -> None:
    """A free-running source needs no stamps."""
    clock = StreamClock.exact(44_100, 10**9)
    assert clock.monotonic_ns(0) == 10**9
    assert clock.monotonic_ns(44_100) == 2 * 10**9


def test_stamps_without_adc_time_fall_back_on_block_and_latency() -> None:
    """Where the host API states none, or nonsense, age is the block's length and the latency."""
    expected_ns = START_NS + LATENCY_NS - BLOCK / RATE_HZ * 1e9 - 3e6
    for adc_s, current_s in ((0.0, 0.0), (0.0, 7.0), (9.0, 8.0), (1.0, 500.0)):
        stamps = stamps_of(1)
        stamps["adc_s"], stamps["current_s"] = adc_s, current_s
        clock = StreamClock(RATE_HZ, latency_s=0.003)
        clock.follow(stamps)
        assert clock.monotonic_ns(0) == pytest.approx(expected_ns, abs=1000)


@settings(deadline=None, max_examples=25)
@given(st.floats(-300.0, 300.0), st.integers(0, 2**32 - 1), st.integers(1, 400))
def test_drift_and_offset_are_found_through_jitter(
    drift_ppm: float, seed: int, n_at_once: int
) -> None:
    """Eight seconds make a moment right to 0.1 ms, however the stamps are handed over."""
    n_blocks = 8 * RATE_HZ // BLOCK
    stamps = stamps_of(n_blocks, drift_ppm=drift_ppm, late_ns=late(n_blocks, seed))
    clock = StreamClock(RATE_HZ)
    for start in range(0, n_blocks, n_at_once):
        clock.follow(stamps[start : start + n_at_once])
    newest = n_blocks * BLOCK
    assert clock.monotonic_ns(newest) == pytest.approx(true_ns(newest, drift_ppm), abs=1e5)
    second_ns = clock.monotonic_ns(newest) - clock.monotonic_ns(newest - RATE_HZ)
    assert second_ns == pytest.approx(1e9 * (1 + drift_ppm * 1e-6), abs=20e3)


def test_a_second_of_late_callbacks_moves_nothing() -> None:
    """Callbacks that are all 2 ms late for a second do not bend the line by 0.1 ms."""
    n_blocks = 12 * RATE_HZ // BLOCK
    late_ns = np.zeros(n_blocks)
    late_ns[n_blocks // 2 : n_blocks // 2 + 375] = 2e6
    clock = StreamClock(RATE_HZ)
    clock.follow(stamps_of(n_blocks, drift_ppm=50.0, late_ns=late_ns))
    newest = n_blocks * BLOCK
    assert clock.monotonic_ns(newest) == pytest.approx(true_ns(newest, 50.0), abs=1e5)


@pytest.mark.parametrize("is_counted", [True, False])
def test_after_a_gap_old_frames_keep_their_moments(is_counted: bool) -> None:
    """Dropped blocks, counted or silently lost, move only the frames that follow."""
    half = 6 * RATE_HZ // BLOCK
    gap_frames = 10 * BLOCK
    before = stamps_of(half, drift_ppm=30.0)
    after = stamps_of(
        half,
        drift_ppm=30.0,
        first_block=half,
        gap_frames=gap_frames,
        dropped_frames=gap_frames if is_counted else 0,
    )
    clock = StreamClock(RATE_HZ)
    clock.follow(before)
    clock.follow(after)
    edge = half * BLOCK
    old, new = edge - RATE_HZ, edge + RATE_HZ
    assert clock.monotonic_ns(old) == pytest.approx(true_ns(old, 30.0), abs=2e4)
    assert clock.monotonic_ns(new) == pytest.approx(true_ns(new + gap_frames, 30.0), abs=2e4)


def test_an_overflow_of_the_device_begins_a_new_line() -> None:
    """How much was lost is not stated, so nothing of the offset is kept."""
    stamps = stamps_of(8)
    stamps["status"][4] = INPUT_OVERFLOW
    stamps["host_ns"][4:] += 40_000_000
    clock = StreamClock(RATE_HZ)
    clock.follow(stamps)
    assert clock.monotonic_ns(3 * BLOCK) == pytest.approx(true_ns(3 * BLOCK), abs=1000)
    assert clock.monotonic_ns(4 * BLOCK) == pytest.approx(true_ns(4 * BLOCK) + 4e7, abs=1000)


def test_missing_stamps_cost_nothing() -> None:
    """Where stamps were lost but no frames, the line goes on."""
    n_blocks = 8 * RATE_HZ // BLOCK
    stamps = stamps_of(n_blocks, drift_ppm=-80.0)
    clock = StreamClock(RATE_HZ)
    clock.follow(np.delete(stamps, slice(700, 1700)))
    newest = n_blocks * BLOCK
    assert clock.monotonic_ns(newest) == pytest.approx(true_ns(newest, -80.0), abs=1e5)


def test_a_concert_of_gaps_keeps_a_bounded_past() -> None:
    """Three thousand gaps leave the newest lines and nothing else."""
    clock = StreamClock(RATE_HZ)
    for block in range(3000):
        gap_frames = block * BLOCK
        clock.follow(
            stamps_of(1, first_block=block, gap_frames=gap_frames, dropped_frames=gap_frames)
        )
    assert len(clock._lines) == 16
    newest = 2999 * BLOCK
    assert clock.monotonic_ns(newest) == pytest.approx(true_ns(2 * newest), abs=1000)
