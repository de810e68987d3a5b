"""An understudy gets ready behind everybody, and comes forward with all its threads."""

import os
import subprocess
import sys

import pytest

from realtime import background
from realtime.background import come_forward, step_back

linux = pytest.mark.skipif(sys.platform != "linux", reason="scheduling as Linux has it")
_THREADS = """
import sys, threading
sys.stdin.readline()
threading.Thread(target=threading.Event().wait, daemon=True).start()
print(flush=True)
sys.stdin.readline()
"""


def policies(pid: int) -> set[int]:
    """Give how the threads of a process are scheduled."""
    return {os.sched_getscheduler(int(thread)) for thread in os.listdir(f"/proc/{pid}/task")}


@linux
def test_a_process_steps_back_and_comes_forward_with_threads_it_began_meanwhile() -> None:
    """Where the system would not let it come forward again, it is left where it is."""
    with subprocess.Popen(
        [sys.executable, "-S", "-c", _THREADS], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        is_behind = step_back(process.pid)
        process.stdin.write(b"\n")
        process.stdin.flush()
        process.stdout.readline()
        assert policies(process.pid) == {os.SCHED_IDLE if is_behind else os.SCHED_OTHER}
        come_forward(process.pid)
        assert policies(process.pid) == {os.SCHED_OTHER}


@linux
def test_threads_that_a_list_left_out_come_forward_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """And if one is refused the others are asked all the same, once."""
    lists = [[1, 2], [], [3], [], [], [4]]
    monkeypatch.setattr(background, "_threads_behind", lambda pid: lists.pop(0))
    asked: list[int] = []
    monkeypatch.setattr(os, "sched_setscheduler", lambda thread, *_: asked.append(thread))
    come_forward(7)
    assert (asked, lists) == ([1, 2, 3], [[4]])

    def refuse(thread: int, *_: object) -> None:
        asked.append(thread)
        raise PermissionError

    monkeypatch.setattr(os, "sched_setscheduler", refuse)
    lists[0] = [4, 5]
    come_forward(7)
    assert (asked, lists) == ([1, 2, 3, 4, 5], [])


@linux
def test_who_could_not_come_forward_does_not_step_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a Linux where this user may not ask for niceness 0."""

    def refuse(thread: int, policy: int, param: os.sched_param) -> None:
        if policy == os.SCHED_OTHER:
            raise PermissionError

    monkeypatch.setattr(os, "sched_setscheduler", refuse)
    assert not step_back(os.getpid())


@linux
def test_nothing_is_asked_of_one_that_has_ended() -> None:
    """Nor of one that never stepped back."""
    process = subprocess.Popen([sys.executable, "-S", "-c", ""])
    process.wait()
    come_forward(process.pid)
    come_forward(os.getpid())


def test_on_macos_it_goes_into_the_background_and_returns(monkeypatch: pytest.MonkeyPatch) -> None:
    """As setpriority(2) has it; what is refused is no end."""
    asked: list[tuple[int, int, int]] = []
    monkeypatch.setattr(background.sys, "platform", "darwin")  # type: ignore[attr-defined]
    monkeypatch.setattr(os, "setpriority", lambda *values: asked.append(values))
    assert step_back(7)
    come_forward(7)
    assert asked == [(4, 7, 0x1000), (4, 7, 0)]

    def refuse(*values: int) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "setpriority", refuse)
    assert not step_back(7)
