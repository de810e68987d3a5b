"""The ring, from one of a single record to millions of records across three threads."""

import ctypes
import os
import subprocess
import sys
import threading
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import carray, cfunc, njit, types

from realtime._atomics import load_acquire, store_release
from realtime.ring import (
    CLAIMED,
    REFUSED,
    RELEASED,
    WRITTEN,
    Observer,
    Ring,
    Seen,
    claim,
    make_ring,
    observe,
    pop,
    publish,
    push,
    readable,
    release,
    span,
)

NUMBERED = np.dtype([("number", np.int64), ("copies", np.int64, (7,))])
"""64 bytes that all say the same number: a record of which only a part was copied shows."""


def numbers(start: int, n: int) -> Any:
    """Give n successive numbers as float32 frames."""
    return np.arange(start, start + n, dtype=np.float32)


def test_a_ring_of_one_holds_one_record() -> None:
    """The smallest capacity works and is full after one push."""
    producer, consumer = make_ring(1, np.float32)
    assert producer.push_nowait(numbers(5, 1))
    assert not producer.push_nowait(numbers(6, 1))
    assert consumer.pop_nowait().tolist() == [5.0]
    assert producer.push_nowait(numbers(7, 1))
    assert consumer.pop_nowait().tolist() == [7.0]


def test_an_empty_ring_gives_nothing() -> None:
    """Popping, reading and releasing nothing are all allowed."""
    _, consumer = make_ring(8, np.float32)
    assert consumer.pop_nowait().size == 0
    assert [part.size for part in consumer.readable()] == [0, 0]
    consumer.release(0)


def test_pushing_nothing_succeeds_even_if_full() -> None:
    """No records always find room."""
    producer, _ = make_ring(2, np.float32)
    producer.push_nowait(numbers(0, 2))
    assert producer.push_nowait(numbers(0, 0))
    assert producer.n_refused == 0


def test_a_push_is_all_or_nothing_and_counts_what_it_refuses() -> None:
    """One record too many turns the whole block away and leaves what was there."""
    producer, consumer = make_ring(8, np.float32)
    assert producer.push_nowait(numbers(0, 6))
    assert not producer.push_nowait(numbers(6, 3))
    assert producer.n_refused == 3
    assert producer.n_written == 6
    assert consumer.pop_nowait().tolist() == numbers(0, 6).tolist()


def test_a_block_longer_than_the_ring_is_refused() -> None:
    """It would never fit, and the ring stays usable."""
    producer, _ = make_ring(8, np.float32)
    assert not producer.push_nowait(numbers(0, 9))
    assert producer.push_nowait(numbers(0, 8))


def test_what_wraps_around_is_read_as_two_slices() -> None:
    """The second slice continues the first."""
    producer, consumer = make_ring(8, np.float32)
    producer.push_nowait(numbers(0, 6))
    consumer.release(5)
    producer.push_nowait(numbers(6, 5))
    first, second = consumer.readable()
    assert first.tolist() == [5.0, 6.0, 7.0]
    assert second.tolist() == [8.0, 9.0, 10.0]
    assert np.shares_memory(first, producer.ring.records)


def test_strided_and_read_only_records_go_in_too() -> None:
    """What numba would call another type is copied first."""
    producer, consumer = make_ring(8, np.float32)
    frozen = numbers(0, 2)
    frozen.flags.writeable = False
    assert producer.push_nowait(frozen)
    assert producer.push_nowait(numbers(0, 6)[::2])
    assert consumer.pop_nowait().tolist() == [0.0, 1.0, 0.0, 2.0, 4.0]


def test_records_of_any_fixed_dtype_pass_whole() -> None:
    """Odd sizes, nested arrays and unaligned fields survive."""
    dtype = np.dtype([("kind", np.uint8), ("at", np.int64), ("chroma", np.float32, (12,))])
    producer, consumer = make_ring(2, dtype)
    records = np.zeros(2, dtype)
    records["kind"], records["at"] = [7, 8], [-1, 2**40]
    records["chroma"] = np.arange(24).reshape(2, 12)
    for _ in range(3):
        assert producer.push_nowait(records)
        assert np.array_equal(consumer.pop_nowait(), records)


def test_the_ends_share_no_cache_line() -> None:
    """Counters of different threads lie in different 128-byte lines."""
    counters = make_ring(8, np.float32)[0].ring.counters
    assert counters.ctypes.data % 128 == 0
    lines = {name: 8 * index // 128 for name, index in (("w", WRITTEN), ("r", RELEASED))}
    assert lines["w"] == 8 * CLAIMED // 128 == 8 * REFUSED // 128 != lines["r"]


@settings(deadline=None)  # the first example loads the kernels
@given(
    st.sampled_from([1, 2, 8]),
    st.lists(st.tuples(st.booleans(), st.integers(0, 9)), max_size=60),
)
def test_it_behaves_like_a_bounded_list(capacity: int, steps: list[tuple[bool, int]]) -> None:
    """Any sequence of pushes and pops gives what a plain list with a limit gives."""
    producer, consumer = make_ring(capacity, np.int64)
    twin: list[int] = []
    n_pushed = n_refused = 0
    for is_push, n in steps:
        if is_push:
            block = np.arange(n_pushed, n_pushed + n)
            fits = len(twin) + n <= capacity
            assert producer.push_nowait(block) is fits
            twin += block.tolist() if fits else []
            n_pushed += n if fits else 0
            n_refused += 0 if fits else n
        else:
            out = np.empty(n, np.int64)
            assert out[: pop(consumer.ring, out)].tolist() == twin[:n]
            del twin[:n]
    assert np.concatenate(consumer.readable()).tolist() == twin
    assert (producer.n_written, producer.n_refused) == (n_pushed, n_refused)


def observed(observer: Observer, position: int, n: int) -> tuple[Seen, list[float]]:
    """Read n frames from a position and give the answer with what was read."""
    out = np.full(n, np.nan, np.float32)
    return observer.read(position, out), out.tolist()


def test_an_observer_reads_the_past_without_taking_it() -> None:
    """What the consumer has released can still be seen until it is overwritten."""
    producer, consumer = make_ring(8, np.float32)
    observer = Observer(producer.ring)
    producer.push_nowait(numbers(0, 6))
    consumer.pop_nowait()
    producer.push_nowait(numbers(6, 4))
    assert observer.newest == 10
    assert observed(observer, 2, 8) == (Seen.WHOLE, numbers(2, 8).tolist())
    assert observed(observer, 10, 0)[0] is Seen.WHOLE
    assert np.concatenate(consumer.readable()).tolist() == numbers(6, 4).tolist()


def test_an_observer_is_told_what_is_gone_and_what_is_to_come() -> None:
    """One frame too old or too new changes the answer."""
    producer, consumer = make_ring(8, np.float32)
    observer = Observer(producer.ring)
    producer.push_nowait(numbers(0, 8))
    consumer.pop_nowait()
    producer.push_nowait(numbers(8, 2))
    assert observed(observer, 1, 8)[0] is Seen.OVERWRITTEN
    assert observed(observer, 3, 8)[0] is Seen.NOT_YET
    assert observed(observer, 2, 9)[0] is Seen.NOT_YET
    assert observed(observer, -1, 2)[0] is Seen.OVERWRITTEN
    assert observed(observer, 0, 9)[0] is Seen.OVERWRITTEN


def test_an_observer_trusts_nothing_that_is_being_overwritten() -> None:
    """Claimed slots count as gone before the producer has published them."""
    producer, consumer = make_ring(8, np.float32)
    observer = Observer(producer.ring)
    producer.push_nowait(numbers(0, 8))
    consumer.pop_nowait()
    assert claim(producer.ring, 3) == 8
    assert observed(observer, 2, 4)[0] is Seen.OVERWRITTEN
    assert observed(observer, 3, 5) == (Seen.WHOLE, numbers(3, 5).tolist())
    assert observed(observer, 4, 5)[0] is Seen.NOT_YET
    publish(producer.ring, 3)
    assert observer.newest == 11


@pytest.mark.parametrize("capacity", [0, -8, 3, 100])
def test_a_capacity_must_be_a_power_of_two(capacity: int) -> None:
    """Anything else is refused by value."""
    with pytest.raises(ValueError, match=f"power of two, got {capacity}"):
        make_ring(capacity, np.float32)


def test_python_objects_are_refused() -> None:
    """A ring copies bytes."""
    with pytest.raises(TypeError, match="fixed size"):
        make_ring(8, np.object_)


def test_records_of_another_dtype_are_refused() -> None:
    """Nothing is converted on the way."""
    producer, _ = make_ring(8, np.float32)
    with pytest.raises(TypeError, match="float32, got 1-dimensional float64"):
        producer.push_nowait(np.zeros(2))
    with pytest.raises(TypeError, match="float32, got 2-dimensional float32"):
        producer.push_nowait(np.zeros((2, 2), np.float32))


def test_releasing_more_than_is_readable_is_refused() -> None:
    """The consumer cannot run ahead of the producer."""
    producer, consumer = make_ring(8, np.float32)
    producer.push_nowait(numbers(0, 2))
    with pytest.raises(ValueError, match="0 to the 2 readable records, got 3"):
        consumer.release(3)


def test_an_observer_needs_a_place_to_copy_to() -> None:
    """Another dtype or a strided array is refused."""
    observer = Observer(make_ring(8, np.float32)[0].ring)
    with pytest.raises(TypeError, match="out must be contiguous, writeable, one-dimensional"):
        observer.read(0, np.zeros(2))
    with pytest.raises(TypeError, match="out must be"):
        observer.read(0, np.zeros(4, np.float32)[::2])


def test_the_kernels_run_interpreted() -> None:
    """With NUMBA_DISABLE_JIT a ring works the same."""
    code = """
import numpy as np
from realtime.ring import Observer, Seen, make_ring
producer, consumer = make_ring(4, np.float32)
for start in range(0, 30, 3):
    assert producer.push_nowait(np.arange(start, start + 3, dtype=np.float32))
    assert not producer.push_nowait(np.zeros(2, np.float32))
    assert consumer.pop_nowait().tolist() == [start, start + 1, start + 2]
out = np.zeros(4, np.float32)
assert Observer(producer.ring).read(26, out) is Seen.WHOLE and out[3] == 29
assert Observer(producer.ring).read(25, out) is Seen.OVERWRITTEN
"""
    environment = os.environ | {"NUMBA_DISABLE_JIT": "1"}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)


# Threads. Checked by breaking the ring, on two busy cores: with `CLAIMED` stored only when the
# block is published, or with `publish` before the copy in `push`, the tests below fail in nearly
# every run; with `release` before the copy in `pop`, in one of three. The orderings that x86 gives
# for nothing are checked in test_atomics.

sched_yield = types.ExternalFunction("sched_yield", types.int32())
N_RECORDS = 3_000_000
MAX_BLOCK = 509
TIGHT = 512  # a long block fits an empty ring only: each end is at the other's heels
WIDE = 2**15  # popped when nearly full, into fresh memory: slower than the next push


@njit(nogil=True)
def send(ring: Ring, n_records: int) -> None:
    """Push numbered records in blocks of changing length; wait by yielding."""
    block = np.empty(MAX_BLOCK, NUMBERED)
    number = 0
    while number < n_records:
        n = min(1 + number % MAX_BLOCK, n_records - number)
        for i in range(n):
            block[i]["number"] = number + i
            for k in range(7):
                block[i]["copies"][k] = number + i
        while not push(ring, block[:n]):
            sched_yield()
        number += n


@njit(nogil=True)
def relay(source: Ring, sink: Ring, n_records: int) -> int:
    """Pass all records on from where they lie; count the torn and disordered, newest first."""
    number = n_wrong = 0
    while number < n_records:
        position, n = readable(source)
        first, second = span(source, position, n)
        for i in range(n - 1, -1, -1):
            record = second[i - first.size] if i >= first.size else first[i]
            n_wrong += not is_whole(record, number + i)
        for part in (first, second):
            while not push(sink, part):
                sched_yield()
        release(source, n)
        if n == 0:
            sched_yield()
        number += n
    return n_wrong


@njit(nogil=True)
def is_whole(record: Any, number: int) -> bool:
    """Say whether every word of a record is the number it should be."""
    is_right = record["number"] == number
    for k in range(7):
        is_right = is_right and record["copies"][k] == number
    return bool(is_right)


def foreign_sender(user_data: Any) -> Any:
    """Send through a ring that is known only by its addresses."""
    words = carray(user_data, 2)
    records = carray(words[0], TIGHT, NUMBERED)
    counters = carray(words[1], 32, np.int64)
    send(Ring(records, counters), N_RECORDS)
    return words[0]


def test_millions_of_records_cross_three_threads_in_order_and_whole() -> None:
    """A pthread unknown to Python, a nogil kernel and a Python thread lose and tear nothing."""
    pointers = types.CPointer(types.voidptr)
    sender = cfunc(types.voidptr(pointers))(foreign_sender)
    first, _ = make_ring(TIGHT, NUMBERED)
    second, consumer = make_ring(WIDE, NUMBERED)
    addresses = np.array(
        [first.ring.records.ctypes.data, first.ring.counters.ctypes.data], np.uintp
    )
    libc = ctypes.CDLL(None)
    thread_id = ctypes.c_void_p()
    wrong_in_kernel = []
    kernel = threading.Thread(
        target=lambda: wrong_in_kernel.append(relay(first.ring, second.ring, N_RECORDS))
    )
    libc.pthread_create(
        ctypes.byref(thread_id),
        None,
        ctypes.c_void_p(sender.address),
        ctypes.c_void_p(addresses.ctypes.data),
    )
    kernel.start()
    n_seen = n_wrong = 0
    while n_seen < N_RECORDS:
        if second.n_written < min(n_seen + WIDE - TIGHT, N_RECORDS):
            os.sched_yield()
            continue
        records = consumer.pop_nowait()
        expected = np.arange(n_seen, n_seen + records.size)
        n_wrong += int((records["number"] != expected).sum())
        n_wrong += int((records["copies"] != expected[:, None]).sum())
        n_seen += records.size
    kernel.join()
    libc.pthread_join(thread_id, None)
    assert (wrong_in_kernel, n_wrong) == ([0], 0)
    assert consumer.pop_nowait().size == 0


@njit(nogil=True)
def stream(ring: Ring, flags: Any) -> None:
    """Play producer and consumer of a stream that never waits: frame p holds p modulo 4096."""
    block = np.empty(MAX_BLOCK, np.float32)
    frame = 0
    while not load_acquire(flags, 0):
        for i in range(block.size):
            block[i] = (frame + i) % 4096
        push(ring, block)
        release(ring, readable(ring)[1])
        frame += block.size


@njit(nogil=True)
def watch(ring: Ring, flags: Any, n_wanted: int) -> Any:
    """Read spans close to the edge of the past; count whole, overwritten and wrong ones."""
    out = np.empty(512, np.float32)
    n_whole = n_overwritten = n_wrong = 0
    while n_whole < n_wanted or n_overwritten < n_wanted:
        lead = (n_whole + n_overwritten) % 256 - 96
        position = load_acquire(ring.counters, WRITTEN) - ring.records.size + lead
        seen = observe(ring, position, out)
        n_overwritten += seen == Seen.OVERWRITTEN
        if seen == Seen.WHOLE:
            n_whole += 1
            for i in range(out.size):
                n_wrong += out[i] != (position + i) % 4096
    store_release(flags, 0, 1)
    return n_whole, n_overwritten, n_wrong


def test_an_observer_never_believes_what_was_overwritten_meanwhile() -> None:
    """Whatever it calls whole is what was written there, however fast the producer is."""
    ring = make_ring(1024, np.float32)[0].ring
    flags = np.zeros(16, np.int64)
    producer = threading.Thread(target=stream, args=(ring, flags))
    producer.start()
    n_whole, n_overwritten, n_wrong = watch(ring, flags, 20_000)
    producer.join()
    assert n_wrong == 0
    assert min(n_whole, n_overwritten) >= 20_000
