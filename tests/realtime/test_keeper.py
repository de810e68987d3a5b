"""The keeper sends what performers write, ends every note when told, and when nobody is left."""

import os

import pytest
import structlog

from realtime.handover import Handover, unnamed_file
from realtime.keeper import KeptPort, keep, miss
from realtime.midi import Message
from realtime.panic import panic_messages
from realtime.returning_port import ReturningPort
from realtime.troupe import END_ALL


class Port(ReturningPort):
    """A port that remembers."""

    def __init__(self) -> None:
        super().__init__("nord", None)
        self.sent: list[Message] = []
        self.channels: set[int] = set()

    def send(self, message: Message, at_s: float) -> None:
        """Remember a message."""
        self.channels.add(message[0] & 0x0F)
        self.sent.append(message)

    def end_all_notes(self) -> None:
        """Remember that it was told."""
        self.sent += panic_messages(self.channels)


@pytest.fixture
def pipe() -> tuple[int, int]:
    """Give a pipe as a supervisor makes it."""
    read_fd, write_fd = os.pipe()
    os.set_blocking(write_fd, False)
    return read_fd, write_fd


def test_what_performers_send_goes_out_in_order(pipe: tuple[int, int]) -> None:
    """Every note ends where one died, and again in the end, which comes with the last writer."""
    read_fd, write_fd = pipe
    first, second = KeptPort(write_fd, "nord"), KeptPort(os.dup(write_fd), "nord")
    first.send((0x91, 60, 64), 0.0)
    first.close()
    os.write(write_fd, END_ALL)
    second.send((0x91, 62, 64), 0.0)
    os.close(write_fd)
    os.close(second._fd)
    port = Port()
    with structlog.testing.capture_logs() as logged:
        keep(port, read_fd)
    os.close(read_fd)
    panic = [*panic_messages([1])]
    assert port.sent == [(0x91, 60, 64), *panic, (0x91, 62, 64), *panic]
    assert [line["event"] for line in logged] == ["midi.silenced"]


def test_what_waited_for_a_keeper_is_not_played_but_what_it_may_have_begun_is_ended(
    pipe: tuple[int, int],
) -> None:
    """Only notes are counted, and only what is there is taken: more may come later, or nothing."""
    read_fd, write_fd = pipe
    left_fd = unnamed_file()
    port = ReturningPort("nord", None, handover=Handover(left_fd))
    miss(port, read_fd)
    assert port.n_missed == 0
    for message in ((0x93, 60, 64), (0x83, 60, 0), (0x93, 60, 0), END_ALL, (0x95, 62, 64)):
        os.write(write_fd, bytes(message))
    miss(port, read_fd)
    assert (port.n_missed, Handover(left_fd).channels) == (2, {3, 5})
    os.close(write_fd)
    miss(port, read_fd)
    assert port.n_missed == 2
    os.close(read_fd)
    os.close(left_fd)


def test_a_keeper_that_does_not_read_keeps_nobody_waiting(pipe: tuple[int, int]) -> None:
    """No message is cut in two, and those that found no room are counted and said once."""
    read_fd, write_fd = pipe
    port = KeptPort(write_fd, "nord")
    n_sent = 100_000
    with structlog.testing.capture_logs() as logged:
        for _ in range(n_sent):
            port.send((0x90, 60, 64), 0.0)
        port.close()
        port.close()
    os.close(write_fd)
    with os.fdopen(read_fd, "rb") as reader:
        read = reader.read()
    n_missed = logged[0]["n_missed"]
    assert [line["event"] for line in logged] == ["midi.port_missed"]
    assert read == bytes((0x90, 60, 64)) * (n_sent - n_missed)
    assert n_missed > 0
