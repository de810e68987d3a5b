"""Neighbours: threads that make a measurement hard, as they may on stage."""

import contextlib
import threading
from collections.abc import Iterator


@contextlib.contextmanager
def gil_hogs(n_hogs: int) -> Iterator[None]:
    """Keep Python threads spinning meanwhile."""
    is_over = threading.Event()

    def spin() -> None:
        while not is_over.is_set():
            pass

    hogs = [threading.Thread(target=spin) for _ in range(n_hogs)]
    for hog in hogs:
        hog.start()
    try:
        yield
    finally:
        is_over.set()
        for hog in hogs:
            hog.join()
