"""Doorbell: wake another thread by one byte through a pipe.

Any thread may ring, from Python or from a compiled kernel without the GIL; it never blocks. One
thread answers: an event loop that watches `Doorbell.fileno`, or a kernel in `wait_doorbell`. The
bell carries no data and rings before the answer fuse into one: whoever answers drains it first and
then looks at the rings it guards, so that nothing published before a ring is missed.
"""

import os
import select
from typing import Any, Final

import numpy as np
from numba import types
from numba.extending import overload

RUNG: Final = 1
TIMED_OUT: Final = 0
CLOSED: Final = -1

_POLLIN: Final = 0x001
_POLLNVAL: Final = 0x020  # both as on Linux and macOS
_BELL: Final = np.zeros(1, np.uint8)
_POLL_FD: Final = np.dtype([("fd", np.int32), ("events", np.int16), ("revents", np.int16)])
_DRAIN_BYTES: Final = 512

_write = types.ExternalFunction("write", types.intp(types.int32, types.voidptr, types.uintp))
_read = types.ExternalFunction("read", types.intp(types.int32, types.voidptr, types.uintp))
_poll = types.ExternalFunction("poll", types.int32(types.voidptr, types.uintp, types.int32))


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
        rings = np.empty(_DRAIN_BYTES, np.uint8)
        while _read(read_fd, rings.ctypes, _DRAIN_BYTES) == _DRAIN_BYTES:
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
        poll_fd = np.empty(1, _POLL_FD)
        poll_fd[0].fd = read_fd
        poll_fd[0].events = _POLLIN
        poll_fd[0].revents = 0
        n = -1
        while n < 0:  # only EINTR: the one structure is valid and always the same
            n = _poll(poll_fd.ctypes, 1, timeout_ms)
        if n == 0:
            return TIMED_OUT
        if poll_fd[0].revents & _POLLNVAL:
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
