"""Atomics: loads, stores and fences that order memory between two threads.

Runs inside compiled kernels on any thread, with or without the GIL; never blocks. Each is one LLVM
instruction. The Python body is what runs interpreted (``NUMBA_DISABLE_JIT=1``), where the GIL
orders everything.
"""

from typing import Any

import numpy as np
from numba import types
from numba.extending import intrinsic, overload
from numpy.typing import NDArray

_WORD_BYTES = 8


def load_acquire(words: NDArray[np.int64], index: int) -> int:
    """Read ``words[index]``; whatever follows in program order is read after it."""
    return int(words[index])


def store_release(words: NDArray[np.int64], index: int, value: int) -> None:
    """Write ``words[index]``; whatever precedes it in program order is visible before it."""
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


@overload(load_acquire, strict=False)
def _compile_load_acquire(words: Any, index: Any) -> Any:
    return lambda words, index: _load_acquire(words, index)


@overload(store_release, strict=False)
def _compile_store_release(words: Any, index: Any, value: Any) -> Any:
    return lambda words, index, value: _store_release(words, index, value)


@overload(fence_acquire, strict=False)
def _compile_fence_acquire() -> Any:
    return lambda: _fence_acquire()


@overload(fence_release, strict=False)
def _compile_fence_release() -> Any:
    return lambda: _fence_release()
