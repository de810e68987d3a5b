"""The memory's structure: factor oracle over symbols, Audio Oracle over vectors.

State 0 is the root; state i ≥ 1 is the i-th frame or symbol. One thread appends; any other may read
meanwhile, and finds in each answer all states up to some count and nothing of later ones. It knows
no event, device or file.

Sources: Allauzen, Crochemore, Raffinot 1999 (factor oracle); Lefebvre and Lecroq 2000 (lengths of
repeated suffixes); Dubnov, Assayag, Cont 2007 (Audio Oracle); Wang and Dubnov 2014 (clusters).
"""

from collections.abc import Hashable, Iterable
from typing import Self

import numpy as np
import numpy.typing as npt

from oracle import _linking
from oracle._blocks import gather_all, n_blocks_at_most
from oracle._columns import with_block_room
from oracle._graph import NONE, Float64s, Int32s, put_frames, with_edge_room, with_state_room
from oracle._growing import GrowingOracle, OracleArrays
from oracle.errors import BrokenLinksError
from oracle.metrics import EventMetric, Metric, is_finite, metric_table

__all__ = ["AudioOracle", "FactorOracle", "OracleArrays"]


class FactorOracle(GrowingOracle):
    """Factor oracle over symbols: every factor of the sequence is a path from the root.

    Symbols are any hashable values; equal symbols are one. One thread appends.
    """

    def __init__(self) -> None:
        super().__init__(0.5, metric_table("euclidean", dim=1))
        self._codes: dict[Hashable, int] = {}

    def append(self, symbol: Hashable) -> int:
        """Add one symbol and give its state.

        Raises
        ------
        TypeError
            If the symbol is not hashable.
        """
        self.extend((symbol,))
        return self.n_states - 1

    def extend(self, symbols: Iterable[Hashable]) -> None:
        """Add symbols in order; the result is that of appending them one by one.

        Raises
        ------
        TypeError
            If a symbol is not hashable; then none is added.
        """
        word = list(symbols)
        for symbol in word:
            hash(symbol)
        codes = [self._codes.setdefault(symbol, len(self._codes)) for symbol in word]
        self._link_frames(np.array(codes, dtype=np.float64).reshape(-1, 1))


class AudioOracle(GrowingOracle):
    """Audio Oracle: a factor oracle whose letters are frames nearer than a threshold.

    One thread appends; others may read.

    Parameters
    ----------
    dim : int, ≥ 1
        Length of a frame.
    threshold : float, ≥ 0
        Frames repeat each other if their distance is *strictly* below it; 0 never merges, infinity
        merges whatever has a distance.
    metric : "euclidean", "cosine", "manhattan" or EventMetric
        Distance of two frames. A zero frame has no direction: by cosine it is like nothing.

    Raises
    ------
    ValueError
        If `dim` or `threshold` is out of range, or `dim` is not the event metric's.
    TypeError
        If the metric is neither a name nor an `EventMetric`.
    """

    def __init__(self, dim: int, threshold: float, metric: Metric = "euclidean") -> None:
        if dim < 1:
            raise ValueError(f"dim is {dim}, need ≥ 1")
        if not threshold >= 0:
            raise ValueError(f"threshold is {threshold}, need ≥ 0")
        if isinstance(metric, EventMetric) and metric.dim != dim:
            raise ValueError(f"dim is {dim}, need {metric.dim} as the event metric has")
        super().__init__(float(threshold), metric_table(metric, dim))
        self.metric = metric

    @classmethod
    def from_arrays(
        cls,
        frames: npt.ArrayLike,
        suffix_links: npt.ArrayLike,
        lrs: npt.ArrayLike,
        in_degrees: npt.ArrayLike,
        threshold: float,
        metric: Metric = "euclidean",
    ) -> Self:
        """Restore an oracle from its frames and the three arrays that hold its links.

        Parameters
        ----------
        frames : [shape=(n_states − 1, dim)]
            The frames in the order they were appended.
        suffix_links, lrs, in_degrees : [shape=(n_states,), integer]
            As the properties of these names gave them.
        threshold, metric
            As the oracle had.

        Raises
        ------
        ValueError
            If the frames, threshold or metric are what the constructor and `extend` refuse.
        BrokenLinksError
            If the links are not those of any oracle: of a wrong length or type, out of range,
            not pointing backwards, or contradicting each other.
        """
        columns = [
            _int32_column(name, values)
            for name, values in (
                ("suffix_links", suffix_links),
                ("lrs", lrs),
                ("in_degrees", in_degrees),
            )
        ]
        rows = np.asarray(frames)
        oracle = cls(rows.shape[-1] if rows.ndim == 2 else 0, threshold, metric)
        rows = oracle._checked(rows, n_dims=2)
        n_states = len(rows) + 1
        if any(column.size != n_states for column in columns):
            sizes = ", ".join(str(column.size) for column in columns)
            raise BrokenLinksError(
                f"{len(rows)} frames come with links of {sizes} states, need {n_states}: "
                "restore the file from a copy or train anew"
            )
        suffix_link, repeated, in_degree = columns
        broken = _linking.find_broken(suffix_link, repeated, in_degree)
        if broken != NONE:
            raise BrokenLinksError(
                f"state {broken} has links no oracle could have: "
                "restore the file from a copy or train anew"
            )
        n_edges = int(np.maximum(in_degree[1:] - 1, 0).sum(dtype=np.int64))
        graph = with_edge_room(with_state_room(oracle._published[0], 1, n_states), n_edges)
        put_frames(graph.frames, 1, rows)
        graph.suffix_link[:n_states] = suffix_link
        graph.lrs[:n_states] = repeated
        _linking.restore_links(graph, in_degree)
        oracle._blocks = with_block_room(
            oracle._blocks, oracle.dim, n_blocks_at_most(graph, n_states)
        )
        oracle._n_blocks = gather_all(graph, oracle._blocks, oracle._metric, n_states)
        oracle._published = (graph, n_states, n_edges)
        return oracle

    @property
    def dim(self) -> int:
        """Length of a frame."""
        return self._metric.dim

    @property
    def threshold(self) -> float:
        """Distance strictly below which frames repeat each other."""
        return self._threshold

    @property
    def frames(self) -> Float64s:
        """The frames appended [shape=(n_states − 1, dim), float64]; row i − 1 is state i's."""
        return self.arrays().frames[1:]

    def append(self, frame: npt.ArrayLike) -> int:
        """Add one frame [shape=(dim,)] and give its state.

        Raises
        ------
        ValueError
            If the frame has another shape or a value the metric cannot take; nothing is added.
        TypeError
            If it does not hold real numbers.
        """
        self._link_frames(self._checked(np.asarray(frame), n_dims=1)[np.newaxis])
        return self.n_states - 1

    def extend(self, frames: npt.ArrayLike) -> None:
        """Add frames [shape=(n, dim)] in order; the result is that of appending them one by one.

        Raises
        ------
        ValueError
            If the frames have another shape or a value the metric cannot take; none is added.
        TypeError
            If they do not hold real numbers.
        """
        self._link_frames(self._checked(np.asarray(frames), n_dims=2))

    def _checked(self, frames: npt.NDArray[np.generic], n_dims: int) -> Float64s:
        if frames.dtype.kind not in "iuf":
            raise TypeError(f"frames hold {frames.dtype}, need real numbers")
        if frames.ndim != n_dims or frames.shape[-1] != self.dim:
            need = f"({self.dim},)" if n_dims == 1 else f"(n, {self.dim})"
            raise ValueError(f"frames have shape {frames.shape}, need {need}")
        rows = np.ascontiguousarray(frames, dtype=np.float64)
        if isinstance(self.metric, EventMetric):
            if np.isinf(rows).any():
                raise ValueError("frames hold infinite values, need finite, or NaN where missing")
            tokens = rows[..., 0]
            tokens = tokens[~np.isnan(tokens)]
            if not ((tokens >= 0) & (tokens < self.metric.n_tokens) & (tokens % 1 == 0)).all():
                raise ValueError(
                    f"frames hold tokens other than 0 … {self.metric.n_tokens - 1} or NaN"
                )
        elif not is_finite(rows.reshape(-1)):
            raise ValueError("frames hold NaN or infinite values, need finite")
        return rows


def _int32_column(name: str, values: npt.ArrayLike) -> Int32s:
    column = np.asarray(values)
    limits = np.iinfo(np.int32)
    if (
        column.ndim != 1
        or column.dtype.kind not in "iu"
        or (column.size and (column.min() < limits.min or column.max() > limits.max))
    ):
        raise BrokenLinksError(
            f"{name} is {column.dtype} of shape {column.shape}, need int32 (n_states,): "
            "restore the file from a copy or train anew"
        )
    return column.astype(np.int32)
