"""Doorbell: wake another thread by one byte through a pipe.

Any thread may ring, from Python or from a compiled kernel without the GIL; it never blocks. One
thread answers: an event loop that watches `Doorbell.fileno`, or a kernel in `wait_doorbell`, which
allocates nothing. The bell carries no data and rings before the answer fuse into one: whoever
answers drains it first and then looks at the rings it guards, so that nothing published before a
ring is missed.
"""

import os
import select
from typing import Any, Final

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, overload

RUNG: Final = 1
TIMED_OUT: Final = 0
CLOSED: Final = -1

_POLLIN: Final = 0x001
_POLLNVAL: Final = 0x020  # both as on Linux and macOS
_BELL: Final = np.zeros(1, np.uint8)
_DRAIN_BYTES: Final = 512

_INT16 = ir.IntType(16)
_INT32 = ir.IntType(32)
_INT64 = ir.IntType(64)
_POLL_FD = ir.LiteralStructType([_INT32, _INT16, _INT16])  # fd, events, revents

_write = types.ExternalFunction("write", types.intp(types.int32, types.voidptr, types.uintp))


@intrinsic
def _read_some(typing_context: Any, read_fd: Any) -> Any:
    """Emit a read into the stack: how many bytes there were, up to `_DRAIN_BYTES`, or -1."""

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        rings = cgutils.alloca_once(builder, ir.ArrayType(ir.IntType(8), _DRAIN_BYTES))
        signature_c = ir.FunctionType(_INT64, [_INT32, rings.type, _INT64])
        read = cgutils.get_or_insert_function(builder.module, signature_c, "read")
        return builder.call(read, [args[0], rings, _INT64(_DRAIN_BYTES)])

    return types.int64(types.int32), emit


@intrinsic
def _poll_readable(typing_context: Any, read_fd: Any, timeout_ms: Any) -> Any:
    """Emit a poll for bytes: the events there are, 0 when the time is over, -1 when interrupted."""

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        poll_fd = cgutils.alloca_once(builder, _POLL_FD)
        asked = cgutils.pack_struct(builder, [args[0], _INT16(_POLLIN), _INT16(0)])
        builder.store(asked, poll_fd)
        signature_c = ir.FunctionType(_INT32, [poll_fd.type, _INT64, _INT32])
        poll = cgutils.get_or_insert_function(builder.module, signature_c, "poll")
        n_ready = builder.call(poll, [poll_fd, _INT64(1), args[1]])
        events = builder.zext(builder.extract_value(builder.load(poll_fd), 2), _INT64)
        is_interrupted = builder.icmp_signed("<", n_ready, _INT32(0))
        return builder.select(is_interrupted, _INT64(-1), events)

    return types.int64(types.int32, types.int32), emit


def ring_doorbell(write_fd: int) -> None:
    """Ring from Python or a kernel.

    A full pipe (EAGAIN) is as good as a ring, as its reader has yet to answer; a non-blocking write
    of one byte is never interrupted.
    """
    try:
        os.write(write_fd, b"\0")
    except BlockingIOError:
        return


@overload(ring_doorbell, strict=False)
def _compile_ring_doorbell(write_fd: Any) -> Any:
    def impl(write_fd):  # type: ignore[no-untyped-def]
        _write(write_fd, _BELL.ctypes, 1)

    return impl


def drain_doorbell(read_fd: int) -> None:
    """Take all rings so far, from Python or a kernel; the answering thread only."""
    try:
        while len(os.read(read_fd, _DRAIN_BYTES)) == _DRAIN_BYTES:
            pass
    except BlockingIOError:
        return


@overload(drain_doorbell, strict=False)
def _compile_drain_doorbell(read_fd: Any) -> Any:
    def impl(read_fd):  # type: ignore[no-untyped-def]
        while _read_some(read_fd) == _DRAIN_BYTES:
            pass

    return impl


def wait_doorbell(read_fd: int, timeout_ms: int) -> int:
    """Block until the bell rings, then drain it, from Python or a kernel; answering thread only.

    A signal only starts the wait anew: Python runs its handler in the main thread.

    Parameters
    ----------
    timeout_ms
        How long to wait at most; -1 for ever.

    Returns
    -------
    int
        `RUNG`, `TIMED_OUT`, or `CLOSED` if the doorbell has been closed.
    """
    poll = select.poll()
    poll.register(read_fd, select.POLLIN)
    events = poll.poll(timeout_ms)
    if not events:
        return TIMED_OUT
    if events[0][1] & select.POLLNVAL:
        return CLOSED
    drain_doorbell(read_fd)
    return RUNG


@overload(wait_doorbell, strict=False)
def _compile_wait_doorbell(read_fd: Any, timeout_ms: Any) -> Any:
    def impl(read_fd, timeout_ms):  # type: ignore[no-untyped-def]
        events = -1
        while events < 0:  # only EINTR: the one structure is valid and always the same
            events = _poll_readable(read_fd, timeout_ms)
        if events == 0:
            return TIMED_OUT
        if events & _POLLNVAL:
            return CLOSED
        drain_doorbell(read_fd)
        return RUNG

    return impl


class Doorbell:
    """A pipe whose ends never block.

    Attributes
    ----------
    read_fd, write_fd : int
        For kernels.
    """

    __slots__ = ("read_fd", "write_fd")

    def __init__(self) -> None:
        self.read_fd, self.write_fd = os.pipe()
        os.set_blocking(self.read_fd, False)
        os.set_blocking(self.write_fd, False)

    def ring(self) -> None:
        """Wake whoever answers. Any thread."""
        ring_doorbell(self.write_fd)

    def drain(self) -> None:
        """Take all rings so far. The answering thread only."""
        drain_doorbell(self.read_fd)

    def wait(self, timeout_s: float | None = None) -> bool:
        """Block until the bell rings, drain it, and say whether it rang. Answering thread only."""
        timeout_ms = -1 if timeout_s is None else round(timeout_s * 1000)
        return wait_doorbell(self.read_fd, timeout_ms) == RUNG

    def fileno(self) -> int:
        """Give the descriptor an event loop watches with ``add_reader``."""
        return self.read_fd

    def close(self) -> None:
        """Close both ends. Only once nobody rings or waits any more: descriptors are reused."""
        os.close(self.read_fd)
        os.close(self.write_fd)
