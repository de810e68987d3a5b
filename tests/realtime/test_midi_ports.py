"""MIDI ports: the right system, the right port, or one sentence; and a real JACK server."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest
import rtmidi
import structlog

from benchmarks._jack import ended
from oracle.event import Note
from realtime import midi_ports
from realtime.midi import Message, NotePlayer
from realtime.midi_ports import MidiPort, MidiPortError, open_port
from realtime.returning_port import ReturningPort
from tests.realtime.midi_doubles import HandScheduler

CORE, ALSA, JACK = rtmidi.API_MACOSX_CORE, rtmidi.API_LINUX_ALSA, rtmidi.API_UNIX_JACK
ON, OFF = 0x90, 0x80
TIMEOUT_S = 10.0


class FakeMidiOut:
    """RtMidi's port, as far as it is used here, of a machine made up by the test."""

    ports: dict[int, list[str]] = {}  # noqa: RUF012  # set anew for each test
    made: list["FakeMidiOut"] = []  # noqa: RUF012

    def __init__(self, system: int, name: str) -> None:
        self.system = system
        self.client_name = name
        self.opened: str | None = None
        self.sent: list[Message] = []
        self.is_broken = False
        self.is_deleted = False
        self.n_closed = 0
        self.made.append(self)

    def get_ports(self) -> list[str]:
        """Name the ports of the system."""
        return self.ports[self.system]

    def open_port(self, number: int, name: str) -> None:
        """Open a port by its number."""
        self.opened = self.ports[self.system][number]

    def open_virtual_port(self, name: str) -> None:
        """Make a port."""
        self.opened = f"virtual {name}"

    def send_message(self, message: Message) -> None:
        """Send, or fail as RtMidi does when the device is unplugged."""
        if self.is_broken:
            raise rtmidi.SystemError(
                "MidiOutCore::sendMessage: error sending MIDI message to port."
            )
        self.sent.append(message)

    def close_port(self) -> None:
        """Close the port."""
        self.n_closed += 1

    def delete(self) -> None:
        """Close the client."""
        self.is_deleted = True


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Callable[[dict[int, list[str]]], None]:
    """Give a function that makes the machine one with these systems and ports."""

    def become(ports: dict[int, list[str]]) -> None:
        monkeypatch.setattr(FakeMidiOut, "ports", ports)
        monkeypatch.setattr(FakeMidiOut, "made", [])
        fake = SimpleNamespace(**vars(rtmidi))
        fake.MidiOut = FakeMidiOut
        fake.get_compiled_api = lambda: list(ports)
        monkeypatch.setattr(midi_ports, "rtmidi", fake)
        monkeypatch.setattr(midi_ports, "_is_present", ports.__contains__)

    return become


Machine = Callable[[dict[int, list[str]]], None]


def opened() -> FakeMidiOut:
    """Give the one port that was opened."""
    (midi_out,) = (made for made in FakeMidiOut.made if made.opened)
    return midi_out


def test_without_a_midi_system_the_way_out_is_a_file(machine: Machine) -> None:
    """The sentence names what could be started and what works without."""
    machine({})
    with pytest.raises(MidiPortError, match=r"no MIDI system .* --midi-out none --midi-file FILE"):
        open_port("virtual")


def test_without_ports_a_name_cannot_be_found(machine: Machine) -> None:
    """The way out is a virtual port."""
    machine({CORE: []})
    with pytest.raises(MidiPortError, match="as there are none: try --midi-out virtual"):
        open_port("synth")


def test_a_virtual_port_carries_the_program_s_name(machine: Machine) -> None:
    """On macOS it is made in CoreMIDI, for others to find."""
    machine({CORE: ["IAC Driver Bus 1"]})
    assert open_port("virtual").name == "MusicHal"
    assert (opened().system, opened().opened) == (CORE, "virtual MusicHal")


def test_a_port_is_found_by_a_part_of_its_name(machine: Machine) -> None:
    """Upper or lower case, in whichever system has it."""
    machine({CORE: ["IAC Driver Bus 1", "Nord Stage 3"]})
    port = open_port("nord")
    assert port.name == "Nord Stage 3"
    assert opened().opened == "Nord Stage 3"


def test_a_name_in_full_wins_over_longer_ones(machine: Machine) -> None:
    """``Bus 1`` is not ``Bus 10``."""
    machine({CORE: ["Bus 10", "Bus 1"]})
    assert open_port("Bus 1").name == "Bus 1"


def test_alsa_is_asked_before_jack(machine: Machine) -> None:
    """Virtual ports are made in the first system, and equal names are found there."""
    machine({JACK: ["synth"], ALSA: ["synth"]})
    open_port("synth")
    assert opened().system == ALSA


def test_an_unknown_name_lists_the_ports_there_are(machine: Machine) -> None:
    """One sentence to choose from."""
    machine({CORE: ["Nord Stage 3", "IAC Driver Bus 1"]})
    with pytest.raises(
        MidiPortError, match=r"No MIDI port has 'moog' .* are: IAC Driver Bus 1, Nord Stage 3"
    ):
        open_port("moog")


def test_an_ambiguous_name_lists_what_it_may_mean(machine: Machine) -> None:
    """Better to ask than to sound on the wrong instrument."""
    machine({CORE: ["Nord Stage 3", "Nord Lead", "Bus 1"]})
    with pytest.raises(MidiPortError, match=r"Several .*: Nord Stage 3, Nord Lead; write more"):
        open_port("nord")


def test_a_port_sends_at_once_and_closes_once(machine: Machine) -> None:
    """Messages go out as they are; the second close does nothing to a deleted port."""
    machine({CORE: ["Nord"]})
    port = open_port("nord")
    port.send((ON, 60, 64), 1.0)
    port.close()
    port.close()
    assert opened().sent == [(ON, 60, 64)]
    assert (opened().n_closed, opened().is_deleted) == (1, True)


def test_every_client_made_for_looking_is_let_go(machine: Machine) -> None:
    """Looking for ports leaves nothing open."""
    machine({CORE: ["Nord"], JACK: []})
    with pytest.raises(MidiPortError, match="are: Nord"):
        open_port("moog")
    assert [made.is_deleted for made in FakeMidiOut.made] == [True, True]


def test_a_port_whose_server_went_away_meanwhile_is_let_go(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server ends between the opening and the watch: one sentence, and no client left."""

    def no_watch() -> None:
        raise OSError("no JACK server runs")

    machine({JACK: ["synth"]})
    monkeypatch.setattr(midi_ports, "JackWatch", no_watch)
    with pytest.raises(MidiPortError, match=r"refused a port \(no JACK server runs\)"):
        open_port("virtual")
    assert opened().is_deleted


def test_an_unplugged_port_is_one_event_and_not_a_crash(machine: Machine) -> None:
    """The player says it once, plays on into what is left, and still closes."""
    machine({CORE: ["Nord"]})
    player = NotePlayer([open_port("nord")], HandScheduler())
    opened().is_broken = True
    with structlog.testing.capture_logs() as logged:
        player.play([Note(60, 64, 1), Note(62, 64, 1)])
        player.close()
    (event,) = logged
    assert event["reason"].startswith("The MIDI port Nord is gone")
    assert opened().is_deleted


def test_a_system_that_refuses_is_one_sentence(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RtMidi's error becomes ours, with its words in it."""
    machine({CORE: ["Nord"]})

    def refuse(port: FakeMidiOut, number: int, name: str) -> None:
        raise rtmidi.SystemError("error creating port")

    monkeypatch.setattr(FakeMidiOut, "open_port", refuse)
    with pytest.raises(MidiPortError, match=r"refused a port \(error creating port\)"):
        open_port("nord")


@pytest.fixture
def only_jack(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave ALSA out, which a developer's machine may have."""
    if JACK not in rtmidi.get_compiled_api():
        pytest.skip("this RtMidi was built without JACK")
    monkeypatch.setattr(midi_ports, "_ALSA_SEQUENCER", Path("/dev/snd/nonexistent"))


@pytest.mark.usefixtures("only_jack")
def test_a_machine_without_midi_is_found_out_in_silence(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Neither ALSA's library nor JACK's writes to the musician's terminal."""
    monkeypatch.setenv("JACK_DEFAULT_SERVER", "musichal-nobody")
    with pytest.raises(MidiPortError, match="no MIDI system"):
        open_port("virtual")
    assert capfd.readouterr() == ("", "")


@contextmanager
def reliable_server(name: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a JACK server that waits for its clients, so that a busy machine loses no message.

    It is ended by SIGTERM, which alone frees its place among the eight that JACK has.
    """
    command = ["jackd", "--no-realtime", "--sync", "--name", name]
    command += ["-d", "dummy", "-r", "48000", "-p", "128"]
    wait = ["jack_wait", "--wait", "--timeout", "10", "--server", name]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            subprocess.run(wait, check=True, capture_output=True, timeout=15)
            yield process
        finally:
            process.terminate()
            ended(process)


@pytest.fixture
def mortal_server(
    only_jack: None, monkeypatch: pytest.MonkeyPatch
) -> Iterator[subprocess.Popen[bytes]]:
    """Give a JACK server of this test's own, which it may stop and kill."""
    if shutil.which("jackd") is None or shutil.which("jack_wait") is None:
        pytest.skip("needs jackd and jack_wait (apt install jackd2)")
    name = f"musichal-midi-{os.getpid()}"
    monkeypatch.setenv("JACK_DEFAULT_SERVER", name)
    with reliable_server(name) as process:
        yield process
    if process.returncode == -signal.SIGKILL:
        with reliable_server(name):  # takes over the place that the killed one still holds
            pass


def asked(*command: str) -> str:
    """Run one of JACK's tools, and return what it says."""
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=30).stdout


class Ear:
    """A JACK client in another process, which hears MIDI at ``ear:in``."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def start_anew(self) -> None:
        """End it, and start another of its name."""
        self.close()
        self._process = started_ear()

    def close(self) -> None:
        """End it."""
        self._process.terminate()
        ended(self._process)
        assert self._process.stdout is not None
        self._process.stdout.close()

    def connect(self, port_name: str) -> None:
        """Listen to a port."""
        subprocess.run(
            ["jack_connect", port_name, "ear:in"], check=True, capture_output=True, timeout=30
        )

    def heard(self, n_messages: int) -> list[Message]:
        """Wait for that many messages."""
        assert self._process.stdout is not None
        lines = [self._process.stdout.readline().strip() for _ in range(n_messages)]
        return [(message[0], message[1], message[2]) for message in map(bytes.fromhex, lines)]


def started_ear() -> "subprocess.Popen[str]":
    """Start an ear."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.realtime.jack_ear"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


@pytest.fixture
def ear(mortal_server: subprocess.Popen[bytes]) -> Iterator[Ear]:
    """Give an ear on the server."""
    ear = Ear(started_ear())
    try:
        yield ear
    finally:
        ear.close()


@pytest.mark.jack
def test_a_virtual_jack_port_is_heard_by_whoever_connects(ear: Ear) -> None:
    """What is played arrives whole and in order, the last note-offs sent before the close too."""
    port = open_port("virtual")
    ear.connect("MusicHal:MusicHal")
    with NotePlayer([port], HandScheduler()) as player:
        player.play([Note(60, 64, 1), Note(64, 80, 1)])
        assert ear.heard(2) == [(ON, 60, 64), (ON, 64, 80)]
        player.play([Note(67, 100, 1)])
    assert ear.heard(5) == [
        (ON, 67, 100),
        (OFF, 60, 0),
        (OFF, 64, 0),
        (OFF, 67, 0),
        (0xB0, 123, 0),
    ]


@pytest.mark.jack
def test_a_jack_port_is_found_by_a_part_of_its_name(ear: Ear) -> None:
    """``--midi-out ear`` connects to the ear; closed, it leaves no note and no client behind."""
    port = open_port("EAR")
    assert port.name == "ear:in"
    with NotePlayer([port], HandScheduler()) as player:
        player.play([Note(60, 64, 1)])
    assert ear.heard(3) == [(ON, 60, 64), (OFF, 60, 0), (0xB0, 123, 0)]
    ports = subprocess.run(
        ["jack_lsp"], check=True, capture_output=True, text=True, timeout=30
    ).stdout
    assert "ear:in" in ports
    assert "MusicHal" not in ports


@pytest.mark.jack
def test_a_synthesiser_that_is_started_anew_is_connected_again(ear: Ear) -> None:
    """However quickly it was back."""
    port = open_port("virtual")
    ear.connect("MusicHal:MusicHal")
    returning = ReturningPort("virtual", port)
    returning.look_after()
    assert returning.receivers == ["ear:in"]
    ear.start_anew()
    give_up_s = time.monotonic() + TIMEOUT_S
    while port.receivers != ["ear:in"]:
        assert time.monotonic() < give_up_s, "it is not connected again"
        returning.look_after()
    port.send((ON, 60, 64), 0.0)
    assert ear.heard(1) == [(ON, 60, 64)]
    returning.close()


@pytest.mark.jack
def test_ten_thousand_messages_arrive_while_the_server_lives(ear: Ear) -> None:
    """Reading frees the port: the limit is on what is unread, not on what was ever sent."""
    port = open_port("ear")
    sent = [(ON, index % 128, 1 + index // 128) for index in range(10_000)]
    for start in range(0, len(sent), 100):
        for message in sent[start : start + 100]:
            port.send(message, 0.0)
        assert ear.heard(100) == sent[start : start + 100]
    port.close()


def send_until_refused(port: MidiPort) -> int:
    """Send more than RtMidi's ring holds and give how many messages went in before a refusal."""
    for n_sent in range(5000):
        try:
            port.send((ON, 60, 64), 0.0)
        except MidiPortError as error:
            assert str(error) == "The JACK server has stopped: start it again."  # noqa: PT017
            return n_sent
    raise AssertionError("a dead server took everything")


@pytest.mark.jack
def test_a_killed_server_is_refused_and_never_waited_for(
    mortal_server: subprocess.Popen[bytes],
    capfd: pytest.CaptureFixture[str],
) -> None:
    """RtMidi alone would spin for ever once 16 KiB are unread; here nothing hangs or prints."""
    port = open_port("virtual")
    mortal_server.kill()
    mortal_server.wait(TIMEOUT_S)
    assert send_until_refused(port) <= 1024
    port.close()
    assert capfd.readouterr() == ("", "")


@pytest.mark.jack
def test_a_stopped_server_is_refused_and_never_waited_for(
    mortal_server: subprocess.Popen[bytes],
) -> None:
    """A server that still exists but reads nothing is as good as gone."""
    port = open_port("virtual")
    mortal_server.send_signal(signal.SIGSTOP)
    os.waitpid(mortal_server.pid, os.WUNTRACED)
    assert send_until_refused(port) <= 1025
    mortal_server.send_signal(signal.SIGCONT)
    port.close()
