"""Targets of a state that has many, in blocks like the leaves of a k-d tree; searches none.

Runs on the thread that appends, without the GIL; never allocates in a kernel. A full block is
split at about the median of its box's longest side. Frames are kept less the first frame, as
integers: scaled so that the farthest target of the first block is an eighth of the range, rounded,
and clamped to the range. Clamping brings no two frames farther apart and rounding moves a dimension
by at most 1/2, so a distance of integers bounds that of frames from below. Cosine keeps unit
vectors.
"""

import math
from functools import cache
from typing import NamedTuple

import numpy as np

from oracle._graph import NONE, Float32s, Float64s, Graph, Int32s, Int64s
from oracle._jit import kernel
from oracle._lanes import LANES, VECTOR, box_gap, box_gap_manhattan
from oracle.metrics import COSINE, EVENT, MANHATTAN, MetricTable, dot

WIDTH = 2 * LANES  # targets of a block: 15 dimensions of them are 4 KiB
_FIRST_CAPACITY = 4
_MANY = 32  # edges from which a state keeps blocks


class Blocks(NamedTuple):
    """Targets of the states that have many, as columns of integers; grows like `Graph`."""

    column: Int32s  # (capacity, padded dim / 2, WIDTH), two 16-bit dimensions a word
    start: Int32s  # (capacity, WIDTH), −|y|²/2, 0 for Manhattan
    low: Float32s  # (capacity, padded dim), bounding box
    high: Float32s
    member: Int32s  # (capacity, WIDTH), states
    size: Int32s  # (capacity,)
    following: Int32s  # (capacity,), next block of the same state
    sought: Float32s  # (padded dim,), the frame sought
    words: Int32s  # (padded dim / 2,), the same as `column` has it
    square: Int64s  # (1,), its squared norm
    unit: Float64s  # (1,), integers per 1, NaN before the first block, 0 if nothing can be pruned


@cache
def no_blocks(dim: int) -> Blocks:
    """Give room for no block: nothing is ever written to it."""
    return _new_blocks(dim, 0)


def _new_blocks(dim: int, capacity: int) -> Blocks:
    """Give room for some blocks of frames of `dim` numbers, not initialised."""
    padded = -(-dim // VECTOR) * VECTOR
    column = np.empty((capacity, padded // 2, WIDTH), dtype=np.int32)
    start, member = np.empty((2, capacity, WIDTH), dtype=np.int32)
    low, high = np.empty((2, capacity, padded), dtype=np.float32)
    size, following = np.empty((2, capacity), dtype=np.int32)
    return Blocks(
        column,
        start,
        low,
        high,
        member,
        size,
        following,
        sought=np.zeros(padded, dtype=np.float32),
        words=np.zeros(padded // 2, dtype=np.int32),
        square=np.zeros(1, dtype=np.int64),
        unit=np.full(1, np.nan),
    )


def with_block_room(blocks: Blocks, dim: int, n_blocks: int) -> Blocks:
    """Give a copy with at least twice the room for blocks."""
    grown = _new_blocks(dim, max(2 * blocks.size.size, n_blocks, _FIRST_CAPACITY))
    for name in Blocks._fields:
        old = getattr(blocks, name)
        getattr(grown, name)[: len(old)] = old
    return grown


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
def gap_of_box(blocks: Blocks, metric: MetricTable, b: int) -> float:
    """Give how far the frame sought is from a box, squared but for Manhattan."""
    if metric.code == MANHATTAN:
        return float(box_gap_manhattan(blocks.low, blocks.high, blocks.sought, b))
    return float(box_gap(blocks.low, blocks.high, blocks.sought, b))


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
    _open_block(blocks, n_blocks)
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
        _split(blocks, b, n_blocks)
        if gap_of_box(blocks, metric, n_blocks) < gap_of_box(blocks, metric, b):
            b = n_blocks
        n_blocks += 1
    _put(blocks, metric, b, target)
    return n_blocks


@kernel
def _open_block(blocks: Blocks, b: int) -> None:
    blocks.following[b] = NONE
    blocks.size[b] = 0
    for d in range(blocks.sought.size):
        blocks.low[b, d] = np.inf
        blocks.high[b, d] = -np.inf


@kernel
def _put(blocks: Blocks, metric: MetricTable, b: int, target: int) -> None:
    """Add the frame sought to a block, as `target`."""
    lane = blocks.size[b]
    blocks.member[b, lane] = target
    blocks.start[b, lane] = 0 if metric.code == MANHATTAN else -(blocks.square[0] >> 1)
    for word in range(blocks.words.size):
        blocks.column[b, word, lane] = blocks.words[word]
    blocks.size[b] = lane + 1
    for d in range(blocks.sought.size):
        value = blocks.sought[d]
        low = blocks.low[b, d]
        high = blocks.high[b, d]
        blocks.low[b, d] = value if value < low else low
        blocks.high[b, d] = value if value > high else high


@kernel
def _coordinate(blocks: Blocks, b: int, d: int, lane: int) -> float:
    word = blocks.column[b, d >> 1, lane]
    return float(word >> 16 if d & 1 else (word & 0xFFFF ^ 0x8000) - 0x8000)


@kernel
def _split(blocks: Blocks, b: int, right: int) -> None:
    """Move the upper half of a full block, along its box's longest side, to block `right`."""
    longest = 0
    for d in range(blocks.sought.size):
        if blocks.high[b, d] - blocks.low[b, d] > blocks.high[b, longest] - blocks.low[b, longest]:
            longest = d
    pivot = _sample_median(blocks, b, longest)
    blocks.following[right] = blocks.following[b]
    blocks.following[b] = right
    n_left = 0
    n_right = 0
    for lane in range(WIDTH):
        value = _coordinate(blocks, b, longest, lane)
        if value < pivot or (value == pivot and n_left <= n_right):
            _move(blocks, b, lane, b, n_left)
            n_left += 1
        else:
            _move(blocks, b, lane, right, n_right)
            n_right += 1
    blocks.size[b] = n_left
    blocks.size[right] = n_right
    _fit_box(blocks, b)
    _fit_box(blocks, right)


@kernel
def _sample_median(blocks: Blocks, b: int, d: int) -> float:
    """Give the median along dimension d of every 8th target of a full block."""
    for lane in range(0, WIDTH, 8):
        value = _coordinate(blocks, b, d, lane)
        n_below = 0
        for other in range(0, WIDTH, 8):
            theirs = _coordinate(blocks, b, d, other)
            n_below += theirs < value or (theirs == value and other < lane)
        if n_below == WIDTH // 16:
            return value
    return _coordinate(blocks, b, d, 0)


@kernel
def _move(blocks: Blocks, b: int, lane: int, to: int, to_lane: int) -> None:
    blocks.member[to, to_lane] = blocks.member[b, lane]
    blocks.start[to, to_lane] = blocks.start[b, lane]
    for word in range(blocks.words.size):
        blocks.column[to, word, to_lane] = blocks.column[b, word, lane]


@kernel
def _fit_box(blocks: Blocks, b: int) -> None:
    """Set the box of a block that is not empty to what its targets span."""
    for word in range(blocks.words.size):
        # along words that lie side by side, and chosen without a branch
        low, high = 2**15, -(2**15)
        for lane in range(blocks.size[b]):
            even = (blocks.column[b, word, lane] & 0xFFFF ^ 0x8000) - 0x8000
            low = even if even < low else low
            high = even if even > high else high
        blocks.low[b, 2 * word], blocks.high[b, 2 * word] = low, high
        low, high = 2**15, -(2**15)
        for lane in range(blocks.size[b]):
            odd = blocks.column[b, word, lane] >> 16
            low = odd if odd < low else low
            high = odd if odd > high else high
        blocks.low[b, 2 * word + 1], blocks.high[b, 2 * word + 1] = low, high
