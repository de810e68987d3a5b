"""Which dimensions of an event count, how much, and in what unit."""

import math
from itertools import chain

import numpy as np
import pytest
from numpy.typing import NDArray

from oracle.event import DIM_INDEX, EVENT_DIMS
from oracle.event_metric import GROUPS, event_metric, token_distances
from oracle.metrics import distance, metric_table
from tests.oracle.memories import blank

TOKEN, INTERVAL, PHASE = (
    DIM_INDEX[name] for name in ("gesture_token", "log2_interval", "beat_phase")
)
CENTROIDS = np.eye(4, dtype=np.float32)


def test_tokens_are_as_far_apart_as_their_centroids() -> None:
    """Known triangle 3-4-5; the matrix is symmetric and exactly zero on its diagonal."""
    distances = token_distances(np.array([[0, 0], [3, 0], [3, 4]], np.float32))
    assert distances == pytest.approx(np.array([[0, 3, 5], [3, 0, 4], [5, 4, 0]]))
    assert (distances == distances.T).all()
    assert not distances.diagonal().any()


def test_far_from_the_origin_near_tokens_stay_apart() -> None:
    """A common offset a million times their distance costs no digits."""
    centroids = np.array([[1e6, 0], [1e6 + 1, 0]], np.float32)
    assert token_distances(centroids)[0, 1] == pytest.approx(1)


def test_timbre_melody_harmony_and_rhythm_weigh_the_same() -> None:
    """However many dimensions they have: eleven of rhythm are no louder than one interval."""
    weight = event_metric(np.zeros((2, len(EVENT_DIMS))), CENTROIDS).weight
    shares = [
        weight[[DIM_INDEX[name] for name in chain(*group)]].sum() for group in GROUPS.values()
    ]
    assert shares == pytest.approx([0.25] * 4)
    assert weight[DIM_INDEX["tenney_height"]] == pytest.approx(0.25)


def test_dimensions_that_tell_the_same_share_one_weight() -> None:
    """p, q and their indigestibility are one ratio, which weighs as much as the tempo's three."""
    weight = event_metric(np.zeros((2, len(EVENT_DIMS))), CENTROIDS).weight
    of_rhythm = [weight[[DIM_INDEX[name] for name in names]] for names in GROUPS["rhythm"]]
    assert [dims.sum() for dims in of_rhythm] == pytest.approx([1 / 16] * 4)
    assert all(np.ptp(dims) == 0 for dims in of_rhythm)


def test_every_dimension_but_none_twice_belongs_to_a_group() -> None:
    """What has no place in the table would never count."""
    names = [name for aspects in GROUPS.values() for name in chain(*aspects)]
    assert sorted(names) == sorted(DIM_INDEX)


def test_what_was_never_heard_leaves_its_weight_to_the_rest() -> None:
    """A memory of drums: no melody, no harmony, and of the rhythm only intervals."""
    frames = np.stack([blank(gesture_token=0, log2_interval=value) for value in (0, 0.5, 1)])
    weight = event_metric(frames, CENTROIDS).weight
    assert weight[[TOKEN, INTERVAL]] == pytest.approx(0.5)
    assert weight.sum() == pytest.approx(1)


@pytest.mark.parametrize(("phase", "expected"), [(0.3, 0.3), (-0.1, 0.1), (0.8, 0.2), (0.5, 0.5)])
def test_the_end_of_a_beat_is_where_the_next_one_begins(phase: float, expected: float) -> None:
    """Four fifths after a beat are a fifth before one."""
    frames = np.stack([blank(beat_phase=0.0), blank(beat_phase=phase)]).astype(np.float64)
    metric = event_metric(frames, CENTROIDS)
    apart = distance(metric_table(metric, len(EVENT_DIMS)), frames, 0, 1)
    assert apart * metric.scale[PHASE] == pytest.approx(expected)


def test_the_unit_of_a_circle_does_not_depend_on_where_it_is_cut() -> None:
    """Phases around the cut are as near each other as phases around the half."""
    phases = np.random.default_rng(0).normal(0, 0.06, 400)
    scales = []
    for middle in (0.4, 0.875):
        around = (phases + middle + 0.125) % 1 - 0.125
        frames = np.stack([blank(beat_phase=phase) for phase in around])
        scales.append(event_metric(frames, CENTROIDS).scale[PHASE])
    assert scales == pytest.approx([0.06] * 2, rel=0.1)


def test_the_metrics_unit_is_the_spread_over_the_memory() -> None:
    """A scalar's is its standard deviation, the token's what that would be on a line."""
    rng = np.random.default_rng(0)
    frames = np.stack(
        [blank(gesture_token=i % 2, log2_interval=rng.normal(0, 3)) for i in range(400)]
    )
    metric = event_metric(frames, np.array([[0.0], [8.0]], np.float32))
    assert metric.scale[INTERVAL] == pytest.approx(frames[:, INTERVAL].std())
    assert metric.scale[TOKEN] == pytest.approx(4)


def test_a_memory_of_one_event_has_a_metric() -> None:
    """Nothing varies, so every scale is 1."""
    metric = event_metric(blank(gesture_token=3)[None], CENTROIDS)
    assert (metric.scale == 1).all()
    assert metric.weight[TOKEN] == 1


def test_events_with_nothing_in_common_are_infinitely_far() -> None:
    """No shared evidence is no likeness."""
    frames = np.stack([blank(gesture_token=1), blank(log2_interval=0.5)]).astype(np.float64)
    table = metric_table(event_metric(frames, CENTROIDS), frames.shape[1])
    assert distance(table, frames, 0, 1) == math.inf
    assert distance(table, frames, 0, 0) == 0


@pytest.mark.parametrize(
    ("frames", "match"),
    [
        (np.zeros((3, 4)), r"must be \[n, 15\]"),
        (blank(gesture_token=4)[None], "tokens must be 0…3"),
    ],
)
def test_the_metric_refuses_frames_that_do_not_fit(frames: NDArray[np.float32], match: str) -> None:
    """A wrong shape, or a token without a centroid."""
    with pytest.raises(ValueError, match=match):
        event_metric(frames, CENTROIDS)
