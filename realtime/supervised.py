"""Supervised: the performer's end of what ties it to its supervisor.

A performer prepares all that needs no device and then waits to be called: at once, or as the
understudy of one that plays. From then on it beats, on the loop thread, ten times a second: one
line of JSON through a pipe, that the loop still turns and what it listens to. A beat never waits; a
supervisor that is gone ends the performance tidily, for another may be starting the next.
"""

import asyncio
import contextlib
import json
import os
import select
import sys
from collections.abc import AsyncIterator, Callable
from typing import Final

from realtime.troupe import BEAT_FD, CALL_FD, PORT_FD

BEAT_S: Final = 0.1


class Supervised:
    """The performer's ends of the pipes to a supervisor, if there is one.

    Attributes
    ----------
    port_fd
        Where to write what the port is to send, if one is kept.
    input
        What the last performer listened to, if there was one; once called.
    """

    def __init__(self) -> None:
        self._beat_fd, self._call_fd, self.port_fd = map(_inherited, (BEAT_FD, CALL_FD, PORT_FD))
        self.input: str | None = None
        if self._beat_fd is not None:
            os.set_blocking(self._beat_fd, False)

    def __bool__(self) -> bool:
        """Whether there is a supervisor."""
        return self._beat_fd is not None

    def wait_called(self, begin_waiting: Callable[[], None]) -> None:
        """Wait for the moment to play; where it will not come, end without a word.

        Parameters
        ----------
        begin_waiting
            Called if it has not come yet.
        """
        if self._call_fd is None:
            return
        if not select.select([self._call_fd], [], [], 0)[0]:
            begin_waiting()
        with open(self._call_fd, "rb") as calls:
            call = calls.readline()
        self._call_fd = None
        if not call:
            sys.exit(1)
        self.input = json.loads(call).get("input")

    def beat(self, **said: object) -> bool:
        """Say that all is well, and whether the supervisor is still there to hear it."""
        if self._beat_fd is None:
            return True
        try:
            os.write(self._beat_fd, json.dumps(said).encode() + b"\n")
        except BlockingIOError:  # it is stopped, and will find enough beats when it goes on
            return True
        except OSError:
            return False
        return True

    def end(self) -> None:
        """Say that the performance ends by itself, and that no more beats come."""
        self.beat(ending=True)

    @contextlib.asynccontextmanager
    async def beside(
        self, *, listening_to: str | None, stop: Callable[[], None]
    ) -> AsyncIterator[None]:
        """Beat while the performance within goes on.

        Parameters
        ----------
        listening_to
            The audio input, if it is one.
        stop
            Ends the performance.
        """
        task = asyncio.create_task(self._keep_beating(listening_to, stop), name="beats")
        try:
            yield
        finally:
            task.cancel()

    async def _keep_beating(self, listening_to: str | None, stop: Callable[[], None]) -> None:
        while True:
            if not self.beat(input=listening_to):
                stop()
            await asyncio.sleep(BEAT_S)


def _inherited(name: str) -> int | None:
    """Take a descriptor that was handed down, which whoever is left behind must not keep open."""
    if name not in os.environ:
        return None
    fd = int(os.environ[name])
    os.set_inheritable(fd, False)
    return fd
