"""Returning port: a MIDI port that may go, and is opened again by its name when it comes back.

Messages are sent on the caller's thread; everything that asks a MIDI system, which may take its
time or hang, is done by a thread of the port's own. A cable that is pulled, a synthesiser that is
switched off and a MIDI system that ends are said once; notes meanwhile are counted, and the music
goes on in what is left. Whatever may have been left sounding is ended when the port is back,
and those who heard it, or were started anew themselves, hear it again.
"""

import threading
from collections.abc import Callable
from typing import Final

import structlog

from realtime.handover import Handover
from realtime.midi import Message, begins_note
from realtime.midi_ports import MidiPort, MidiPortError, open_port
from realtime.panic import panic_messages

LOOK_S: Final = 0.5
"""How often to look whether the port is there."""

_JOIN_S: Final = 2.5  # JACK lets nobody in for 1.1 s after it lost a client

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
    handover
        What the port before it left, if there was one; what this one leaves goes there.

    Attributes
    ----------
    n_missed : int
        Notes that would have begun while it was away.
    """

    def __init__(
        self,
        wanted: str,
        port: MidiPort | None,
        open_anew: Callable[[str], MidiPort] = open_port,
        handover: Handover | None = None,
    ) -> None:
        self._wanted = wanted
        self._port = port
        self._failed: tuple[MidiPort, str] | None = None
        self._open_anew = open_anew
        self._name = wanted if port is None else port.name
        self._left = handover or Handover()
        self._awaited: list[str] = []
        self._doubted: list[str] = []
        self._is_new = port is None  # nothing was said of it yet
        self._n_cycles: int | None = None
        self._has_stood_still = False
        self._swap = threading.Lock()  # held while a message is sent, never while a system is asked
        self._is_closing = threading.Event()
        self._looking = threading.Thread(target=self._keep_looking, name="port", daemon=True)
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
        """Names of the ports that heard it when it was last looked after, or are to hear it."""
        return self._left.receivers

    def start(self) -> None:
        """Look after it from now on."""
        self._looking.start()

    def send(self, message: Message, at_s: float) -> None:
        """Send a message now, whatever `at_s`, or count it."""
        with self._swap:
            self._left.use(message[0] & 0x0F)
            self._send(message)

    def end_all_notes(self) -> None:
        """End whatever may sound on the channels that were sent to."""
        with self._swap:
            self._end_all_notes()

    def look_after(self) -> None:
        """Notice that the port is gone, or open it again if it is back; the port's thread only."""
        port = self._port
        if self._failed is not None:
            failed, reason = self._failed
            self._failed = None
            failed.close()
            self._say_lost(reason)
        elif port is None:
            self._find()
        elif not port.is_heard:
            with self._swap:
                self._port = None
            port.close()
            self._say_lost(f"The MIDI port {self._name} is gone.")
        else:
            self._follow(port)

    def close(self) -> None:
        """Close it, and say what was missed if it never came back; twice is once."""
        self._is_closing.set()
        if self._looking.is_alive():
            self._looking.join(_JOIN_S)  # a MIDI system that hangs is left behind
        with self._swap:
            port, self._port = self._port, None
        if port is not None:
            port.close()
        elif self.n_missed:
            _log.error("midi.port_missed", port=self._name, n_missed=self.n_missed)
        self.n_missed = 0

    def _keep_looking(self) -> None:
        while True:
            try:
                self.look_after()
            except Exception as error:  # whatever a MIDI library comes up with
                _log.error("midi.look_failed", port=self._name, reason=repr(error))
            if self._is_closing.wait(LOOK_S):
                return

    def _send(self, message: Message) -> None:
        if self._port is not None:
            try:
                self._port.send(message, 0.0)
                return
            except MidiPortError as error:
                self._failed = self._port, str(error)
                self._port = None
        self.n_missed += begins_note(message)

    def _end_all_notes(self) -> None:
        for message in panic_messages(self._left.channels):
            self._send(message)

    def _say_lost(self, reason: str) -> None:
        _log.error("midi.port_lost", port=self._name, reason=reason)

    def _find(self) -> None:
        try:
            port = self._open_anew(self._wanted)
        except MidiPortError as error:
            if self._is_new:
                self._is_new = False
                _log.warning("midi.port_awaited", port=self._name, reason=str(error))
            return
        self._awaited, self._doubted = port.connect(self._left.receivers), []
        with self._swap:
            self._port, self._name = port, port.name
            n_missed, self.n_missed = self.n_missed, 0
            self._end_all_notes()
        if self._is_new:
            self._is_new = False
            _log.info("midi.port_opened", port=self._name, n_missed=n_missed)
        else:
            _log.warning("midi.port_returned", port=self._name, n_missed=n_missed)

    def _follow(self, port: MidiPort) -> None:
        """Let those hear it again who heard it and were started anew; others left by themselves.

        Who seems to have been disconnected by hand must seem so twice: a system that is ending, or
        is about to say that a receiver has gone, shows what is half true. A system that stood still
        loses what it was sent when it goes on: seen with JACK.
        """
        n_cycles, self._n_cycles = self._n_cycles, port.n_cycles
        has_stood_still = n_cycles is not None and n_cycles == self._n_cycles
        if self._has_stood_still and not has_stood_still:
            self.end_all_notes()
        self._has_stood_still = has_stood_still
        awaited = port.connect(self._awaited)
        if awaited != self._awaited:
            self.end_all_notes()  # those who hear it again may have heard a begin, but not the end
        connected = port.receivers
        left = [name for name in self._left.receivers if name not in [*connected, *awaited]]
        gone = port.gone(left)
        by_hand = [name for name in left if name not in gone]
        doubted = [name for name in by_hand if name not in self._doubted]
        self._awaited, self._doubted = awaited + gone, doubted
        self._left.receivers = connected + self._awaited + doubted
