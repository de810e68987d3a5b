"""A line of the memory, played on in its own rhythm."""

import math
from itertools import pairwise

import numpy as np
import pytest

from oracle.beats import Beat
from oracle.event import DIM_INDEX, EVENT_DIMS, Event, Note
from oracle.memory import Memory
from oracle.provenance import Provenance
from realtime.phrase import N_LEAST, Phrase, following
from realtime.phrasing import PHRASE_GAP_S

FIGURE_S = (0.0, 0.3, 0.5, 0.8, 1.0, 1.3)
PAUSE_S = 2.0


def learned(
    onsets_s: tuple[float, ...], *, sources: tuple[int, ...] = (), bpm: float = math.nan
) -> Memory:
    """Make a memory of notes that rise by semitones from middle C."""
    frame = np.full(len(EVENT_DIMS), np.nan, np.float32)
    frame[DIM_INDEX["log2_tempo"]] = math.log2(bpm)
    events = [
        Event(
            frame=frame,
            notes=(Note(60 + i, 64, 0.1),),
            pitch=60.0 + i,
            onset_s=onset_s,
            duration_s=0.1,
            source=sources[i] if sources else 0,
        )
        for i, onset_s in enumerate(onsets_s)
    ]
    return Memory.from_events(
        events,
        centroids=np.zeros((1, 2), np.float32),
        threshold=0.1,
        provenance=Provenance(encoder="{}", listener={"heard_ms": 12.0}, sources=("a", "b")),
    )


def intervals(memory: Memory, phrase: Phrase, state: int = 1) -> list[float]:
    """Play a phrase from a state to its end, and give its intervals."""
    played: list[float] = []
    while (in_s := phrase.next_in_s(memory, state)) is not None:
        played.append(in_s)
        state += 1
    return played


def begun(memory: Memory, *, beat: Beat | None = None, max_notes: int = 16) -> Phrase:
    """Begin a phrase with the first state."""
    return Phrase.of(memory, 1, beat, max_notes)


def test_nowhere_nothing_follows() -> None:
    """The root has no line, and a phrase goes elsewhere from there."""
    memory = learned(FIGURE_S)
    assert following(memory, 0, 4) == []
    assert begun(memory).next_in_s(memory, 0) == PHRASE_GAP_S


def test_where_the_memory_ends_it_is_over_unless_it_has_only_begun() -> None:
    """A phrase of one note is none."""
    memory = learned(FIGURE_S)
    assert begun(memory).next_in_s(memory, len(FIGURE_S)) == PHRASE_GAP_S
    phrase = begun(memory)
    *_, last = (phrase.next_in_s(memory, state) for state in range(1, len(FIGURE_S) + 1))
    assert last is None


def test_the_rhythm_is_the_one_that_was_learned() -> None:
    """Interval for interval, to the end of what there is."""
    memory = learned(FIGURE_S)
    played = intervals(memory, begun(memory))
    assert played == pytest.approx([b - a for a, b in pairwise(FIGURE_S)])


def test_it_is_over_where_the_line_paused() -> None:
    """The figure is played, and not the one after it."""
    again_s = tuple(FIGURE_S[-1] + PAUSE_S + onset_s for onset_s in FIGURE_S)
    memory = learned(FIGURE_S + again_s)
    assert len(intervals(memory, begun(memory))) == len(FIGURE_S) - 1


def test_a_pause_after_a_few_notes_is_made_shorter() -> None:
    """It was the end of another phrase: this one has only begun."""
    after_s = tuple(0.6 + PAUSE_S + onset_s for onset_s in FIGURE_S)
    memory = learned((0.0, 0.3, 0.6, *after_s))
    played = intervals(memory, begun(memory), state=2)
    assert N_LEAST > 2
    assert len(played) == 1 + len(FIGURE_S)
    assert played[1] < PAUSE_S / 2


def test_it_is_over_after_so_many_notes() -> None:
    """One note is no interval."""
    memory = learned(FIGURE_S)
    n_intervals = [len(intervals(memory, begun(memory, max_notes=n))) for n in (1, 2, 4)]
    assert n_intervals == [0, 1, 3]


def test_it_does_not_go_from_one_recording_into_the_next() -> None:
    """Nor back in time, as where another evening was learned under the same name."""
    assert len(following(learned((0.0, 0.3, 0.6), sources=(0, 0, 1)), 1, 9)) == 2
    assert len(following(learned((0.0, 0.3, 0.1)), 1, 9)) == 2


def test_it_goes_in_the_player_s_tempo() -> None:
    """Where both are known; at half the tempo it stays as it was."""
    memory = learned(FIGURE_S, bpm=100)
    as_learned = intervals(memory, begun(memory))
    for beat_s, slower in ((60 / 90, 100 / 90), (60 / 50, 1.0), (None, 1.0)):
        beat = None if beat_s is None else Beat(period_s=beat_s, last_s=0.0, probability=1.0)
        played = intervals(memory, begun(memory, beat=beat))
        assert played == pytest.approx([slower * interval_s for interval_s in as_learned])
    unknown = learned(FIGURE_S)
    assert begun(unknown, beat=Beat(period_s=0.6, last_s=0.0, probability=1.0)).stretch == 1.0
