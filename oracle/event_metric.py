"""How far two events are apart: which of their dimensions count, how much, and in what unit.

Pure functions, any thread; `oracle.metrics` computes the distance. Three rules, so that no way of
describing a sound outvotes another by having more numbers:

* what is heard of an event are four things, its timbre, its melody, its harmony and its rhythm,
  and these weigh the same: a player who repeats a phrase repeats all four;
* a thing has aspects that weigh the same, and an aspect has dimensions that share its weight. They
  are one aspect if they tell of the same: how fast, in what ratio, how late, where in the beat.
  Deviation and polarity correlate by |r| .74 in eleven recordings, interval and density by .43, a
  ratio's four dimensions by .31, and dimensions of different aspects of rhythm by .20;
* the unit of a dimension is its spread over the memory, √(E d² / 2) over pairs of events: two
  events drawn at random are as far apart in the one as in the other, whatever they are measured in
  and whether that lies on a line (where it is the standard deviation), on a circle, or between
  centroids. But it is no less than what counts as the same in a request: the tempo of a steady
  player says nothing by its last digits.
"""

import math
from collections.abc import Iterable
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from oracle.attributes import EVENT_ATTRIBUTES
from oracle.event import DIM_INDEX, EVENT_DIMS
from oracle.metrics import EventMetric

GROUPS: Final = {
    "timbre": (("gesture_token",),),
    "melody": (("tenney_height",),),
    "harmony": (("consonance",), ("tonal_fit",)),
    "rhythm": (
        ("log2_interval", "onset_density"),
        ("ratio_p", "ratio_q", "indigestibility", "margin"),
        ("deviation", "polarity"),
        ("log2_tempo", "pulse", "beat_phase"),
    ),
}
"""What is heard of an event, its aspects, and their dimensions."""

PERIODS: Final = np.array([attribute.period for attribute in EVENT_ATTRIBUTES[: len(EVENT_DIMS)]])
"""After how much a dimension begins anew: a beat ends where the next one begins."""

_N_ARCS: Final = 96


def token_distances(centroids: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return how far each gesture token is from each other one.

    Parameters
    ----------
    centroids
        [shape=(k, dim), float32].

    Returns
    -------
    distances
        [shape=(k, k), float64] Euclidean, exactly symmetric, exactly 0 on the diagonal.
    """
    centred = np.asarray(centroids, np.float64) - np.mean(centroids, axis=0, dtype=np.float64)
    squares = np.einsum("ij,ij->i", centred, centred)
    products = centred @ centred.T
    distances: NDArray[np.float64] = np.sqrt(
        np.maximum(squares[:, None] + squares - (products + products.T), 0)
    )
    np.fill_diagonal(distances, 0)
    return distances


def event_metric(frames: ArrayLike, centroids: NDArray[np.float32]) -> EventMetric:
    """Measure the distance between events by what a memory holds.

    A dimension that was never heard weighs nothing, and neither does an aspect or a thing of which
    nothing was: the others share its weight.

    Parameters
    ----------
    frames
        [shape=(n, 15)] the memory's events, NaN where missing.
    centroids
        [shape=(k, dim), float32] the codebook.

    Raises
    ------
    ValueError
        The frames are not [n, 15], or a token has no centroid.
    """
    events = np.asarray(frames, np.float64)
    if events.ndim != 2 or events.shape[1] != len(EVENT_DIMS):
        raise ValueError(f"frames must be [n, {len(EVENT_DIMS)}], got shape {events.shape}")
    heard = np.isfinite(events)
    tokens = events[heard[:, 0], 0].astype(np.int64)
    if tokens.size and (tokens.min() < 0 or tokens.max() >= len(centroids)):
        raise ValueError(f"tokens must be 0…{len(centroids) - 1}, got {tokens.max()}")

    distance = token_distances(centroids)
    scale = np.ones(len(EVENT_DIMS))
    scale[0] = _spread_over(tokens, distance)
    for dim in range(1, len(EVENT_DIMS)):
        if heard[:, dim].any():
            spread = _spread(events[heard[:, dim], dim], PERIODS[dim])
            scale[dim] = max(spread, EVENT_ATTRIBUTES[dim].tolerance)
    scale[~(scale > 1e-6)] = 1.0  # a dimension that never varies tells nothing apart
    return EventMetric(
        token_distance=distance,
        scale=scale,
        weight=_weights(np.flatnonzero(heard.any(axis=0))),
        period=PERIODS,
    )


def _weights(heard: Iterable[int]) -> NDArray[np.float64]:
    """Divide a weight of 1 among the dimensions that were ever heard, or the token if none was."""
    weight = np.zeros(len(EVENT_DIMS))
    known = set(heard) or {0}
    things = [
        [dims for names in aspects if (dims := known.intersection(map(DIM_INDEX.get, names)))]
        for aspects in GROUPS.values()
    ]
    n_things = sum(1 for aspects in things if aspects)
    for aspects in things:
        for dims in aspects:
            weight[list(dims)] = 1 / (n_things * len(aspects) * len(dims))
    return weight


def _spread(values: NDArray[np.float64], period: float) -> float:
    """Return the spread of numbers on a line or, to a hundredth, on a circle."""
    if math.isinf(period):
        return float(values.std())
    arcs = np.floor(values / period * _N_ARCS).astype(np.int64) % _N_ARCS
    apart = np.abs(np.subtract.outer(np.arange(_N_ARCS), np.arange(_N_ARCS)))
    return _spread_over(arcs, np.minimum(apart, _N_ARCS - apart) * (period / _N_ARCS))


def _spread_over(places: NDArray[np.int64], distance: NDArray[np.float64]) -> float:
    """Return √(E d² / 2) over pairs of events at places that are so far apart."""
    share = np.bincount(places, minlength=len(distance)) / max(1, places.size)
    return float(np.sqrt(share @ distance**2 @ share / 2))
