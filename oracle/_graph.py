"""An oracle's links and frames as flat arrays that grow by doubling; no rule of linking is here.

Only the thread that appends calls this. Growing copies into new arrays and leaves the old ones as
they were, so a reader's views stay a true picture of the oracle they were taken from.
"""

from functools import cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from oracle._jit import kernel
from oracle._lanes import PADDING

Int32s = npt.NDArray[np.int32]
Float32s = npt.NDArray[np.float32]
Int64s = npt.NDArray[np.int64]
Float64s = npt.NDArray[np.float64]

NONE = -1
_FIRST_CAPACITY = 64


class Graph(NamedTuple):
    """States and links with room to grow; row i is state i, row 0 the root.

    The transitions of state k are k + 1 and then `edge_target[e]` for e = `first_edge[k]`,
    `next_edge[e]`, … until NONE; its reverse suffix links are j = `first_reverse[k]`,
    `next_reverse[j]`, … until NONE; both ascend.
    """

    frames: Float64s  # (capacity, padded dim), zeros beyond dim
    suffix_link: Int32s  # (capacity,), NONE at the root
    lrs: Int32s
    cluster: Int32s  # NONE at the root
    first_edge: Int32s
    last_edge: Int32s
    out_degree: Int32s  # edges beside k + 1
    first_reverse: Int32s
    last_reverse: Int32s
    next_reverse: Int32s
    first_block: Int32s  # of a state with many targets, see `oracle._blocks`
    nearest_block: Int32s  # the one a target like the last frame sought belongs to
    refinement: Int32s  # (a power of two > 2 capacity,), hash table, see `oracle._linking`
    edge_target: Int32s  # (edge capacity,)
    next_edge: Int32s


_STATE_COLUMNS = Graph._fields[1:12]


@cache
def root_alone(dim: int) -> Graph:
    """Give the graph of a root without room for more: nothing is ever written to it."""
    return _new_graph(-(-dim // PADDING) * PADDING, 1, 0)


def _new_graph(padded: int, capacity: int, edge_capacity: int) -> Graph:
    """Give the graph of a root alone, with room for some states and edges.

    What lies beyond the states linked is not initialised: linking a state does that.
    """
    columns = np.empty((len(_STATE_COLUMNS), capacity), dtype=np.int32)
    refinement = np.full(1 << (2 * capacity).bit_length(), NONE, dtype=np.int32)
    edges = np.empty((2, edge_capacity), dtype=np.int32)
    graph = Graph._make((np.empty((capacity, padded)), *columns, refinement, *edges))
    columns[:, 0] = NONE
    graph.frames[0] = 0.0
    graph.lrs[0] = 0
    graph.out_degree[0] = 0
    return graph


def with_state_room(graph: Graph, n_states: int, end: int) -> Graph:
    """Give a copy with room for states below `end`, its table of refinements empty."""
    capacity, padded = graph.frames.shape
    capacity = max(2 * capacity, end, _FIRST_CAPACITY)
    grown = _new_graph(padded, capacity, max(2 * capacity, graph.edge_target.size))
    if n_states > 1:
        for name in ("frames", *_STATE_COLUMNS):
            getattr(grown, name)[:n_states] = getattr(graph, name)[:n_states]
        for name in ("edge_target", "next_edge"):
            getattr(grown, name)[: graph.edge_target.size] = getattr(graph, name)
    return grown


@kernel
def put_frames(rows: Float64s, first: int, frames: Float64s) -> None:
    """Write frames into padded rows from `first` on; kernel."""
    for i in range(len(frames)):
        for d in range(rows.shape[1]):
            rows[first + i, d] = frames[i, d] if d < frames.shape[1] else 0.0


def with_edge_room(graph: Graph, n_edges: int) -> Graph:
    """Give a graph of the same states with at least twice the room for edges."""
    size = graph.edge_target.size
    edge_target, next_edge = np.empty((2, max(2 * size, n_edges)), dtype=np.int32)
    edge_target[:size] = graph.edge_target
    next_edge[:size] = graph.next_edge
    return graph._replace(edge_target=edge_target, next_edge=next_edge)
