"""Privileges: what a system grants a performance that asks: to run first, to stay in memory.

Each thread asks for itself, once, before it plays. What Linux is asked for is here, what macOS is
asked for in `realtime.macos`.

On Linux the loop and the listener are scheduled first in, first out (SCHED_FIFO), below the audio
server (10 by default, 60 and more on a stage) and its clients' callbacks (5 less than it): a loop
that holds the GIL delays neither. The encoder is not: its pass takes all cores for milliseconds,
and whoever holds the GIL meanwhile, on which the loop waits, would not get one. Nor do threads
that these start inherit it. Without a server (ALSA alone) the callback is scheduled like any
program, below both: on a stage use JACK or PipeWire.
"""

import ctypes
import errno
import os
import sys
from typing import Any, Final

from realtime import macos
from realtime.errors import LiveError

LISTENER: Final = "listener"
ENCODER: Final = "encoder"
LOOP: Final = "loop"
PRIORITIES: Final = {LISTENER: 3, LOOP: 2}

_MCL_CURRENT: Final = 1
_MCL_ONFAULT: Final = 4  # what is touched stays; nothing is read that is not
_REFUSED: Final = (errno.EPERM, errno.ENOMEM, errno.EAGAIN)


class NotAllowedError(LiveError):
    """Raised when the system refuses; the message says what to do."""


def is_urgent(role: str) -> bool:
    """Say whether a thread of that role is to run first on this system."""
    return sys.platform == "darwin" or role in PRIORITIES


def run_first(role: str) -> None:
    """Have the calling thread, whose role is urgent, run before those of other programs.

    Raises
    ------
    NotAllowedError
        This user may not.
    OSError
        The system fails otherwise.
    """
    if sys.platform == "darwin":
        macos.raise_quality()
    else:
        try:
            policy = os.SCHED_FIFO | os.SCHED_RESET_ON_FORK
            os.sched_setscheduler(0, policy, os.sched_param(PRIORITIES[role]))
        except PermissionError:
            raise NotAllowedError(
                "Join the group audio, with 'rtprio 95' for it in /etc/security/limits.d, and log "
                "in again."
            ) from None


def stay_in_memory(libc: Any = None) -> None:
    """Have no page that is in memory now, or is mapped and touched later, be given to others.

    Pages that are mapped later are free to go: a limit on them would make room be refused.

    Raises
    ------
    NotAllowedError
        This user may not.
    OSError
        The system fails otherwise.
    """
    libc = libc or ctypes.CDLL(None, use_errno=True)
    if libc.mlockall(_MCL_CURRENT | _MCL_ONFAULT) == 0:
        return
    code = ctypes.get_errno()
    if code in _REFUSED:
        raise NotAllowedError(
            "Join the group audio, with 'memlock unlimited' for it in /etc/security/limits.d, and "
            "log in again."
        )
    raise OSError(code, os.strerror(code))


def let_go() -> None:
    """Take back what was granted to the calling thread and to its memory; harmless if nothing."""
    if sys.platform == "linux":
        if os.sched_getscheduler(0) != os.SCHED_OTHER:
            # the flag stays: whoever has no right of their own to take it back is refused
            policy = os.SCHED_OTHER | os.SCHED_RESET_ON_FORK
            os.sched_setscheduler(0, policy, os.sched_param(0))
        ctypes.CDLL(None).munlockall()
