"""The rhythm benchmark's own answers, on little."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks._rhythm import (
    foretold_beats,
    headlines,
    onsets_of,
    published_durations,
    rows,
    show,
)
from models.listener import EVENT_DTYPE

RATE_HZ = 1000


def test_without_recordings_it_scores_patterns_and_the_update(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every share has its target, and what is shown names them."""
    result = rows(True, tmp_path)
    named = {headline.name: headline for headline in headlines(result)}
    shares = [headline for name, headline in named.items() if name.startswith("patterns")]
    assert len(shares) == len(result["exact"]) == 5
    assert all(headline.is_met for headline in shares)
    assert named["rhythm update p99"].value > 0
    show(result)
    assert "patterns exact, ours" in capsys.readouterr().out


def test_a_beat_is_foretold_by_what_was_decided_before_it() -> None:
    """An onset that comes late or never does not move the beat before it was decided on."""
    attacks = np.zeros(16, EVENT_DTYPE)
    attacks["onset_frame"] = np.arange(16) * 500
    attacks["decision_frame"] = attacks["onset_frame"] + 20
    attacks["velocity"] = 64
    beats_s = foretold_beats(attacks, RATE_HZ, 9.2)
    moved = attacks.copy()
    moved["onset_frame"][-1] += 120
    moved["decision_frame"][-1] += 120
    assert beats_s[-4:] == pytest.approx([7.5, 8.0, 8.5, 9.0], abs=0.03)
    before = beats_s[beats_s < 7.5 + 0.02]
    assert foretold_beats(moved, RATE_HZ, 9.2)[: before.size] == pytest.approx(before)


@pytest.mark.parametrize("early_frames", range(0, 30, 3))
def test_a_beat_that_is_due_while_its_onset_is_decided_on_is_played(early_frames: int) -> None:
    """However near to it the onset comes, no beat is lost between two beliefs, and none doubled."""
    attacks = np.zeros(20, EVENT_DTYPE)
    attacks["onset_frame"] = np.arange(20) * 500
    attacks["onset_frame"][15] -= early_frames
    attacks["decision_frame"] = attacks["onset_frame"] + 12
    attacks["velocity"] = 64
    beats_s = foretold_beats(attacks, RATE_HZ, 9.9)
    assert beats_s[beats_s > 6.8] == pytest.approx([7.0, 7.5, 8.0, 8.5, 9.0, 9.5], abs=0.04)


def test_the_published_method_knows_no_fives() -> None:
    """.4 is taken for 1/3; on plain rhythms it is as good as ours."""
    assert published_durations(onsets_of((2, 1, 1, 2), 0.25)) == (2, 1, 1, 2)
    assert published_durations(onsets_of((5, 2, 5), 0.1)) != (5, 2, 5)
