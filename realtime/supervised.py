"""Supervised: what a performer tells its supervisor, and what is looked after beside the playing.

Runs on the loop thread, four times a second. A beat is one line of JSON through a pipe: that the
loop still turns, and which ports would have to be silenced if it ended here. It never waits; a
supervisor that is gone ends the performance tidily, for another may be starting the next.
"""

import asyncio
import contextlib
import json
import os
from collections.abc import AsyncIterator, Callable
from typing import Final

import structlog

from realtime.returning_port import LOOK_S, ReturningPort
from realtime.supervisor import BEAT_FD, LAST_BEAT

BEAT_S: Final = 0.25

_log = structlog.get_logger()


class Supervised:
    """The performer's end of the pipe to a supervisor, if there is one.

    Attributes
    ----------
    receivers, channels, input
        Who heard the last performer's port, the channels that may still sound there, and the input
        it listened to, if there was one.
    """

    def __init__(self) -> None:
        fd = os.environ.get(BEAT_FD)
        self._fd = None if fd is None else int(fd)
        last = json.loads(os.environ.get(LAST_BEAT, "{}"))
        self.receivers: list[str] = last.get("receivers", [])
        self.channels: list[int] = last.get("channels", [])
        self.input: str | None = last.get("input")
        if self._fd is not None:
            os.set_blocking(self._fd, False)
            os.set_inheritable(self._fd, False)  # whoever is left behind must not keep it open

    def __bool__(self) -> bool:
        """Whether there is a supervisor."""
        return self._fd is not None

    def beat(self, **said: object) -> bool:
        """Say that all is well, and whether the supervisor is still there to hear it."""
        if self._fd is None:
            return True
        try:
            os.write(self._fd, json.dumps(said).encode() + b"\n")
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
        self, *, listening_to: str | None, port: ReturningPort | None, stop: Callable[[], None]
    ) -> AsyncIterator[None]:
        """Beat, and look after the port, while the performance within goes on.

        Parameters
        ----------
        listening_to
            The audio input, if it is one.
        stop
            Ends the performance.
        """
        task = asyncio.create_task(self._keep_beating(listening_to, port, stop), name="upkeep")
        try:
            yield
        finally:
            task.cancel()

    async def _keep_beating(
        self, listening_to: str | None, port: ReturningPort | None, stop: Callable[[], None]
    ) -> None:
        since_look_s = 0.0
        while True:
            if port is not None and since_look_s >= LOOK_S:
                self._look_after(port)
                since_look_s = 0.0
            if not self.beat(input=listening_to, **_described(port)):
                stop()
            await asyncio.sleep(BEAT_S)
            since_look_s += BEAT_S

    def _look_after(self, port: ReturningPort) -> None:
        """Look after the port; whatever a MIDI library comes up with, the beats go on."""
        try:
            port.look_after()
        except Exception as error:
            _log.error("midi.look_failed", port=port.name, reason=repr(error))


def _described(port: ReturningPort | None) -> dict[str, object]:
    """Say who would have to be told that no note sounds any more."""
    if port is None:
        return {"channels": [], "system": None, "receivers": []}
    return {
        "channels": port.channels,
        "system": None if port.port is None else port.port.system,
        "receivers": port.receivers,
    }
