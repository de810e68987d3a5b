"""Atomics: loads, stores and fences that order memory between two threads.

Any thread, with or without the GIL; never blocks. Each is one LLVM instruction, inlined in kernels.
Loads and stores are kernels themselves, so that Python, too, orders memory when it calls them; only
with ``NUMBA_DISABLE_JIT=1``, where every thread holds the GIL, does a Python body run.
"""

from typing import Any

import numpy as np
from numba import njit, types
from numba.extending import intrinsic, overload
from numpy.typing import NDArray

_WORD_BYTES = 8


@njit(nogil=True, cache=True)
def load_acquire(words: NDArray[np.int64], index: int) -> int:
    """Read ``words[index]``, from Python or a kernel; whatever follows it is read after it."""
    return _load(words, index)


@njit(nogil=True, cache=True)
def store_release(words: NDArray[np.int64], index: int, value: int) -> None:
    """Write ``words[index]``, from Python or a kernel; what precedes it is visible before it."""
    _store(words, index, value)


def _load(words: NDArray[np.int64], index: int) -> int:
    return int(words[index])


def _store(words: NDArray[np.int64], index: int, value: int) -> None:
    words[index] = value


def fence_acquire() -> None:
    """Keep every read before the fence ahead of every access after it."""


def fence_release() -> None:
    """Keep every access before the fence ahead of every write after it."""


def _word(context: Any, builder: Any, array_type: Any, array: Any, index: Any) -> Any:
    """Emit the address of one word of a C-contiguous int64 array."""
    data = context.make_array(array_type)(context, builder, array).data
    return builder.gep(data, [index], inbounds=True)


@intrinsic
def _load_acquire(typing_context: Any, words: Any, index: Any) -> Any:
    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        word = _word(context, builder, signature.args[0], *args)
        return builder.load_atomic(word, "acquire", _WORD_BYTES)

    return types.int64(words, types.intp), emit


@intrinsic
def _store_release(typing_context: Any, words: Any, index: Any, value: Any) -> Any:
    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        word = _word(context, builder, signature.args[0], args[0], args[1])
        builder.store_atomic(args[2], word, "release", _WORD_BYTES)
        return context.get_dummy_value()

    return types.void(words, types.intp, types.int64), emit


@intrinsic
def _fence_acquire(typing_context: Any) -> Any:
    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        builder.fence("acquire")
        return context.get_dummy_value()

    return types.void(), emit


@intrinsic
def _fence_release(typing_context: Any) -> Any:
    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        builder.fence("release")
        return context.get_dummy_value()

    return types.void(), emit


@overload(_load, strict=False)
def _compile_load(words: Any, index: Any) -> Any:
    return lambda words, index: _load_acquire(words, index)


@overload(_store, strict=False)
def _compile_store(words: Any, index: Any, value: Any) -> Any:
    return lambda words, index, value: _store_release(words, index, value)


@overload(fence_acquire, strict=False)
def _compile_fence_acquire() -> Any:
    return lambda: _fence_acquire()


@overload(fence_release, strict=False)
def _compile_fence_release() -> Any:
    return lambda: _fence_release()
