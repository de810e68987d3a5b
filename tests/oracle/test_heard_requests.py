"""What was heard can be asked for: ratios and consonance, from records to the state found."""

import math

import numpy as np
import pytest

from oracle.event import DIM_INDEX
from oracle.memory import Memory
from oracle.navigator import Navigator
from oracle.transcriber import Transcriber
from tests.oracle.memories import make_memory
from tests.realtime.stage_doubles import RATE_HZ, attack, body

# in sixteenths of a second; threes come after twos, and nowhere else is anything in 3:2
INTERVALS = (4, 4, 8, 4, 4, 4, 6, 6, 4, 4, 6, 6, 12, 12, 4, 4, 4, 4)
ROUGHNESS = (0.05, 0.2, 0.4)


@pytest.fixture(scope="module")
def memory() -> Memory:
    """Give a memory of what a listener published of a rhythm, jittered by some milliseconds."""
    rng = np.random.default_rng(0)
    onsets = np.cumsum([16, *INTERVALS]) / 16 + rng.normal(0, 0.004, len(INTERVALS) + 1)
    transcriber, events = Transcriber(RATE_HZ), []
    for index, onset_s in enumerate(onsets):
        record = attack(index, round(onset_s * RATE_HZ), pitch=60.0 + index % 5)
        roughness = math.nan if index % 7 == 0 else ROUGHNESS[index % 3]
        events.append(transcriber.transcribe(record, body(index, roughness=roughness), index % 8))
    return make_memory(events)


def found(memory: Memory, request: dict[str, object], n_steps: int = 12) -> set[int]:
    """Return the states that meet a request as asked, wherever the navigator starts."""
    states = set()
    for seed in range(4):
        navigator = Navigator(memory.oracle, memory.attributes, seed=seed)
        for trace in navigator.generate_with_request(request, n_steps):
            if trace.state is not None and not trace.relaxed:
                states.add(trace.state)
    return states


@pytest.mark.parametrize(("p", "q"), [(3, 2), (2, 3), (2, 1), (1, 1)])
def test_a_ratio_finds_the_events_in_just_that_ratio(memory: Memory, p: int, q: int) -> None:
    """All of them were played so: state i + 1 ends interval i, counted from 1."""
    played = {
        end + 2 for end in range(1, len(INTERVALS)) if INTERVALS[end] * q == INTERVALS[end - 1] * p
    }
    states = found(memory, {"rhythm_ratio": [p, q]})
    assert states
    assert states <= played
    for state in states:
        frame = memory.event(state).frame
        assert (frame[DIM_INDEX["ratio_p"]], frame[DIM_INDEX["ratio_q"]]) == (p, q)


def test_a_ratio_that_was_not_played_is_not_found(memory: Memory) -> None:
    """It is relaxed, and that is said."""
    assert not found(memory, {"rhythm_ratio": [7, 5]})


def test_consonance_finds_the_events_as_smooth_as_asked(memory: Memory) -> None:
    """And none whose roughness was not heard."""
    states = found(memory, {"consonance": 0.8})
    assert states
    for state in states:
        assert memory.event(state).frame[DIM_INDEX["consonance"]] == pytest.approx(0.8, abs=0.05)


def test_both_together_find_what_is_both(memory: Memory) -> None:
    """As the README asks for."""
    for state in found(memory, {"rhythm_ratio": [3, 2], "consonance": 0.95}):
        event = memory.event(state)
        assert event.frame[DIM_INDEX["ratio_p"]] == 3
        assert event.frame[DIM_INDEX["consonance"]] == pytest.approx(0.95, abs=0.05)
