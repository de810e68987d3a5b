"""The referee counts what it saw, and nothing else."""

import numpy as np
import pytest

from benchmarks._accounts import Account, compare, disagreement_ms
from benchmarks._referee import Game
from benchmarks._stage import first_answers, latencies_ms
from benchmarks.latency import RATE_HZ as TONES_HZ
from benchmarks.latency import tones
from models.listener import ATTACK, Listener

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


def test_no_tone_is_dated_to_before_it_began() -> None:
    """Within 2 ms, so that the program's own latency is no longer than the referee's."""
    frames, onsets = tones(120)
    records = Listener(TONES_HZ).hear(frames)
    found = records["onset_frame"][records["kind"] == ATTACK]
    first_after = np.searchsorted(found, onsets - round(0.03 * TONES_HZ))
    assert np.min(found[first_after] - onsets) >= -0.002 * TONES_HZ


MS = 1_000_000
ACCOUNT = Account(sent_ns=np.array([100, 150, 400]) * MS, late_ms=np.array([15.0, 30.0, 17.0]))


def test_an_answer_is_the_newest_sent_before_it_was_received() -> None:
    """One that was received before any was sent, or long after all, is in one account only."""
    received_ns = np.array([90, 101, 152, 402, 600]) * MS
    assert ACCOUNT.paired(received_ns).tolist() == [-1, 0, 1, 2, -1]
    nothing = Account(np.zeros(0, np.int64), np.zeros(0))
    assert nothing.paired(received_ns).tolist() == [-1] * 5


def test_the_same_answers_are_compared_and_the_others_told_apart() -> None:
    """An answer to no tone is not held against the referee's distribution, nor hidden."""
    compared = compare(ACCOUNT, np.array([14.0, 18.5]), np.array([101, 402]) * MS)
    assert compared["n_paired"] == 2
    assert disagreement_ms(compared) == pytest.approx(1.475)
    assert compared["apart_ms"]["max"] == 1.5
    assert (compared["n_untold"], compared["untold_ms"]["p99"]) == (1, 30.0)


def test_each_onsets_first_answer_is_told_by_its_place() -> None:
    """So that the program's account of it can be found."""
    heard = game(7050, 7120, 7121, 7310)
    assert first_answers(heard, ONSETS, longest_ms=190).tolist() == [1, 3, -1]
