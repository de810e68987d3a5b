"""Which threshold makes the most telling Audio Oracle of some frames: search by information rate.

Runs on the calling thread and as many helpers as there are cores; each builds whole oracles without
the GIL. Nothing is kept but the rates.

Source: Dubnov, Assayag, Cont 2011. Too low a threshold and every state is new, too high and all are
one; in between the past predicts the present, and the total information rate says how much.
"""

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from oracle._graph import Float64s
from oracle._jit import kernel
from oracle.audio_oracle import AudioOracle
from oracle.metrics import Metric, MetricTable, distance, metric_table

_N_COARSE = 32
_N_FINE = 8
_N_PEAKS = 4  # the rate has several peaks: the best few thresholds of each row are looked at closer
_N_ROUNDS = 2
_N_SAMPLED = 256  # frames whose distances give the range
_LEAST = 1e-3  # of the median distance: what is closer is a copy


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ThresholdSearch:
    """What a search found.

    Parameters
    ----------
    threshold : float
        The threshold of the highest rate, the lowest of those that tie.
    rate_bits : float, ≥ 0
        Its information rate summed over all states.
    thresholds, rates_bits : [shape=(n,), float64]
        All that were tried, ascending in a search of its own, else in the order given.
    reason : str or None
        Why no threshold is better than another, in a sentence; None if one is.
    """

    threshold: float
    rate_bits: float
    thresholds: Float64s
    rates_bits: Float64s
    reason: str | None = None


def find_threshold(
    frames: npt.ArrayLike,
    metric: Metric = "euclidean",
    thresholds: npt.ArrayLike | None = None,
    alpha: float = 1.0,
    *,
    at_most: float = np.inf,
) -> ThresholdSearch:
    """Find the threshold whose oracle has the highest total information rate.

    Parameters
    ----------
    frames : [shape=(n, dim)]
        Frames in the order they were played.
    metric : "euclidean", "cosine", "manhattan" or EventMetric
        Distance of two frames.
    thresholds : [shape=(m,)], optional
        Those to try, every one of them. Without, a coarse row from the smallest to the largest
        distance of a sample, then finer rows about the best few: the best of all tried is the
        answer, though the rate may have a higher peak between two coarse ones.
    alpha : float, ≥ 0
        Weight of the alphabet against the words, see `AudioOracle.information_rate`.
    at_most : float, > 0
        The largest threshold of a search of its own. The rate takes all clusters for equally
        frequent, so in a few dozen frames it is highest where nearly all are one cluster and few
        stand apart: repeats of great length that say nothing.

    Raises
    ------
    ValueError
        If the frames, the metric, alpha or a threshold are what an `AudioOracle` refuses, there
        are no thresholds, or at_most is not above 0.
    TypeError
        If the frames do not hold real numbers.
    """
    rows = np.asarray(frames)
    if rows.ndim != 2:
        raise ValueError(f"frames have shape {rows.shape}, need (n, dim)")
    if not at_most > 0:
        raise ValueError(f"at_most is {at_most}, need > 0")
    if thresholds is not None:
        tried = np.asarray(thresholds, dtype=np.float64)
        if tried.ndim != 1 or tried.size == 0:
            raise ValueError(f"thresholds have shape {tried.shape}, need (m,), m ≥ 1")
        return _best(tried, _rates(rows, metric, tried, alpha), len(rows))
    nearest, farthest = _distance_range(rows, metric)
    if farthest == 0:
        tried = np.array([min(1.0, at_most)])
        return _best(tried, _rates(rows, metric, tried, alpha), len(rows))
    farthest = min(farthest, at_most)
    tried = np.geomspace(min(nearest, farthest), farthest, _N_COARSE)
    rates = _rates(rows, metric, tried, alpha)
    for _ in range(_N_ROUNDS):
        best = np.argsort(-rates, kind="stable")[:_N_PEAKS]
        low, high = tried[np.maximum(best - 1, 0)], tried[np.minimum(best + 1, tried.size - 1)]
        finer = np.setdiff1d(np.linspace(low, high, _N_FINE + 2), tried)
        order = np.argsort(np.concatenate((tried, finer)))
        rates = np.concatenate((rates, _rates(rows, metric, finer, alpha)))[order]
        tried = np.concatenate((tried, finer))[order]
    return _best(tried, rates, len(rows))


def _best(thresholds: Float64s, rates: Float64s, n_frames: int) -> ThresholdSearch:
    best = int(np.argmax(rates))
    reason = None
    if n_frames < 2:
        reason = f"{n_frames} frames are too few to repeat: any threshold does"
    elif rates[best] == 0:
        reason = "nothing in these frames predicts what follows: any threshold does"
    return ThresholdSearch(
        threshold=float(thresholds[best]),
        rate_bits=float(rates[best]),
        thresholds=thresholds,
        rates_bits=rates,
        reason=reason,
    )


def _rates(
    frames: npt.NDArray[np.generic], metric: Metric, thresholds: Float64s, alpha: float
) -> Float64s:
    def rate_bits(threshold: float) -> float:
        oracle = AudioOracle(frames.shape[1], threshold, metric)
        oracle.extend(frames)
        return float(oracle.information_rate(alpha).sum())

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return np.array(list(pool.map(rate_bits, thresholds.tolist())))


def _distance_range(frames: npt.NDArray[np.generic], metric: Metric) -> tuple[float, float]:
    """Give the smallest and largest positive distance among evenly sampled frames, else zeros."""
    every = max(len(frames) // _N_SAMPLED, 1)
    sample = np.ascontiguousarray(frames[::every], dtype=np.float64)
    distances = np.empty(len(sample) * (len(sample) - 1) // 2)
    _measure_pairs(metric_table(metric, frames.shape[1]), sample, distances)
    positive = distances[np.isfinite(distances) & (distances > 0)]
    if not positive.size:
        return 0.0, 0.0
    nearest = max(float(positive.min()), _LEAST * float(np.median(positive)))
    return nearest, float(positive.max())


@kernel
def _measure_pairs(metric: MetricTable, frames: Float64s, distances: Float64s) -> None:
    """Write the distance of each pair of frames; kernel."""
    pair = 0
    for i in range(len(frames)):
        for j in range(i):
            distances[pair] = distance(metric, frames, i, j)
            pair += 1
