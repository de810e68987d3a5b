"""Supervisor: a small parent that keeps a performer alive, and silences the ports if it dies.

Run as ``python -m realtime.supervisor`` with the options of ``realtime.perform``, which does so
itself with ``--headless``. It owns nothing real-time and imports nothing heavy: 20 MB, asleep but
for a few beats a second. The performer says through a pipe that its loop turns and who hears it;
when the pipe closes the performer is dead. Then every note is ended on the ports it was heard at,
and it is started again: at once after a device that went away, soon after anything else, and not
any more when it keeps dying.
"""

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Sequence
from typing import Any, Final

from realtime.at_once import write_at_once
from realtime.panic import end_all_notes_apart

DEVICE_GONE: Final = 75
"""Exit code of a performer whose audio input went away (EX_TEMPFAIL): to be started again."""

BEAT_FD: Final = "MUSICHAL_BEAT_FD"
LAST_BEAT: Final = "MUSICHAL_LAST_BEAT"
"""Names in the environment: the pipe's descriptor, and what the last performer said of itself."""

_TICK_S: Final = 0.1
_HUNG_S: Final = 1.5
_PREPARING_S: Final = 300.0
_ENDING_S: Final = 20.0
_MOST_DEATHS: Final = 5
_WITHIN_S: Final = 60.0
_LONGEST_DELAY_S: Final = 4.0
_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Performer:
    """One process that performs, and what it has said.

    Parameters
    ----------
    command
        What to run.
    last_beat
        What the one before it said of itself.

    Attributes
    ----------
    last_beat : dict
        What it said while it played: its input, its port's system, channels and receivers.
    """

    def __init__(self, command: Sequence[str], last_beat: dict[str, Any]) -> None:
        read_fd, write_fd = os.pipe()
        try:
            self._process = subprocess.Popen(
                command,
                env={**os.environ, BEAT_FD: str(write_fd), LAST_BEAT: json.dumps(last_beat)},
                pass_fds=(write_fd,),
                process_group=0,  # a terminal's Ctrl-C comes through the supervisor, once
            )
        finally:
            os.close(write_fd)
        os.set_blocking(read_fd, False)
        self._fd = read_fd
        self._said = b""
        self._silent_s = 0.0
        self.has_played = False
        self.last_beat = last_beat
        self.was_hung = False
        self._limit_s = _PREPARING_S

    def wait_ended(self, tick_s: float) -> bool:
        """Listen for a moment, kill it if it hangs, and say whether it has ended."""
        began_s = time.monotonic()
        readable = bool(select.select([self._fd], [], [], tick_s)[0])
        is_silent = readable and not self._listen()
        if is_silent and not self._ends_within(_HUNG_S):
            self.was_hung = True
            self._process.kill()
            self._process.wait()
        if self._process.poll() is not None:  # also if a process it left behind holds the pipe
            os.close(self._fd)
            return True
        # a machine that slept, or a supervisor that was stopped, has not waited
        self._silent_s += min(time.monotonic() - began_s, 2 * tick_s)
        if self._silent_s > self._limit_s:
            self.was_hung = True
            self._process.kill()
        return False

    def end(self, number: int) -> None:
        """Pass a signal on; from now on it has some time to end."""
        self._process.send_signal(number)
        self._silent_s = 0.0
        self._limit_s = _ENDING_S

    @property
    def code(self) -> int:
        """How it ended, negative if by a signal."""
        return int(self._process.returncode)

    def _ends_within(self, limit_s: float) -> bool:
        try:
            self._process.wait(limit_s)
        except subprocess.TimeoutExpired:
            return False
        return True

    def _listen(self) -> bool:
        """Take what it says, and say whether its end of the pipe is open."""
        try:
            heard = os.read(self._fd, 1 << 16)
        except BlockingIOError:
            return True
        if not heard:
            return False
        *lines, self._said = (self._said + heard).split(b"\n")
        for line in lines:
            beat = json.loads(line)
            self._silent_s = 0.0
            if "ending" in beat:  # by itself, and its last words may take a while
                self._limit_s = _ENDING_S
            elif beat:
                self.has_played = True
                self.last_beat = beat
                if self._limit_s == _PREPARING_S:
                    self._limit_s = _HUNG_S
        return True


def supervise(command: Sequence[str]) -> int:
    """Keep a command running until it ends as it should, and return its exit code."""
    passed_on = _SignalBox()
    deaths: deque[float] = deque()
    last_beat: dict[str, Any] = {}
    has_played = False
    unsilenced: dict[str, Any] = {}
    while True:
        performer = Performer(command, last_beat)
        _silence(unsilenced)  # while the next one starts, as this may take a second
        signals = 0
        while not performer.wait_ended(_TICK_S):
            for number in passed_on.take():
                performer.end(number)
                signals += 1
        code = performer.code
        has_played |= performer.has_played
        last_beat = performer.last_beat
        if code == 0 or signals or (code > 0 and not has_played):
            return code if code >= 0 else 128 - code
        unsilenced = last_beat
        now_s = time.monotonic()
        while deaths and now_s - deaths[0] > _WITHIN_S:
            deaths.popleft()
        is_death = code != DEVICE_GONE
        if is_death:
            deaths.append(now_s)
        how = "hung" if performer.was_hung else _how_it_ended(code)
        if is_death and len(deaths) > 1:  # the next one waits, or does not come
            _silence(unsilenced)
            unsilenced = {}
        _say("supervisor.performer_died", how=how)
        if is_death and len(deaths) >= _MOST_DEATHS:
            _say(
                "supervisor.gave_up",
                notice=f"The performance has died {len(deaths)} times within a minute, last: "
                f"{how}: see what it said before, and start it again.",
            )
            return 1
        delay_s = min(_LONGEST_DELAY_S, 0.5 * 2 ** (len(deaths) - 2))
        if passed_on.wait(delay_s if is_death and len(deaths) > 1 else 0.0):
            return 0
        command = [part for part in command if part != "--afresh"]


def _silence(last_beat: dict[str, Any]) -> None:
    """End what may sound where a performer was heard."""
    if last_beat:
        told = end_all_notes_apart(
            last_beat["system"], last_beat["receivers"], last_beat["channels"]
        )
        _say("supervisor.silenced", receivers=told)


class _SignalBox:
    """Signals to be passed on, as they come."""

    def __init__(self) -> None:
        self._numbers: list[int] = []
        self._read_fd, write_fd = os.pipe()
        os.set_blocking(self._read_fd, False)
        os.set_blocking(write_fd, False)
        signal.set_wakeup_fd(write_fd, warn_on_full_buffer=False)
        for number in _SIGNALS:
            if signal.getsignal(number) != signal.SIG_IGN:  # nohup's way to play on
                signal.signal(number, lambda number, frame: self._numbers.append(number))

    def take(self) -> list[int]:
        """Give those that have come since the last time."""
        taken, self._numbers = self._numbers, []
        return taken

    def wait(self, delay_s: float) -> bool:
        """Wait, and say whether a signal came first."""
        select.select([self._read_fd], [], [], delay_s)
        return bool(self._numbers)


def _how_it_ended(code: int) -> str:
    if code == DEVICE_GONE:
        return "the audio input went away"
    return f"exit code {code}" if code > 0 else f"killed by {signal.Signals(-code).name}"


def _say(event: str, **data: object) -> None:
    """Log a line, if anybody still reads it."""
    line = json.dumps({"event": event, "level": "error", **data}) + "\n"
    with contextlib.suppress(OSError):
        write_at_once(sys.stderr.fileno(), line.encode())


if __name__ == "__main__":
    sys.exit(supervise([sys.executable, "-m", "realtime.perform", *sys.argv[1:]]))
