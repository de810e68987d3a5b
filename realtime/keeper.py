"""Keeper: a process that holds the MIDI port, so that notes can be ended when a performer dies.

Run by the supervisor as ``python -m realtime.keeper PORT FD HANDOVER``. Performers write messages
of three bytes into a pipe, `KeptPort`, and the keeper sends them on: 0.1 ms later than they would
be. When a performer is dead the supervisor writes `END_ALL`, and every note is ended through a port
that is open and connected, on every MIDI system, without waiting for it to let a new client in.
JACK in particular does so only a second after it lost one, and wakes nobody who heard that one
until then; those who hear the keeper go on. The keeper ends when nobody is left who could write.
One that dies leaves the next what it needs to take its place, `realtime.handover`; what was written
meanwhile comes too late to be played, and is only counted.
"""

import os
import select
import signal
import sys
from collections.abc import Iterator
from typing import Final

import structlog

from realtime.handover import Handover
from realtime.midi import Message, begins_note
from realtime.privileges import LOOP
from realtime.returning_port import ReturningPort
from realtime.telemetry import configure_logging
from realtime.troupe import END_ALL
from realtime.warm_up import WarmUp

_CHUNK_BYTES: Final = 1024 * len(END_ALL)

_log = structlog.get_logger()


class KeptPort:
    """A performer's note sink: the keeper's port. Loop thread only; sending never waits.

    Parameters
    ----------
    fd
        The pipe, which outlives this process and is not closed.
    name
        Of the port, as the player wants it.
    """

    def __init__(self, fd: int, name: str) -> None:
        self._fd = fd
        self.name = name
        self._n_missed = 0

    def send(self, message: Message, at_s: float) -> None:
        """Send a message now, whatever `at_s`; a note that finds the pipe full is counted."""
        try:
            os.write(self._fd, bytes(message))
        except OSError:  # nobody has read for minutes, or ever will
            self._n_missed += begins_note(message)

    def close(self) -> None:
        """Say what was missed; twice is once."""
        if self._n_missed:
            _log.error("midi.port_missed", port=self.name, n_missed=self._n_missed)
            self._n_missed = 0


def miss(port: ReturningPort, fd: int) -> None:
    """Take what waited in a pipe, all at once, before the port is there to play it in a burst."""
    while select.select([fd], [], [], 0)[0] and (content := os.read(fd, _CHUNK_BYTES)):
        for message in _messages(content):
            if bytes(message) != END_ALL:
                port.send(message, 0.0)


def keep(port: ReturningPort, fd: int) -> None:
    """Send what comes through a pipe to a port, and end every note when nothing can come."""
    while content := os.read(fd, _CHUNK_BYTES):
        for message in _messages(content):
            if bytes(message) == END_ALL:
                port.end_all_notes()
                _log.warning("midi.silenced", port=port.name, receivers=port.receivers)
            else:
                port.send(message, 0.0)
    port.end_all_notes()


def _messages(content: bytes) -> Iterator[Message]:
    """Give the messages of what was read, which are whole: a pipe cuts none of that size."""
    for begin in range(0, len(content), len(END_ALL)):
        status, first, second = content[begin : begin + len(END_ALL)]
        yield (status, first, second)


def main() -> None:
    """Keep the port that the command line names."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # it ends after those who play
    configure_logging("info", is_pretty=False)
    wanted, fd, left = sys.argv[1:]
    port = ReturningPort(wanted, None, handover=Handover(int(left)))
    miss(port, int(fd))
    port.start()
    WarmUp().take_thread(LOOP)  # what the loop sends waits for nobody on its way out either
    keep(port, int(fd))
    port.close()


if __name__ == "__main__":
    main()
