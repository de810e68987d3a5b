"""A call is waited for no longer than it may take."""

import threading

import pytest

from realtime.patience import call_within


def test_what_the_call_returns_is_returned() -> None:
    """It comes from another thread."""
    assert call_within(30.0, threading.current_thread) is not threading.current_thread()


def test_what_the_call_raises_is_raised() -> None:
    """As if it had been called here."""
    with pytest.raises(ZeroDivisionError):
        call_within(30.0, lambda: 1 // 0)


def test_a_call_that_does_not_come_back_is_left_behind() -> None:
    """It may still end, and nobody hears of it."""
    may_end, has_ended = threading.Event(), threading.Event()

    def hang() -> None:
        may_end.wait()
        has_ended.set()

    with pytest.raises(TimeoutError):
        call_within(0.0, hang)
    assert not has_ended.is_set()
    may_end.set()
    assert has_ended.wait(30.0)
