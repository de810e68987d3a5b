"""Whether the orderings the rings rely on reach the compiled code."""

import os
import re
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from numba import njit
from numba.core.dispatcher import Dispatcher

from realtime._atomics import fence_acquire, fence_release, load_acquire, store_release
from tests.conftest import REPOSITORY


def test_python_and_kernels_do_the_same() -> None:
    """Both read and write the same word."""

    def move(words: Any) -> Any:
        fence_acquire()
        store_release(words, 1, load_acquire(words, 0) + 1)
        fence_release()
        return words

    assert move(np.array([41, 0, 7])).tolist() == [41, 42, 7]
    assert njit(move)(np.array([41, 0, 7])).tolist() == [41, 42, 7]


def test_python_too_orders_memory() -> None:
    """What Python calls is the compiled instruction: a plain access of numpy's orders nothing."""
    assert isinstance(load_acquire, Dispatcher)
    assert isinstance(store_release, Dispatcher)


def test_the_kernels_run_interpreted() -> None:
    """With NUMBA_DISABLE_JIT they are plain accesses."""
    code = """
import numpy as np
from realtime._atomics import fence_acquire, load_acquire, store_release
words = np.array([41, 0])
store_release(words, 1, load_acquire(words, 0) + 1)
fence_acquire()
assert words.tolist() == [41, 42]
"""
    environment = os.environ | {"NUMBA_DISABLE_JIT": "1"}
    subprocess.run([sys.executable, "-c", code], env=environment, cwd=REPOSITORY, check=True)


@pytest.mark.parametrize(
    ("kernel", "instruction"),
    [
        (lambda words: load_acquire(words, 0), r"load atomic i64, .* acquire, align 8"),
        (lambda words: store_release(words, 0, 1), r"store atomic i64 .* release, align 8"),
        (lambda words: fence_acquire(), "fence acquire"),
        (lambda words: fence_release(), "fence release"),
    ],
)
def test_each_is_its_llvm_instruction(kernel: Any, instruction: str) -> None:
    """A plain load or store would do on x86 and lose records on Arm."""
    compiled = njit(kernel)
    compiled(np.zeros(1, np.int64))
    (code,) = compiled.inspect_llvm().values()
    body = code[code.index("define") :].split("\n}")[0]
    assert re.search(instruction, body)
