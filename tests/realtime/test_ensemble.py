"""Several memories in one session: whose turn it is, and what each of them learns."""

from collections.abc import Iterable

import numpy as np
import pytest
from numpy.typing import NDArray

from oracle.event import EventTracker
from realtime.answer import Answer
from realtime.ensemble import Ensemble, make_ensemble
from realtime.improviser import ImproviserConfig
from realtime.modes import HOLD_S
from tests.oracle.memories import make_memory, melody
from tests.realtime.stage_doubles import RATE_HZ, FakeImproviser, attack, body

LOW_PITCHES, HIGH_PITCHES = {48, 50, 52, 53}, {72, 74, 76, 77}
LOW, HIGH = melody(sorted(LOW_PITCHES) * 4), melody(sorted(HIGH_PITCHES) * 4)
SHADOW = ImproviserConfig(mode="shadow")


def turns(n_memories: int, onsets_s: Iterable[float]) -> list[int]:
    """Say who answers the onsets."""
    ensemble = Ensemble([FakeImproviser() for _ in range(n_memories)], RATE_HZ)
    return [
        ensemble.take_turn(attack(i, round(onset_s * RATE_HZ)))
        for i, onset_s in enumerate(onsets_s)
    ]


def test_one_memory_answers_everything() -> None:
    """Whatever the player does."""
    assert turns(1, [0.0, 0.5, 1.0, 9.0, 99.0]) == [0] * 5


def test_a_phrase_belongs_to_one_memory_and_the_next_phrase_to_the_next() -> None:
    """In the order they were given, and round again; the first waits for the first note."""
    first = [3.0, 3.2, 3.4]
    assert turns(3, [phrase_s + onset_s for phrase_s in (0, 3, 6, 9) for onset_s in first]) == [
        *([0] * 3),
        *([1] * 3),
        *([2] * 3),
        *([0] * 3),
    ]


def test_who_never_pauses_is_passed_on_in_the_end() -> None:
    """After as long as a mode is held at least."""
    n_held = round(HOLD_S[0] / 0.5)
    assert turns(2, [0.5 * i for i in range(2 * n_held + 1)]) == [0] * n_held + [1] * n_held + [0]


def answered(ensemble: Ensemble, index: int, onset_s: float, token: int) -> Answer:
    """Have one event answered by whose turn it is."""
    heard = attack(index, round(onset_s * RATE_HZ), pitch=60.0)
    turn = ensemble.take_turn(heard)
    attended = ensemble.attend(heard)
    answer = ensemble.answer(attended, turn=turn, token=token, is_considered=True)
    ensemble.learn(attended, body(index), {0: token})
    return answer


def test_who_answers_plays_what_it_has_learned() -> None:
    """The low memory answers the first phrase, the high one the second."""
    config = ImproviserConfig(mode="shadow", is_learning=False)
    ensemble = make_ensemble([make_memory(LOW), make_memory(HIGH)], RATE_HZ, config, seed=0)
    first = [answered(ensemble, i, 0.2 * i, 0) for i in range(4)]
    second = [answered(ensemble, 4 + i, 5 + 0.2 * i, 0) for i in range(4)]
    for answers, pitches in ((first, LOW_PITCHES), (second, HIGH_PITCHES)):
        for answer in answers:
            assert {note.pitch - answer.transposition_semitones for note in answer.notes} <= pitches


@pytest.mark.parametrize("n_others", [0, 1])
def test_the_first_memory_plays_as_it_would_alone(n_others: int) -> None:
    """While it is its turn: same seed, same notes."""
    memories = [make_memory(LOW), *[make_memory(HIGH) for _ in range(n_others)]]
    alone = make_ensemble([make_memory(LOW)], RATE_HZ, SHADOW, seed=3)
    together = make_ensemble(memories, RATE_HZ, SHADOW, seed=3)
    for i in range(8):
        assert answered(alone, i, 0.2 * i, i % 3) == answered(together, i, 0.2 * i, i % 3)


def test_every_memory_learns_every_event_by_its_own_gesture() -> None:
    """Also those whose turn it is not; one that was not told a token learns without one."""
    memories = [make_memory(LOW), make_memory(HIGH), make_memory(LOW)]
    kept: list[list[object]] = [[], [], []]
    keeps = [events.append for events in kept]
    ensemble = make_ensemble(memories, RATE_HZ, SHADOW, seed=0, keeps=keeps)
    heard = attack(pitch=61.0)
    ensemble.take_turn(heard)
    assert ensemble.learn(ensemble.attend(heard), body(), {0: 3, 1: 5})
    assert [memory.n_events for memory in memories] == [len(LOW) + 1] * 3
    assert [memory.tokens[-1] for memory in memories[:2]] == [3, 5]
    assert memories[2].tokens[-1] != memories[2].tokens[-1]  # missing
    assert [len(events) for events in kept] == [1, 1, 1]


def test_what_is_known_of_an_event_is_found_out_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """And all memories go on from it: they learn what they would have found out themselves."""
    tracked: list[float] = []
    track = EventTracker.track

    def count(tracker: EventTracker, onset_s: float, **heard: float) -> NDArray[np.float32]:
        tracked.append(onset_s)
        return track(tracker, onset_s, **heard)

    monkeypatch.setattr(EventTracker, "track", count)
    alone, memories = make_memory(HIGH), [make_memory(LOW), make_memory(HIGH)]
    first, together = (
        make_ensemble(known, RATE_HZ, SHADOW, seed=0) for known in ([alone], memories)
    )
    for i in range(6):
        answered(first, i, 0.25 * i, 0)
    assert len(tracked) == 6
    for i in range(6):
        heard = attack(i, round(0.25 * i * RATE_HZ), pitch=60.0)
        together.take_turn(heard)
        assert together.learn(together.attend(heard), body(i), {1: 0})
    assert len(tracked) == 12
    for state in range(len(HIGH) + 1, len(HIGH) + 7):
        expected = alone.event(state).frame
        assert np.array_equal(memories[1].event(state).frame, expected, equal_nan=True)
