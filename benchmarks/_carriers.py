"""Carriers: what `benchmarks.ring` compares, behind one interface."""

import collections
import importlib
import queue
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from realtime.ring import make_ring

BLOCK_FRAMES = 128
CAPACITY_BLOCKS = 128


class Carrier(Protocol):
    """What carries blocks: never blocks itself."""

    def push(self, block: Any) -> bool:
        """Hand a block over, or say that there was no room."""

    def pop(self) -> Any:
        """Take what there is; None if nothing."""


class OurRing:
    """The ring of this program."""

    def __init__(self, dtype: Any) -> None:
        self.producer, self.consumer = make_ring(CAPACITY_BLOCKS * BLOCK_FRAMES, dtype)

    def push(self, block: Any) -> bool:
        """Copy the block in."""
        return self.producer.push_nowait(block)

    def pop(self) -> Any:
        """Copy all out."""
        frames = self.consumer.pop_nowait()
        return frames if frames.size else None


class SimpleQueue:
    """The standard library's queue; unbounded."""

    def __init__(self, dtype: Any) -> None:
        self.queue: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def push(self, block: Any) -> bool:
        """Copy the block and queue it."""
        self.queue.put(block.copy())
        return True

    def pop(self) -> Any:
        """Take one block."""
        try:
            return self.queue.get_nowait()
        except queue.Empty:
            return None


class Deque:
    """The standard library's deque, bounded by asking before appending."""

    def __init__(self, dtype: Any) -> None:
        self.deque: collections.deque[Any] = collections.deque()

    def push(self, block: Any) -> bool:
        """Copy the block and append it."""
        if len(self.deque) == CAPACITY_BLOCKS:
            return False
        self.deque.append(block.copy())
        return True

    def pop(self) -> Any:
        """Take one block."""
        return self.deque.popleft() if self.deque else None


class PortAudioRing:
    """PortAudio's ring, as python-rtmixer wraps it."""

    def __init__(self, dtype: Any) -> None:
        ring_buffer = importlib.import_module("rtmixer").RingBuffer
        self.dtype = np.dtype(dtype)
        self.ring = ring_buffer(self.dtype.itemsize, CAPACITY_BLOCKS * BLOCK_FRAMES)

    def push(self, block: Any) -> bool:
        """Copy the block in; it would take a part of it, so ask first."""
        if self.ring.write_available < len(block):
            return False
        self.ring.write(block)
        return True

    def pop(self) -> Any:
        """Copy all out."""
        frames = np.frombuffer(self.ring.read(), self.dtype)
        return frames if frames.size else None


def carriers() -> dict[str, Callable[[Any], Carrier]]:
    """List the carriers that this machine has."""
    found: dict[str, Callable[[Any], Carrier]] = {
        "ring": OurRing,
        "SimpleQueue": SimpleQueue,
        "deque": Deque,
    }
    try:
        importlib.import_module("rtmixer")
    except (ImportError, OSError):
        return found
    return found | {"PortAudio ring": PortAudioRing}
