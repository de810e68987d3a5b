"""Troupe: the processes that a supervisor starts: performers, and the keeper of their port.

Used by the supervisor's only thread. A performer is prepared first and called later, so that an
understudy can wait, ready but for its devices, while another plays; its pipe says whether it lives
and whether its loop turns. It imports nothing heavy.
"""

import contextlib
import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Any, Final

from realtime.background import come_forward, step_back
from realtime.backoff import Backoff
from realtime.handover import Handover, unnamed_file

BEAT_FD: Final = "MUSICHAL_BEAT_FD"
CALL_FD: Final = "MUSICHAL_CALL_FD"
PORT_FD: Final = "MUSICHAL_PORT_FD"
"""Names in the environment of a performer: of the pipes it beats into, is called through and sends
its notes into."""

END_ALL: Final = b"\xff\0\0"
"""MIDI's System Reset: tells the keeper to end every note."""

HUNG_S: Final = 1.0
"""How long the loop of a performer may not turn."""

_PREPARING_S: Final = 300.0
_ENDING_S: Final = 20.0
_LAST_NOTES_S: Final = 4.0
_UNREAD_S: Final = 0.5
_KEEPER_STARTS_S: Final = 10.0
_LONGEST_LOOK_S: Final = 0.2


class Performer:
    """One process that performs when it is called, and what it has said.

    Parameters
    ----------
    command
        What to run.
    port_fd
        Where its notes go, if there is a keeper.

    Attributes
    ----------
    last_beat : dict
        What it, or the one before it, said while it played.
    playing_since_s : float or None
        Monotonic time of the first beat of its loop.
    """

    def __init__(self, command: Sequence[str], port_fd: int | None) -> None:
        beats_in, beats_out = os.pipe()
        calls_in, self._call_fd = os.pipe()
        fds = {BEAT_FD: beats_out, CALL_FD: calls_in}
        if port_fd is not None:
            fds[PORT_FD] = port_fd
        try:
            self._process = subprocess.Popen(
                command,
                env={**os.environ, **{name: str(fd) for name, fd in fds.items()}},
                pass_fds=tuple(fds.values()),
                process_group=0,  # a terminal's Ctrl-C comes through the supervisor, once
            )
        except OSError:
            os.close(beats_in)
            os.close(self._call_fd)
            raise
        finally:
            os.close(beats_out)
            os.close(calls_in)
        os.set_blocking(beats_in, False)
        self._beat_fd = beats_in
        self._said = b""
        self._silent_s = 0.0
        self._limit_s = _PREPARING_S
        self._is_behind = False
        self.last_beat: dict[str, Any] = {}
        self.playing_since_s: float | None = None
        self.was_hung = False

    def call(self, last_beat: dict[str, Any]) -> None:
        """Have it play, and tell it what the one before it said."""
        self.last_beat = last_beat
        self.come_forward()
        with contextlib.suppress(BrokenPipeError):  # it is dead, which will be noticed
            os.write(self._call_fd, json.dumps(last_beat).encode() + b"\n")

    def step_back(self) -> bool:
        """Have it get ready behind all others until it is called, and say whether it does."""
        self._is_behind = step_back(self._process.pid)
        return self._is_behind

    def come_forward(self) -> None:
        """Have it run like any other."""
        if self._is_behind:
            come_forward(self._process.pid)
            self._is_behind = False

    def wait_ended(self, tick_s: float) -> bool:
        """Listen for a moment, kill it if it hangs, and say whether it has ended."""
        began_s = time.monotonic()
        readable = bool(select.select([self._beat_fd], [], [], tick_s)[0])
        is_silent = readable and not self._listen()
        if is_silent and not self._ends_within(HUNG_S):
            self.was_hung = True
            self._process.kill()
            self._process.wait()
        if not self.is_alive:  # also if a process it left behind holds the pipe
            self._close()
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

    def dismiss(self) -> None:
        """End it although it was never called: it holds nothing."""
        self._process.kill()
        self._process.wait()
        self._close()

    @property
    def is_alive(self) -> bool:
        """Whether it has not ended yet."""
        return self._process.poll() is None

    @property
    def code(self) -> int:
        """How it ended, negative if by a signal."""
        return int(self._process.returncode)

    def _close(self) -> None:
        os.close(self._beat_fd)
        os.close(self._call_fd)

    def _ends_within(self, limit_s: float) -> bool:
        try:
            self._process.wait(limit_s)
        except subprocess.TimeoutExpired:
            return False
        return True

    def _listen(self) -> bool:
        """Take what it says, and say whether its end of the pipe is open."""
        try:
            heard = os.read(self._beat_fd, 1 << 16)
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
                self.last_beat = beat
                if self.playing_since_s is None:
                    self.playing_since_s = time.monotonic()
                    self._limit_s = HUNG_S
        return True


class Keeper:
    """The process that holds the MIDI port, started again if it dies or hangs.

    Parameters
    ----------
    command
        What to run; added are the descriptors it reads from, and of the file that every keeper
        finds as the last one left it.

    Attributes
    ----------
    fd
        Where performers write what is to be sent.
    """

    def __init__(self, command: Sequence[str]) -> None:
        self._command = command
        self._read_fd, self.fd = os.pipe()
        os.set_blocking(self.fd, False)
        self._left_fd = unnamed_file()
        self._backoff = Backoff()
        self._looked_s = time.monotonic()
        self._unread_s = 0.0
        self._start()

    def is_well(self) -> bool:
        """Start it again if it has died or hangs, less and less often; False if it was."""
        now_s = time.monotonic()
        if self._hangs(now_s):
            self._process.kill()
            self._process.wait()
        if self._process.poll() is None or not self._backoff.may_try(now_s):
            return True
        self._backoff.fail(now_s)
        try:
            self._start()
        except OSError:  # no more processes at the moment: the performer needs none to play on
            return True
        return False

    def end_all_notes(self) -> None:
        """Have it end every note."""
        with contextlib.suppress(OSError):  # full: it hangs, and with it its MIDI system
            os.write(self.fd, END_ALL)

    def close(self) -> None:
        """Let it end what sounds, and end; one that has died is started once more for that."""
        if self._process.poll() is not None and Handover(self._left_fd).channels:
            with contextlib.suppress(OSError):
                self._start()
        os.close(self.fd)
        os.close(self._read_fd)
        os.close(self._left_fd)
        try:
            self._process.wait(_LAST_NOTES_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _hangs(self, now_s: float) -> bool:
        """Say whether what is written has waited too long for one that should be reading."""
        looked_s, self._looked_s = self._looked_s, now_s
        is_starting = now_s - self._started_s < _KEEPER_STARTS_S
        if is_starting or not select.select([self._read_fd], [], [], 0)[0]:
            self._unread_s = 0.0
        else:  # a machine that slept has not waited
            self._unread_s += min(now_s - looked_s, _LONGEST_LOOK_S)
        return self._unread_s > _UNREAD_S

    def _start(self) -> None:
        self._started_s = time.monotonic()
        fds = (self._read_fd, self._left_fd)
        self._process = subprocess.Popen(
            [*self._command, *map(str, fds)], pass_fds=fds, process_group=0
        )


def keeper(port: str) -> Keeper:
    """Start the keeper of the port of that name."""
    return Keeper([sys.executable, "-m", "realtime.keeper", port])
