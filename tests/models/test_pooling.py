import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.pooling import pooling_weights

STEP_S = 0.02


def test_a_single_step_counts_whole() -> None:
    """Whatever the pooling."""
    for pooling in ("mean", "last", "newest-20ms", "recent-20ms"):
        assert pooling_weights(pooling, 1, STEP_S).tolist() == [1.0]


def test_each_name_weighs_its_steps() -> None:
    """Oldest first."""
    assert pooling_weights("mean", 4, STEP_S).tolist() == [0.25] * 4
    assert pooling_weights("last", 3, STEP_S).tolist() == [0.0, 0.0, 1.0]
    assert pooling_weights("newest-40ms", 4, STEP_S).tolist() == [0.0, 0.0, 0.5, 0.5]
    recent = pooling_weights("recent-40ms", 4, STEP_S)
    assert np.allclose(recent[1:] / recent[:-1], np.exp(0.5))


@given(
    kind=st.sampled_from(["newest", "recent"]),
    n_steps=st.integers(1, 800),
    share=st.floats(0.0, 1.0),
)
def test_weights_have_unit_sum_and_never_fall_with_time(
    kind: str, n_steps: int, share: float
) -> None:
    """For any window."""
    span_ms = max(round(share * n_steps), 1) * 20
    weights = pooling_weights(f"{kind}-{span_ms}ms", n_steps, STEP_S)
    assert abs(float(weights.sum()) - 1) < 1e-4
    assert (np.diff(weights) >= 0).all()
    assert weights.dtype == np.float32


def test_what_is_no_pooling_is_refused() -> None:
    """Name, value, need."""
    with pytest.raises(ValueError, match='pooling is \'max\', needs "mean", "last"'):
        pooling_weights("max", 3, STEP_S)
    with pytest.raises(ValueError, match="no part of a window of 3 steps"):
        pooling_weights("newest-80ms", 3, STEP_S)
    with pytest.raises(ValueError, match="no part of a window of 3 steps"):
        pooling_weights("recent-0ms", 3, STEP_S)
