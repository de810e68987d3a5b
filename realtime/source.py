"""Audio source: what every place that sound comes from looks like to the rest of the program.

A source owns one thread that hands over blocks: PortAudio's for a device, a pacing kernel for a
file. Each block goes through `deliver`, so that a file and a microphone drop, count and stamp
alike. `deliver` never allocates, logs, locks, raises or takes the GIL.

Blocks go to one ring of mono frames at the source's rate. The listener is its consumer; everybody
else observes it. A frame's position in that ring is its name everywhere: a block that found no room
is counted and has no positions.
"""

import math
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple, Protocol

import numpy as np
from numba import njit
from numpy.typing import NDArray

from models.limits import MAX_CHANNELS, MAX_MAGNITUDE, MAX_RATE_HZ, MIN_RATE_HZ
from realtime._atomics import load_acquire, store_release
from realtime.doorbell import Doorbell, ring_doorbell
from realtime.monotonic import monotonic_ns
from realtime.ring import Consumer, Ring, aligned_words, claim, make_ring, publish, span

MIX: Final = -1
INPUT_OVERFLOW: Final = 0x2  # PortAudio's paInputOverflow

STAMP_DTYPE: Final = np.dtype(
    [
        ("frame", np.int64),  # ring position of the block's first frame
        ("n_frames", np.int64),
        ("dropped_frames", np.int64),  # lost before this block, since the start
        ("adc_s", np.float64),  # stream time of its first frame at the converter
        ("current_s", np.float64),  # stream time of the call that handed it over
        ("host_ns", np.int64),  # monotonic time of the same call
        ("status", np.int64),  # PortAudio's flags
    ]
)
"""What is noted about each block for the `StreamClock`."""

# Where each counter lies; the source's thread writes, anybody reads.
CALLBACKS: Final = 0
OVERFLOWS: Final = 1  # the device or its driver lost frames before they came, or a disk was late
DROPPED_BLOCKS: Final = 2  # the ring had no room
DROPPED_FRAMES: Final = 3
BEAT_NS: Final = 4  # monotonic time of the newest block
ENDED: Final = 5  # 1: no block will follow
SILENCED: Final = 6  # samples that were no sound, and are heard as 0
_N_COUNTERS: Final = 16

STOP_S: Final = 2.0
"""Stopping takes milliseconds, or as long as a disk, a driver or a dead audio server likes."""

_STAMPS_S: Final = 10.0
"""How long stamps may wait for the clock; lost ones cost it nothing but precision."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptureConfig:
    """The ``[capture]`` table: which sound to listen to.

    Raises
    ------
    ValueError
        A value is out of range.
    """

    device: str | int = "default"
    channel: int | Literal["mix"] = "mix"
    rate_hz: int | None = None
    block_frames: int = 128
    ring_s: float = 10.0

    def __post_init__(self) -> None:
        """Refuse what no source can do."""
        if self.channel != "mix" and not 1 <= self.channel <= MAX_CHANNELS:
            raise ValueError(
                f'channel must be from 1 to {MAX_CHANNELS} or "mix", got {self.channel}'
            )
        if self.rate_hz is not None and not MIN_RATE_HZ <= self.rate_hz <= MAX_RATE_HZ:
            raise ValueError(
                f"rate_hz must be from {MIN_RATE_HZ} to {MAX_RATE_HZ}, got {self.rate_hz}"
            )
        if not 16 <= self.block_frames <= 8192:
            raise ValueError(f"block_frames must be from 16 to 8192, got {self.block_frames}")
        if not 1.0 <= self.ring_s <= 60.0:
            raise ValueError(f"ring_s must be from 1 to 60, got {self.ring_s}")


class AudioSource(Protocol):
    """Where sound comes from.

    Attributes
    ----------
    name : str
        For the player to read.
    rate_hz, block_frames : int
    latency_s : float
        From the converter to the hand-over of a block's last frame, as the source states it;
        0 if it states none.
    audio : Consumer
        [float32] Mono frames; its one consumer is the listener.
    stamps : Consumer
        [`STAMP_DTYPE`] One per delivered block; its one consumer feeds the `StreamClock`.
    counters : ndarray [shape=(16,), int64]
        At `CALLBACKS` … `SILENCED`, for anybody to read; `ENDED` by `has_ended`.
    """

    name: str
    rate_hz: int
    block_frames: int
    latency_s: float
    audio: Consumer
    stamps: Consumer
    counters: NDArray[np.int64]

    def start(self) -> None:
        """Begin to deliver; called once."""

    def stop(self) -> bool:
        """Deliver no more, and let the device or file go. Harmless when repeated.

        Returns
        -------
        bool
            Whether nothing of the source will touch its rings and doorbell any more. False if the
            device or disk hangs after `STOP_S`: the doorbell must then stay open, or a descriptor
            that was given out anew would be rung.
        """

    def check(self) -> None:
        """Raise what went wrong with the source since it was started, if anything did."""


class Feed(NamedTuple):
    """The memory a source delivers to, as a kernel takes it."""

    audio: Ring
    stamps: Ring
    counters: NDArray[np.int64]
    doorbell_fd: int


def make_feed(config: CaptureConfig, rate_hz: int, doorbell: Doorbell) -> Feed:
    """Make the rings and counters of a source whose blocks ring `doorbell`, `end` compiled."""
    audio, _ = make_ring(power_of_two(config.ring_s * rate_hz), np.float32)
    stamps, _ = make_ring(power_of_two(_STAMPS_S * rate_hz / config.block_frames), STAMP_DTYPE)
    feed = Feed(audio.ring, stamps.ring, aligned_words(_N_COUNTERS), doorbell.write_fd)
    end(feed)
    feed.counters[ENDED] = 0
    doorbell.drain()
    return feed


@njit(nogil=True, cache=True)
def deliver(
    feed: Feed,
    block: NDArray[np.float32],
    channel: int,
    adc_s: float,
    current_s: float,
    status: int,
) -> None:
    """Hand one block over; the source's thread only.

    Parameters
    ----------
    block
        [shape=(n_frames, n_channels), float32] As the device interleaves it.
    channel
        0-based, or `MIX` for the mean of all.
    adc_s, current_s
        Stream times of its first frame and of this call.
    """
    counters = feed.counters
    counters[BEAT_NS] = monotonic_ns()
    counters[CALLBACKS] += 1
    if status & INPUT_OVERFLOW:
        counters[OVERFLOWS] += 1
    n_frames = block.shape[0]
    frame = claim(feed.audio, n_frames)
    if frame < 0:
        counters[DROPPED_BLOCKS] += 1
        counters[DROPPED_FRAMES] += n_frames
    else:
        first, second = span(feed.audio, frame, n_frames)
        counters[SILENCED] += _to_mono(block[: first.size], channel, first)
        counters[SILENCED] += _to_mono(block[first.size :], channel, second)
        place = claim(feed.stamps, 1)
        if place >= 0:  # before the frames: whoever hears of a frame finds its stamp
            stamp = feed.stamps.records[place & (feed.stamps.records.size - 1)]
            stamp["frame"] = frame
            stamp["n_frames"] = n_frames
            stamp["dropped_frames"] = counters[DROPPED_FRAMES]
            stamp["adc_s"] = adc_s
            stamp["current_s"] = current_s
            stamp["host_ns"] = counters[BEAT_NS]
            stamp["status"] = status
            publish(feed.stamps, 1)
        publish(feed.audio, n_frames)
    ring_doorbell(feed.doorbell_fd)


@njit(nogil=True, cache=True, error_model="numpy")  # which has no division that can raise
def _to_mono(block: NDArray[np.float32], channel: int, out: NDArray[np.float32]) -> int:
    """Fill `out`, and return how many samples were no sound: all that is heard passes here."""
    first, n_mixed = (0, block.shape[1]) if channel == MIX else (channel, 1)
    scale = np.float32(1.0) / np.float32(n_mixed)
    n_silenced = 0
    for i in range(out.size):
        total = np.float32(0.0)
        for k in range(first, first + n_mixed):
            if abs(block[i, k]) <= MAX_MAGNITUDE:
                total += block[i, k]
            else:  # NaN too
                n_silenced += 1
        out[i] = total * scale
    return n_silenced


@njit(nogil=True, cache=True)
def end(feed: Feed) -> None:
    """Say that no block will follow, and wake whoever waits for one; the source's thread only."""
    store_release(feed.counters, ENDED, 1)
    ring_doorbell(feed.doorbell_fd)


@njit(nogil=True, cache=True)
def has_ended(counters: NDArray[np.int64]) -> bool:
    """Say whether the source has ended; what it delivered before can then be read. Any thread."""
    return bool(load_acquire(counters, ENDED) != 0)


def power_of_two(n: float) -> int:
    """Return the smallest power of two that is at least `n`: a ring's capacity."""
    return 1 << max(math.ceil(n) - 1, 0).bit_length()


def mono_channel(channel: int | Literal["mix"]) -> int:
    """Convert a configured channel, which counts from 1, to what `deliver` takes."""
    return MIX if channel == "mix" else channel - 1
