import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from scipy.spatial.distance import cdist  # type: ignore[import-untyped]

from oracle.metrics import EventMetric, MetricName, distance, metric_table

SCIPY_NAMES: dict[MetricName, str] = {
    "euclidean": "euclidean",
    "cosine": "cosine",
    "manhattan": "cityblock",
}
TOKENS = np.array([[0.0, 3.0, 4.0], [3.0, 0.0, 5.0], [4.0, 5.0, 0.0]])


def event_metric(**changes: Any) -> EventMetric:
    """Give a metric of three tokens and three dimensions."""
    fields = {
        "token_distance": TOKENS,
        "scale": [2.0, 0.5, 10.0],
        "weight": [1.0, 2.0, 0.0],
        "period": [math.inf, math.inf, math.inf],
    }
    return EventMetric(**{**fields, **changes})


def apart(metric: EventMetric, x: npt.ArrayLike, y: npt.ArrayLike) -> float:
    """Give the distance of two frames by an event metric."""
    frames = np.array([x, y], dtype=float)
    return distance(metric_table(metric, frames.shape[1]), frames, 0, 1)


@pytest.mark.parametrize("name", SCIPY_NAMES)
@given(data=st.data())
@settings(max_examples=300, deadline=None)
def test_distances_are_scipys_to_the_last_bit(name: MetricName, data: st.DataObject) -> None:
    """What vmo compares with the threshold is what we compare with it, not something close."""
    dim = data.draw(st.integers(1, 40))
    frames = data.draw(npst.arrays(np.float64, (2, dim), elements=st.floats(-1e6, 1e6)))
    ours = distance(metric_table(name, frames.shape[1]), frames, 0, 1)
    with np.errstate(all="ignore"):
        theirs = cdist(frames[:1], frames[1:], SCIPY_NAMES[name])[0, 0]
    assert ours == theirs or (math.isnan(ours) and math.isnan(theirs))


def test_a_zero_frame_has_no_cosine() -> None:
    """Silence has no direction, so its distance is NaN, which is below no threshold."""
    frames = np.array([[0.0, 0.0, 0.0], [1.0, 1.0, 1.0]])
    assert math.isnan(distance(metric_table("cosine", 3), frames, 0, 1))


def test_tokens_are_as_far_apart_as_their_centroids() -> None:
    """Token numbers mean nothing: 0 and 2 are 4 apart, over a scale of 2."""
    assert apart(event_metric(weight=[1.0, 0.0, 0.0]), [0, 9, 9], [2, 0, 0]) == 2.0


def test_an_event_distance_is_a_weighted_mean_of_squares() -> None:
    """√((1·(3/2)² + 2·(1/0.5)²) / 3), the third dimension weighing nothing."""
    expected = math.sqrt((1.5**2 + 2 * 2.0**2) / 3)
    assert apart(event_metric(), [0, 1, 5], [1, 2, -5]) == pytest.approx(expected, rel=1e-15)


def test_a_circle_is_measured_the_shorter_way_round() -> None:
    """From 1 to 8 it is 3, on a circle of 10; the token is on none."""
    metric = event_metric(weight=[0.0, 0.0, 1.0], period=[1.0, math.inf, 10.0])
    assert apart(metric, [0, 0, 1], [0, 0, 8]) == pytest.approx(0.3)
    assert apart(metric, [0, 0, 1], [0, 0, 6]) == pytest.approx(0.5)
    token = event_metric(weight=[1.0, 0.0, 0.0], period=[1.0, math.inf, 10.0])
    assert apart(token, [0, 0, 0], [2, 0, 0]) == 2.0


@pytest.mark.parametrize(("x", "y"), [([math.nan, 1, 5], [1, 2, 5]), ([0, 1, 5], [math.nan, 2, 5])])
def test_what_is_missing_on_either_side_is_skipped(x: list[float], y: list[float]) -> None:
    """Without the token the second dimension alone decides."""
    assert apart(event_metric(), x, y) == 2.0


def test_events_with_nothing_in_common_are_infinitely_far() -> None:
    """No dimension present in both, or only one that weighs nothing."""
    assert apart(event_metric(), [0, math.nan, 1], [math.nan, 1, 1]) == math.inf


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"token_distance": TOKENS[:2]}, "need a symmetric square, zero diagonal"),
        ({"token_distance": np.triu(TOKENS)}, "need a symmetric square, zero diagonal"),
        ({"token_distance": TOKENS + 1}, "need a symmetric square, zero diagonal"),
        ({"token_distance": -TOKENS}, "token_distance holds negative or non-finite values"),
        ({"token_distance": 1.0}, r"token_distance has shape \(\), need 2 dimension"),
        ({"scale": [1.0, 0.0, 1.0]}, "scale holds a zero, need > 0"),
        ({"scale": [1.0, math.nan, 1.0]}, "scale holds negative or non-finite values"),
        ({"scale": [1.0, 1.0]}, "2 scales for 3 weights, need equal"),
        ({"period": [1.0, 1.0]}, "2 periods for 3 weights, need equal"),
        ({"period": [1.0, 0.0, 1.0]}, "period holds a value that is not above 0"),
        ({"period": [1.0, math.nan, 1.0]}, "period holds a value that is not above 0"),
        ({"weight": [0.0, 0.0, 0.0]}, "weight is zero throughout"),
        ({"weight": []}, r"weight has shape \(0,\), need 1 dimension"),
    ],
)
def test_an_impossible_event_metric_is_refused(changes: dict[str, Any], message: str) -> None:
    """Each field is checked, and the message says what is needed."""
    with pytest.raises(ValueError, match=message):
        event_metric(**changes)


def test_an_event_metric_does_not_change_with_what_it_was_made_from() -> None:
    """The arrays are its own, and read-only."""
    tokens = TOKENS.copy()
    metric = event_metric(token_distance=tokens)
    tokens[:] = 0
    assert metric.token_distance[0, 1] == 3.0
    with pytest.raises(ValueError, match="read-only"):
        metric.scale[0] = 5.0


def test_an_unknown_metric_is_refused() -> None:
    """By name the known ones are listed; by type it says what is needed."""
    with pytest.raises(ValueError, match="need one of euclidean, cosine, manhattan"):
        metric_table("hamming", 2)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="metric is a int, need a name or an EventMetric"):
        metric_table(3, 2)  # type: ignore[arg-type]
