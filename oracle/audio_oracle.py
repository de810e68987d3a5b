"""The memory's structure: factor oracle over symbols, Audio Oracle over vectors.

State 0 is the root; state i ≥ 1 is the i-th frame or symbol. One thread appends; any other may read
meanwhile, and finds in each answer all states up to some count and nothing of later ones. It knows
no event, device or file.

Sources: Allauzen, Crochemore, Raffinot 1999 (factor oracle); Lefebvre and Lecroq 2000 (lengths of
repeated suffixes); Dubnov, Assayag, Cont 2007 (Audio Oracle); Wang and Dubnov 2014 (clusters).
"""

from collections.abc import Hashable, Iterable
from typing import NamedTuple, Self, TypeVar

import numpy as np
import numpy.typing as npt

from oracle import _kernels
from oracle._kernels import NONE, Float64s, Graph, Int32s
from oracle.errors import BrokenLinksError
from oracle.metrics import EventMetric, Metric, MetricTable, metric_table, symbol_table

_FIRST_CAPACITY = 64

_Values = TypeVar("_Values", Float64s, Int32s)


class OracleArrays(NamedTuple):
    """A consistent prefix of an oracle as flat read-only arrays, for compiled navigation.

    Transitions of state k, ascending: k + 1 while that is < n_states; then `edge_target[e]` for
    e = `first_edge[k]`, `next_edge[e]`, … *while 0 ≤ e < n_edges*. Reverse suffix links of state k,
    ascending: j = `first_reverse[k]`, `next_reverse[j]`, … *while 0 ≤ j < n_states*. The upper
    limits are what makes the prefix consistent: a list's end may be extended while it is read.
    """

    n_states: int
    n_edges: int
    frames: Float64s  # (n_states, dim), row 0 zeros
    suffix_link: Int32s  # (n_states,), −1 at the root
    lrs: Int32s  # (n_states,), length of the repeated suffix, states
    cluster: Int32s  # (n_states,), −1 at the root
    first_edge: Int32s  # (n_states,)
    next_edge: Int32s  # (n_edges,)
    edge_target: Int32s  # (n_edges,)
    first_reverse: Int32s  # (n_states,)
    next_reverse: Int32s  # (n_states,)


class _Oracle:
    """What both oracles share: growing arrays, published as one consistent prefix."""

    def __init__(self, dim: int, threshold: float, metric: MetricTable) -> None:
        self._threshold = threshold
        self._metric = metric
        # one reference, replaced after its states are whole: what a reader holds stays true
        self._published = (_new_graph(_FIRST_CAPACITY, 2 * _FIRST_CAPACITY, dim), 1, 0)

    @property
    def n_states(self) -> int:
        """Number of states, the root included: one more than frames were appended."""
        return self._published[1]

    @property
    def suffix_links(self) -> Int32s:
        """Suffix link of each state [shape=(n_states,), int32], −1 at the root; read-only."""
        return self.arrays().suffix_link

    @property
    def lrs(self) -> Int32s:
        """Length of each state's longest repeated suffix [shape=(n_states,), int32]; read-only."""
        return self.arrays().lrs

    @property
    def clusters(self) -> Int32s:
        """Cluster of each state [shape=(n_states,), int32], −1 at the root; read-only.

        A state founds a cluster if it is like nothing before it, else it joins its suffix link's.
        """
        return self.arrays().cluster

    @property
    def in_degrees(self) -> Int32s:
        """Number of transitions into each state [shape=(n_states,), int32], 0 at the root.

        A state i is entered from i − 1 and from the first states of the suffix path of i − 1, so
        this, `suffix_links` and `lrs` are all of an oracle's links: `AudioOracle.from_arrays`.
        """
        arrays = self.arrays()
        degrees = np.bincount(arrays.edge_target, minlength=arrays.n_states).astype(np.int32)
        degrees[1:] += 1
        return degrees

    def arrays(self) -> OracleArrays:
        """Give a consistent prefix as flat read-only arrays; see `OracleArrays`."""
        graph, n_states, n_edges = self._published
        return OracleArrays(
            n_states,
            n_edges,
            _read_only(graph.frames, n_states),
            _read_only(graph.suffix_link, n_states),
            _read_only(graph.lrs, n_states),
            _read_only(graph.cluster, n_states),
            _read_only(graph.first_edge, n_states),
            _read_only(graph.next_edge, n_edges),
            _read_only(graph.edge_target, n_edges),
            _read_only(graph.first_reverse, n_states),
            _read_only(graph.next_reverse, n_states),
        )

    def transitions(self, state: int) -> Int32s:
        """States that `state` leads to [shape=(n,), int32], ascending.

        Raises
        ------
        ValueError
            If there is no such state.
        """
        graph, n_states, n_edges = self._published
        _require_state(state, n_states)
        targets = [state + 1] if state + 1 < n_states else []
        e = int(graph.first_edge[state])
        while 0 <= e < n_edges:
            targets.append(int(graph.edge_target[e]))
            e = int(graph.next_edge[e])
        return np.array(targets, dtype=np.int32)

    def reverse_suffix_links(self, state: int) -> Int32s:
        """States whose suffix link is `state` [shape=(n,), int32], ascending.

        Raises
        ------
        ValueError
            If there is no such state.
        """
        graph, n_states, _ = self._published
        _require_state(state, n_states)
        states = []
        j = int(graph.first_reverse[state])
        while 0 <= j < n_states:
            states.append(j)
            j = int(graph.next_reverse[j])
        return np.array(states, dtype=np.int32)

    def compression(self) -> Int32s:
        """Code words of the sequence [shape=(n_words, 2), int32], Compror (Lefebvre, Lecroq 2002).

        A word is (length, first state of the earlier passage it repeats), or (0, state) for a state
        that repeats nothing.
        """
        arrays = self.arrays()
        words = np.empty((arrays.n_states, 2), dtype=np.int32)
        n_words = _kernels.compress(arrays.suffix_link, arrays.lrs, words)
        return words[:n_words].copy()

    def information_rate(self, alpha: float = 1.0) -> Float64s:
        """Information rate of each state [shape=(n_states − 1,), float64], bits, ≥ 0.

        How much better than its alphabet alone the past predicts a state (Dubnov, Assayag, Cont
        2011): max(0, alpha · log2(new words so far) − log2(words so far) / length of the word).

        Raises
        ------
        ValueError
            If `alpha` is negative or not finite.
        """
        if not 0 <= alpha < np.inf:
            raise ValueError(f"alpha is {alpha}, need finite ≥ 0")
        return information_rate(self.compression()[:, 0], alpha)

    def _link_frames(self, frames: Float64s) -> None:
        graph, n_states, n_edges = self._published
        end = n_states + len(frames)
        graph = _with_room(graph, n_states, end)
        graph.frames[n_states:end] = frames
        while True:
            n_states, n_edges = _kernels.append_states(
                graph, self._metric, self._threshold, n_states, end, n_edges
            )
            if n_states == end:
                break
            graph = _with_edge_room(graph, n_edges)
        self._published = (graph, n_states, n_edges)


class FactorOracle(_Oracle):
    """Factor oracle over symbols: every factor of the sequence is a path from the root.

    Symbols are any hashable values; equal symbols are one. One thread appends.
    """

    def __init__(self) -> None:
        super().__init__(1, 1.0, symbol_table())
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


class AudioOracle(_Oracle):
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
        super().__init__(dim, float(threshold), metric_table(metric))
        self._dim = dim
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
        n_edges = int(np.maximum(in_degree[1:] - 1, 0).sum(dtype=np.int64))
        graph = _with_room(oracle._published[0], 1, n_states)
        graph = _with_edge_room(graph, 0, n_edges)
        graph.frames[1:n_states] = rows
        graph.suffix_link[:n_states] = suffix_link
        graph.lrs[:n_states] = repeated
        broken = _kernels.restore_links(graph, in_degree)
        if broken != NONE or suffix_link[0] != NONE or repeated[0] or in_degree[0]:
            raise BrokenLinksError(
                f"state {max(broken, 0)} has links no oracle could have: "
                "restore the file from a copy or train anew"
            )
        oracle._published = (graph, n_states, n_edges)
        return oracle

    @property
    def dim(self) -> int:
        """Length of a frame."""
        return self._dim

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
        if frames.ndim != n_dims or frames.shape[-1] != self._dim:
            need = f"({self._dim},)" if n_dims == 1 else f"(n, {self._dim})"
            raise ValueError(f"frames have shape {frames.shape}, need {need}")
        rows = frames.astype(np.float64, copy=False)
        if isinstance(self.metric, EventMetric):
            if np.isinf(rows).any():
                raise ValueError("frames hold infinite values, need finite, or NaN where missing")
            tokens = rows[..., 0]
            tokens = tokens[~np.isnan(tokens)]
            if not ((tokens >= 0) & (tokens < self.metric.n_tokens) & (tokens % 1 == 0)).all():
                raise ValueError(
                    f"frames hold tokens other than 0 … {self.metric.n_tokens - 1} or NaN"
                )
        elif not np.isfinite(rows).all():
            raise ValueError("frames hold NaN or infinite values, need finite")
        return rows


def information_rate(word_lengths: Int32s, alpha: float = 1.0) -> Float64s:
    """Give the information rate of each state from the lengths of its code words, 0 = new.

    NumPy's log2, not a kernel's: rates that tie must tie to the last bit.
    """
    spans = np.maximum(word_lengths, 1)
    first = np.cumsum(spans) - spans
    new = np.zeros(int(spans.sum()))
    words = np.zeros_like(new)
    new[first] = word_lengths == 0
    words[first] = 1
    predicted = np.log2(np.cumsum(words)) / np.repeat(spans, spans)
    rate: Float64s = np.maximum(alpha * np.log2(np.cumsum(new)) - predicted, 0.0)
    return rate


def _new_graph(capacity: int, edge_capacity: int, dim: int) -> Graph:
    def links(n: int) -> Int32s:
        return np.full(n, NONE, dtype=np.int32)

    frames = np.zeros((capacity, dim))
    lrs = np.zeros(capacity, dtype=np.int32)
    per_state = [links(capacity) for _ in range(7)]
    suffix_link, cluster, first_edge, last_edge, first_reverse, last_reverse, next_reverse = (
        per_state
    )
    return Graph(
        frames, suffix_link, lrs, cluster, first_edge, last_edge,
        first_reverse, last_reverse, next_reverse,
        edge_target=links(edge_capacity), next_edge=links(edge_capacity),
        refinement=links(2 * capacity),
    )  # fmt: skip


def _with_room(graph: Graph, n_states: int, end: int) -> Graph:
    """Give the graph itself, or a copy with at least twice the room, for states below `end`."""
    capacity = len(graph.frames)
    if end <= capacity:
        return graph
    while capacity < end:
        capacity *= 2
    edge_capacity = max(2 * capacity, len(graph.edge_target))
    grown = _new_graph(capacity, edge_capacity, graph.frames.shape[1])
    for name in Graph._fields[:-1]:
        old = getattr(graph, name)
        getattr(grown, name)[: len(old)] = old
    _kernels.index_refinements(grown, n_states)
    return grown


def _with_edge_room(graph: Graph, n_edges: int, need: int = 0) -> Graph:
    capacity = max(2 * len(graph.edge_target), need)
    target = np.full(capacity, NONE, dtype=np.int32)
    following = np.full(capacity, NONE, dtype=np.int32)
    target[:n_edges] = graph.edge_target[:n_edges]
    following[:n_edges] = graph.next_edge[:n_edges]
    return graph._replace(edge_target=target, next_edge=following)


def _read_only(values: _Values, n: int) -> _Values:
    view = values[:n]
    view.flags.writeable = False
    return view


def _require_state(state: int, n_states: int) -> None:
    if not 0 <= state < n_states:
        raise ValueError(f"state is {state}, need 0 … {n_states - 1}")


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
