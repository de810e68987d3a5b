"""Warm-up: every step is named and told, and none of them stops the performance."""

import gc
import sys
import threading
from collections.abc import Iterator

import pytest

from models.errors import EncoderError
from realtime import warm_up
from realtime.privileges import LISTENER, LOOP, NotAllowedError
from realtime.warm_up import SWITCH_INTERVAL_S, WarmUp


@pytest.fixture
def own_process() -> Iterator[None]:
    """Give back what a warm-up changes for good."""
    interval_s, thresholds = sys.getswitchinterval(), gc.get_threshold()
    yield
    sys.setswitchinterval(interval_s)
    gc.set_threshold(*thresholds)
    gc.unfreeze()


def test_a_step_that_is_done_gives_what_it_gave() -> None:
    """Such as what a pass costs."""
    steps = WarmUp()
    assert steps.take("encoder", lambda: 7) == 7
    (step,) = steps.steps
    assert (step.name, step.state, step.todo) == ("encoder", "done", "")


def test_a_step_that_is_not_allowed_says_what_to_do() -> None:
    """And the performance begins without it."""

    def refuse() -> None:
        raise NotAllowedError("Join the group audio.")

    steps = WarmUp()
    assert steps.take("loop first", refuse) is None
    assert (steps.steps[0].state, steps.steps[0].todo) == ("not allowed", "Join the group audio.")


def test_a_step_that_fails_says_how_and_stops_nothing() -> None:
    """Whatever it is that is wrong."""
    steps = WarmUp()
    steps.take("kernels", lambda: 1 // 0)
    steps.take("rings", lambda: None)
    assert [step.state for step in steps.steps] == ["failed", "done"]
    assert steps.steps[0].todo.startswith("ZeroDivisionError: ")


def test_the_worlds_mistakes_are_told_as_the_sentence_they_are() -> None:
    """No name of a class before it."""

    def fail() -> None:
        raise EncoderError("The GPU has no memory left: close other programs.")

    steps = WarmUp()
    assert steps.take("encoders", fail) is None
    (step,) = steps.steps
    assert step.state == "failed"
    assert step.todo == "The GPU has no memory left: close other programs."


def test_the_last_steps_end_with_the_performance(
    own_process: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was granted is given back; threads ask by their role."""
    asked: list[str] = []
    monkeypatch.setattr(warm_up, "run_first", asked.append)
    monkeypatch.setattr(warm_up, "stay_in_memory", lambda: asked.append("memory"))
    monkeypatch.setattr(warm_up, "let_go", lambda: asked.append("let go"))
    monkeypatch.setattr(sys, "platform", "linux")
    steps = WarmUp()
    with steps.ready():
        assert gc.get_freeze_count() > 0
        assert sys.getswitchinterval() == pytest.approx(SWITCH_INTERVAL_S)
        steps.take_thread(LISTENER)
        steps.take_thread("encoder")
    assert asked == ["memory", LOOP, LISTENER, "let go"]
    assert {step.state for step in steps.steps} == {"done"}


def test_threads_take_their_steps_at_once() -> None:
    """None is lost."""
    steps = WarmUp()
    threads = [
        threading.Thread(target=lambda: [steps.take("one", lambda: None) for _ in range(100)])
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(steps.steps) == 400
