import pytest

from realtime.budget import Budget, BudgetConfig, Predictor, ms_to_ns, unmet


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
        ({"inference_ms": 30.0}, "add up to 55.5 ms but target_ms is 50: lower one of capture_ms"),
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
    predictor = Predictor(first_ns=25_000)
    for _ in range(20):
        predictor.record(1000)
    assert predictor.predicted_ns == 1000


def test_the_predictor_starts_with_the_warm_up_and_follows_the_slow_passes() -> None:
    """One slow pass in five raises the prediction; a few among many do not."""
    predictor = Predictor(first_ns=1000)
    assert predictor.predicted_ns == 1000
    for _ in range(64):
        predictor.record(500)
    for _ in range(12):
        predictor.record(9000)
    assert predictor.predicted_ns == 500
    predictor.record(9000)
    assert predictor.predicted_ns == 9000


def test_what_begins_now_ends_when_what_is_under_way_has_ended() -> None:
    """A pass waits for the one before it, unless that one may never end."""
    predictor = Predictor(first_ns=100)
    assert predictor.finish_ns(1000, busy_since_ns=0) == 1100
    assert predictor.finish_ns(1000, busy_since_ns=960) == 1160
    assert predictor.finish_ns(1000, busy_since_ns=850) == 1100
    assert predictor.finish_ns(1000, busy_since_ns=799) > 10**15


def test_an_oracle_that_is_slow_leaves_less_to_wait() -> None:
    """What it lately took counts where it is more than its budget."""
    budget = Budget(BudgetConfig())
    for _ in range(20):
        budget.record_deciding(ms_to_ns(12))
    assert budget.last_wait_ns(0) == ms_to_ns(38)
    for _ in range(64):
        budget.record_deciding(ms_to_ns(1))
    assert budget.last_wait_ns(0) == ms_to_ns(45)


def said_of(pass_ms: float) -> str | None:
    """Give what is said of a pass, with the default budget: the stages leave 29.3 ms for it."""
    return unmet(BudgetConfig(), heard_ms=13.0, block_ms=2.7, pass_ms=pass_ms)


def test_a_pass_that_fits_its_budget_is_not_spoken_of() -> None:
    """Nor is one that just fits."""
    assert said_of(1.0) is None
    assert said_of(BudgetConfig().inference_ms) is None


def test_a_pass_beyond_its_budget_is_said_before_the_first_note() -> None:
    """With what to change, and to what: the stage's budget if the target has room, else more."""
    assert "inference_ms" in str(said_of(25.0))
    assert "to at least 25, which the target still has room for" in str(said_of(25.0))
    sentence = str(said_of(80.0))
    assert "takes 80 ms" in sentence
    assert "29 are left for it: answers will be reflexes" in sentence
    assert sentence.endswith("or raise target_ms to 101.")
