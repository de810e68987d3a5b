"""Mishaps: what a gig's bad luck does to a rig, one function each.

Each lets something happen and gives the moment from which recovery counts: of the fault, or of the
return of what went away.
"""

import os
import resource
import signal
import subprocess
import time
from collections.abc import Callable
from typing import Final

import psutil

from benchmarks._accident import HANG_S
from benchmarks._audience import NAME
from benchmarks._jack import ended
from benchmarks._rig import PATIENCE_S, Rig

_AWAY_S: Final = 4.0
_OTHER_RATE_HZ: Final = 44_100


def kill_performer(rig: Rig) -> float:
    """SIGKILL."""
    os.kill(rig.performer_pid, signal.SIGKILL)
    return time.monotonic()


def hang_performer(rig: Rig) -> float:
    """SIGSTOP, which is as good as a loop that does not turn."""
    os.kill(rig.performer_pid, signal.SIGSTOP)
    return time.monotonic()


def kill_keeper(rig: Rig) -> float:
    """SIGKILL to the process that holds the port; the audience was connected to it by hand.

    JACK wakes nobody who heard a client that was killed for a second: that is most of the recovery.
    """
    _keeper(rig).kill()
    return time.monotonic()


def hang_keeper(rig: Rig) -> float:
    """SIGSTOP to the process that holds the port, which is killed when it has not read for long."""
    _keeper(rig).suspend()
    return time.monotonic()


def suspend_machine(rig: Rig) -> float:
    """SIGSTOP to all that is ours, and SIGCONT three seconds later."""
    rig.signal_all(signal.SIGSTOP)
    time.sleep(3.0)
    rig.signal_all(signal.SIGCONT)
    return time.monotonic()


def restart_server(rig: Rig) -> float:
    """SIGKILL to the audio server, and another one at once."""
    return _restart_server(rig)


def lose_server(rig: Rig) -> float:
    """SIGKILL to the audio server, and another one some seconds later."""
    return _restart_server(rig, away_s=_AWAY_S)


def change_rate(rig: Rig) -> float:
    """SIGKILL to the audio server, and one at another rate at once."""
    return _restart_server(rig, rate_hz=_OTHER_RATE_HZ)


def freeze_server(rig: Rig) -> float:
    """SIGSTOP to the audio server, and SIGCONT three seconds later."""
    rig.server.send_signal(signal.SIGSTOP)
    time.sleep(3.0)
    rig.server.send_signal(signal.SIGCONT)
    return time.monotonic()


def restart_audience(rig: Rig) -> float:
    """SIGKILL to the synthesiser, whose MIDI port and connections go with it, and another.

    JACK would give one that comes before the last is cleared away another name.
    """
    rig.audience.kill()
    rig.audience.wait()
    rig.wait_for(lambda: not _can_hear(), PATIENCE_S)
    rig.raise_audience()
    rig.wait_for(_can_hear, PATIENCE_S)
    return time.monotonic()


def hang_encoder(rig: Rig) -> float:
    """A pass that takes seconds."""
    os.kill(rig.performer_pid, signal.SIGUSR1)
    return time.monotonic()


def fail_encoder(rig: Rig) -> float:
    """A pass that raises, and every one after it."""
    time.sleep(HANG_S)  # the one that hung is over
    os.kill(rig.performer_pid, signal.SIGUSR2)
    return time.monotonic()


def fill_disk(rig: Rig) -> float:
    """No file may grow any more, for three seconds."""
    pid, (soft, hard) = rig.performer_pid, resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, hard))
    full_s = time.monotonic()
    time.sleep(3.0)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (soft, hard))
    rig.wait_for(lambda: bool(rig.saying("journal.resumed")), PATIENCE_S)
    return full_s


def close_log(rig: Rig) -> float:
    """SIGKILL to whoever reads the log."""
    rig.log.kill()
    rig.log.wait()
    return time.monotonic()


def end(rig: Rig) -> float:
    """SIGTERM to the supervisor."""
    return _end(rig, signal.SIGTERM)


def kill_supervisor(rig: Rig) -> float:
    """SIGKILL to the supervisor; performer, keeper and understudy end by themselves."""
    return _end(rig, signal.SIGKILL)


def _restart_server(rig: Rig, *, away_s: float = 0.0, rate_hz: int = 48_000) -> float:
    rig.server.kill()
    rig.server.wait()
    ended(rig.audience)
    time.sleep(away_s)
    rig.raise_server(rate_hz)
    back_s = time.monotonic()
    rig.raise_audience()
    return back_s


def _keeper(rig: Rig) -> psutil.Process:
    (keeper,) = (one for one in rig.processes if "realtime.keeper" in one.cmdline())
    return keeper


def _can_hear() -> bool:
    """Say whether the audience's port is there."""
    done = subprocess.run(["jack_lsp", f"{NAME}:in"], capture_output=True, check=False)
    return bool(done.stdout)


def _end(rig: Rig, number: signal.Signals) -> float:
    others = rig.processes[1:]
    rig.supervisor.send_signal(number)
    began_s = time.monotonic()
    ended(rig.supervisor)
    psutil.wait_procs(others, PATIENCE_S)
    return began_s


Fault = Callable[[Rig], float]

FAULTS: Final[dict[str, dict[str, Fault]]] = {  # by the port that is played into
    "virtual": {
        "performer killed": kill_performer,
        "keeper killed": kill_keeper,
        "keeper hung": hang_keeper,
        "machine suspended 3 s": suspend_machine,
        "audio server killed and back at once": restart_server,
        "audio server killed and back after 4 s": lose_server,
        "audio server back at another rate": change_rate,
        "audio server frozen 3 s": freeze_server,
        "synthesiser killed and back": restart_audience,
        "performer hung": hang_performer,
    },
    NAME: {
        "encoder hangs 5 s": hang_encoder,
        "encoder raises": fail_encoder,
        "disk full 3 s": fill_disk,
        "performer killed after that": kill_performer,
        "MIDI port gone and back": restart_audience,
        "log pipe closed": close_log,
        "keeper of that port killed": kill_keeper,
    },
}
ENDS: Final[dict[str, dict[str, Fault]]] = {
    "virtual": {"polite kill": end},
    NAME: {"supervisor killed": kill_supervisor},
}
