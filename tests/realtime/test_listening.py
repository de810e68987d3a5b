"""The listener's thread hears what the listener hears, however the sound arrives."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.listener import EVENT_DTYPE, Listener
from realtime import listening
from realtime.doorbell import Doorbell
from realtime.listening import ListenerThread
from realtime.ring import make_ring
from tests.conftest import REPOSITORY

RATE_HZ = 16_000
TIMEOUT_S = 10.0


def plucks(n_plucks: int) -> NDArray[np.float32]:
    """Give decaying tones a quarter of a second apart, and a second of silence."""
    time_s = np.arange(round((n_plucks / 4 + 1.2) * RATE_HZ)) / RATE_HZ
    audio = np.zeros(len(time_s))
    for i in range(n_plucks):
        since_s = time_s - 0.1 - i / 4
        tone = np.sin(2 * np.pi * 220 * 2 ** (i % 12 / 12) * since_s)
        audio += (since_s >= 0) * np.exp(-12 * np.maximum(since_s, 0)) * tone
    audio[-RATE_HZ:] = 0.0
    return (0.3 * audio).astype(np.float32)


PHRASE = plucks(6)


def heard_offline(audio: NDArray[np.float32]) -> NDArray[np.void]:
    """Hear it all in one call."""
    return Listener(RATE_HZ).hear(audio)


class Bench:
    """A listener's thread between an audio ring and an event ring."""

    def __init__(self, *, capacity: int = 2**17, n_events: int = 1024) -> None:
        self.audio, audio_out = make_ring(capacity, np.float32)
        self.consumer = audio_out
        events_in, self.events = make_ring(n_events, EVENT_DTYPE)
        self.events_in = events_in
        self.frames_ready, self.events_ready = Doorbell(), Doorbell()
        self.thread = ListenerThread(
            Listener(RATE_HZ),
            audio=audio_out,
            frames_ready=self.frames_ready,
            events=events_in,
            events_ready=self.events_ready,
        )

    def play(self, blocks: Iterable[NDArray[np.float32]]) -> None:
        """Deliver blocks, each when there is room for it."""
        for block in blocks:
            while not self.audio.push_nowait(block):
                assert self.thread.error is None
            self.frames_ready.ring()

    def heard(self, n: int) -> Any:
        """Wait for so many records."""
        taken: list[Any] = []
        while sum(map(len, taken)) < n:
            assert self.events_ready.wait(TIMEOUT_S)
            taken.append(self.events.pop_nowait())
        return np.concatenate(taken)

    def close(self) -> None:
        """End the thread and close the bells."""
        assert self.thread.stop(TIMEOUT_S)
        self.frames_ready.close()
        self.events_ready.close()


@pytest.fixture
def bench() -> Iterator[Bench]:
    """Give a bench that is cleared after the test."""
    made = Bench()
    yield made
    made.close()


def without_times(records: Any) -> bytes:
    """Give the bytes of records but for when they were popped and published."""
    records = records.copy()
    records["popped_ns"] = records["published_ns"] = 0
    return bytes(records.tobytes())


def test_a_thread_that_was_never_started_stops(bench: Bench) -> None:
    """An engine that fails before it starts stops everything it has."""
    assert bench.thread.stop(0.0)


def test_warming_up_hears_nothing_and_loses_no_frame(bench: Bench) -> None:
    """Frames that are there already are heard once it has been started."""
    bench.play([PHRASE])
    bench.thread.warm_up()
    assert bench.events.pop_nowait().size == 0
    bench.thread.start()
    expected = heard_offline(PHRASE)
    assert without_times(bench.heard(len(expected))) == without_times(expected)


@settings(max_examples=15, deadline=None)
@given(lengths=st.lists(st.integers(0, 3000), max_size=30))
def test_it_hears_what_the_listener_hears_however_the_sound_arrives(lengths: list[int]) -> None:
    """Bit for bit, in blocks of any length that go round a small ring."""
    blocks = np.split(PHRASE, np.minimum(np.cumsum(lengths), len(PHRASE)))
    rest = [blocks[-1][start : start + 3000] for start in range(0, len(blocks[-1]), 3000)]
    bench = Bench(capacity=2**12)
    bench.thread.start()
    bench.play([*blocks[:-1], *rest])
    expected = heard_offline(PHRASE)
    assert len(expected) >= 12
    assert without_times(bench.heard(len(expected))) == without_times(expected)
    bench.close()
    assert bench.consumer.n_released == len(PHRASE)


def test_each_record_says_when_its_sound_was_taken_and_when_it_was_published(
    bench: Bench,
) -> None:
    """By the monotonic clock, in this order."""
    before_ns = time.monotonic_ns()
    bench.thread.start()
    bench.play([PHRASE])
    records = bench.heard(12)
    times_ns = np.column_stack([records["popped_ns"], records["published_ns"]])
    assert (np.diff(times_ns, axis=1) >= 0).all()
    assert (np.diff(times_ns, axis=0) >= 0).all()
    assert before_ns <= times_ns.min() <= times_ns.max() <= time.monotonic_ns()


def test_a_full_event_ring_refuses_and_counts_and_hears_on() -> None:
    """Records are lost, the place in the stream is not."""
    bench = Bench(n_events=4)
    bench.thread.start()
    bench.play([PHRASE[start : start + 1000] for start in range(0, len(PHRASE), 1000)])
    while bench.consumer.n_released < len(PHRASE):
        assert bench.thread.error is None
    bench.close()
    expected = heard_offline(PHRASE)
    taken = bench.events.pop_nowait()
    assert without_times(taken[:1]) == without_times(expected[:1])
    assert 0 < len(taken) <= 4
    assert len(taken) + bench.events_in.n_refused == len(expected)


def test_stopping_ends_the_thread_and_may_be_repeated(bench: Bench) -> None:
    """It waits on its doorbell, with nothing to hear."""
    n_threads = threading.active_count()
    bench.thread.start()
    assert threading.active_count() == n_threads + 1
    assert bench.thread.stop(TIMEOUT_S)
    assert bench.thread.stop(0.0)
    assert threading.active_count() == n_threads
    assert bench.thread.error is None


def test_a_failure_is_reported_to_the_loop(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bell rings, the error is there, and the thread is gone."""
    failure = MemoryError("no room")

    def fail(*arguments: object) -> None:
        raise failure

    monkeypatch.setattr(listening, "_listen", fail)
    bench.thread.start()
    assert bench.events_ready.wait(TIMEOUT_S)
    assert bench.thread.error is failure
    assert bench.thread.stop(TIMEOUT_S)


def test_the_kernel_runs_interpreted() -> None:
    """With NUMBA_DISABLE_JIT the thread hears the same first note."""
    code = """
from tests.realtime.test_listening import Bench, PHRASE, RATE_HZ, heard_offline, without_times
start = PHRASE[: RATE_HZ // 4]
expected = heard_offline(start)
assert len(expected) == 1
bench = Bench()
bench.thread.start()
bench.play([start[:1000], start[1000:]])
assert without_times(bench.heard(1)) == without_times(expected)
bench.close()
"""
    environment = os.environ | {"NUMBA_DISABLE_JIT": "1"}
    subprocess.run([sys.executable, "-c", code], env=environment, cwd=REPOSITORY, check=True)
