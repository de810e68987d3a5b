"""What a port leaves to the next one is found again, whatever became of the file."""

import os
from collections.abc import Iterator

import pytest

from realtime.handover import Handover, unnamed_file


@pytest.fixture
def fd() -> Iterator[int]:
    """Give a file without a name."""
    fd = unnamed_file()
    yield fd
    os.close(fd)


def test_where_nothing_was_left_there_is_nothing(fd: int) -> None:
    """Nor where there is no file."""
    for handover in (Handover(fd), Handover()):
        assert (handover.channels, handover.receivers) == (set(), [])


def test_what_was_left_is_found_however_often_it_changed(fd: int) -> None:
    """Also shorter than before, and by names as musicians give them."""
    first = Handover(fd)
    for channel in (0, 15, 7, 7):
        first.use(channel)
    first.receivers = ["a long name:in 1", "another"]
    first.receivers = ["Flügel:in\n"]
    second = Handover(fd)
    assert (second.channels, second.receivers) == ({0, 7, 15}, ["Flügel:in\n"])
    second.use(3)
    assert Handover(fd).channels == {0, 3, 7, 15}
    assert Handover(fd).receivers == ["Flügel:in\n"]


def test_what_makes_no_sense_is_nobody(fd: int) -> None:
    """A file that was damaged costs connections, not the port."""
    os.pwrite(fd, b"\1\0[half of", 0)
    assert (Handover(fd).channels, Handover(fd).receivers) == ({0}, [])


def test_a_file_that_cannot_be_written_costs_only_the_handover() -> None:
    """The port goes on."""
    fd = os.open(os.devnull, os.O_RDONLY)
    handover = Handover(fd)
    handover.use(4)
    handover.receivers = ["synth:in"]
    assert (handover.channels, handover.receivers) == ({4}, ["synth:in"])
    os.close(fd)
