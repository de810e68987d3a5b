import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from realtime.histogram import Histogram


def test_an_empty_histogram_answers_zero() -> None:
    """Nothing recorded reads as zero everywhere."""
    assert Histogram().summary_ms() == {"p50": 0.0, "p95": 0.0, "p99": 0.0, "max": 0.0}


def test_one_duration_is_every_percentile() -> None:
    """A single value is its own median and its own maximum."""
    histogram = Histogram()
    histogram.record(3_000_000)
    assert histogram.summary_ms() == {"p50": 3.0, "p95": 3.0, "p99": 3.0, "max": 3.0}


def test_negative_and_endless_durations_are_counted_at_the_ends() -> None:
    """A clock that steps back or a suspended machine never breaks the count."""
    histogram = Histogram()
    histogram.record(-5)
    histogram.record(1 << 62)
    assert histogram.n == 2
    assert histogram.percentile_ns(50) == 0
    assert histogram.n_negative == 1
    assert histogram.max_ns == (1 << 40) - 1


@given(st.lists(st.integers(0, (1 << 40) - 1), min_size=1, max_size=300), st.floats(0.1, 100))
def test_a_percentile_is_never_low_and_at_most_a_sixty_fourth_high(
    durations: list[int], percent: float
) -> None:
    """Compared with numpy's exact inverted-CDF percentile."""
    histogram = Histogram()
    for duration in durations:
        histogram.record(duration)
    wanted = max(int(np.ceil(len(durations) * percent / 100.0)), 1)
    exact = sorted(durations)[wanted - 1]
    assert exact <= histogram.percentile_ns(percent) <= exact * (1 + 1 / 64)
