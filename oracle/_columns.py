"""Blocks: targets in columns of integers with their bounding boxes; filled, and split when full.

Runs on the thread that appends, without the GIL; never allocates in a kernel. A block is what a
leaf of a k-d tree is, split at about the median of its box's longest side. It knows columns,
boxes and members, but not what the integers stand for nor which state a block belongs to
(`oracle._blocks`).
"""

from functools import cache
from typing import NamedTuple

import numpy as np

from oracle._graph import NONE, Float32s, Float64s, Int32s, Int64s
from oracle._jit import kernel
from oracle._lanes import LANES, VECTOR, box_gap, box_gap_manhattan
from oracle.metrics import MANHATTAN, MetricTable

WIDTH = 2 * LANES  # targets of a block: 15 dimensions of them are 4 KiB
_FIRST_CAPACITY = 4


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
def gap_of_box(blocks: Blocks, metric: MetricTable, b: int) -> float:
    """Give how far the frame sought is from a box, squared but for Manhattan."""
    if metric.code == MANHATTAN:
        return float(box_gap_manhattan(blocks.low, blocks.high, blocks.sought, b))
    return float(box_gap(blocks.low, blocks.high, blocks.sought, b))


@kernel
def open_block(blocks: Blocks, b: int) -> None:
    blocks.following[b] = NONE
    blocks.size[b] = 0
    for d in range(blocks.sought.size):
        blocks.low[b, d] = np.inf
        blocks.high[b, d] = -np.inf


@kernel
def put(blocks: Blocks, metric: MetricTable, b: int, target: int) -> None:
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
def split(blocks: Blocks, b: int, right: int) -> None:
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
def _coordinate(blocks: Blocks, b: int, d: int, lane: int) -> float:
    word = blocks.column[b, d >> 1, lane]
    return float(word >> 16 if d & 1 else (word & 0xFFFF ^ 0x8000) - 0x8000)


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
