"""The hop: down when the encoder is late, up after a calm, and no swinging between."""

import pytest

from realtime.hop_ladder import CALM_S, MEMORY_S, OVERRUNS, RUNGS, HopLadder


@pytest.fixture
def ladder() -> HopLadder:
    """Give a ladder of a quarter of a second."""
    return HopLadder(0.25)


def test_without_overruns_the_hop_stays(ladder: HopLadder) -> None:
    """Calm on the uppermost rung changes nothing."""
    assert not any(ladder.follow(float(second), 0) for second in range(100))
    assert (ladder.hop_s, ladder.n_down, ladder.n_up) == (0.25, 0, 0)


def test_overruns_that_are_far_apart_are_accidents(ladder: HopLadder) -> None:
    """One in every while never adds up."""
    assert not any(ladder.follow(n * MEMORY_S, n * (OVERRUNS - 1)) for n in range(20))


def test_repeated_overruns_step_it_down_to_the_last_rung(ladder: HopLadder) -> None:
    """Each step takes new overruns; below the last rung there is none."""
    hops = []
    for second in range(10):
        ladder.follow(float(second), OVERRUNS * (second + 1))
        hops.append(ladder.hop_s)
    assert hops[: len(RUNGS)] == [0.5, 1.0, 2.0, 2.0]
    assert ladder.n_down == len(RUNGS) - 1


def test_a_calm_steps_it_up_one_rung_at_a_time(ladder: HopLadder) -> None:
    """A single overrun begins the calm anew."""
    for second in range(3):
        assert ladder.follow(float(second), OVERRUNS * (second + 1))
    changed = [now_s for now_s in range(3, 100) if ladder.follow(now_s, 9 + (now_s >= 10))]
    assert changed == [10 + CALM_S, 10 + 2 * CALM_S, 10 + 3 * CALM_S]
    assert (ladder.hop_s, ladder.n_down, ladder.n_up) == (0.25, 3, 3)
