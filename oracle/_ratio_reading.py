"""Kernels that read off the likeliest rhythm: how sure, how late, how digestible, in what pulse.

They take the state as `oracle._ratios.take_onset` left it, with the likeliest hypothesis first, and
change nothing.
"""

import math
from typing import Final

import numpy as np

from oracle._jit import kernel
from oracle._ratios import INDIGESTIBILITY, RatioState

ON_TIME: Final = 0.01
"""Share of its interval by which an onset may stray and still be neither early nor late."""
_TWOS: Final = np.array([1.0, 0.0])
_THREES: Final = np.array([1.0, 0.0, 0.5])


@kernel
def certainty(state: RatioState, n_hypotheses: int) -> float:
    """Return by how much the best hypothesis is likelier than the second, 0 … 1."""
    total = 0.0
    for place in range(n_hypotheses):
        total += math.exp(state.costs[0] - state.costs[place])
    second = math.exp(state.costs[0] - state.costs[1]) if n_hypotheses > 1 else 0.0
    return (1.0 - second) / total


@kernel
def deviation(state: RatioState) -> float:
    """Return how far the newest onset is from the best hypothesis, as a share of its interval."""
    n_intervals = state.counts[0] - 1
    position = 0
    for i in range(n_intervals):
        position += state.durations[0, i]
    expected_s = state.starts_s[0] + position * state.ticks_s[0]
    nominal_s = state.durations[0, n_intervals - 1] * state.ticks_s[0]
    return float((state.onsets_s[n_intervals] - expected_s) / nominal_s)


@kernel
def indigestibility_per_onset(state: RatioState) -> float:
    """Return the mean indigestibility of the best hypothesis' durations."""
    n_intervals = state.counts[0] - 1
    total = 0.0
    for i in range(n_intervals):
        total += INDIGESTIBILITY[state.durations[0, i]]
    return float(total / n_intervals)


@kernel
def pulse(state: RatioState) -> int:
    """Return whether twos or threes of ticks go better with the onsets, at their best rotation.

    The covariance of the ticks that have an onset with [1, 0, …] and with [1, 0, .5, …]: even notes
    speak for neither, and then it is twos.
    """
    n_intervals = state.counts[0] - 1
    twos, threes = 0.0, 0.0
    for rotation in range(3):
        on_twos, on_threes, position = 0.0, 0.0, rotation
        for i in range(n_intervals + 1):
            on_twos += _TWOS[position % 2]
            on_threes += _THREES[position % 3]
            if i < n_intervals:
                position += state.durations[0, i]
        all_twos, all_threes = 0.0, 0.0
        for tick in range(rotation, position + 1):
            all_twos += _TWOS[tick % 2]
            all_threes += _THREES[tick % 3]
        share = (n_intervals + 1) / (position + 1 - rotation)
        twos = max(twos, on_twos - share * all_twos)
        threes = max(threes, on_threes - share * all_threes)
    return 3 if threes > twos else 2
