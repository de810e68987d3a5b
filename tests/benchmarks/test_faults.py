"""A note that hangs is found, and one that the music still plays is none."""

import math

from benchmarks._sounding import Heard, ended_s, hanging_notes, sounding_notes
from realtime.panic import panic_messages

FAULT_S, ON_ITS_WAY_S = 10.0, 10.2


def heard(*messages: tuple[float, int, int, int]) -> list[Heard]:
    """Give messages as the audience writes them down."""
    return [(at_s, bytes(message)) for at_s, *message in messages]


def n_hanging(messages: list[Heard]) -> int:
    """Count what hangs after a fault."""
    return len(hanging_notes(messages, FAULT_S, ON_ITS_WAY_S))


def test_where_nothing_was_heard_nothing_hangs() -> None:
    """Nor where ends come of what had begun before anybody listened."""
    for messages in ([], heard((10.5, 0x80, 60, 0), (10.6, 0xB0, 123, 0))):
        assert sounding_notes(messages) == []
        assert n_hanging(messages) == 0
        assert ended_s(messages, FAULT_S) == 0.0


def test_what_is_ended_in_any_way_does_not_hang() -> None:
    """A note-off, a note-on of velocity 0, and both controllers on its channel."""
    for end in ((0x83, 60, 0), (0x93, 60, 0), (0xB3, 120, 0), (0xB3, 123, 0)):
        messages = heard((9.0, 0x93, 60, 64), (10.5, *end))
        assert n_hanging(messages) == 0
        assert ended_s(messages, FAULT_S) == 0.5


def test_what_ends_another_pitch_or_channel_ends_nothing() -> None:
    """Nor does another controller."""
    for end in ((0x83, 61, 0), (0x84, 60, 0), (0xB4, 123, 0), (0xB3, 64, 0)):
        messages = heard((9.0, 0x93, 60, 64), (10.5, *end))
        assert n_hanging(messages) == 1
        assert ended_s(messages, FAULT_S) == 0.0


def test_a_note_that_is_struck_again_before_its_end_hangs_however_often_it_is_ended_then() -> None:
    """The next performer's note-off is for its own."""
    struck = heard((9.0, 0x90, 60, 64), (10.5, 0x90, 60, 64), (11.0, 0x80, 60, 0))
    assert n_hanging(struck) == 1
    assert n_hanging([*struck, *heard((11.5, 0x80, 60, 0))]) == 1
    later = heard((11.0, 0x90, 60, 64), (11.5, 0x90, 60, 64), (12.0, 0x80, 60, 0))
    assert n_hanging(later) == 1, "nor may those of the next performer"


def test_what_the_dead_one_had_on_its_way_must_end_and_what_the_next_one_plays_may_sound() -> None:
    """While the music goes on, until there is no more of it."""
    dead, new = heard((10.1, 0x90, 60, 64)), heard((10.5, 0x90, 62, 64))
    assert n_hanging(dead) == 1
    assert n_hanging([*dead, *[(10.15, bytes(m)) for m in panic_messages([0])], *new]) == 0
    assert len(hanging_notes(new, FAULT_S, math.inf)) == 1


def test_what_was_over_before_the_fault_does_not_count() -> None:
    """Even if it was struck again then."""
    over = heard((8.0, 0x90, 60, 64), (8.5, 0x90, 60, 64), (9.0, 0x80, 60, 0))
    assert n_hanging(over) == 0
    assert [note.is_struck_again for note in sounding_notes(over)] == [True, False]
