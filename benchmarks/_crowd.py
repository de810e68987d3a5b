"""Crowd: the performer among bad neighbours, inside its own process.

Run as ``python -m benchmarks._crowd ARGUMENTS``: two threads spin on the GIL and one writes to the
disk for as long as ``realtime.perform`` with those arguments plays.
"""

import contextlib
import os
import sys
import tempfile
import threading
from collections.abc import Iterator

from benchmarks._neighbours import gil_hogs
from realtime.perform import main

N_HOGS = 2
_CHUNK = bytes(1 << 20)
_CHUNKS = 64
_PAUSE_S = 0.1


@contextlib.contextmanager
def disk_writer() -> Iterator[None]:
    """Keep writing 10 MB a second meanwhile, flushed to the disk, 64 MB over and over."""
    is_over = threading.Event()

    def write() -> None:
        with tempfile.TemporaryFile() as file:
            while True:
                file.seek(0)
                for _ in range(_CHUNKS):
                    file.write(_CHUNK)
                    file.flush()
                    os.fsync(file.fileno())
                    if is_over.wait(_PAUSE_S):
                        return

    writer = threading.Thread(target=write)
    writer.start()
    try:
        yield
    finally:
        is_over.set()
        writer.join()


if __name__ == "__main__":
    with gil_hogs(N_HOGS), disk_writer():
        code = main()
    sys.exit(code)
