"""Pooling: how much each step of a window counts in its embedding.

Every way of pooling is a set of weights with unit sum over the steps, oldest first. A name, stored
in the memory, states which: ``"mean"``, ``"last"``, ``"newest-100ms"`` (the mean over the newest
steps) or ``"recent-200ms"`` (all steps, each counting e times less per 200 ms of age). Computed
once per encoder.
"""

import re

import numpy as np
from numpy.typing import NDArray


def pooling_weights(pooling: str, n_steps: int, step_s: float) -> NDArray[np.float32]:
    """Give each step's weight.

    Parameters
    ----------
    pooling
        ``"mean"``, ``"last"``, ``"newest-Nms"`` or ``"recent-Nms"``.
    n_steps
        Of a window, at least 1.
    step_s
        From one step to the next.

    Returns
    -------
    ndarray[shape=(n_steps,), float32]
        Of unit sum, not negative.

    Raises
    ------
    ValueError
        Another name, or a span that is no part of a window.
    """
    ages = np.arange(n_steps)[::-1]
    span = re.fullmatch(r"(newest|recent)-(\d+)ms", pooling)
    weights: NDArray[np.float64]
    if pooling == "mean":
        weights = np.ones(n_steps)
    elif pooling == "last":
        weights = (ages == 0).astype(float)
    elif span is None:
        raise ValueError(
            f'pooling is {pooling!r}, needs "mean", "last", "newest-100ms" or "recent-100ms" or '
            "the like"
        )
    else:
        span_steps = int(span[2]) / 1000 / step_s
        if not 1 <= round(span_steps) <= n_steps:
            raise ValueError(
                f"pooling is {pooling!r}, which is no part of a window of {n_steps} steps"
            )
        is_newest = span[1] == "newest"
        weights = (
            np.where(ages < round(span_steps), 1.0, 0.0)
            if is_newest
            else np.exp(-ages / span_steps)
        )
    normalised: NDArray[np.float32] = (weights / weights.sum()).astype(np.float32)
    return normalised
