"""Returning port: a MIDI port that may go, and is opened again by its name when it comes back.

Loop thread only. A cable that is pulled, a synthesiser that is switched off and a MIDI system that
ends are said once; messages meanwhile are counted, and the music goes on in what is left. Whatever
may have been left sounding is ended when the port is back. Looking for a port takes some 30 ms and
opening it up to 130, during which nothing would be heard of it anyway.
"""

from collections.abc import Callable, Iterable
from typing import Final

import structlog

from realtime.midi import Message
from realtime.midi_ports import MidiPort, MidiPortError, open_port
from realtime.panic import panic_messages

LOOK_S: Final = 1.0
"""How often to look whether the port is there."""

_log = structlog.get_logger()


class ReturningPort:
    """A note sink that outlives its port.

    Parameters
    ----------
    wanted
        As the player named it: how to find it again.
    port
        Opened, or None if it is not there yet.
    open_anew
        How to open it.

    Attributes
    ----------
    n_missed : int
        Messages that came while it was away.
    """

    def __init__(
        self,
        wanted: str,
        port: MidiPort | None,
        open_anew: Callable[[str], MidiPort] = open_port,
    ) -> None:
        self._wanted = wanted
        self._port = port
        self._open_anew = open_anew
        self._name = wanted if port is None else port.name
        self._channels: set[int] = set()
        self._receivers: list[str] = [] if port is None else port.receivers
        self._awaited: list[str] = []
        self.n_missed = 0

    @property
    def name(self) -> str:
        """What the system calls the port."""
        return self._name

    @property
    def port(self) -> MidiPort | None:
        """The port, while it is there."""
        return self._port

    @property
    def receivers(self) -> list[str]:
        """Names of the ports that heard it when it was last looked after."""
        return self._receivers

    @property
    def channels(self) -> list[int]:
        """The channels that were sent to, from 0."""
        return sorted(self._channels)

    def send(self, message: Message, at_s: float) -> None:
        """Send a message now, whatever `at_s`, or count it."""
        self._channels.add(message[0] & 0x0F)
        if self._port is not None:
            try:
                self._port.send(message, at_s)
                return
            except MidiPortError as error:
                self._lose(str(error))
        self.n_missed += 1

    def look_after(self) -> None:
        """Notice that the port is gone, or open it again if it is back."""
        if self._port is None:
            self._find()
        elif not self._port.is_heard:
            self._lose(f"The MIDI port {self._name} is gone.")
        else:
            self._awaited = self._port.connect(self._awaited)
            self._receivers = [*self._port.receivers, *self._awaited]

    def take_over(self, receivers: Iterable[str], channels: Iterable[int] = ()) -> None:
        """Follow a port that is gone, as soon as this one and those who heard that are there.

        They hear it again, and what may have been left sounding on its channels is ended.
        """
        self._receivers = self._awaited = list(receivers)
        self._channels.update(channels)
        if self._port is not None:
            self._awaited = self._port.connect(self._awaited)
            self._end_all_notes(self._port)

    def close(self) -> None:
        """Close it, and say what was missed if it never came back; twice is once."""
        if self._port is not None:
            self._port.close()
        elif self.n_missed:
            _log.error("midi.port_missed", port=self._name, n_missed=self.n_missed)
            self.n_missed = 0

    def _lose(self, reason: str) -> None:
        assert self._port is not None
        self._port.close()
        self._port = None
        _log.error("midi.port_lost", port=self._name, reason=reason)

    def _find(self) -> None:
        try:
            port = self._open_anew(self._wanted)
        except MidiPortError:
            return
        self._port, self._name = port, port.name
        _log.warning("midi.port_returned", port=self._name, n_missed=self.n_missed)
        self.n_missed = 0
        self.take_over(self._receivers)

    def _end_all_notes(self, port: MidiPort) -> None:
        try:
            for message in panic_messages(self._channels):
                port.send(message, 0.0)
        except MidiPortError as error:
            self._lose(str(error))
