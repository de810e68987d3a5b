import math
import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oracle.event import Event, Note
from oracle.memory import Memory
from oracle.navigator import Navigator, NavigatorConfig
from tests.oracle.memories import make_event, make_memory, melody

TUNE = [60, 62, 64, 60, 62, 64, 65, 67, 60, 62]


def as_bytes(memory: Memory, folder: Path) -> bytes:
    """Give a memory as its file holds it."""
    memory.save(folder / "as_bytes.memory")
    return (folder / "as_bytes.memory").read_bytes()


def some_events(n: int) -> list[Event]:
    """Give varied events: chords, tones and noises."""
    rng = np.random.default_rng(3)
    events = []
    for i in range(n):
        plain = make_event(int(rng.integers(6)), math.nan if i % 5 == 2 else 50 + i % 30, i)
        extra = tuple(Note(int(rng.integers(128)), 64, rng.random()) for _ in range(i % 4))
        events.append(
            Event(
                frame=plain.frame,
                notes=plain.notes + extra,
                pitch=plain.pitch,
                onset_s=i / 4,
                duration_s=0.1,
            )
        )
    return events


@settings(deadline=None, max_examples=40)
@given(n=st.integers(0, 120), data=st.data())
def test_what_is_kept_is_as_if_nothing_else_had_been_learned(
    n: int, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """To the byte: links, notes, and whatever was learned after the rebuilding was begun."""
    folder, events = tmp_path_factory.mktemp("kept"), some_events(n)
    n_begun = data.draw(st.integers(0, n))
    n_forgotten = data.draw(st.integers(0, n_begun))
    memory = make_memory(some_events(120)).emptied()
    alone = memory.emptied()
    memory.extend(events[:n_begun])
    kept = memory.forgetting(n_forgotten)
    assert kept.n_events == n_begun - n_forgotten
    memory.extend(events[n_begun:])
    kept.catch_up(memory, n_forgotten)
    alone.extend(events[n_forgotten:])
    assert as_bytes(kept, folder) == as_bytes(alone, folder)
    for state in range(1, kept.n_events + 1):
        assert kept.notes(state) == events[n_forgotten + state - 1].notes


def test_sources_named_meanwhile_are_known() -> None:
    """What was learned from them can be caught up with."""
    memory = make_memory(melody(TUNE))
    kept = memory.forgetting(4)
    source = memory.add_source("live")
    memory.learn(Event(frame=make_event().frame, onset_s=9, duration_s=0, source=source))
    kept.catch_up(memory, 4)
    assert kept.provenance == memory.provenance
    assert kept.event(7).source == source


@pytest.mark.parametrize("n_forgotten", [-1, 11])
def test_what_is_not_there_cannot_be_forgotten(n_forgotten: int) -> None:
    """Nor less than nothing."""
    with pytest.raises(ValueError, match=f"n_forgotten must be 0…10, got {n_forgotten}"):
        make_memory(melody(TUNE)).forgetting(n_forgotten)


def test_it_is_built_from_a_consistent_prefix_while_another_thread_learns(tmp_path: Path) -> None:
    """Built again and again beside a learner, and caught up: always what was learned alone."""
    events = some_events(3000)
    memory = make_memory(events).emptied()
    alone = memory.emptied()
    alone.extend(events[100:])
    memory.extend(events[:200])
    kept: list[Memory] = []

    def forget() -> None:
        while not kept or memory.n_events < len(events):
            kept.append(memory.forgetting(100))

    thread = threading.Thread(target=forget)
    thread.start()
    for event in events[200:]:
        memory.learn(event)
    thread.join()
    expected = as_bytes(alone, tmp_path)
    for one in (kept[0], kept[len(kept) // 2], kept[-1]):
        one.catch_up(memory, 100)
        assert as_bytes(one, tmp_path) == expected


def test_a_navigator_keeps_its_place_and_its_taboos() -> None:
    """It continues where it was, and does not return to where it has just been."""
    memory = make_memory(melody(TUNE * 10))
    navigator = Navigator(
        memory.oracle, memory.attributes, NavigatorConfig(continuity=1, taboo_steps=30)
    )
    navigator.place(40)
    navigator.generate(5)
    kept = memory.forgetting(25)
    navigator.forget(kept.oracle, kept.attributes, 25)
    assert navigator.state == 20
    trace = navigator.step()
    assert trace.state == 21
    is_taboo = {int(c["state"]) for c in trace.candidates if c["is_taboo"]}
    assert is_taboo == {int(c["state"]) for c in trace.candidates} & set(range(16, 21))


def test_a_navigator_whose_place_is_forgotten_begins_anywhere() -> None:
    """And still answers, however little is left."""
    memory = make_memory(melody(TUNE))
    for n_forgotten in (3, 9):
        navigator = Navigator(memory.oracle, memory.attributes)
        navigator.place(3)
        kept = memory.forgetting(n_forgotten)
        navigator.forget(kept.oracle, kept.attributes, n_forgotten)
        assert navigator.state == 0
        assert navigator.step().state is not None


def test_where_nothing_is_forgotten_the_path_is_the_same() -> None:
    """Chance too stays where it was."""
    memory = make_memory(melody(TUNE * 20))
    one, two = (Navigator(memory.oracle, memory.attributes, seed=4) for _ in range(2))
    path = [trace.state for trace in one.generate(60)]
    begun = [trace.state for trace in two.generate(30)]
    kept = memory.forgetting(0)
    two.forget(kept.oracle, kept.attributes, 0)
    assert begun + [trace.state for trace in two.generate(30)] == path
