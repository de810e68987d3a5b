"""Panic: the MIDI messages that end every note, and ports kept ready for another's death.

Used by the performer's loop and by the supervisor, which can afford no more than RtMidi. A port has
to be open before it is needed: a JACK server that has just lost a client lets nobody in for a
second (1.1 s here), nor does it wake the clients that heard the lost one until then, so that they
have to be told again. Controllers 123 (all notes off) and 120 (all sound off) come first, then each
pitch for synthesisers that know neither: 390 bytes, 0.12 s of a MIDI cable.
"""

import contextlib
import threading
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

ALL_NOTES_OFF: Final = 123
ALL_SOUND_OFF: Final = 120
NOTE_OFF: Final = 0x80
CONTROL_CHANGE: Final = 0xB0
N_PITCHES: Final = 128

_CLIENT: Final = "MusicHal panic"


def panic_messages(channels: Iterable[int]) -> Iterator[tuple[int, int, int]]:
    """Give what ends every note on these channels, counted from 0."""
    for channel in channels:
        for controller in (ALL_NOTES_OFF, ALL_SOUND_OFF):
            yield (CONTROL_CHANGE | channel, controller, 0)
        for pitch in range(N_PITCHES):
            yield (NOTE_OFF | channel, pitch, 0)


class PanicPorts:
    """Ports open to those who hear a performer, should it die. The supervisor's thread only."""

    def __init__(self) -> None:
        self._asked_for: tuple[int | None, list[str]] = (None, [])
        self._ports: dict[str, Any] = {}

    def keep_ready(self, system: int | None, receivers: Sequence[str]) -> None:
        """Open ports to these receivers, unless they are open; one that is gone is left out.

        Parameters
        ----------
        system
            RtMidi's number of the MIDI system they are in, None for no port at all.
        """
        if self._asked_for == (system, list(receivers)):
            return
        self.let_go()
        self._asked_for = (system, list(receivers))
        if system is None:
            return
        import rtmidi

        for name in receivers:
            with contextlib.suppress(rtmidi.RtMidiError, ValueError):
                port = rtmidi.MidiOut(system, name=_CLIENT)
                self._ports[name] = port
                port.open_port(port.get_ports().index(name), _CLIENT)

    def end_all_notes(self, channels: Sequence[int]) -> list[str]:
        """Tell every receiver that no note sounds, and name those that were told.

        Some thirty times at most: RtMidi would wait for ever for a server that takes no more.
        """
        if not self._ports:
            return []
        import rtmidi

        told = []
        for name, port in self._ports.items():
            with contextlib.suppress(rtmidi.RtMidiError):
                for message in panic_messages(channels):
                    port.send_message(message)
                told.append(name)
        return told

    def let_go(self) -> None:
        """Close them; those of a server that is gone take a second, which is not waited for."""
        ports, self._ports = list(self._ports.values()), {}
        self._asked_for = (None, [])
        if not ports:
            return
        threading.Thread(target=_delete, args=(ports,), name="port closer", daemon=True).start()


def _delete(ports: list[Any]) -> None:
    for port in ports:
        port.close_port()  # which lets others run meanwhile
        port.delete()
