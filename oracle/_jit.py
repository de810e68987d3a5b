"""How the oracle's kernels are compiled: a decorator, no kernel of its own."""

from collections.abc import Callable
from typing import ParamSpec, TypeVar

from numba import njit

P = ParamSpec("P")
R = TypeVar("R")


def kernel(function: Callable[P, R]) -> Callable[P, R]:
    """Compile without the GIL, without allocation and without counting references.

    Counting each array that a kernel touches made adding a state five times slower; where nothing
    is allocated (`_nrt=False` refuses it) nothing needs counting, for the caller holds the arrays.
    Passing a dozen arrays to a helper costs more than most helpers do, so each is compiled into its
    caller, which halved the time again.
    """
    compiled: Callable[P, R] = njit(
        nogil=True, cache=True, error_model="numpy", _nrt=False, forceinline=True
    )(function)
    return compiled
