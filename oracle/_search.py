"""The nearest target of a state below a threshold, exactly, without measuring most of them.

Runs on the thread that appends, without the GIL; never allocates. A state with few targets is
searched by sums added in any order, then exactly if rounding could decide. Of one with many, a
block whose bounding box is too far is skipped, the rest is passed through `LANES` targets abreast,
and what may still be nearest is measured in
float64. Boxes and passes see integers (`oracle._blocks`): frames closer than the bound are integers
closer than the bound, scaled, + √dim (Manhattan: + dim), which is the whole of `_limits`. Unit
vectors bound cosine distances through d² = 2(1 − cos). The event metric obeys no triangle
inequality, so its targets are looked at one by one; but what their tokens alone contribute is a
bound, and few have to be measured.
"""

import math

from oracle._blocks import is_zero
from oracle._columns import Blocks, gap_of_box
from oracle._graph import NONE, Graph
from oracle._jit import kernel
from oracle._lanes import (
    LANES,
    lanes_within,
    lanes_within_manhattan,
    lowest_bit,
    sum_magnitudes_apart,
    sum_squares_apart,
)
from oracle.metrics import (
    COSINE,
    EUCLIDEAN,
    EVENT,
    MANHATTAN,
    MetricTable,
    distance,
    farthest_token,
    token_distance,
)


@kernel
def nearest_in_list(graph: Graph, metric: MetricTable, threshold: float, i: int, k: int) -> int:
    """Give the nearest target of k strictly below the threshold from frame i, or NONE; kernel."""
    if threshold <= 0.0:
        return NONE
    if metric.code == EUCLIDEAN or metric.code == MANHATTAN:
        nearest, is_certain = _nearest_by_sums(graph, metric, threshold, i, k)
        if is_certain:
            return nearest
    if metric.code == EVENT:
        return _nearest_event(graph, metric, threshold, i, k)
    nearest = NONE
    bound = threshold
    target = k + 1
    e = graph.first_edge[k]
    while True:
        here = distance(metric, graph.frames, i, target)
        # chosen without a branch: which target is nearer cannot be foretold
        is_nearer = here < bound
        bound = here if is_nearer else bound
        nearest = target if is_nearer else nearest
        if e == NONE:
            return nearest
        target = graph.edge_target[e]
        e = graph.next_edge[e]


@kernel
def _nearest_by_sums(
    graph: Graph, metric: MetricTable, threshold: float, i: int, k: int
) -> tuple[int, bool]:
    """Search the targets of k by sums whose terms are added in any order; kernel.

    Returns
    -------
    nearest, is_certain
        False where rounding might decide which is nearest, or whether it is below the threshold.
    """
    limit = threshold if metric.code == MANHATTAN else threshold * threshold
    nearest = NONE
    least = math.inf
    second = math.inf
    target = k + 1
    e = graph.first_edge[k]
    while True:
        if metric.code == MANHATTAN:
            here = sum_magnitudes_apart(graph.frames, i, target)
        else:
            here = sum_squares_apart(graph.frames, i, target)
        # chosen without a branch: which target is nearer cannot be foretold
        is_nearer = here < least
        farther = least if is_nearer else here
        second = farther if farther < second else second
        least = here if is_nearer else least
        nearest = target if is_nearer else nearest
        if e == NONE:
            break
        target = graph.edge_target[e]
        e = graph.next_edge[e]
    # sums of the same terms in two orders, and roots of them, are closer than that
    slack = 1.0 + (metric.dim + 8) * 2.0**-50
    if least * slack < limit:
        return nearest, least * slack < second
    return NONE, least > limit * slack


@kernel
def _nearest_event(graph: Graph, metric: MetricTable, threshold: float, i: int, k: int) -> int:
    """Search the targets of k, measuring none whose token alone is too far; kernel."""
    frames = graph.frames
    nearest = NONE
    bound = threshold
    farthest = farthest_token(metric, frames, i, bound)
    target = k + 1
    e = graph.first_edge[k]
    while True:
        if token_distance(metric, frames, i, target) <= farthest:
            here = distance(metric, frames, i, target)
            if here < bound:
                bound = here
                nearest = target
                farthest = farthest_token(metric, frames, i, bound)
        if e == NONE:
            return nearest
        target = graph.edge_target[e]
        e = graph.next_edge[e]


@kernel
def nearest_in_blocks(
    graph: Graph, blocks: Blocks, metric: MetricTable, threshold: float, i: int, k: int
) -> int:
    """Give what `nearest_in_list` gives, for a state that keeps blocks; kernel."""
    nearest = NONE
    bound = threshold
    farthest, least = _limits(blocks, metric, bound)
    least_gap = math.inf
    b = graph.first_block[k]
    nearest_block = b
    graph.nearest_block[k] = b
    if threshold <= 0.0 or (metric.code == COSINE and is_zero(graph.frames, i)):
        return NONE
    while b != NONE:
        gap = gap_of_box(blocks, metric, b)
        is_nearer = gap < least_gap
        least_gap = gap if is_nearer else least_gap
        nearest_block = b if is_nearer else nearest_block
        if gap <= farthest:
            for first in range(0, blocks.size[b], LANES):
                within = _lanes_within(blocks, metric, b, first, least)
                while within != 0:
                    lane = first + lowest_bit(within)
                    within &= within - 1
                    if lane >= blocks.size[b]:
                        break
                    target = blocks.member[b, lane]
                    here = distance(metric, graph.frames, i, target)
                    if here < bound or (here == bound and nearest != NONE and target < nearest):
                        bound = here
                        nearest = target
                        farthest, least = _limits(blocks, metric, bound)
        b = blocks.following[b]
    graph.nearest_block[k] = nearest_block
    return nearest


@kernel
def _limits(blocks: Blocks, metric: MetricTable, bound: float) -> tuple[float, int]:
    """Give the gap of a box and the sum of a pass that a frame within the bound can have."""
    dim = metric.dim
    if blocks.unit[0] == 0.0:
        return math.inf, -(2**31)
    if metric.code == COSINE:
        bound = math.sqrt(2.0 * (bound + (dim + 8) * 2.0**-52))
    # 1e-3 covers the rounding of float64, 1e-5 + 1e-6 dim that of a box's float32 sum
    bound = bound * blocks.unit[0] + (dim if metric.code == MANHATTAN else math.sqrt(dim)) + 1e-3
    least = -bound
    if metric.code != MANHATTAN:
        bound *= bound
        least = (blocks.square[0] - bound) / 2.0
    # clamped before it is an integer: beyond one, conversion has no answer
    least = math.floor(max(least, 2.0 - 2.0**31)) - 1
    return bound * (1.00001 + 1e-6 * dim), least


@kernel
def _lanes_within(blocks: Blocks, metric: MetricTable, b: int, first: int, least: int) -> int:
    """Give which of LANES targets may be within the bound, one bit each."""
    if metric.code == MANHATTAN:
        within = lanes_within_manhattan(blocks.column, blocks.start, blocks.words, b, first, least)
    else:
        within = lanes_within(blocks.column, blocks.start, blocks.words, b, first, least)
    return int(within)
