"""How far two frames are apart: the metrics of the Audio Oracle, exact to the last bit.

Runs on whichever thread appends; never takes the GIL in a kernel and never allocates there.
Links depend on which distance is smallest and on what lies strictly below the threshold, so each
kernel adds its terms in the order that SciPy's compiled `cdist` does: the results are equal, not
close.
"""

import math
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from oracle._jit import kernel

Float64s = npt.NDArray[np.float64]

MetricName = Literal["euclidean", "cosine", "manhattan"]

EUCLIDEAN = 0
COSINE = 1
MANHATTAN = 2
EVENT = 3

_CODES = {"euclidean": EUCLIDEAN, "cosine": COSINE, "manhattan": MANHATTAN}


@dataclass(frozen=True, slots=True, eq=False)
class EventMetric:
    """The distance of two musical events, whose first dimension is a category.

    d² = Σ w δ² / Σ w over the dimensions present (not NaN) in both frames, where δ is the
    difference over the dimension's scale, the shorter way round where the dimension is a circle,
    and for dimension 0, the token, the distance of the two tokens' centroids over its scale.
    Nothing present in both: infinitely far. The sums differ from pair to pair, so the triangle
    inequality does not hold and no candidate can be pruned by it.

    Parameters
    ----------
    token_distance : [shape=(n_tokens, n_tokens), float64], symmetric, zero diagonal, ≥ 0
        Distance of each pair of centroids.
    scale : [shape=(dim,), float64], > 0
        Spread of each dimension, in its own unit.
    weight : [shape=(dim,), float64], ≥ 0, not all zero
        What each dimension counts.
    period : [shape=(dim,), float64], > 0
        After how much a dimension begins anew, ∞ where it lies on a line; values lie in one period.

    Raises
    ------
    ValueError
        If a shape or a value is outside what is stated here.
    """

    token_distance: Float64s
    scale: Float64s
    weight: Float64s
    period: Float64s

    def __post_init__(self) -> None:
        for name, n_dims in (("token_distance", 2), ("scale", 1), ("weight", 1), ("period", 1)):
            values = np.array(getattr(self, name), dtype=np.float64, order="C")
            if values.ndim != n_dims or values.size == 0:
                raise ValueError(f"{name} has shape {values.shape}, need {n_dims} dimension(s)")
            if name == "period":
                if not (values > 0).all():
                    raise ValueError("period holds a value that is not above 0, need > 0 or ∞")
            elif not np.isfinite(values).all() or (values < 0).any():
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
        for name in ("scale", "period"):
            n_given = getattr(self, name).size
            if n_given != self.weight.size:
                raise ValueError(f"{n_given} {name}s for {self.weight.size} weights, need equal")
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
    dim: int  # numbers of a frame; its row may have more
    token_distance: Float64s
    scale: Float64s
    weight: Float64s
    period: Float64s


def metric_table(metric: Metric, dim: int) -> MetricTable:
    """Give a metric of frames of `dim` numbers as kernels take it.

    Raises
    ------
    ValueError
        If the name is none of euclidean, cosine, manhattan.
    TypeError
        If it is neither a name nor an `EventMetric`.
    """
    if isinstance(metric, EventMetric):
        arrays = (metric.token_distance, metric.scale, metric.weight, metric.period)
        return MetricTable(EVENT, dim, *(array.copy() for array in arrays))
    if not isinstance(metric, str):
        raise TypeError(f"metric is a {type(metric).__name__}, need a name or an EventMetric")
    if metric not in _CODES:
        raise ValueError(f"metric {metric!r} is unknown, need one of {', '.join(_CODES)}")
    return MetricTable(_CODES[metric], dim, np.empty((0, 0)), *(np.empty(0) for _ in range(3)))


@kernel
def is_finite(values: Float64s) -> bool:
    """Whether none of the values is infinite or NaN; kernel."""
    n_lost = 0
    for i in range(values.size):
        n_lost += not abs(values[i]) < math.inf
    return n_lost == 0


@kernel
def distance(metric: MetricTable, frames: Float64s, i: int, j: int) -> float:
    """Distance of frames i and j, or inf or NaN where there is none; kernel."""
    if metric.code == COSINE:
        norms = math.sqrt(dot(metric, frames, i, i)) * math.sqrt(dot(metric, frames, j, j))
        cosine = dot(metric, frames, i, j) / norms
        return 1.0 - (math.copysign(1.0, cosine) if abs(cosine) > 1.0 else cosine)
    if metric.code == EVENT:
        return _event_distance(metric, frames, i, j)
    total = 0.0
    for d in range(metric.dim):
        apart = frames[i, d] - frames[j, d]
        total += abs(apart) if metric.code == MANHATTAN else apart * apart
    return total if metric.code == MANHATTAN else math.sqrt(total)


@kernel
def dot(metric: MetricTable, frames: Float64s, i: int, j: int) -> float:
    """Scalar product of frames i and j; kernel."""
    # SciPy's compiler sums even and odd terms apart, then what is left over
    even = 0.0
    odd = 0.0
    n_paired = metric.dim - metric.dim % 2
    for d in range(0, n_paired, 2):
        even += frames[i, d] * frames[j, d]
        odd += frames[i, d + 1] * frames[j, d + 1]
    total = even + odd
    if n_paired < metric.dim:
        total += frames[i, n_paired] * frames[j, n_paired]
    return total


@kernel
def _event_distance(metric: MetricTable, frames: Float64s, i: int, j: int) -> float:
    total = 0.0
    weight_present = 0.0
    for d in range(metric.dim):
        a = frames[i, d]
        b = frames[j, d]
        if math.isnan(a) or math.isnan(b):
            continue
        apart = abs(a - b)
        apart = min(apart, abs(metric.period[d] - apart))
        if d == 0:
            apart = metric.token_distance[int(a), int(b)]
        delta = apart / metric.scale[d]
        total += metric.weight[d] * delta * delta
        weight_present += metric.weight[d]
    return math.sqrt(total / weight_present) if weight_present > 0.0 else math.inf


@kernel
def token_distance(metric: MetricTable, frames: Float64s, i: int, j: int) -> float:
    """Distance of the tokens of two event frames, 0 where one is missing; kernel."""
    a = frames[i, 0]
    b = frames[j, 0]
    is_missing = math.isnan(a) or math.isnan(b)
    return 0.0 if is_missing else float(metric.token_distance[int(a), int(b)])


@kernel
def farthest_token(metric: MetricTable, frames: Float64s, i: int, bound: float) -> float:
    """Give a distance of tokens beyond which no event is closer to event i than a bound; kernel.

    An event's distance is no less than what its token contributes, shared among all that was heard
    of event i.
    """
    if metric.weight[0] == 0.0:
        return math.inf
    heard = 0.0
    for d in range(metric.dim):
        heard += 0.0 if math.isnan(frames[i, d]) else metric.weight[d]
    # 1e-9 covers all rounding
    return bound * float(metric.scale[0]) * math.sqrt(heard / metric.weight[0]) * (1.0 + 1e-9)
