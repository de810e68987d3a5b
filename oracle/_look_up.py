"""Look-up: states anywhere in the memory that meet criteria, found by the index, compiled.

Runs on the thread that navigates, without the GIL; never allocates. The criterion whose buckets
hold the fewest states, or else the regions, say where to look. Up to `N_EXAMINED` states are all
examined; of more, so many spread evenly.
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from oracle._masks import meets_all
from oracle._near import is_among, is_within
from oracle.attribute_table import AttributeArrays, Int32s, bucket_of, member
from oracle.attributes import Measure
from oracle.request import ABOVE, ABS_ABOVE, ABS_BELOW, BELOW, EQUAL

N_FOUND = 32  # candidates that one look-up adds
N_EXAMINED = 512
N_BUCKETS = 128  # that one look-up spans
GOLDEN = 0.6180339887498949  # its multiples modulo 1 are even, and in step with no loop

_PITCH = int(Measure.PITCH)
_PITCH_CLASS = int(Measure.PITCH_CLASS)


@njit(nogil=True, cache=True)
def find_states(
    table: AttributeArrays,
    terms: NDArray[np.void],
    transposition: int,
    regions: NDArray[np.int64],
    n_states: int,
    last_visit: NDArray[np.int64],
    taboo_since: int,
    draw: float,
    n: int,
    rows: NDArray[np.void],
) -> int:
    """Write up to `N_FOUND` states that meet all terms, from row n on; kernel.

    Returns
    -------
    n
        How many rows there are now.
    """
    first, last, total = _fewest(table, terms, transposition, regions, n_states)
    values, n_members, block, pool = table.values, table.n_members, table.block, table.pool
    n_before = n
    for visit in range(min(total, N_EXAMINED)):
        if total <= N_EXAMINED:
            rank = (int(draw * total) + visit) % total
        else:
            rank = int((draw + visit * GOLDEN) % 1.0 * total)
        if last < first:
            state = _nth_in_regions(regions, n_states, rank)
        else:
            state = _nth_in_buckets(n_members, block, pool, first, last, rank)
        if (
            0 < state < n_states
            and last_visit[state] < taboo_since
            and meets_all(values, terms, state, transposition)
            and is_within(regions, state)
            and not is_among(rows[n_before:n], state)
        ):
            rows[n]["state"] = state
            n += 1
            if n == n_before + N_FOUND:
                break
    return n


@njit(nogil=True, cache=True)
def _fewest(
    table: AttributeArrays,
    terms: NDArray[np.void],
    transposition: int,
    regions: NDArray[np.int64],
    n_states: int,
) -> tuple[int, int, int]:
    """Find the smallest set of states that holds all that meet the terms.

    Returns
    -------
    first, last, total
        The buckets whose members they are (0, −1: the regions) and their number.
    """
    best_first, best_last, fewest = 0, -1, 0
    for r in range(len(regions)):
        fewest += max(0, min(regions[r, 1], n_states - 1) - regions[r, 0] + 1)
    for j in range(terms.size):
        first, last = _buckets(table, terms[j], transposition)
        if 0 <= last - first < N_BUCKETS:
            total = 0
            for bucket in range(first, last + 1):
                total += table.n_members[bucket]
            if total < fewest:
                best_first, best_last, fewest = first, last, total
    return best_first, best_last, fewest


@njit(nogil=True, cache=True)
def _buckets(table: AttributeArrays, term: np.void, transposition: int) -> tuple[int, int]:
    """Return the first and last bucket that can meet a term; last < first: the index is no help."""
    column, target, kind = term["column"], term["target"], term["type"]
    first, last = table.first_bucket[column], table.first_bucket[column + 1] - 1
    measure = term["measure"]
    if kind in (ABS_ABOVE, ABS_BELOW) or last < first:
        return 0, -1
    if measure == _PITCH_CLASS and kind == EQUAL:
        target = (target - transposition) % 12
    elif measure >= _PITCH and transposition != 0:
        return 0, -1
    if kind != BELOW:
        first = bucket_of(table, column, target - (term["tolerance"] if kind == EQUAL else 0.0))
    if kind != ABOVE:
        last = bucket_of(table, column, target + (term["tolerance"] if kind == EQUAL else 0.0))
    return int(first), int(last)


@njit(nogil=True, cache=True)
def _nth_in_buckets(
    n_members: Int32s, block: Int32s, pool: Int32s, first: int, last: int, rank: int
) -> int:
    """Return the state of this rank in the buckets first … last."""
    for bucket in range(first, last + 1):
        if rank < n_members[bucket]:
            return int(member(block, pool, bucket, rank))
        rank -= n_members[bucket]
    return 0


@njit(nogil=True, cache=True)
def _nth_in_regions(regions: NDArray[np.int64], n_states: int, rank: int) -> int:
    """Return the state of this rank in the regions."""
    for r in range(len(regions)):
        size = max(0, min(regions[r, 1], n_states - 1) - regions[r, 0] + 1)
        if rank < size:
            return int(regions[r, 0] + rank)
        rank -= size
    return 0
