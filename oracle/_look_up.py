"""Look-up: states anywhere in the memory that meet criteria, found by the index, compiled.

Runs on the thread that navigates, without the GIL; never allocates. The criterion whose buckets
hold the fewest states, or else the regions, say where to look. Up to a limit all of them are
examined; of more, so many spread evenly. It ends as soon as enough are found.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oracle._jit import kernel
from oracle._masks import meets
from oracle._near import is_within
from oracle.attribute_table import AttributeArrays, bucket_of, member
from oracle.attributes import Measure
from oracle.criterion import ABOVE, ABS_ABOVE, ABS_BELOW, BELOW, EQUAL

N_BUCKETS = 128  # that one look-up spans
PORTION = 32  # states that are examined before it is asked whether enough are found
GOLDEN = 0.6180339887498949  # its multiples modulo 1 are even, and in step with no loop

Visits = tuple[int, int, int, int]  # from which to which, of how many states, at most how many

_PITCH = int(Measure.PITCH)
_PITCH_CLASS = int(Measure.PITCH_CLASS)


@kernel
def find_states(
    table: AttributeArrays,
    terms: NDArray[np.void],
    transposition: int,
    regions: NDArray[np.int64],
    n_states: int,
    draw: float,
    n_enough: int,
    states: NDArray[np.int64],
) -> int:
    """Write states that meet all terms; kernel.

    Parameters
    ----------
    n_enough
        With so many found, or a few more, the search ends.
    states
        Written to; its size is how many states are examined at most.

    Returns
    -------
    n
        How many were found.
    """
    column, first, last, total = _fewest(table, terms, transposition, regions, n_states)
    values = table.values
    n_visits = min(total, states.size)
    n, visit = 0, 0
    while visit < n_visits and n < n_enough:
        until = min(visit + PORTION, n_visits)
        visits = (visit, until, total, states.size)
        if column < 0:
            n_listed = _list_regions(regions, n_states, visits, draw, states[n:])
        else:
            n_listed = _list_buckets(
                table, column, first, last, visits, draw, n_states, regions, states[n:]
            )
        # term by term, so that the loads of many states are under way at once: half the time
        for j in range(terms.size):
            n_listed = _sift(values, terms[j], transposition, states[n : n + n_listed])
        n += n_listed
        visit = until
    return int(n)


@kernel
def _sift(
    values: NDArray[np.float32], term: Any, transposition: int, states: NDArray[np.int64]
) -> int:
    """Keep the states that meet a term, in their order; return how many."""
    n = 0
    for i in range(states.size):
        state = states[i]
        if meets(values, term, state, transposition):
            states[n] = state
            n += 1
    return n


@kernel
def _rank(visit: int, total: int, n_examined: int, draw: float) -> int:
    """Return which of `total` states is looked at next: all in turn, or evenly spread."""
    if total <= n_examined:
        rank = int(draw * total) + visit
        return rank - total if rank >= total else rank
    place = draw + visit * GOLDEN
    return int((place - math.floor(place)) * total)


@kernel
def _list_buckets(
    table: AttributeArrays,
    column: int,
    first: int,
    last: int,
    visits: Visits,
    draw: float,
    n_states: int,
    regions: NDArray[np.int64],
    states: NDArray[np.int64],
) -> int:
    """Write states out of an attribute's buckets first … last; return how many."""
    begin, until, total, n_examined = visits
    n_members, block, pool = table.n_members, table.block, table.pool
    end = table.first_bucket[column + 1]
    n_buckets = end - table.first_bucket[column]
    n = 0
    for visit in range(begin, until):
        rank = _rank(visit, total, n_examined, draw)
        bucket, n_left = first, last - first
        while n_left > 0 and rank >= n_members[bucket]:
            rank -= n_members[bucket]
            bucket += 1
            n_left -= 1
            if bucket == end:
                bucket -= n_buckets
        state = member(block, pool, bucket, rank)
        if 0 < state < n_states and is_within(regions, state):
            states[n] = state
            n += 1
    return n


@kernel
def _list_regions(
    regions: NDArray[np.int64],
    n_states: int,
    visits: Visits,
    draw: float,
    states: NDArray[np.int64],
) -> int:
    """Write states out of the regions; return how many."""
    begin, until, total, n_examined = visits
    n = until - begin
    for visit in range(begin, until):
        rank = _rank(visit, total, n_examined, draw)
        for r in range(len(regions)):
            size = max(0, min(regions[r, 1], n_states - 1) - regions[r, 0] + 1)
            if rank < size:
                states[visit - begin] = regions[r, 0] + rank
                break
            rank -= size
    return n


@kernel
def _fewest(
    table: AttributeArrays,
    terms: NDArray[np.void],
    transposition: int,
    regions: NDArray[np.int64],
    n_states: int,
) -> tuple[int, int, int, int]:
    """Find the smallest set of states that holds all that meet the terms.

    Returns
    -------
    column, first, last, total
        The attribute (−1: none, but the regions) and those of its buckets whose members they are,
        as `_buckets` gives them, and their number.
    """
    column, best_first, best_last, fewest = -1, 0, -1, 0
    for r in range(len(regions)):
        fewest += max(0, min(regions[r, 1], n_states - 1) - regions[r, 0] + 1)
    for j in range(terms.size):
        first, last = _buckets(table, terms[j], transposition)
        if 0 <= last - first < N_BUCKETS:
            end = table.first_bucket[terms[j]["column"] + 1]
            n_buckets = end - table.first_bucket[terms[j]["column"]]
            total = 0
            for bucket in range(first, last + 1):
                total += table.n_members[bucket if bucket < end else bucket - n_buckets]
            if total < fewest:
                column = terms[j]["column"]
                best_first, best_last, fewest = first, last, total
    return column, best_first, best_last, fewest


@kernel
def _buckets(table: AttributeArrays, term: Any, transposition: int) -> tuple[int, int]:
    """Return the first and last bucket that can meet a term; last < first: the index is no help.

    On a circle the attribute's last bucket is followed by its first, which is then counted on.
    """
    column, target, kind = term["column"], term["target"], term["type"]
    first, last = table.first_bucket[column], table.first_bucket[column + 1] - 1
    measure = term["measure"]
    if kind in (ABS_ABOVE, ABS_BELOW) or last < first:
        return 0, -1
    if measure == _PITCH_CLASS:
        target -= transposition
    elif measure >= _PITCH and transposition != 0:
        return 0, -1
    lowest = highest = target
    if kind == EQUAL:
        lowest, highest = target - term["tolerance"], target + term["tolerance"]
        if term["period"] < math.inf:
            low = table.low[column]
            lowest = low + (lowest - low) % term["period"]
            highest = low + (highest - low) % term["period"]
    n_buckets = last + 1 - first
    if kind != BELOW:
        first = bucket_of(table, column, lowest)
    if kind != ABOVE:
        last = bucket_of(table, column, highest)
    if lowest > highest:
        last += n_buckets
    return int(first), int(last)
