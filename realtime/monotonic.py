"""The host's monotonic clock, for kernels: read it, and sleep until it has come so far.

The same clock as `time.monotonic_ns`, so that times stamped on the audio thread, in a nogil kernel
and in the event loop compare directly. Any thread, with or without the GIL; reading it never
blocks or allocates, which an audio callback may rely on.
"""

import sys
import time
from typing import Any, Final

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, overload

NS_PER_S: Final = 1_000_000_000

# What CPython reads for time.monotonic_ns: mach_absolute_time on macOS, which stands still while
# the machine is suspended, as CLOCK_UPTIME_RAW (8) does there; CLOCK_MONOTONIC (1) on Linux.
_CLOCK_ID: Final = 8 if sys.platform == "darwin" else 1

_INT32 = ir.IntType(32)
_INT64 = ir.IntType(64)
_TIMESPEC = ir.ArrayType(_INT64, 2)  # seconds, nanoseconds


def monotonic_ns() -> int:
    """Read the clock, from Python or a kernel; nanoseconds since some moment in the past."""
    return time.monotonic_ns()


def sleep_ns(duration_ns: int) -> None:
    """Sleep, from Python or a kernel, where a signal cuts it short; below 0 it does not."""
    time.sleep(max(duration_ns, 0) / NS_PER_S)


@intrinsic
def _monotonic_ns(typing_context: Any) -> Any:
    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        now = cgutils.alloca_once(builder, _TIMESPEC)
        read = ir.FunctionType(_INT32, [_INT32, now.type])
        clock_gettime = cgutils.get_or_insert_function(builder.module, read, "clock_gettime")
        builder.call(clock_gettime, [_INT32(_CLOCK_ID), now])
        seconds, nanoseconds = cgutils.unpack_tuple(builder, builder.load(now), 2)
        return builder.add(builder.mul(seconds, _INT64(NS_PER_S)), nanoseconds)

    return types.int64(), emit


@intrinsic
def _sleep_ns(typing_context: Any, duration_ns: Any) -> Any:
    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        seconds = builder.sdiv(args[0], _INT64(NS_PER_S))
        nanoseconds = builder.srem(args[0], _INT64(NS_PER_S))
        duration = cgutils.alloca_once_value(
            builder, cgutils.pack_array(builder, [seconds, nanoseconds])
        )
        wait = ir.FunctionType(_INT32, [duration.type, duration.type])
        nanosleep = cgutils.get_or_insert_function(builder.module, wait, "nanosleep")
        builder.call(nanosleep, [duration, duration.type(None)])
        return context.get_dummy_value()

    return types.void(types.int64), emit


@overload(monotonic_ns)
def _compile_monotonic_ns() -> Any:
    return lambda: _monotonic_ns()


@overload(sleep_ns, strict=False)
def _compile_sleep_ns(duration_ns: Any) -> Any:
    return lambda duration_ns: _sleep_ns(duration_ns)
