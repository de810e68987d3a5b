"""A memory that learns keeps within its number of events."""

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from oracle.event import Event, Note
from oracle.memory import Memory
from realtime.forgetting import Forgetting
from realtime.improviser import Improviser, ImproviserConfig
from tests.oracle.memories import make_memory, melody
from tests.realtime.stage_doubles import RATE_HZ, attack, body

MAX_EVENTS = 40
EVENTS = melody([60 + (7 * i) % 12 for i in range(200)])


class Aside:
    """Builds when it is told to."""

    def __init__(self) -> None:
        self.asked: list[tuple[Future[Memory], Callable[[], Memory]]] = []

    def __call__(self, build: Callable[[], Memory]) -> Future[Memory]:
        """Take an order."""
        self.asked.append((Future(), build))
        return self.asked[-1][0]

    def build(self) -> None:
        """Carry out the newest order."""
        built, build = self.asked[-1]
        built.set_result(build())


def as_bytes(memory: Memory, folder: Path) -> bytes:
    """Give a memory as its file holds it."""
    memory.save(folder / "as_bytes.memory")
    return (folder / "as_bytes.memory").read_bytes()


def learned(events: list[Event]) -> Memory:
    """Learn events by the metric of all there will be."""
    memory = make_memory(EVENTS).emptied()
    memory.extend(events)
    return memory


def test_up_to_its_number_nothing_is_forgotten() -> None:
    """The event beyond it is what begins it."""
    aside = Aside()
    forgetting, memory = Forgetting(MAX_EVENTS, aside), learned(EVENTS[:MAX_EVENTS])
    assert forgetting.after_learning(memory) is None
    assert not aside.asked
    memory.learn(EVENTS[MAX_EVENTS])
    assert forgetting.after_learning(memory) is None
    assert len(aside.asked) == 1


def test_the_oldest_go_and_what_was_learned_meanwhile_stays(tmp_path: Path) -> None:
    """Three quarters are kept; nothing is waited for, begun twice or lost."""
    aside = Aside()
    forgetting, memory = Forgetting(MAX_EVENTS, aside), learned(EVENTS[:MAX_EVENTS])
    for event in EVENTS[MAX_EVENTS : MAX_EVENTS + 9]:
        memory.learn(event)
        assert forgetting.after_learning(memory) is None
    assert len(aside.asked) == 1
    aside.build()
    shortened = forgetting.after_learning(memory)
    assert shortened is not None
    kept, n_forgotten = shortened
    assert n_forgotten == MAX_EVENTS + 1 - 30
    alone = learned(EVENTS[n_forgotten : MAX_EVENTS + 9])
    assert as_bytes(kept, tmp_path) == as_bytes(alone, tmp_path)


def test_a_memory_that_was_too_long_from_the_start_is_shortened_once() -> None:
    """At its first event, by whatever it takes."""
    forgetting, memory = Forgetting(MAX_EVENTS), learned(EVENTS)
    shortened = forgetting.after_learning(memory)
    assert shortened is not None
    assert (shortened.memory.n_events, shortened.n_forgotten) == (30, 170)
    assert forgetting.after_learning(shortened.memory) is None


def test_what_the_building_fails_with_is_raised_where_it_is_taken() -> None:
    """It does not go unseen in another thread."""
    aside = Aside()
    forgetting, memory = Forgetting(1, aside), learned(EVENTS[:9])
    assert forgetting.after_learning(memory) is None
    aside.asked[0][0].set_exception(MemoryError("full"))
    with pytest.raises(MemoryError, match="full"):
        forgetting.after_learning(memory)


def play(player: Improviser, n: int) -> list[tuple[tuple[Note, ...], tuple[str, ...]]]:
    """Answer and learn n events, and give the notes of the answers and what was relaxed."""
    answers = []
    for i in range(n):
        heard = player.attend(attack(i, (i + 1) * RATE_HZ // 4, pitch=60.0 + (7 * i) % 12))
        answer = player.answer(heard, token=(7 * i) % 12, is_considered=True)
        answers.append((answer.notes, answer.relaxed))
        player.learn(heard, body(i, ((60 + (7 * i) % 12, 64),)), (7 * i) % 12)
    return answers


def test_an_improviser_plays_on_across_its_forgetting() -> None:
    """Over ten lengths of its memory every event is answered, and the memory stays within."""
    config = ImproviserConfig(mode="shadow", max_events=MAX_EVENTS)
    player = Improviser(learned(EVENTS[:20]), RATE_HZ, config, seed=1)
    answers = play(player, 10 * MAX_EVENTS)
    assert all(notes for notes, _ in answers)
    assert answers == play(Improviser(learned(EVENTS[:20]), RATE_HZ, config, seed=1), len(answers))


def test_on_another_thread_it_is_as_consistent() -> None:
    """A pool builds while the loop learns and answers; the memory ends within its number."""
    seen: list[int] = []
    with ThreadPoolExecutor(1) as pool:

        def aside(build: Callable[[], Memory]) -> Future[Memory]:
            def build_and_tell() -> Memory:
                assert threading.current_thread() is not threading.main_thread()
                memory = build()
                seen.append(memory.n_events)
                return memory

            return pool.submit(build_and_tell)

        config = ImproviserConfig(mode="shadow", max_events=MAX_EVENTS)
        player = Improviser(learned(EVENTS[:20]), RATE_HZ, config, seed=1, aside=aside)
        answers = play(player, 2000)
    assert all(notes for notes, _ in answers)
    assert len(seen) > 1
    assert min(seen) >= 30


def test_a_number_too_small_to_play_from_is_refused() -> None:
    """Sixteen is the least."""
    with pytest.raises(ValueError, match="max_events must be ≥ 16, got 15"):
        ImproviserConfig(max_events=15)
    assert ImproviserConfig(max_events=16).max_events == 16
