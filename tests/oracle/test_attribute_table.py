import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oracle.attribute_table import AttributeTable, bucket_of, member
from oracle.attributes import EVENT_ATTRIBUTES, Attribute, Measure, attribute_rows
from tests.oracle.memories import run_without_jit

LINE = Attribute(name="line", unit="", low=0, high=1, n_buckets=4)
NAME = Attribute(
    name="name", unit="", low=0, high=1e6, is_whole=True, measure=Measure.CATEGORY, n_buckets=8
)
PLAIN = Attribute(name="plain", unit="", low=0, high=1, n_buckets=0)


def members_of(table: AttributeTable, attribute: str, value: float) -> list[int]:
    """Give the states in the bucket of a value, in the order of their ranks."""
    arrays = table.arrays()
    bucket = bucket_of(arrays, table.known[attribute][0], value)
    return [
        member(arrays.block, arrays.pool, bucket, rank) for rank in range(arrays.n_members[bucket])
    ]


def test_an_empty_table_has_the_root_alone() -> None:
    """No state, no member anywhere."""
    table = AttributeTable((LINE, NAME))
    assert table.n_states == 1
    assert not table.arrays().n_members.any()


def test_a_state_is_found_by_each_of_its_values() -> None:
    """And by nothing that it lacks."""
    table = AttributeTable((LINE, NAME, PLAIN))
    assert table.append([0.3, 12, 0.5]) == 1
    assert table.append([math.nan, 12, math.nan]) == 2
    assert members_of(table, "line", 0.3) == [1]
    assert members_of(table, "name", 12) == [1, 2]
    assert members_of(table, "name", 13) == []


def test_values_outside_the_range_lie_at_its_ends() -> None:
    """The index covers the line; nothing is lost."""
    table = AttributeTable((LINE,))
    table.extend([[-9.0], [0.0], [1.0], [9.0]])
    assert members_of(table, "line", 0.0) == [1, 2]
    assert members_of(table, "line", 1.0) == [3, 4]


@settings(deadline=None)
@given(
    values=st.lists(st.integers(0, 30), max_size=300),
    cuts=st.lists(st.integers(0, 300), max_size=4),
)
def test_members_are_those_a_plain_search_finds(values: list[int], cuts: list[int]) -> None:
    """In ascending order, however the states were added."""
    table = AttributeTable((NAME,))
    rows = np.array(values, np.float32).reshape(-1, 1)
    bounds = sorted({0, len(rows), *(min(cut, len(rows)) for cut in cuts)})
    for begin, end in itertools.pairwise(bounds):
        table.extend(rows[begin:end])
    for name in range(8):
        expected = [i + 1 for i, value in enumerate(values) if value % 8 == name]
        assert members_of(table, "name", name) == expected


def test_a_long_list_keeps_its_order_across_all_its_blocks() -> None:
    """A hundred thousand states of one name."""
    table = AttributeTable((NAME,))
    table.extend(np.full((100_000, 1), 3.0, np.float32))
    assert members_of(table, "name", 3) == list(range(1, 100_001))


def test_arrays_taken_before_growth_stay_as_they_were() -> None:
    """A reader's prefix does not change under it, and what it cannot hold is passed over."""
    table = AttributeTable((NAME,))
    table.extend(np.full((40, 1), 3.0, np.float32))
    before = table.arrays()
    table.extend(np.full((5000, 1), 3.0, np.float32))
    bucket = bucket_of(before, 0, 3)
    seen = [member(before.block, before.pool, bucket, k) for k in range(before.n_members[bucket])]
    assert before.n_states == 41
    assert [state for state in seen if 0 < state < 41] == list(range(1, 41))


def test_events_are_laid_out_as_their_attributes_are_named() -> None:
    """Pitch class, register, ratio and the rest follow from what an event is."""
    frame = np.full((1, 15), np.nan)
    frame[0, 5:7] = 3, 2
    rows = attribute_rows(
        frame,
        pitch=[61.4],
        level_db=[-9],
        velocity=[70],
        duration_s=[0.5],
        n_notes=[2],
        clusters=[7],
    )
    named = dict(zip([a.name for a in EVENT_ATTRIBUTES], rows[0], strict=True))
    assert (named["pitch_class"], named["register"], named["n_notes"]) == (1, 4, 2)
    assert named["rhythm_ratio"] == pytest.approx(math.log2(1.5))
    assert (named["loudness"], named["velocity"], named["cluster"]) == (-9, 70, 7)
    assert math.isnan(named["consonance"])


@pytest.mark.parametrize(
    ("row", "match"),
    [([1.0], "a row needs 2 values"), ([1.0, math.inf], "must be finite or NaN")],
)
def test_rows_that_do_not_fit_are_refused_whole(row: list[float], match: str) -> None:
    """Nothing of them is added."""
    table = AttributeTable((LINE, NAME))
    with pytest.raises(ValueError, match=match):
        table.append(row)
    assert table.n_states == 1
    assert not table.arrays().n_members.any()


@pytest.mark.parametrize(
    "attributes",
    [(), (LINE, LINE), (Attribute(name="a", unit="", low=1, high=1),)],
)
def test_attributes_that_cannot_be_told_apart_are_refused(
    attributes: tuple[Attribute, ...],
) -> None:
    """None, two of a name, or a range of nothing."""
    with pytest.raises(ValueError, match="attribute"):
        AttributeTable(attributes)


def test_the_index_is_the_same_without_the_compiler() -> None:
    """Interpreted and compiled kernels agree."""
    script = """
from tests.oracle.test_attribute_table import *
table = AttributeTable((NAME,))
table.extend([[float(i % 5)] for i in range(60)])
print(members_of(table, "name", 2))
"""
    assert run_without_jit(script) == str(list(range(3, 61, 5)))
