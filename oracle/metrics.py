"""How far two frames are apart: the metrics of the Audio Oracle, exact to the last bit.

Runs on whichever thread appends; never takes the GIL in a kernel and never allocates there.
Links depend on which distance is smallest and on what lies strictly below the threshold, so each
kernel adds its terms in the order that SciPy's compiled `cdist` does: the results are equal, not
close.
"""

import math
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

MetricName = Literal["euclidean", "cosine", "manhattan"]

EUCLIDEAN = 0
COSINE = 1
MANHATTAN = 2
EVENT = 3
SYMBOL = 4

_CODES = {"euclidean": EUCLIDEAN, "cosine": COSINE, "manhattan": MANHATTAN}


@dataclass(frozen=True, slots=True, eq=False)
class EventMetric:
    """The distance of two musical events, whose first dimension is a category.

    d² = Σ w δ² / Σ w over the dimensions present (not NaN) in both frames, where δ is the
    difference over the dimension's scale, and for dimension 0, the token, the distance of the two
    tokens' centroids over its scale. Nothing present in both: infinitely far. The sums differ from
    pair to pair, so the triangle inequality does not hold and no candidate can be pruned by it.

    Parameters
    ----------
    token_distance : [shape=(n_tokens, n_tokens), float64], symmetric, zero diagonal, ≥ 0
        Distance of each pair of centroids.
    scale : [shape=(dim,), float64], > 0
        Spread of each dimension, in its own unit.
    weight : [shape=(dim,), float64], ≥ 0, not all zero
        What each dimension counts.

    Raises
    ------
    ValueError
        If a shape or a value is outside what is stated here.
    """

    token_distance: npt.NDArray[np.float64]
    scale: npt.NDArray[np.float64]
    weight: npt.NDArray[np.float64]

    def __post_init__(self) -> None:
        for name, n_dims in (("token_distance", 2), ("scale", 1), ("weight", 1)):
            values = np.array(getattr(self, name), dtype=np.float64, order="C")
            if values.ndim != n_dims or values.size == 0:
                raise ValueError(f"{name} has shape {values.shape}, need {n_dims} dimension(s)")
            if not np.isfinite(values).all() or (values < 0).any():
                raise ValueError(f"{name} holds negative or non-finite values, need finite ≥ 0")
            values.flags.writeable = False
            object.__setattr__(self, name, values)
        tokens = self.token_distance
        if (
            tokens.shape[0] != tokens.shape[1]
            or (tokens != tokens.T).any()
            or tokens.diagonal().any()
        ):
            raise ValueError(
                f"token_distance has shape {tokens.shape}, need a symmetric square, zero diagonal"
            )
        if self.scale.shape != self.weight.shape:
            raise ValueError(f"{self.scale.size} scales for {self.weight.size} weights, need equal")
        if (self.scale == 0).any():
            raise ValueError("scale holds a zero, need > 0")
        if not self.weight.any():
            raise ValueError("weight is zero throughout, need one dimension that counts")

    @property
    def dim(self) -> int:
        """Number of dimensions of an event frame."""
        return self.scale.size

    @property
    def n_tokens(self) -> int:
        """Number of tokens; dimension 0 holds 0 … n_tokens − 1 or NaN."""
        return len(self.token_distance)


Metric = MetricName | EventMetric


class MetricTable(NamedTuple):
    """A metric as kernels take it: its code, and an event metric's arrays (else empty)."""

    code: int
    token_distance: npt.NDArray[np.float64]
    scale: npt.NDArray[np.float64]
    weight: npt.NDArray[np.float64]


def metric_table(metric: Metric) -> MetricTable:
    """Give a metric as kernels take it.

    Raises
    ------
    ValueError
        If the name is none of euclidean, cosine, manhattan.
    TypeError
        If it is neither a name nor an `EventMetric`.
    """
    if isinstance(metric, EventMetric):
        return MetricTable(
            EVENT, metric.token_distance.copy(), metric.scale.copy(), metric.weight.copy()
        )
    if not isinstance(metric, str):
        raise TypeError(f"metric is a {type(metric).__name__}, need a name or an EventMetric")
    if metric not in _CODES:
        raise ValueError(f"metric {metric!r} is unknown, need one of {', '.join(_CODES)}")
    return _plain_table(_CODES[metric])


def symbol_table() -> MetricTable:
    """Give the discrete metric of symbols: 0 if equal, else infinite."""
    return _plain_table(SYMBOL)


def _plain_table(code: int) -> MetricTable:
    return MetricTable(code, np.empty((0, 0)), np.empty(0), np.empty(0))


@njit(nogil=True, cache=True, error_model="numpy")
def distance(metric: MetricTable, x: Any, y: Any) -> Any:
    """Distance of two frames [shape=(dim,), float64]; kernel."""
    if metric.code == EUCLIDEAN:
        return _euclidean(x, y)
    if metric.code == COSINE:
        return _cosine(x, y)
    if metric.code == MANHATTAN:
        return _manhattan(x, y)
    if metric.code == EVENT:
        return _event(metric, x, y)
    return 0.0 if x[0] == y[0] else math.inf


@njit(nogil=True, cache=True, error_model="numpy")
def _euclidean(x: Any, y: Any) -> float:
    total = 0.0
    for d in range(x.size):
        delta = x[d] - y[d]
        total += delta * delta
    return math.sqrt(total)


@njit(nogil=True, cache=True, error_model="numpy")
def _manhattan(x: Any, y: Any) -> float:
    total = 0.0
    for d in range(x.size):
        total += abs(x[d] - y[d])
    return total


@njit(nogil=True, cache=True, error_model="numpy")
def _cosine(x: Any, y: Any) -> float:
    cosine = _dot(x, y) / (math.sqrt(_dot(x, x)) * math.sqrt(_dot(y, y)))
    if abs(cosine) > 1.0:
        cosine = math.copysign(1.0, cosine)
    return 1.0 - cosine


@njit(nogil=True, cache=True, error_model="numpy")
def _dot(x: Any, y: Any) -> float:
    # SciPy's compiler sums even and odd terms apart, then what is left over
    even = 0.0
    odd = 0.0
    n_paired = x.size - x.size % 2
    for d in range(0, n_paired, 2):
        even += x[d] * y[d]
        odd += x[d + 1] * y[d + 1]
    total = even + odd
    if n_paired < x.size:
        total += x[n_paired] * y[n_paired]
    return total


@njit(nogil=True, cache=True, error_model="numpy")
def _event(metric: MetricTable, x: Any, y: Any) -> float:
    total = 0.0
    weight_present = 0.0
    for d in range(x.size):
        if math.isnan(x[d]) or math.isnan(y[d]):
            continue
        delta = x[d] - y[d] if d > 0 else metric.token_distance[int(x[0]), int(y[0])]
        delta /= metric.scale[d]
        total += metric.weight[d] * delta * delta
        weight_present += metric.weight[d]
    if weight_present == 0.0:
        return math.inf
    return math.sqrt(total / weight_present)
