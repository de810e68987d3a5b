"""What both oracles share: links in growing arrays, published as one consistent prefix.

One thread appends. Any other may read meanwhile: each answer holds all states up to some count and
nothing of later ones. It knows no frame's meaning.
"""

from typing import NamedTuple, TypeVar

import numpy as np

from oracle import _linking
from oracle._columns import WIDTH, no_blocks, with_block_room
from oracle._graph import (
    Float64s,
    Graph,
    Int32s,
    put_frames,
    root_alone,
    with_edge_room,
    with_state_room,
)
from oracle._linking import Progress
from oracle.metrics import MetricTable

_Values = TypeVar("_Values", Float64s, Int32s)
_Published = tuple[Graph, int, int]  # with its number of states and of edges


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


class GrowingOracle:
    """What both oracles share: growing arrays, published as one consistent prefix."""

    def __init__(self, threshold: float, metric: MetricTable) -> None:
        self._threshold = threshold
        self._metric = metric
        # one reference, replaced after its states are whole: what a reader holds stays true
        self._published: _Published = (root_alone(metric.dim), 1, 0)
        self._given: tuple[_Published, OracleArrays] | None = None
        self._blocks = no_blocks(metric.dim)
        self._n_blocks = 0

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

    @property
    def n_bytes(self) -> int:
        """Memory held by all arrays, the room to grow included."""
        return sum(array.nbytes for array in (*self._published[0], *self._blocks))

    def arrays(self) -> OracleArrays:
        """Give a consistent prefix as flat read-only arrays; see `OracleArrays`."""
        published = self._published
        given = self._given  # read once: another thread may replace it
        if given is None or given[0] is not published:
            given = self._given = published, _arrays_of(published, self._metric.dim)
        return given[1]

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
        n_words = _linking.compress(arrays.suffix_link, arrays.lrs, words)
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
        if end > len(graph.frames):
            graph = with_state_room(graph, n_states, end)
            if n_states > 1:
                _linking.index_refinements(graph, n_states)
        put_frames(graph.frames, n_states, frames)
        progress = Progress(n_states, n_edges, self._n_blocks, 0, 0)
        while True:
            progress = _linking.append_states(
                graph, self._blocks, self._metric, self._threshold, progress, end
            )
            if progress.n_states == end:
                break
            if progress.n_edges_wanted > graph.edge_target.size:
                graph = with_edge_room(graph, progress.n_edges_wanted)
            if progress.n_blocks_wanted > self._blocks.size.size:
                # as many as these frames fill if each is the target of one such state
                self._blocks = with_block_room(
                    self._blocks,
                    self._metric.dim,
                    progress.n_blocks_wanted + 2 * (end - progress.n_states) // WIDTH,
                )
        self._n_blocks = progress.n_blocks
        self._published = (graph, progress.n_states, progress.n_edges)


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


def _arrays_of(published: _Published, dim: int) -> OracleArrays:
    """Give views of what was published; a step of navigation has no time to make them anew."""
    graph, n_states, n_edges = published
    return OracleArrays(
        n_states,
        n_edges,
        _read_only(graph.frames[:, :dim], n_states),
        _read_only(graph.suffix_link, n_states),
        _read_only(graph.lrs, n_states),
        _read_only(graph.cluster, n_states),
        _read_only(graph.first_edge, n_states),
        _read_only(graph.next_edge, n_edges),
        _read_only(graph.edge_target, n_edges),
        _read_only(graph.first_reverse, n_states),
        _read_only(graph.next_reverse, n_states),
    )


def _read_only(values: _Values, n: int) -> _Values:
    view = values[:n]
    view.flags.writeable = False
    return view


def _require_state(state: int, n_states: int) -> None:
    if not 0 <= state < n_states:
        raise ValueError(f"state is {state}, need 0 … {n_states - 1}")
