import pytest

from realtime.budget import Budget, BudgetConfig, PassPredictor, ms_to_ns


def test_the_default_budgets_fit_the_target() -> None:
    """What ships must add up."""
    config = BudgetConfig()
    assert sum(config.stages_ms.values()) <= config.target_ms
    assert list(config.stages_ms) == ["capture", "listen", "inference", "oracle", "midi"]


def test_budgets_that_exactly_fill_the_target_are_accepted() -> None:
    """The sum may reach the target but not pass it."""
    BudgetConfig(target_ms=15, capture_ms=3, listen_ms=3, inference_ms=3, oracle_ms=3, midi_ms=3)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"inference_ms": 30.0}, "add up to 69 ms but target_ms is 50: lower one of capture_ms"),
        ({"midi_ms": 0.0}, "midi_ms must be above 0, got 0"),
        ({"oracle_ms": float("nan")}, "oracle_ms must be above 0, got nan"),
        ({"target_ms": -1.0}, "target_ms must be above 0, got -1"),
        ({"considered_min_ms": 60.0}, "considered_min_ms must be at least 0 and below target_ms"),
    ],
)
def test_budgets_that_do_not_add_up_are_refused(changes: dict[str, float], message: str) -> None:
    """The sentence says which number to change."""
    with pytest.raises(ValueError, match=message):
        BudgetConfig(**changes)  # type: ignore[arg-type]


def test_an_event_waits_until_the_oracle_and_the_port_still_fit() -> None:
    """The last moment to wait is the deadline less what follows the wait."""
    budget = Budget(BudgetConfig())
    assert budget.deadline_ns(0) == ms_to_ns(50)
    assert budget.last_wait_ns(0) == ms_to_ns(45)
    assert budget.may_wait(0, ms_to_ns(45))
    assert not budget.may_wait(0, ms_to_ns(45) + 1)
    assert not budget.is_late(0, ms_to_ns(50))
    assert budget.is_late(0, ms_to_ns(50) + 1)


def test_a_token_that_heard_too_little_is_not_considered() -> None:
    """Three milliseconds of a note tell nothing of it."""
    budget = Budget(BudgetConfig(considered_min_ms=10))
    assert not budget.is_considered(ms_to_ns(3))
    assert budget.is_considered(ms_to_ns(10))


def test_a_slow_warm_up_is_one_pass_among_others() -> None:
    """A hiccup before the first note must not make reflexes of the first minute."""
    predictor = PassPredictor(first_ns=25_000)
    for _ in range(20):
        predictor.record(1000)
    assert predictor.predicted_ns == 1000


def test_the_predictor_starts_with_the_warm_up_and_follows_the_slow_passes() -> None:
    """A few slow passes among many raise the prediction; one alone does not."""
    predictor = PassPredictor(first_ns=1000)
    assert predictor.predicted_ns == 1000
    for _ in range(64):
        predictor.record(500)
    predictor.record(9000)
    assert predictor.predicted_ns == 500
    for _ in range(4):
        predictor.record(9000)
    assert predictor.predicted_ns == 9000
