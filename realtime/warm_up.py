"""Warm-up: what is done before the first note so that nothing has to be done during one.

Main thread, and each thread of the performance for itself as its first act; never while it plays.
Every step has a name and ends as done, not allowed (with what to do) or failed. None of them stops
the performance: it only starts less well prepared, and says so.
"""

import gc
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final, Literal, TypeVar

import structlog

from models.errors import ModelsError
from realtime import macos
from realtime.errors import LiveError
from realtime.privileges import (
    LOOP,
    NotAllowedError,
    is_urgent,
    let_go,
    run_first,
    stay_in_memory,
)

SWITCH_INTERVAL_S: Final = 0.0002
"""How long another thread may keep the GIL from the loop. Two cores, two threads spinning on the
GIL, the loop scheduled first: a loop that slept wakes p50 / p99 late by 5.1 / 10 ms with Python's
own 5 ms, 1.1 / 2.2 with 1 ms, 0.6 / 1.2 with 0.5, 0.5 / 1.0 with this, and no sooner with a quarter
of it; the spinning threads got as much done with each."""

YOUNG_OBJECTS: Final = 20_000
"""How many objects come before a look at the young ones: some seconds of playing."""

_T = TypeVar("_T")
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What became of one step.

    Attributes
    ----------
    todo
        What to do about it, or what went wrong; empty where it is done.
    """

    name: str
    state: Literal["done", "not allowed", "failed"]
    took_ms: float
    todo: str = ""


@dataclass(frozen=True, slots=True)
class WarmUp:
    """The steps taken so far. Any thread may take one."""

    steps: list[Step] = field(default_factory=list)

    def take(self, name: str, act: Callable[[], _T]) -> _T | None:
        """Take a step, note what became of it, and return what it gave; None if it was not done."""
        started_ns = time.monotonic_ns()
        given, state, todo = None, "done", ""
        try:
            given = act()
        except NotAllowedError as error:
            state, todo = "not allowed", str(error)
        except (LiveError, ModelsError) as error:
            state, todo = "failed", str(error)
        except Exception as error:  # whatever it is, the music can do without
            state, todo = "failed", f"{type(error).__name__}: {error}"
        took_ms = round((time.monotonic_ns() - started_ns) / 1e6, 3)
        self.steps.append(Step(name=name, state=state, took_ms=took_ms, todo=todo))  # type: ignore[arg-type]
        say = _log.warning if state == "failed" else _log.info
        say("warm_up.step_taken", step=name, state=state, took_ms=took_ms, todo=todo)
        return given

    def take_thread(self, role: str) -> None:
        """Have the calling thread run first, if its role is urgent here."""
        if is_urgent(role):
            self.take(f"{role} first", lambda: run_first(role))

    @contextmanager
    def ready(self) -> Iterator[None]:
        """Take the last steps before the first note; what was granted ends with the block."""
        self.take("garbage settled", settle_garbage)
        self.take("switch interval", switch_often)
        if sys.platform == "darwin":
            self.take("no nap", macos.stay_awake)
        else:
            self.take("pages kept", stay_in_memory)
        self.take_thread(LOOP)
        try:
            yield
        finally:
            let_go()


def settle_garbage() -> None:
    """Collect what there is, never look at what is left again, and look at the young seldom."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS, *gc.get_threshold()[1:])


def switch_often() -> None:
    """Have no thread keep the GIL for long."""
    sys.setswitchinterval(SWITCH_INTERVAL_S)
