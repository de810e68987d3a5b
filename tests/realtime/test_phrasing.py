"""Where a line of notes is over."""

import pytest

from realtime.phrasing import PHRASE_GAP_INTERVALS, PHRASE_GAP_S, Phrasing


def test_of_a_line_of_one_note_a_breath_is_the_end() -> None:
    """Nothing is known of its intervals yet."""
    assert Phrasing().gap_s == PHRASE_GAP_S


@pytest.mark.parametrize("interval_s", [0.1, 0.25, 0.6])
def test_a_pause_is_one_beside_the_usual_intervals(interval_s: float) -> None:
    """Slow notes may stand further apart, fast ones not closer than a breath."""
    phrasing = Phrasing()
    assert all(phrasing.goes_on(interval_s) for _ in range(5))
    gap_s = max(PHRASE_GAP_S, PHRASE_GAP_INTERVALS * interval_s)
    assert phrasing.gap_s == gap_s
    assert phrasing.goes_on(gap_s)
    assert not phrasing.goes_on(gap_s + 0.01)


def test_a_pause_is_not_counted_among_the_intervals() -> None:
    """However often somebody pauses, it stays a pause."""
    phrasing = Phrasing()
    phrasing.goes_on(0.3)
    assert not any(phrasing.goes_on(2.0) for _ in range(20))
