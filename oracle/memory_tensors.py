"""A memory as tensors and metadata: what its file holds, and how the two are told to fit.

Runs where the caller is, off the hot path. The same memory gives the same bytes; numbers that
contradict each other come back as no memory. A memory keeps the metric that it was linked by: one
of format 1, which knew no circles, has them on lines for ever.
"""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from oracle.audio_oracle import AudioOracle
from oracle.event_metric import token_distances
from oracle.event_rows import EventRows
from oracle.metrics import EventMetric
from oracle.provenance import Provenance, codebook_sha256, todays_fields

_TENSORS = {
    "centroids": (np.float32, 2),
    "frames": (np.float32, 2),
    "suffix_links": (np.int32, 1),
    "lrs": (np.int32, 1),
    "in_degrees": (np.int32, 1),
    "scale": (np.float64, 1),
    "weight": (np.float64, 1),
    "period": (np.float64, 1),
    "threshold": (np.float64, 1),
}


class Kept(NamedTuple):
    """What of a memory is kept; the rest follows from it."""

    centroids: NDArray[np.float32]  # (k, dim)
    metric: EventMetric  # the oracle's
    oracle: AudioOracle
    frames: NDArray[np.float32]  # (n_events, 15)
    rows: EventRows
    provenance: Provenance


def tensors_of(kept: Kept) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """Give tensors and metadata as `oracle.memory_file.write_tensors` takes them."""
    tensors: dict[str, NDArray[Any]] = {
        "centroids": kept.centroids,
        "frames": kept.frames,
        "suffix_links": kept.oracle.suffix_links,
        "lrs": kept.oracle.lrs,
        "in_degrees": kept.oracle.in_degrees,
        "scale": kept.metric.scale,
        "weight": kept.metric.weight,
        "period": kept.metric.period,
        "threshold": np.array([kept.oracle.threshold]),
        **kept.rows.columns(),
    }
    metadata = asdict(kept.provenance) | {"codebook_sha256": codebook_sha256(kept.centroids)}
    return {name: _with_one_nan(tensor) for name, tensor in tensors.items()}, metadata


def kept_of(tensors: Mapping[str, NDArray[Any]], metadata: Mapping[str, Any]) -> Kept:
    """Restore what `tensors_of` gave.

    Raises
    ------
    BrokenLinksError, ValueError, TypeError, KeyError
        Something is missing, of another type, or contradicts the rest.
    """
    fields = dict(metadata)
    if "period" not in tensors:
        tensors = {**tensors, "period": np.full_like(tensors["weight"], np.inf)}
    for name, (dtype, n_dims) in _TENSORS.items():
        if tensors[name].dtype != dtype or tensors[name].ndim != n_dims:
            raise ValueError(f"no proper {name}")
    if fields.pop("codebook_sha256") != codebook_sha256(tensors["centroids"]):
        raise ValueError("the codebook is another")
    metric = EventMetric(
        token_distance=token_distances(tensors["centroids"]),
        scale=tensors["scale"],
        weight=tensors["weight"],
        period=tensors["period"],
    )
    oracle = AudioOracle.from_arrays(
        tensors["frames"],
        tensors["suffix_links"],
        tensors["lrs"],
        tensors["in_degrees"],
        tensors["threshold"].item(),
        metric,
    )
    rows = EventRows.from_columns(tensors)
    if len(rows) != len(tensors["frames"]):
        raise ValueError(f"{len(rows)} events for {len(tensors['frames'])} frames")
    return Kept(
        centroids=tensors["centroids"],
        metric=metric,
        oracle=oracle,
        frames=tensors["frames"],
        rows=rows,
        provenance=Provenance(**todays_fields(fields)),
    )


def _with_one_nan(values: NDArray[Any]) -> NDArray[Any]:
    """Write what is missing in one way, of the millions of bit patterns that are NaN."""
    if values.dtype.kind != "f":
        return values
    return np.where(np.isnan(values), values.dtype.type(np.nan), values)
