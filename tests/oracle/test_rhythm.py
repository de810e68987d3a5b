"""The eleven rhythm numbers of an event."""

import math

import numpy as np
import pytest

from oracle.event import EVENT_DIMS, RHYTHM
from oracle.rhythm import PHRASE_END_S, Rhythm, RhythmTracker

EVEN_S = (np.arange(24) * 0.5).tolist()


def heard(onsets_s: list[float]) -> list[Rhythm]:
    """Hear onsets one by one."""
    tracker = RhythmTracker()
    return [tracker.hear(onset_s) for onset_s in onsets_s]


def test_they_are_the_dimensions_of_the_event_in_order() -> None:
    """Dimensions 4 to 14."""
    assert Rhythm._fields == tuple(dim.name for dim in EVENT_DIMS)[RHYTHM]
    assert len(Rhythm._fields) == 11


def test_of_a_first_onset_nothing_is_known() -> None:
    """Missing, not some middle value."""
    assert all(math.isnan(value) for value in heard([3.0])[0])


def test_of_a_second_onset_the_interval_and_the_density_are_known() -> None:
    """A ratio needs two intervals, a beat some evidence."""
    known = {name for name, value in heard([1.0, 1.5])[1]._asdict().items() if value == value}
    assert known == {"log2_interval", "onset_density"}


def test_even_notes_are_known_in_full() -> None:
    """Half seconds: one to one, on the beat, at 120 beats a minute."""
    rhythm = heard(EVEN_S)[-1]
    assert rhythm.log2_interval == -1
    assert (rhythm.ratio_p, rhythm.ratio_q, rhythm.polarity, rhythm.pulse) == (1, 1, 0, 2)
    assert rhythm.log2_tempo == pytest.approx(math.log2(120), abs=0.02)
    assert rhythm.beat_phase == pytest.approx(0, abs=0.05)
    assert rhythm.onset_density == 2
    assert not any(math.isnan(value) for value in rhythm)


def test_just_before_the_beat_is_near_the_beat() -> None:
    """An onset a little early and one a little late differ by little, not by a whole beat."""
    early, late = (heard([*EVEN_S, 12.0 + off])[-1].beat_phase for off in (-0.03, 0.03))
    assert -0.125 <= early < late < 0.2


def test_a_silence_ends_the_phrase() -> None:
    """The first interval after it is in no ratio to those before."""
    again_s = EVEN_S[-1] + PHRASE_END_S + 0.1
    after = heard([*EVEN_S, again_s, again_s + 0.3])
    assert math.isnan(after[-1].ratio_p)
    assert after[-1].log2_interval == pytest.approx(math.log2(0.3))


def test_a_grace_note_has_an_interval_and_no_ratio() -> None:
    """Onsets within 50 ms are one event of the rhythm."""
    graced = heard([*EVEN_S, EVEN_S[-1] + 0.03])[-1]
    assert math.isnan(graced.ratio_p)
    assert graced.log2_interval == pytest.approx(math.log2(0.03))


def test_the_beat_is_there_to_play_to() -> None:
    """None at first; then the next one can be foretold."""
    tracker = RhythmTracker()
    at_first = tracker.beat
    assert at_first is None
    for onset_s in EVEN_S:
        tracker.hear(onset_s)
    beat = tracker.beat
    assert beat is not None
    assert beat.next_s(EVEN_S[-1] + 0.1) == pytest.approx(EVEN_S[-1] + 0.5, abs=0.03)
