"""Ahead: let another thread make the next items of an iterator while this one uses the last.

The one thread that learning has beside the caller's: it listens while the caller encodes. Items
come in their order, and no more than a few are ever waiting. It never outlives the loop over it.
"""

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


def ahead(items: Iterator[T], n_at_most: int) -> Iterator[T]:
    """Give an iterator's items, made by a thread that is at most so many ahead.

    Raises
    ------
    Exception
        Whatever the iterator raises, after the items before.
    """
    pool = ThreadPoolExecutor(1, thread_name_prefix="ahead")
    try:
        waiting: deque[Future[tuple[T, ...]]] = deque(
            pool.submit(_next, items) for _ in range(n_at_most)
        )
        while item := waiting.popleft().result():
            waiting.append(pool.submit(_next, items))
            yield item[0]
    finally:
        pool.shutdown(cancel_futures=True)


def _next(items: Iterator[T]) -> tuple[T, ...]:
    """Give the next item alone, or nothing."""
    for item in items:
        return (item,)
    return ()
