"""MIDI ports: note sinks that sound, found by name or made for others to find.

A port is had through RtMidi from the systems that this machine has: CoreMIDI on macOS; on Linux
ALSA's sequencer, then JACK. Sending never waits, and is for one thread; what asks the system may
wait for it, and is for another. Before a system is asked for anything it is seen to be there, so
that its library has nothing to say on the musician's terminal.
"""

import os
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

import rtmidi

from realtime.jack_watch import JackWatch
from realtime.midi import Message, MidiError

CLIENT_NAME: Final = "MusicHal"
VIRTUAL: Final = "virtual"

_CLOSE_S: Final = 2.0
_ALSA_SEQUENCER: Final = Path("/dev/snd/seq")
_SYSTEMS: Final = (rtmidi.API_MACOSX_CORE, rtmidi.API_LINUX_ALSA, rtmidi.API_UNIX_JACK)


class MidiPortError(MidiError):
    """Raised when a MIDI port cannot be had, or has stopped taking messages."""


class MidiPort:
    """One open port; `open_port` makes it.

    Parameters
    ----------
    midi_out
        Opened; this object closes it.
    name
        Of the port it is connected to, or of itself if it is `is_virtual`.
    watch
        For a JACK port, whether its server lives.
    """

    def __init__(
        self, midi_out: rtmidi.MidiOut, name: str, *, is_virtual: bool, watch: JackWatch | None
    ) -> None:
        self._midi_out = midi_out
        self._name = name
        self._is_virtual = is_virtual
        self._watch = watch
        self._n_appeared = 0
        self._is_closed = False

    @property
    def name(self) -> str:
        """What the system calls the port."""
        return self._name

    def send(self, message: Message, at_s: float) -> None:
        """Send a message now, whatever `at_s`.

        Raises
        ------
        MidiPortError
            The system refuses it, or is no longer there to take it.
        """
        if self._watch is not None and not self._watch.takes_message():
            raise MidiPortError("The JACK server has stopped: start it again.")
        try:
            self._midi_out.send_message(message)
        except rtmidi.RtMidiError as error:
            raise MidiPortError(f"The MIDI port {self._name} is gone ({error}).") from None

    @property
    def is_served(self) -> bool:
        """Whether its MIDI system is there, so far as it says."""
        return self._watch is None or not self._watch.is_down

    @property
    def n_cycles(self) -> int | None:
        """How often its MIDI system has taken what was sent, None if it does not say."""
        return None if self._watch is None else self._watch.n_cycles

    @property
    def is_heard(self) -> bool:
        """Whether the port that it was opened for is there; others may come and go at its own."""
        try:
            return self.is_served and (self._is_virtual or self._name in self._midi_out.get_ports())
        except rtmidi.RtMidiError:
            return False

    @property
    def receivers(self) -> list[str]:
        """Names of the ports that hear it, so far as the system says."""
        if self._watch is None:
            return [] if self._is_virtual else [self._name]
        if self._watch.is_down:
            return []
        return [name for port in self._own_ports() for name in self._watch.receivers(port)]

    def connect(self, receivers: Iterable[str]) -> list[str]:
        """Let those who heard the port before hear this one now, and name those who do not."""
        wanted = list(receivers)
        if self._watch is None or not wanted:
            return []
        if self._watch.is_down:
            return wanted
        watch, own = self._watch, self._own_ports()[-1:]
        awaited = [name for name in wanted if not any(watch.connect(port, name) for port in own)]
        if awaited != wanted:
            watch.wait_settled()  # until then what is sent is sent to nobody
        return awaited

    def gone(self, receivers: Sequence[str]) -> list[str]:
        """Name those of former receivers who are gone, or may have been started anew.

        Whoever is there while no port has appeared since the last call was disconnected by hand.
        """
        if self._watch is None:
            return []
        n_appeared, self._n_appeared = self._n_appeared, self._watch.n_appeared
        if n_appeared != self._n_appeared:
            return list(receivers)
        return [name for name in receivers if not self._watch.is_there(name)]

    def _own_ports(self) -> list[str]:
        """Name the port as JACK does, which may have numbered the client."""
        assert self._watch is not None
        return self._watch.outputs(f"^{CLIENT_NAME}(-[0-9]+)?:{CLIENT_NAME}$")

    def close(self) -> None:
        """Let what was sent go out, then close; twice is once.

        What is left of a server that is gone takes a second to clear away, and is not waited for,
        nor for long one that hangs.
        """
        if self._is_closed:
            return
        self._is_closed = True
        closer = threading.Thread(target=self._close, name="port closer", daemon=True)
        closer.start()
        if self.is_served:
            closer.join(_CLOSE_S)

    def _close(self) -> None:
        if self._watch is not None:
            self._watch.wait_settled()
        self._midi_out.close_port()
        self._midi_out.delete()
        if self._watch is not None:
            self._watch.close()


def output_ports() -> list[str]:
    """List the ports that notes could go to, each once, of every system this machine has.

    Raises
    ------
    MidiPortError
        The machine has no MIDI system, or it refuses.
    """
    return sorted(_systems_by_port(_required_systems()))


def open_port(name: str) -> MidiPort:
    """Open the port with `name` in its name, whatever the case, or make one if it is ``virtual``.

    A name written out in full wins over names that only contain it.

    Raises
    ------
    MidiPortError
        The machine has no MIDI system, or none or several of its ports answer to the name.
    """
    systems = _required_systems()
    if name == VIRTUAL:
        return _open(systems[0], None)
    ports = _systems_by_port(systems)
    found = [port for port in ports if name.lower() in port.lower()]
    if name in ports:
        found = [name]
    if len(found) != 1:
        raise MidiPortError(_explained(name, found, sorted(ports)))
    return _open(ports[found[0]], found[0])


def _systems_by_port(systems: list[int]) -> dict[str, int]:
    """Map each port's name to the system to have it from."""
    return {port: system for system in reversed(systems) for port in _port_names(system)}


def _required_systems() -> list[int]:
    """Give the MIDI systems that are there, or refuse to go on without one."""
    systems = _present_systems()
    if not systems:
        raise MidiPortError(
            "This machine has no MIDI system (CoreMIDI, ALSA's sequencer or a JACK server): "
            "start one, or play into a file with --midi-out none --midi-file FILE."
        )
    return systems


def _present_systems() -> list[int]:
    """Give RtMidi's numbers of the MIDI systems that are there, the one to prefer first."""
    compiled = rtmidi.get_compiled_api()
    return [system for system in _SYSTEMS if system in compiled and _is_present(system)]


def _is_present(system: int) -> bool:
    if system == rtmidi.API_LINUX_ALSA:
        return os.access(_ALSA_SEQUENCER, os.R_OK | os.W_OK)
    if system == rtmidi.API_UNIX_JACK:
        try:
            JackWatch().close()
        except OSError:
            return False
    return True


def _port_names(system: int) -> list[str]:
    with _refusals(), ExitStack() as way_out:
        midi_out = rtmidi.MidiOut(system, name=CLIENT_NAME)
        way_out.callback(midi_out.delete)
        names: list[str] = midi_out.get_ports()
    return names


def _open(system: int, name: str | None) -> MidiPort:
    """Open the port of that very name, or a virtual one without a name."""
    with _refusals(), ExitStack() as undo:
        midi_out = rtmidi.MidiOut(system, name=CLIENT_NAME)
        undo.callback(midi_out.delete)
        if name is None:
            midi_out.open_virtual_port(CLIENT_NAME)
        else:
            midi_out.open_port(midi_out.get_ports().index(name), CLIENT_NAME)
        watch = JackWatch() if system == rtmidi.API_UNIX_JACK else None
        if watch is not None:
            watch.wait_settled()  # until then it is connected to nobody
        undo.pop_all()
    return MidiPort(midi_out, name or CLIENT_NAME, is_virtual=name is None, watch=watch)


@contextmanager
def _refusals() -> Iterator[None]:
    """Turn what a MIDI system refuses into one sentence."""
    try:
        yield
    except (rtmidi.RtMidiError, OSError, ValueError) as error:
        raise MidiPortError(
            f"The MIDI system refused a port ({error}): is it still running and connected?"
        ) from None


def _explained(name: str, found: list[str], ports: list[str]) -> str:
    """Say why no port answers to `name` alone, and what to write instead."""
    if found:
        return f"Several MIDI ports have {name!r} in their names: {', '.join(found)}; write more."
    if ports:
        return f"No MIDI port has {name!r} in its name; there are: {', '.join(ports)}."
    return f"No MIDI port has {name!r} in its name, as there are none: try --midi-out virtual."
