import threading
from collections.abc import Iterator

import pytest

from oracle.ahead import ahead


def test_nothing_stays_nothing() -> None:
    """No items, no items."""
    assert [*ahead(iter([]), 1)] == []


def test_items_come_in_order_and_none_is_lost() -> None:
    """Also those that are false, and more than are made ahead."""
    assert [*ahead(iter(range(50)), 3)] == [*range(50)]
    assert [*ahead(iter([None, 0, ()]), 3)] == [None, 0, ()]


def test_another_thread_makes_them_and_is_never_more_than_so_many_ahead() -> None:
    """What waits is bounded, however slow the reader."""
    made: list[str] = []

    def items() -> Iterator[int]:
        for i in range(20):
            made.append(threading.current_thread().name)
            yield i

    n_most = 0
    for n_taken, _ in enumerate(ahead(items(), 4), start=1):
        n_most = max(n_most, len(made) - n_taken)
    assert n_most <= 4
    assert threading.current_thread().name not in made


def test_what_fails_there_is_raised_here_after_what_came_before() -> None:
    """And is not hidden."""

    def items() -> Iterator[int]:
        yield 1
        raise ValueError("a wrong note")

    got: list[int] = []
    with pytest.raises(ValueError, match="a wrong note"):
        got.extend(iter(ahead(items(), 4)))
    taken = ahead(items(), 4)
    assert next(taken) == 1
    with pytest.raises(ValueError, match="a wrong note"):
        next(taken)


def test_who_stops_reading_leaves_no_thread_behind() -> None:
    """And nothing more is made than was ahead."""
    before = threading.active_count()
    made: list[int] = []

    def items() -> Iterator[int]:
        while True:
            made.append(0)
            yield 0

    reading = ahead(items(), 2)
    next(reading)
    reading.close()  # type: ignore[attr-defined]
    assert threading.active_count() == before
    assert len(made) <= 4
