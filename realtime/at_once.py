"""At once: writing for a reader who may be gone, or be there and read no more.

A pipe, a terminal and a socket that are ready take a piece of this size without waiting, so whoever
writes so is never kept: what is not taken at once is not written. A file is always ready.
"""

import os
import select
from typing import Final

_PIECE: Final = 512
"""Bytes; what POSIX promises of a pipe that is ready (PIPE_BUF is at least that)."""


def write_at_once(fd: int, content: bytes) -> bytes:
    """Write, and give back what was not taken.

    Raises
    ------
    OSError
        Nobody reads any more.
    """
    while content:
        if not select.select([], [fd], [], 0)[1]:
            break
        content = content[os.write(fd, content[:_PIECE]) :]
    return content
