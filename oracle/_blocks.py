"""The blocks of a state that has many targets, and frames as the integers that blocks hold.

Runs on the thread that appends, without the GIL; never allocates in a kernel. Frames are kept less
the first frame, as integers: scaled so that the farthest target of the first block is an eighth of
the range, rounded, and clamped to the range. Clamping brings no two frames farther apart and
rounding moves a dimension by at most 1/2, so a distance of integers bounds that of frames from
below. Cosine keeps unit vectors.
"""

import math

import numpy as np

from oracle._columns import WIDTH, Blocks, gap_of_box, open_block, put, split
from oracle._graph import NONE, Float64s, Graph
from oracle._jit import kernel
from oracle.metrics import COSINE, EVENT, MetricTable, dot

_MANY = 32  # edges from which a state keeps blocks


@kernel
def _range(metric: MetricTable) -> float:
    """Give the largest integer of a dimension, such that 32 bits hold any sum of products."""
    widest = 2.0**29 if metric.code == COSINE else 2.0**29 / metric.dim
    return min(8191.0, math.floor(math.sqrt(widest)))


@kernel
def _unit(graph: Graph, metric: MetricTable, k: int) -> float:
    if metric.code == COSINE:
        return _range(metric)
    farthest = 0.0
    e = graph.first_edge[k]
    while e != NONE:
        for d in range(metric.dim):
            delta = graph.frames[graph.edge_target[e], d] - graph.frames[1, d]
            farthest = max(farthest, abs(delta))
        e = graph.next_edge[e]
    return _range(metric) / 8.0 / farthest if 1e-290 < farthest < 1e290 else 0.0


@kernel
def seek(graph: Graph, blocks: Blocks, metric: MetricTable, i: int) -> None:
    """Set the frame that `nearest_in_blocks` and `insert` take, to state i's; kernel."""
    frames = graph.frames
    scale = blocks.unit[0]
    origin = 1.0
    if metric.code == COSINE:
        origin = 0.0
        norm = math.sqrt(dot(metric, frames, i, i))
        scale = scale / norm if norm > 0.0 else 0.0
        if not 1e-150 < norm < 1e150 and not is_zero(frames, i):
            # nothing is known of a direction whose squares are lost: prune nothing from here on
            blocks.unit[0] = 0.0
    limit = _range(metric)
    # np.rint, as math.floor converts to int64 and back
    for d in range(frames.shape[1]):
        value = (frames[i, d] - origin * frames[1, d]) * scale
        value = value if value < limit else limit
        value = value if value > -limit else -limit
        blocks.sought[d] = np.rint(value)
    square = 0
    for word in range(blocks.words.size):
        even = int(blocks.sought[2 * word])
        odd = int(blocks.sought[2 * word + 1])
        blocks.words[word] = odd << 16 | even & 0xFFFF
        square += even * even + odd * odd
    blocks.square[0] = square


@kernel
def is_zero(frames: Float64s, i: int) -> bool:
    """Say whether frame i is zero throughout, which no frame is near by cosine; kernel."""
    n_zero = 0
    for d in range(frames.shape[1]):
        n_zero += frames[i, d] == 0.0
    return bool(n_zero == frames.shape[1])


@kernel
def blocks_wanted(graph: Graph, blocks: Blocks, metric: MetricTable, k: int) -> int:
    """Give how many blocks `insert` at k will take, 0 or 1; kernel."""
    if graph.first_block[k] == NONE:
        return int(graph.out_degree[k] == _MANY - 1 and metric.code != EVENT)
    return int(blocks.size[graph.nearest_block[k]] == WIDTH)


@kernel
def insert(graph: Graph, blocks: Blocks, metric: MetricTable, i: int, k: int, n_blocks: int) -> int:
    """Keep the newest target i of k, already its last edge, where k is searched; kernel.

    Returns
    -------
    int
        Number of blocks now in use.
    """
    if graph.first_block[k] != NONE:
        return _insert_sought(graph, blocks, metric, i, k, n_blocks)
    if graph.out_degree[k] < _MANY or metric.code == EVENT:
        return n_blocks
    n_blocks = gather(graph, blocks, metric, k, n_blocks)
    seek(graph, blocks, metric, i)
    return n_blocks


@kernel
def gather(graph: Graph, blocks: Blocks, metric: MetricTable, k: int, n_blocks: int) -> int:
    """Put all targets of k into new blocks and give the number of blocks now in use; kernel."""
    if math.isnan(blocks.unit[0]):
        blocks.unit[0] = _unit(graph, metric, k)
    graph.first_block[k] = n_blocks
    open_block(blocks, n_blocks)
    n_blocks += 1
    target = k + 1
    e = graph.first_edge[k]
    while True:
        seek(graph, blocks, metric, target)
        _find_nearest_block(graph, blocks, metric, k)
        n_blocks = _insert_sought(graph, blocks, metric, target, k, n_blocks)
        if e == NONE:
            return n_blocks
        target = graph.edge_target[e]
        e = graph.next_edge[e]


@kernel
def gather_all(graph: Graph, blocks: Blocks, metric: MetricTable, n_states: int) -> int:
    """Gather every state with many targets and give the number of blocks in use; kernel."""
    n_blocks = 0
    if metric.code != EVENT:
        for k in range(n_states):
            if graph.out_degree[k] >= _MANY:
                n_blocks = gather(graph, blocks, metric, k, n_blocks)
    return n_blocks


def n_blocks_at_most(graph: Graph, n_states: int) -> int:
    """Give how many blocks `gather_all` can need: a split leaves both halves half full."""
    out_degree = graph.out_degree[:n_states]
    many = out_degree[out_degree >= _MANY]
    return int(((many + 1) // (WIDTH // 2) + 1).sum(dtype=np.int64))


@kernel
def _find_nearest_block(graph: Graph, blocks: Blocks, metric: MetricTable, k: int) -> None:
    least_gap = math.inf
    b = graph.first_block[k]
    graph.nearest_block[k] = b
    while b != NONE:
        gap = gap_of_box(blocks, metric, b)
        if gap < least_gap:
            least_gap = gap
            graph.nearest_block[k] = b
        b = blocks.following[b]


@kernel
def _insert_sought(
    graph: Graph, blocks: Blocks, metric: MetricTable, target: int, k: int, n_blocks: int
) -> int:
    b = graph.nearest_block[k]
    if blocks.size[b] == WIDTH:
        split(blocks, b, n_blocks)
        if gap_of_box(blocks, metric, n_blocks) < gap_of_box(blocks, metric, b):
            b = n_blocks
        n_blocks += 1
    put(blocks, metric, b, target)
    return n_blocks
