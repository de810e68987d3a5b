from hypothesis import given
from hypothesis import strategies as st

from oracle.audio_oracle import FactorOracle
from oracle.repeats import Repeat, longest_repeats


def learned(text: str) -> FactorOracle:
    """Learn a text letter by letter."""
    oracle = FactorOracle()
    oracle.extend(text)
    return oracle


def test_nothing_repeats_in_nothing() -> None:
    """Nor in what is said once, nor is a single state a passage."""
    for text in ("", "a", "abcdef", "abca"):
        assert longest_repeats(learned(text), 5) == []


def test_a_held_note_repeats_itself() -> None:
    """The passage and the earlier one overlap."""
    assert longest_repeats(learned("aaaaa"), 5) == [Repeat(length=4, first=2, earlier=1)]


def test_repeats_are_told_longest_first_and_once() -> None:
    """Of abcd, said again, bc and cd are parts."""
    found = longest_repeats(learned("abcdxyabcdyxy"), 5)
    assert found == [Repeat(length=4, first=7, earlier=1), Repeat(length=2, first=12, earlier=5)]
    assert longest_repeats(learned("abcdxyabcdyxy"), 1) == found[:1]


@given(st.text("abc", max_size=80))
def test_a_repeat_says_what_the_earlier_passage_said(text: str) -> None:
    """Letter by letter, and earlier is before; no state is told twice."""
    told: set[int] = set()
    for length, first, earlier in longest_repeats(learned(text), 10):
        assert 1 <= earlier < first
        assert text[first - 1 : first - 1 + length] == text[earlier - 1 : earlier - 1 + length]
        assert told.isdisjoint(range(first, first + length))
        told.update(range(first, first + length))
