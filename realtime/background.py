"""Background: an understudy gets ready behind everybody, and is brought forward to perform.

Used by the supervisor's only thread. A start takes a core for a second or two, and on two cores
that costs who plays its milliseconds. On Linux the understudy runs in what time is left over
(SCHED_IDLE), on macOS in the background (``setpriority(2)``). Linux lets only those out of there
again who may ask for niceness 0 ('nice 0' in /etc/security/limits.d, or CAP_SYS_NICE): who may not
is left where they are.
"""

import contextlib
import os
import sys
import threading
from pathlib import Path
from typing import Final

_DARWIN_PROCESS: Final = 4  # PRIO_DARWIN_PROCESS and PRIO_DARWIN_BG of <sys/resource.h>
_DARWIN_BACKGROUND: Final = 0x1000


def step_back(pid: int) -> bool:
    """Have a process that was just started run behind all others, and say whether it does."""
    if sys.platform == "darwin":
        return _asked(pid, _DARWIN_BACKGROUND)
    if not _may_come_forward():
        return False
    return _scheduled(pid, os.SCHED_IDLE)


def come_forward(pid: int) -> None:
    """Have a process that stepped back run like any other again; harmless if it did not, or ended.

    Its threads began where it was, and come along. Linux may leave out of a list the threads that
    come after one that ends meanwhile, so two lists in a row have to name none.
    """
    if sys.platform == "darwin":
        _asked(pid, 0)
        return
    n_without = 0
    while n_without < 2:
        left_behind = _threads_behind(pid)
        n_without = 0 if left_behind else n_without + 1
        if [thread for thread in left_behind if not _scheduled(thread, os.SCHED_OTHER)]:
            return


def _threads_behind(pid: int) -> list[int]:
    """Name the threads of a process that run in the time left over."""
    behind = []
    with contextlib.suppress(OSError):
        for path in Path(f"/proc/{pid}/task").iterdir():
            with contextlib.suppress(ProcessLookupError):
                if os.sched_getscheduler(int(path.name)) == os.SCHED_IDLE:
                    behind.append(int(path.name))
    return behind


def _may_come_forward() -> bool:
    """Try it, on a thread that has nothing else to do."""
    tried: list[bool] = []

    def attempt() -> None:
        tried.append(_scheduled(0, os.SCHED_IDLE) and _scheduled(0, os.SCHED_OTHER))

    thread = threading.Thread(target=attempt)
    thread.start()
    thread.join()
    return tried == [True]


def _scheduled(thread: int, policy: int) -> bool:
    try:
        os.sched_setscheduler(thread, policy, os.sched_param(0))
    except ProcessLookupError:
        return True  # it has ended
    except OSError:
        return False
    return True


def _asked(pid: int, priority: int) -> bool:
    try:
        os.setpriority(_DARWIN_PROCESS, pid, priority)
    except OSError:
        return False
    return True
