"""Ring: a bounded queue of fixed-size records from one thread to another, without a lock.

One thread owns the `Producer`, one the `Consumer`; either may be a Python thread, a nogil kernel or
a numba cfunc called by a thread that Python has never heard of. Nothing here blocks, allocates on
the way of a record, logs or raises on a full or empty ring: counts come back.

A ring is a power-of-two numpy buffer and a few int64 counters that only grow, so a record's
position is absolute and its slot is ``position & (capacity - 1)``. Each end publishes its counter
with a release store, after it has touched the records, and reads the other's with an acquire load:
correct on x86 and on Arm, with or without the GIL. The ends' counters lie 128 bytes apart, the
longest cache line among the machines we run on (Apple Silicon).

There is one consumer, and it alone bounds the producer. Whoever else wants the audio is an
`Observer`: it reads any recent span by absolute position, delays nobody, and is told when the
producer was faster. The producer announces which slots it is about to overwrite before it touches
them (`CLAIMED`), as the writer of a seqlock does (Boehm, MSPC 2012).

The functions are the kernels behind the classes' methods, for use in other kernels.
"""

from enum import IntEnum
from typing import Any, Final, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import DTypeLike, NDArray

from realtime._atomics import fence_acquire, fence_release, load_acquire, store_release

CACHE_LINE_WORDS: Final = 128 // 8

# Where each counter lies. The producer's line: records published, records published or under way,
# and records turned away. The consumer's line: records done with.
WRITTEN: Final = 0
CLAIMED: Final = 1
REFUSED: Final = 2
RELEASED: Final = CACHE_LINE_WORDS


class Ring(NamedTuple):
    """The memory both ends share, as a kernel takes it.

    Attributes
    ----------
    records : ndarray [shape=(capacity,)]
    counters : ndarray [shape=(32,), int64]
        At `WRITTEN`, `CLAIMED`, `REFUSED` and `RELEASED`; never touched but by the kernels here.
    """

    records: NDArray[Any]
    counters: NDArray[np.int64]


def prime(ring: Ring) -> None:
    """Touch every page of a ring that nobody uses yet: no thread has to wait for one later."""
    ring.records.view(np.uint8)[:] = 0


class Seen(IntEnum):
    """What an `Observer` found where it looked."""

    WHOLE = 0
    NOT_YET = 1
    OVERWRITTEN = 2


@njit(nogil=True, cache=True)
def span(ring: Ring, position: int, n: int) -> Any:
    """Slice the `n` <= capacity records from `position` on: up to the wrap-around, and after."""
    slot = position & (ring.records.size - 1)
    n_first = min(n, ring.records.size - slot)
    return ring.records[slot : slot + n_first], ring.records[: n - n_first]


@njit(nogil=True, cache=True)
def claim(ring: Ring, n: int) -> int:
    """Reserve room for `n` records and return the first one's position; producer only.

    Fill the `span`, then `publish`. Returns -1, and counts `n` records as refused, if there is no
    room for all of them.
    """
    written = ring.counters[WRITTEN]
    if n > ring.records.size - (written - load_acquire(ring.counters, RELEASED)):
        ring.counters[REFUSED] += n
        return -1
    store_release(ring.counters, CLAIMED, written + n)
    fence_release()
    return int(written)


@njit(nogil=True, cache=True)
def publish(ring: Ring, n: int) -> None:
    """Hand the `n` claimed records to the consumer; producer only."""
    store_release(ring.counters, WRITTEN, ring.counters[WRITTEN] + n)


@njit(nogil=True, cache=True)
def push(ring: Ring, records: NDArray[Any]) -> bool:
    """Copy all `records` in and publish them, or none; producer only."""
    position = claim(ring, records.size)
    if position < 0:
        return False
    first, second = span(ring, position, records.size)
    for i in range(first.size):
        first[i] = records[i]
    for i in range(second.size):
        second[i] = records[first.size + i]
    publish(ring, records.size)
    return True


@njit(nogil=True, cache=True)
def readable(ring: Ring) -> Any:
    """Return the position of the oldest record and how many there are; consumer only."""
    released = ring.counters[RELEASED]
    return released, load_acquire(ring.counters, WRITTEN) - released


@njit(nogil=True, cache=True)
def release(ring: Ring, n: int) -> None:
    """Give the room of the oldest `n` readable records back; consumer only."""
    store_release(ring.counters, RELEASED, ring.counters[RELEASED] + n)


@njit(nogil=True, cache=True)
def pop(ring: Ring, out: NDArray[Any]) -> int:
    """Move the oldest records to `out`, as many as it takes, and return how many; consumer only."""
    position, n_readable = readable(ring)
    n = min(n_readable, out.size)
    _copy_out(ring, position, out[:n])
    release(ring, n)
    return int(n)


@njit(nogil=True, cache=True)
def observe(ring: Ring, position: int, out: NDArray[Any]) -> int:
    """Copy the `out.size` records from `position` on and return what was `Seen`; any thread."""
    if position + out.size > load_acquire(ring.counters, WRITTEN):
        return Seen.NOT_YET
    oldest = load_acquire(ring.counters, CLAIMED) - ring.records.size
    if position >= max(oldest, 0):
        _copy_out(ring, position, out)
        fence_acquire()
        oldest = load_acquire(ring.counters, CLAIMED) - ring.records.size
    return Seen.WHOLE if position >= max(oldest, 0) else Seen.OVERWRITTEN


@njit(nogil=True, cache=True)
def _copy_out(ring: Ring, position: int, out: NDArray[Any]) -> None:
    first, second = span(ring, position, out.size)
    for i in range(first.size):
        out[i] = first[i]
    for i in range(second.size):
        out[first.size + i] = second[i]


class Producer:
    """The end that records go in at. Owned by one thread.

    Attributes
    ----------
    ring : Ring
        For kernels; whoever pushes through it is the producer.
    """

    __slots__ = ("ring",)

    def __init__(self, ring: Ring) -> None:
        self.ring = ring

    def push_nowait(self, records: NDArray[Any]) -> bool:
        """Push all of `records` or none.

        Parameters
        ----------
        records
            [shape=(n,), the ring's dtype]

        Returns
        -------
        bool
            False if there was no room for all; `n_refused` has then grown by n.

        Raises
        ------
        TypeError
            The records have another dtype or are not one-dimensional.
        """
        if records.dtype != self.ring.records.dtype or records.ndim != 1:
            raise TypeError(
                f"records must be one-dimensional {self.ring.records.dtype}, "
                f"got {records.ndim}-dimensional {records.dtype}"
            )
        if not records.flags.carray:  # strided or read-only: another type to numba
            records = records.copy()
        return bool(push(self.ring, records))

    @property
    def n_written(self) -> int:
        """Records published so far: the position of the next one. Any thread."""
        return int(load_acquire(self.ring.counters, WRITTEN))

    @property
    def n_refused(self) -> int:
        """Records turned away so far for want of room. Any thread."""
        return int(self.ring.counters[REFUSED])


class Consumer:
    """The end that records come out at. Owned by one thread.

    Attributes
    ----------
    ring : Ring
        For kernels; whoever pops through it is the consumer.
    """

    __slots__ = ("ring",)

    def __init__(self, ring: Ring) -> None:
        self.ring = ring

    def readable(self) -> tuple[NDArray[Any], NDArray[Any]]:
        """Return all readable records as two views of the buffer, oldest first.

        The second view is what lies behind the wrap-around, often empty. Both are valid until
        `release`, and are not to be written to.
        """
        position, n = readable(self.ring)
        first, second = span(self.ring, position, n)
        return first, second

    def release(self, n: int) -> None:
        """Give the room of the oldest `n` readable records back to the producer.

        Raises
        ------
        ValueError
            There are fewer readable records, or n is negative.
        """
        _, n_readable = readable(self.ring)
        if not 0 <= n <= n_readable:
            raise ValueError(f"n must be from 0 to the {n_readable} readable records, got {n}")
        release(self.ring, n)

    def pop_nowait(self) -> NDArray[Any]:
        """Copy all readable records and release them."""
        _, n = readable(self.ring)
        out = np.empty(n, self.ring.records.dtype)
        pop(self.ring, out)
        return out

    @property
    def n_released(self) -> int:
        """Records done with so far: the position of the oldest readable one. Any thread."""
        return int(load_acquire(self.ring.counters, RELEASED))


class Observer:
    """A reader of the recent past that delays nobody. Any number of them, on any thread."""

    __slots__ = ("_ring",)

    def __init__(self, ring: Ring) -> None:
        self._ring = ring

    @property
    def newest(self) -> int:
        """Position one past the newest record: a span that ends here is the latest there is."""
        return int(load_acquire(self._ring.counters, WRITTEN))

    def read(self, position: int, out: NDArray[Any]) -> Seen:
        """Copy the records from absolute `position` on.

        Parameters
        ----------
        position
            Of the first record wanted.
        out
            [shape=(n,), the ring's dtype, C-contiguous, writeable] Filled only if the answer is
            `Seen.WHOLE`; its contents mean nothing otherwise.

        Returns
        -------
        Seen
            `NOT_YET` if the span is not complete; `OVERWRITTEN` if some of it is no longer, or (a
            negative position) never was, in the ring.

        Raises
        ------
        TypeError
            `out` has another dtype, is not one-dimensional, or not contiguous and writeable.
        """
        if out.dtype != self._ring.records.dtype or out.ndim != 1 or not out.flags.carray:
            raise TypeError(
                f"out must be contiguous, writeable, one-dimensional {self._ring.records.dtype}, "
                f"got {out.ndim}-dimensional {out.dtype}"
            )
        return Seen(observe(self._ring, position, out))


def make_ring(capacity: int, dtype: DTypeLike) -> tuple[Producer, Consumer]:
    """Make a ring and return its two ends, their kernels compiled.

    Parameters
    ----------
    capacity
        Records it holds; a power of two, at least 1.
    dtype
        Of one record: any fixed size, plain or structured.

    Raises
    ------
    ValueError
        The capacity is not a power of two.
    TypeError
        The dtype holds Python objects.
    """
    if capacity < 1 or capacity & (capacity - 1):
        raise ValueError(f"capacity must be a power of two, got {capacity}")
    if np.dtype(dtype).hasobject:
        raise TypeError(f"dtype must have a fixed size, got {np.dtype(dtype)}")
    ring = Ring(np.zeros(capacity, dtype), aligned_words(2 * CACHE_LINE_WORDS))
    producer, consumer = Producer(ring), Consumer(ring)
    producer.push_nowait(np.empty(0, dtype))
    consumer.pop_nowait()
    observer = Observer(ring)
    observer.read(observer.newest, np.empty(0, dtype))
    return producer, consumer


def aligned_words(n: int) -> NDArray[np.int64]:
    """Return `n` zeros that begin a cache line, for counters that threads share."""
    words = np.zeros(n + CACHE_LINE_WORDS, np.int64)
    skip = (-words.ctypes.data // 8) % CACHE_LINE_WORDS
    return words[skip : skip + n]
