"""The doorbell, rung and answered from Python and from kernels."""

import asyncio
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numba import njit

from realtime.doorbell import CLOSED, RUNG, TIMED_OUT, Doorbell, ring_doorbell, wait_doorbell
from realtime.ring import Ring, make_ring, pop, push, readable
from tests.conftest import REPOSITORY

PIPE_BYTES = 65_536


@njit(nogil=True)
def ring_kernel(write_fd: int, n_times: int) -> None:
    """Ring from a kernel."""
    for _ in range(n_times):
        ring_doorbell(write_fd)


@njit(nogil=True)
def wait_kernel(read_fd: int, timeout_ms: int) -> int:
    """Answer from a kernel."""
    return int(wait_doorbell(read_fd, timeout_ms))


@pytest.fixture
def bell() -> Iterator[Doorbell]:
    """Give a doorbell that is closed after the test."""
    doorbell = Doorbell()
    yield doorbell
    doorbell.close()


def test_a_silent_bell_times_out(bell: Doorbell) -> None:
    """Nobody rang: the wait ends with its time."""
    assert not bell.wait(0)
    assert wait_kernel(bell.read_fd, 0) == TIMED_OUT
    assert wait_kernel(bell.read_fd, 1) == TIMED_OUT


def test_draining_a_silent_bell_does_not_block(bell: Doorbell) -> None:
    """There may be nothing to drain."""
    bell.drain()


def test_many_rings_are_one_answer(bell: Doorbell) -> None:
    """All rings before the answer fuse."""
    for _ in range(3):
        bell.ring()
    assert bell.wait(0)
    assert not bell.wait(0)


def test_a_full_pipe_blocks_nobody(bell: Doorbell) -> None:
    """More rings than a pipe holds still are one answer, from either side."""
    for _ in range(PIPE_BYTES + 1):
        bell.ring()
    assert wait_kernel(bell.read_fd, 0) == RUNG
    assert wait_kernel(bell.read_fd, 0) == TIMED_OUT
    ring_kernel(bell.write_fd, PIPE_BYTES + 1)
    assert bell.wait(0)
    bell.drain()
    assert not bell.wait(0)


def test_a_closed_bell_ends_the_wait() -> None:
    """A kernel that waits on a descriptor that is gone does not wait for ever."""
    doorbell = Doorbell()
    doorbell.close()
    assert wait_kernel(doorbell.read_fd, -1) == CLOSED
    assert wait_doorbell(doorbell.read_fd, -1) == CLOSED


async def test_an_event_loop_can_watch_it(bell: Doorbell) -> None:
    """`add_reader` takes the doorbell itself."""
    rang = asyncio.Event()
    asyncio.get_running_loop().add_reader(bell, rang.set)
    threading.Thread(target=ring_kernel, args=(bell.write_fd, 1)).start()
    await rang.wait()
    asyncio.get_running_loop().remove_reader(bell)
    assert bell.wait(0)


def test_a_signal_does_not_end_a_kernels_wait(bell: Doorbell) -> None:
    """EINTR only starts the wait anew, and Python's handler has run after it."""
    handled = []
    before = signal.signal(signal.SIGUSR1, lambda *_: handled.append(True))
    main = threading.main_thread().ident
    assert main is not None

    def interrupt_then_ring() -> None:
        for _ in range(50):
            signal.pthread_kill(main, signal.SIGUSR1)
        bell.ring()

    wait_kernel(bell.read_fd, 0)
    threading.Thread(target=interrupt_then_ring).start()
    try:
        assert wait_kernel(bell.read_fd, -1) == RUNG
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert handled


def test_a_kernel_s_wait_allocates_nothing(tmp_path: Path) -> None:
    """The listener waits some hundred times a second: all it needs lies on its stack."""
    code = """
from tests.realtime.test_doorbell import Doorbell, wait_kernel
wait_kernel(Doorbell().read_fd, 0)
(code,) = wait_kernel.inspect_llvm().values()
assert "@poll" in code and "@read" in code
assert "NRT_Allocate" not in code and "NRT_MemInfo_alloc" not in code
"""
    fresh = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)}  # cached code cannot be inspected
    subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, env=fresh, check=True)


def test_the_kernels_run_interpreted() -> None:
    """With NUMBA_DISABLE_JIT a bell rings the same."""
    code = """
from realtime.doorbell import CLOSED, Doorbell, ring_doorbell, wait_doorbell
bell = Doorbell()
assert not bell.wait(0)
for _ in range(70_000):
    ring_doorbell(bell.write_fd)
assert bell.wait() and not bell.wait(0)
bell.close()
assert wait_doorbell(bell.read_fd, -1) == CLOSED
"""
    environment = os.environ | {"NUMBA_DISABLE_JIT": "1"}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)


@njit(nogil=True)
def echo(requests: Ring, bell_fd: int, answers: Ring, answer_fd: int, n_rounds: Any) -> None:
    """Answer each request, and sleep at the bell in between."""
    number = requests.records[:1].copy()
    n_done = 0
    while n_done < n_rounds:
        while readable(requests)[1] == 0:
            wait_doorbell(bell_fd, -1)
        pop(requests, number)
        push(answers, number)
        ring_doorbell(answer_fd)
        n_done += 1


def test_no_ring_is_lost_between_two_threads(bell: Doorbell) -> None:
    """Ten thousand times there and back: one missed bell and this would wait for ever."""
    n_rounds = 10_000
    answer_bell = Doorbell()
    requests, request_end = make_ring(1, "i8")
    answers, answer_end = make_ring(1, "i8")
    kernel = threading.Thread(
        target=echo,
        args=(request_end.ring, bell.read_fd, answers.ring, answer_bell.write_fd, n_rounds),
    )
    kernel.start()
    for number in range(n_rounds):
        assert requests.push_nowait(np.array([number]))
        bell.ring()
        while not (answer := answer_end.pop_nowait()).size:
            answer_bell.wait()
        assert answer.tolist() == [number]
    kernel.join()
    answer_bell.close()
    assert answer_end.n_released == n_rounds
