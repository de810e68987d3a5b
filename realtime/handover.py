"""Handover: what a port leaves to the next one: the channels in use, and who heard it.

A keeper that dies can say no last word. So its port writes as it goes into a file without a name,
whose descriptor the supervisor holds and every keeper inherits; the next one's port ends what may
still sound on these channels and connects those who listened. Two threads write, each in a place of
its own, and what one write leaves is whole, as no signal cuts it in two. A file that cannot be
written costs the handover, never a note.
"""

import contextlib
import json
import os
import sys
import tempfile
from typing import Final

_CHANNELS_AT: Final = 0
_RECEIVERS_AT: Final = 2
_MOST_BYTES: Final = 1 << 16


class Handover:
    """What the next port is to know.

    Parameters
    ----------
    fd
        The file, which is not closed; without one nothing outlives this object.
    """

    def __init__(self, fd: int | None = None) -> None:
        self._fd = fd
        left = b"" if fd is None else os.pread(fd, _MOST_BYTES, 0)
        bits = int.from_bytes(left[:_RECEIVERS_AT], "little")
        self._channels = {channel for channel in range(16) if bits >> channel & 1}
        self._receivers = _names(left[_RECEIVERS_AT:])

    @property
    def channels(self) -> set[int]:
        """Channels that have been sent to, counted from 0."""
        return self._channels

    @property
    def receivers(self) -> list[str]:
        """Names of the ports that heard it, or are to hear it. The port's own thread only."""
        return self._receivers

    @receivers.setter
    def receivers(self, names: list[str]) -> None:
        if names != self._receivers:
            self._receivers = names
            self._write(json.dumps(names).encode() + b"\n", _RECEIVERS_AT)

    def use(self, channel: int) -> None:
        """Note a channel before anything is sent to it; one that is noted costs nothing."""
        if channel not in self._channels:
            self._channels.add(channel)
            bits = sum(1 << used for used in self._channels)
            self._write(bits.to_bytes(2, "little"), _CHANNELS_AT)

    def _write(self, content: bytes, place: int) -> None:
        if self._fd is not None:
            with contextlib.suppress(OSError):  # a disk that is full
                os.pwrite(self._fd, content, place)


def unnamed_file() -> int:
    """Make a file without a name, in memory where the system has such, and give its descriptor."""
    if sys.platform == "linux":
        fd = os.memfd_create("handover")
    else:
        fd, path = tempfile.mkstemp()
        os.unlink(path)
    return fd


def _names(written: bytes) -> list[str]:
    """Read names; of what makes no sense, none."""
    line, _, _ = written.partition(b"\n")
    try:
        return [str(name) for name in json.loads(line)]
    except ValueError:
        return []
