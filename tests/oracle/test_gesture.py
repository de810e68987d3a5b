import math

import numpy as np
import pytest

from oracle.event import Event
from oracle.gesture import N_NEIGHBOURS, Gestures, Neighbour, clock
from tests.oracle.memories import make_event, make_memory, melody

TUNE = [60, 62, 64, 60, 62, 60]


def test_a_memory_of_nothing_uses_no_gesture() -> None:
    """And each of its tokens stands for nothing."""
    gestures = Gestures(make_memory([]))
    assert gestures.used == []
    nothing = gestures.gesture(3)
    assert (nothing.states, nothing.exemplars, nothing.levels_db.size) == ((), (), 0)
    assert nothing.pitch_classes.tolist() == [0] * 12


def test_a_gesture_is_what_its_events_were() -> None:
    """Where they are, their notes, levels and intervals, counted by hand."""
    gestures = Gestures(make_memory(melody(TUNE)))
    assert gestures.used == [0, 2, 4]
    first = gestures.gesture(0)
    assert first.states == (1, 4, 6)
    assert first.pitch_classes.tolist() == [3] + [0] * 11
    assert first.levels_db.tolist() == [-20.0] * 3
    assert first.intervals_s.tolist() == [0.25] * 2  # nothing came before the first
    assert set(first.exemplars) == {1, 4, 6}
    assert gestures.ends_s == {0: 1.5}


def test_neighbours_are_the_nearest_centroids() -> None:
    """They lie on a line, one apart; those that never occur are none, and not too many are told."""
    gestures = Gestures(make_memory(melody(TUNE)))
    assert gestures.gesture(2).neighbours == (Neighbour(0, 2.0, 3), Neighbour(4, 2.0, 1))
    assert gestures.gesture(3).neighbours[0] == Neighbour(2, 1.0, 2)
    many = Gestures(make_memory(melody([60 + i for i in range(12)])))
    assert len(many.gesture(2).neighbours) == N_NEIGHBOURS


def test_exemplars_are_the_events_most_like_the_others() -> None:
    """Not the one played an octave higher; what has no pitch is not preferred."""
    pitches = [60, 61, 72, 60, math.nan, 60]
    gestures = Gestures(make_memory([make_event(0, p, i) for i, p in enumerate(pitches)]))
    assert gestures.gesture(0).exemplars == (1, 4, 6)


def test_events_without_a_token_belong_to_no_gesture() -> None:
    """A token that was not heard is not token 0."""
    frame = np.full(15, np.nan, np.float32)
    gestures = Gestures(make_memory([Event(frame=frame, onset_s=0.0, duration_s=0.1)]))
    assert gestures.used == []
    assert gestures.n_events(0) == 0


@pytest.mark.parametrize("token", [-1, 16])
def test_a_token_outside_the_codebook_is_refused(token: int) -> None:
    """Saying how many there are."""
    with pytest.raises(ValueError, match=f"token must be 0…15, got {token}"):
        Gestures(make_memory(melody(TUNE))).gesture(token)


def test_moments_are_minutes_and_seconds() -> None:
    """Rounded before they are split."""
    assert [clock(s) for s in (0.0, 59.996, 61.5)] == ["0:00.00", "1:00.00", "1:01.50"]
