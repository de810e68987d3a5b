"""The host's clock, as kernels see it."""

import os
import subprocess
import sys
import time

from numba import njit

from realtime.monotonic import monotonic_ns, sleep_ns


@njit(nogil=True)
def now_ns() -> int:
    """Read the clock in a kernel."""
    return int(monotonic_ns())


@njit(nogil=True)
def slept_ns(duration_ns: int) -> int:
    """Sleep in a kernel and say how long it was."""
    start_ns = monotonic_ns()
    sleep_ns(duration_ns)
    return int(monotonic_ns() - start_ns)


def test_a_kernel_reads_the_clock_that_python_reads() -> None:
    """Readings from either side are in order when taken in turn."""
    for _ in range(100):
        readings = [time.monotonic_ns(), now_ns(), time.monotonic_ns(), now_ns()]
        assert readings == sorted(readings)


def test_a_kernel_sleeps_no_less_than_asked() -> None:
    """Whole seconds and fractions both count."""
    assert slept_ns(0) >= 0
    assert slept_ns(2_000_000) >= 2_000_000
    assert slept_ns(1_000_000_001) >= 1_000_000_001


def test_no_time_is_not_slept() -> None:
    """A deadline that is over already is no error, from Python or a kernel."""
    sleep_ns(-1)
    assert slept_ns(-1) >= 0


def test_the_kernels_run_interpreted() -> None:
    """With NUMBA_DISABLE_JIT the same functions are Python's own."""
    code = """
from realtime.monotonic import monotonic_ns, sleep_ns
start_ns = monotonic_ns()
sleep_ns(1000)
assert monotonic_ns() - start_ns >= 1000
"""
    environment = os.environ | {"NUMBA_DISABLE_JIT": "1"}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)
