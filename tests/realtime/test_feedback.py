import numpy as np
import pytest

from realtime.feedback import LEAST_NOTES, Sounded, echo

TUNE = [60, 64, 67, 72, 60, 64, 67, 72]


def sent(n_notes: int = len(TUNE)) -> list[Sounded]:
    """Give notes of ours, two a second."""
    return [Sounded(0.5 * i, pitch) for i, pitch in enumerate(TUNE[:n_notes])]


def test_nothing_sent_or_heard_is_no_echo() -> None:
    """Nor are both, where they have nothing to do with each other."""
    assert echo([], []) is None
    assert echo(sent(), []) is None
    assert echo([], sent()) is None


@pytest.mark.parametrize("n_notes", [LEAST_NOTES - 1, LEAST_NOTES, len(TUNE)])
def test_notes_that_come_back_are_an_echo(n_notes: int) -> None:
    """From five on; how late is said."""
    heard = [Sounded(note.at_s + 0.043, note.pitch) for note in sent(n_notes)]
    found = echo(sent(n_notes), heard)
    assert (found is not None) == (n_notes >= LEAST_NOTES)
    if found is not None:
        assert (found.n_heard, found.n_sent) == (n_notes, n_notes)
        assert f"{n_notes} of {n_notes} were heard 43 ms after" in str(found)


def test_a_player_s_notes_are_no_echo() -> None:
    """The same pitches, before ours or with a delay of their own each time; or other pitches."""
    before = [Sounded(note.at_s - 0.03, note.pitch) for note in sent()]
    assert echo(sent(), before) is None
    delays_s = np.random.default_rng(0).uniform(0.0, 0.15, len(TUNE))
    free = [Sounded(n.at_s + d, n.pitch) for n, d in zip(sent(), delays_s, strict=True)]
    assert echo(sent(), free) is None
    others = [Sounded(note.at_s + 0.04, note.pitch + 1) for note in sent()]
    assert echo(sent(), others) is None


def test_an_echo_is_found_among_a_player_s_notes() -> None:
    """Half of ours are enough, whatever else sounds."""
    back = [Sounded(note.at_s + 0.06, note.pitch) for note in sent()[: len(TUNE) - 2]]
    own = [Sounded(0.3 + 0.5 * i, 50 + i) for i in range(20)]
    found = echo(sent(), sorted(back + own))
    assert found is not None
    assert found.n_heard == len(TUNE) - 2
