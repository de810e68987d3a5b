"""Privileges: asked of a system that grants, refuses or fails."""

import ctypes
import errno
import os
import sys
import threading

import pytest

from realtime import privileges
from realtime.privileges import (
    ENCODER,
    LISTENER,
    LOOP,
    PRIORITIES,
    NotAllowedError,
    is_urgent,
    let_go,
    run_first,
    stay_in_memory,
)

linux = pytest.mark.skipif(sys.platform != "linux", reason="asks Linux")
JACK_CLIENTS = 5
"""The priority of what JACK's clients do for sound, where nobody has chosen another."""


class Libc:
    """A C library whose calls end with a code."""

    def __init__(self, code: int) -> None:
        self.code = code
        self.asked: list[tuple[int, ...]] = []

    def mlockall(self, flags: int) -> int:
        """Lock, or refuse."""
        ctypes.set_errno(self.code)
        self.asked.append((flags,))
        return -1 if self.code else 0


def test_sound_comes_before_everything_of_ours_and_the_listener_before_the_loop() -> None:
    """So a loop that holds the GIL delays no audio server, nor a callback of one."""
    assert JACK_CLIENTS > PRIORITIES[LISTENER] > PRIORITIES[LOOP] > 0


@linux
def test_on_linux_the_encoder_waits_for_its_turn() -> None:
    """It would take the cores from whoever holds the GIL."""
    assert [is_urgent(role) for role in (LISTENER, LOOP, ENCODER)] == [True, True, False]


@linux
def test_a_thread_that_may_runs_first_and_what_it_starts_does_not() -> None:
    """Or it is told what to do; let go, it is as before."""
    seen: list[object] = []

    def ask() -> None:
        try:
            run_first(LISTENER)
        except NotAllowedError as error:
            seen.append(error)
            return
        seen.append(os.sched_getscheduler(0) & ~os.SCHED_RESET_ON_FORK)
        child = threading.Thread(target=lambda: seen.append(os.sched_getscheduler(0)))
        child.start()
        child.join()
        let_go()
        seen.append(os.sched_getscheduler(0) & ~os.SCHED_RESET_ON_FORK)

    thread = threading.Thread(target=ask)
    thread.start()
    thread.join()
    if isinstance(seen[0], NotAllowedError):
        assert "rtprio" in str(seen[0])
    else:
        assert seen == [os.SCHED_FIFO, os.SCHED_OTHER, os.SCHED_OTHER]


@linux
def test_what_is_let_go_keeps_the_flag_that_not_everybody_may_take_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A user whose right is a limit (rtprio) would be refused, and the performance end with it."""
    asked: list[int] = []
    monkeypatch.setattr(os, "sched_getscheduler", lambda pid: os.SCHED_FIFO)
    monkeypatch.setattr(os, "sched_setscheduler", lambda pid, policy, param: asked.append(policy))
    let_go()
    assert asked == [os.SCHED_OTHER | os.SCHED_RESET_ON_FORK]


@linux
def test_who_may_not_run_first_is_told_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a sentence."""

    def refuse(*arguments: object) -> None:
        raise PermissionError(errno.EPERM, "no")

    monkeypatch.setattr(os, "sched_setscheduler", refuse)
    with pytest.raises(NotAllowedError, match="rtprio 95"):
        run_first(LOOP)


def test_pages_are_kept_as_they_are_touched() -> None:
    """None is read that nobody needs, and room that is asked for later is not limited."""
    stay_in_memory(libc := Libc(0))
    assert libc.asked == [(privileges._MCL_CURRENT | privileges._MCL_ONFAULT,)]


@pytest.mark.parametrize("code", [errno.EPERM, errno.ENOMEM])
def test_who_may_keep_no_pages_is_told_what_to_do(code: int) -> None:
    """In a sentence."""
    with pytest.raises(NotAllowedError, match="memlock unlimited"):
        stay_in_memory(Libc(code))


def test_a_system_that_cannot_keep_pages_fails() -> None:
    """Which is not the user's to change."""
    with pytest.raises(OSError, match=os.strerror(errno.ENOSYS)):
        stay_in_memory(Libc(errno.ENOSYS))
