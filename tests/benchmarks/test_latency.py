"""The referee counts what it saw, and nothing else."""

import numpy as np

from benchmarks._referee import Game
from benchmarks._stage import latencies_ms
from benchmarks.latency import tones

RATE_HZ = 1000
ONSETS = np.array([100, 300, 500])


def game(*note_ons: int, stretches: list[tuple[int, int]] | None = None) -> Game:
    """Give a game at a frame a millisecond, that began at time 7000."""
    return Game(
        rate_hz=RATE_HZ,
        block_frames=1,
        stretches=stretches or [(0, 7000)],
        note_ons=list(note_ons),
    )


def test_an_answer_counts_from_its_onset() -> None:
    """The first note-on after it; a chord's further notes and later voices do not count."""
    late_ms = latencies_ms(game(7120, 7121, 7180, 7310, 7550), ONSETS, longest_ms=190)
    assert late_ms.tolist() == [20, 10, 50]


def test_silence_is_no_answer_nor_is_what_comes_too_late_or_before() -> None:
    """A note before the first onset answers nothing."""
    late_ms = latencies_ms(game(7050, 7299, 7495), ONSETS, longest_ms=190)
    assert np.isnan(late_ms).tolist() == [True, True, True]
    assert np.isnan(latencies_ms(game(), ONSETS, longest_ms=190)).all()


def test_after_a_gap_of_the_server_time_counts_on_from_there() -> None:
    """Frames played later than planned are not held against the performer."""
    with_gap = game(7120, 7410, stretches=[(0, 7000), (200, 7300)])
    assert latencies_ms(with_gap, ONSETS, longest_ms=190)[:2].tolist() == [20, 10]


def test_tones_begin_where_they_are_said_to() -> None:
    """Each onset is the first frame above the noise for a tenth of a second before."""
    frames, onsets = tones(12)
    for onset in onsets:
        assert (
            np.abs(frames[onset : onset + 480]).max() > 4 * np.abs(frames[onset - 9 : onset]).max()
        )
