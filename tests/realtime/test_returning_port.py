"""A MIDI port that goes is said once, and one that comes back is open again without a note left."""

import os
import threading
from collections.abc import Iterable, Sequence

import pytest
import structlog

from oracle.event import Note
from realtime.handover import Handover, unnamed_file
from realtime.midi import Message, NotePlayer
from realtime.midi_ports import MidiPort, MidiPortError
from realtime.panic import ALL_NOTES_OFF, panic_messages
from realtime.returning_port import ReturningPort
from tests.realtime.midi_doubles import HandScheduler

WAIT_S = 60


class FakePort(MidiPort):
    """A port that goes when the test says so."""

    def __init__(self, name: str = "Nord", receivers: tuple[str, ...] = ("Nord",)) -> None:
        self._name = name
        self.heard_by = list(receivers)
        self.sent: list[Message] = []
        self.absent: set[str] = set()
        self.is_gone = False
        self.refuses = False
        self.n_closed = 0
        self.n_cycles_made: int | None = None

    @property
    def n_cycles(self) -> int | None:
        """How often its system has taken messages."""
        return self.n_cycles_made

    @property
    def is_heard(self) -> bool:
        """Whether it is there."""
        return not self.is_gone

    @property
    def receivers(self) -> list[str]:
        """Who hears it."""
        return list(self.heard_by)

    def gone(self, receivers: Sequence[str]) -> list[str]:
        """Name those who are gone."""
        return [name for name in receivers if name in self.absent]

    def connect(self, receivers: Iterable[str]) -> list[str]:
        """Let those hear it who are there."""
        asked = list(receivers)
        self.heard_by += [name for name in asked if name not in self.absent]
        return [name for name in asked if name in self.absent]

    def send(self, message: Message, at_s: float) -> None:
        """Remember a message."""
        if self.refuses:
            raise MidiPortError("The MIDI port Nord is gone.")
        self.sent.append(message)

    def close(self) -> None:
        """Count the closings."""
        self.n_closed += 1


class Machine:
    """Where ports are found, while they are there."""

    def __init__(self) -> None:
        self.port: FakePort | None = None
        self.asked: list[str] = []

    def open(self, wanted: str) -> MidiPort:
        """Open the port."""
        self.asked.append(wanted)
        if self.port is None:
            raise MidiPortError("No MIDI port has that name.")
        return self.port


@pytest.fixture
def machine() -> Machine:
    """Give a machine without ports."""
    return Machine()


def events(logged: list[structlog.typing.EventDict]) -> list[str]:
    """Name what was said."""
    return [str(line["event"]) for line in logged]


@pytest.mark.parametrize("is_noticed_by_sending", [True, False])
def test_a_port_that_comes_back_plays_on_and_nothing_hangs(
    machine: Machine, is_noticed_by_sending: bool
) -> None:
    """Its going and its return are each said once, and what it missed is counted."""
    first = FakePort()
    scheduler = HandScheduler()
    port = ReturningPort("nord", first, machine.open)
    player = NotePlayer([port], scheduler)
    with structlog.testing.capture_logs() as logged:
        player.play([Note(60, 64, 1.0)])
        first.is_gone = first.refuses = True
        if is_noticed_by_sending:
            player.play([Note(62, 64, 1.0)])
        else:
            port.look_after()
            player.play([Note(62, 64, 1.0)])
        port.look_after()
        scheduler.advance(2.0)
        assert (first.n_closed, port.port, port.n_missed) == (1, None, 1)
        machine.port = second = FakePort("Nord 2")
        port.look_after()
        player.play([Note(64, 64, 1.0)])
        player.close()
    assert events(logged) == ["midi.port_lost", "midi.port_returned"]
    assert set(machine.asked) == {"nord"}
    assert (port.name, player.n_lost_sinks, second.n_closed) == ("Nord 2", 0, 1)
    assert second.sent[0] == (0xB0, ALL_NOTES_OFF, 0)
    assert (0x80, 60, 0) in second.sent


def test_those_who_heard_the_port_hear_it_again(machine: Machine) -> None:
    """A virtual port has lost its connections when its server is back."""
    first = FakePort("MusicHal", ("synth:in", "recorder:in"))
    port = ReturningPort("virtual", first, machine.open)
    port.look_after()
    first.is_gone = True
    port.look_after()
    machine.port = second = FakePort("MusicHal", ())
    second.absent = {"recorder:in"}
    port.look_after()
    assert second.heard_by == ["synth:in"]
    assert port.receivers == ["synth:in", "recorder:in"], "a second death must not lose them"
    second.absent.clear()
    port.look_after()
    assert second.heard_by == ["synth:in", "recorder:in"] == port.receivers


def test_whoever_is_started_anew_hears_it_again_and_whoever_left_does_not(
    machine: Machine,
) -> None:
    """A synthesiser that goes and comes back while we play, and one that was disconnected."""
    heard = FakePort("MusicHal", ("synth:in", "recorder:in"))
    port = ReturningPort("virtual", heard, machine.open)
    port.look_after()
    heard.absent = {"synth:in"}
    heard.heard_by = []
    port.look_after()
    port.look_after()
    assert port.receivers == ["synth:in"]
    port.send((0x90, 60, 64), 0.0)
    heard.absent.clear()
    port.look_after()
    port.look_after()
    assert heard.heard_by == ["synth:in"] == port.receivers
    assert heard.sent == [(0x90, 60, 64), *panic_messages([0])], "it may not have heard an end"


@pytest.mark.parametrize("is_served_on", [True, False])
def test_who_seems_to_have_left_for_a_moment_is_not_given_up(
    machine: Machine, is_served_on: bool
) -> None:
    """A server that ends, or clears a receiver away, shows what is half true, though not twice."""
    first = FakePort("MusicHal", ("synth:in",))
    port = ReturningPort("virtual", first, machine.open)
    port.look_after()
    first.heard_by = []
    port.look_after()
    if is_served_on:
        first.absent = {"synth:in"}
        port.look_after()
        first.absent.clear()
        port.look_after()
        assert first.heard_by == ["synth:in"] == port.receivers
    else:
        first.is_gone = True
        port.look_after()
        machine.port = second = FakePort("MusicHal", ())
        port.look_after()
        assert second.heard_by == ["synth:in"] == port.receivers
        second.heard_by = []
        port.look_after()
        assert port.receivers == ["synth:in"], "what was doubted of another port is no doubt of it"


def test_the_next_port_ends_what_a_dead_one_left_and_connects_its_hearers(
    machine: Machine,
) -> None:
    """What is sent before it is there is counted; the channels and receivers were written down."""
    fd = unnamed_file()
    first = FakePort("MusicHal", ("synth:in", "recorder:in"))
    dead = ReturningPort("virtual", first, machine.open, Handover(fd))
    dead.look_after()
    for channel in (2, 9):
        dead.send((0x90 | channel, 60, 64), 0.0)
    heir = ReturningPort("virtual", None, machine.open, Handover(fd))
    heir.send((0x92, 62, 64), 0.0)
    machine.port = second = FakePort("MusicHal", ())
    heir.look_after()
    os.close(fd)
    assert sorted(second.sent) == sorted(panic_messages([2, 9]))
    assert second.heard_by == ["synth:in", "recorder:in"] == heir.receivers


def test_a_port_that_is_not_there_yet_is_opened_when_it_is(machine: Machine) -> None:
    """As at a start while the cable is out, which is said once."""
    port = ReturningPort("nord", None, machine.open)
    with structlog.testing.capture_logs() as logged:
        port.look_after()
        port.send((0x90, 60, 64), 0.0)
        port.look_after()
        machine.port = found = FakePort()
        port.look_after()
    assert events(logged) == ["midi.port_awaited", "midi.port_returned"]
    assert logged[1]["n_missed"] == 1
    assert found.sent[-1] == (0x80, 127, 0)


def test_every_note_can_be_ended_on_the_channels_that_were_used(machine: Machine) -> None:
    """Two controllers, then note by note; on none before anything was sent."""
    nord = FakePort()
    port = ReturningPort("nord", nord, machine.open)
    port.end_all_notes()
    assert nord.sent == []
    port.send((0x92, 60, 64), 0.0)
    port.end_all_notes()
    assert nord.sent[1:3] == [(0xB2, ALL_NOTES_OFF, 0), (0xB2, 120, 0)]
    assert nord.sent[3:] == [(0x82, pitch, 0) for pitch in range(128)]


def test_what_a_system_that_stood_still_may_have_lost_is_ended(machine: Machine) -> None:
    """Once, when it goes on."""
    nord = FakePort()
    port = ReturningPort("nord", nord, machine.open)
    port.send((0x90, 60, 64), 0.0)
    n_sent = []
    for nord.n_cycles_made in (None, 1, 2, 2, 2, 3, 4):
        port.look_after()
        n_sent.append(len(nord.sent))
    assert n_sent == [1, 1, 1, 1, 1, 131, 131]


def test_a_look_that_fails_or_hangs_keeps_nobody(machine: Machine) -> None:
    """Whatever a MIDI library comes up with is said, and messages go out all the same."""
    looked, may_go_on = threading.Event(), threading.Event()

    class Unlucky(FakePort):
        @property
        def is_heard(self) -> bool:
            looked.set()
            may_go_on.wait(WAIT_S)
            raise UnicodeDecodeError("utf-8", b"\xe9", 0, 1, "a client's name")

    port = ReturningPort("nord", nord := Unlucky(), machine.open)
    with structlog.testing.capture_logs() as logged:
        port.start()
        assert looked.wait(WAIT_S)
        port.send((0x90, 60, 64), 0.0)
        assert nord.sent == [(0x90, 60, 64)]
        may_go_on.set()
        port.close()
    assert set(events(logged)) == {"midi.look_failed"}
    assert nord.n_closed == 1


def test_a_port_that_never_comes_back_is_said_in_the_end(machine: Machine) -> None:
    """Once, with what was missed."""
    port = ReturningPort("nord", None, machine.open)
    port.send((0x90, 60, 64), 0.0)
    with structlog.testing.capture_logs() as logged:
        port.close()
        port.close()
    assert events(logged) == ["midi.port_missed"]
    assert logged[0]["n_missed"] == 1


def test_a_port_that_goes_again_while_it_is_welcomed_is_lost_again(machine: Machine) -> None:
    """No exception reaches the loop."""
    port = ReturningPort("nord", None, machine.open)
    port.send((0x90, 60, 64), 0.0)
    machine.port = FakePort()
    machine.port.refuses = True
    port.look_after()
    assert port.port is None
