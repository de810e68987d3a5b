"""Learning's benchmark writes what it learns from, and is decided by speed, room and kills."""

from pathlib import Path

import pytest

from benchmarks.learning import headlines, write_recording
from models.audio_file import AudioFile

RESULT: dict[str, dict[str, float]] = {
    "speed": {"times_as_fast": 61.0, "peak_rss_gb": 0.8},
    "model": {"more": 0.05},
    "kills": {"n_kills": 10, "n_same": 10},
}


def test_the_recordings_are_repeated_until_it_is_long_enough(
    tmp_path: Path, shared_data: Path
) -> None:
    """To the frame."""
    write_recording(tmp_path / "long.wav", 700.0)
    assert AudioFile(tmp_path / "long.wav").duration_s == 700.0


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("speed", {"times_as_fast": 59.0}),
        ("speed", {"peak_rss_gb": 1.6}),
        ("model", {"more": 0.11}),
        ("kills", {"n_same": 9}),
    ],
)
def test_one_figure_beyond_its_target_is_a_failure(part: str, value: dict[str, float]) -> None:
    """Each of the four decides."""
    assert all(headline.is_met for headline in headlines(RESULT))
    worse = {**RESULT, part: {**RESULT[part], **value}}
    assert [headline.is_met for headline in headlines(worse)].count(False) == 1
