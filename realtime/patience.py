"""Patience: a call that may never come back, waited for no longer than it should take.

Runs the call on a thread of its own, which is left behind when the time is over. For audio servers
and their libraries only, whose calls block without the GIL and know no deadline; never on the way
of an event.
"""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

Outcome = TypeVar("Outcome")


def call_within(limit_s: float, call: Callable[[], Outcome]) -> Outcome:
    """Call, and return or raise what the call does.

    Raises
    ------
    TimeoutError
        It has not come back in time, and may still do so later, unheard.
    """
    future: Future[Outcome] = Future()

    def keep_outcome() -> None:
        try:
            future.set_result(call())
        except BaseException as error:  # whoever waits is to learn of it
            future.set_exception(error)

    threading.Thread(target=keep_outcome, name="patience", daemon=True).start()
    return future.result(limit_s)
