"""The attributes of all states: a table that grows, and an index of who has which value.

One thread appends; any other may read meanwhile what was published before it looked. The index is
an inverted one: each attribute's range is cut into buckets, and each bucket lists its states in
ascending order. A list is a chain of blocks that double in size, so nothing that was written ever
moves, adding costs the same at a million states as at ten, and member k is found without a search.
"""

import math
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from oracle._jit import kernel
from oracle.attributes import EVENT_ATTRIBUTES, Attribute

Int32s = NDArray[np.int32]
T = TypeVar("T", bound=np.generic)

FIRST_BLOCK = 4  # members; a token that occurs once costs 16 bytes
N_BLOCKS = 28  # FIRST_BLOCK · (2^28 − 1) members are more than int32 can number


class AttributeArrays(NamedTuple):
    """The table as kernels take it; row i is state i, row 0 (the root) has no attributes.

    The index may run ahead while it is read: members that are not in 1 … n_states − 1 are to be
    passed over.
    """

    n_states: int  # the root included
    values: NDArray[np.float32]  # (capacity, n_attributes)
    low: NDArray[np.float64]  # (n_attributes,), where the first bucket begins
    buckets_per_unit: NDArray[np.float64]  # 0 for a category
    first_bucket: NDArray[np.int64]  # (n_attributes + 1,), equal to the next where not indexed
    n_members: NDArray[np.int32]  # (n_buckets,)
    block: NDArray[np.int32]  # (n_buckets, N_BLOCKS), where in the pool each block begins
    pool: NDArray[np.int32]  # (pool capacity,), states; 0 where none is


class AttributeTable:
    """The attributes of states 1, 2, …, growing by one row per state; one thread appends.

    Parameters
    ----------
    attributes
        The columns; names must be unique.

    Attributes
    ----------
    known : dict
        By name, each attribute's column and what it is.
    """

    def __init__(self, attributes: tuple[Attribute, ...] = EVENT_ATTRIBUTES) -> None:
        if not attributes or len({a.name for a in attributes}) < len(attributes):
            raise ValueError("attributes must have names, each its own")
        self.known = {a.name: (column, a) for column, a in enumerate(attributes)}
        self._n_pooled = 0
        for a in attributes:
            if not a.low < a.high or (a.measure.is_category and a.n_buckets & (a.n_buckets - 1)):
                raise ValueError(f"an attribute needs low < high and its kind of buckets, got {a}")
        n_buckets = np.array([a.n_buckets for a in attributes])
        spans = np.array([a.high - a.low + a.is_whole for a in attributes])
        is_category = np.array([a.measure.is_category for a in attributes])
        # one reference, replaced after its rows are whole: what a reader holds stays true
        self._published = AttributeArrays(
            n_states=1,
            values=np.zeros((64, len(attributes)), np.float32),
            low=np.array([a.low for a in attributes], np.float64),
            buckets_per_unit=np.where(is_category, 0.0, n_buckets / spans),
            first_bucket=np.concatenate([[0], np.cumsum(n_buckets)]).astype(np.int64),
            n_members=np.zeros(n_buckets.sum(), np.int32),
            block=np.zeros((n_buckets.sum(), N_BLOCKS), np.int32),
            pool=np.zeros(1024, np.int32),
        )

    @property
    def n_states(self) -> int:
        """Number of states, the root included."""
        return self._published.n_states

    def arrays(self) -> AttributeArrays:
        """Give the table as flat arrays; see `AttributeArrays`."""
        return self._published

    def append(self, row: ArrayLike) -> int:
        """Add one state's attributes and return the state.

        Parameters
        ----------
        row
            [shape=(n_attributes,)], NaN where missing.

        Raises
        ------
        ValueError
            The row has another length or holds an infinity; nothing is added.
        """
        self.extend(np.asarray(row, np.float32)[np.newaxis])
        return self.n_states - 1

    def extend(self, rows: ArrayLike) -> None:
        """Add rows [shape=(n, n_attributes)] in order, as `append` would one by one.

        Raises
        ------
        ValueError
            The rows have another length or hold an infinity; none is added.
        """
        new = np.ascontiguousarray(rows, np.float32)
        if new.ndim != 2 or new.shape[1] != len(self.known):
            raise ValueError(f"a row needs {len(self.known)} values, got shape {new.shape}")
        if np.isinf(new).any():
            raise ValueError("attributes must be finite or NaN, got an infinity")
        table = self._published
        state, end = table.n_states, table.n_states + len(new)
        if end > len(table.values):
            table = table._replace(values=doubled(table.values, end))
        table.values[state:end] = new
        while True:
            state, self._n_pooled = _index(table, state, end, self._n_pooled)
            if state == end:
                break
            table = table._replace(pool=doubled(table.pool))
        self._published = table._replace(n_states=end)


def doubled(values: NDArray[T], at_least: int = 0) -> NDArray[T]:
    """Copy an array into one twice as long, or as often doubled as it takes."""
    size = 2 * len(values)
    while size < at_least:
        size *= 2
    grown = np.zeros((size, *values.shape[1:]), values.dtype)
    grown[: len(values)] = values
    return grown


@kernel
def bucket_of(table: AttributeArrays, attribute: int, value: float) -> int:
    """Return which bucket of an indexed attribute holds a value; kernel."""
    first = int(table.first_bucket[attribute])
    n_buckets = int(table.first_bucket[attribute + 1]) - first
    per_unit = table.buckets_per_unit[attribute]
    if per_unit == 0:
        return first + (int(value) & (n_buckets - 1))
    place = (value - table.low[attribute]) * per_unit
    return first + int(min(max(place, 0.0), n_buckets - 1.0))


@kernel
def member(block: Int32s, pool: Int32s, bucket: int, rank: int) -> int:
    """Return the state of this rank in a bucket, 0 if it was added after the arrays; kernel."""
    level, offset = _place(rank)
    place = block[bucket, level] + offset
    return int(pool[place]) if place < pool.size else 0


@kernel
def _index(table: AttributeArrays, state: int, end: int, n_pooled: int) -> tuple[int, int]:
    """Enter the states … end − 1 into their buckets; kernel.

    Returns
    -------
    state, n_pooled
        The first state not entered, below `end` if the pool must grow first; the pool's fill.
    """
    for i in range(state, end):
        if n_pooled + _room_needed(table, i) > table.pool.size:
            return i, n_pooled
        for a in range(table.low.size):
            value = table.values[i, a]
            if table.first_bucket[a] == table.first_bucket[a + 1] or math.isnan(value):
                continue
            bucket = bucket_of(table, a, value)
            level, offset = _place(table.n_members[bucket])
            if offset == 0:
                table.block[bucket, level] = n_pooled
                n_pooled += FIRST_BLOCK << level
            table.pool[table.block[bucket, level] + offset] = i
            table.n_members[bucket] += 1
    return end, n_pooled


@kernel
def _room_needed(table: AttributeArrays, state: int) -> int:
    """Count what the blocks that this state begins would take."""
    needed = 0
    for a in range(table.low.size):
        value = table.values[state, a]
        if table.first_bucket[a] < table.first_bucket[a + 1] and not math.isnan(value):
            level, offset = _place(table.n_members[bucket_of(table, a, value)])
            if offset == 0:
                needed += FIRST_BLOCK << level
    return needed


@kernel
def _place(rank: int) -> tuple[int, int]:
    """Return the block and the offset in it of a rank."""
    level, size = 0, FIRST_BLOCK
    while rank >= size:
        rank -= size
        size *= 2
        level += 1
    return level, rank
