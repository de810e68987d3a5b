from pathlib import Path

import matplotlib.image
import numpy as np
import pytest

from realtime.picture import N_COLUMNS, Picture, beats_s
from tests.oracle.memories import make_event

RATE_HZ = 8000


def test_beats_go_on_from_event_to_event() -> None:
    """At 120 bpm one in half a second, from where the phase says; none where it is missing."""
    heard = {"log2_tempo": np.log2(120.0), "beat_phase": 0.5}
    events = [make_event(index=1, **heard), make_event(index=4), make_event(index=8, **heard)]
    assert list(beats_s(events)) == pytest.approx([0.5])
    late = make_event(index=2, log2_tempo=np.log2(240.0), beat_phase=0.0)
    assert list(beats_s([late, make_event(index=4)])) == pytest.approx([0.5, 0.75])
    assert list(beats_s([])) == []


@pytest.mark.parametrize("seconds", [0.0, 0.01, 2.0])
def test_an_input_of_any_length_is_drawn(seconds: float, tmp_path: Path) -> None:
    """Even of none."""
    picture = Picture(RATE_HZ)
    picture.take(np.ones(round(seconds * RATE_HZ), np.float32))
    picture.draw([], "nothing", tmp_path / "a.png")
    assert matplotlib.image.imread(tmp_path / "a.png").shape[0] > 100


def test_a_tone_is_drawn_at_its_pitch(tmp_path: Path) -> None:
    """And a note heard of it as a line there."""
    picture = Picture(RATE_HZ)
    time_s = np.arange(2 * RATE_HZ) / RATE_HZ
    picture.take((0.5 * np.sin(2 * np.pi * 440 * time_s)).astype(np.float32))
    brightest = picture.pitches[np.argmax(picture.columns[4:].max(axis=0))]
    assert brightest == pytest.approx(69, abs=0.5)
    picture.draw([make_event(pitch=69.0)], "a tone", tmp_path / "a.svg")
    assert "a tone" in (tmp_path / "a.svg").read_text()


def test_a_long_input_is_drawn_in_as_many_columns_as_a_short_one() -> None:
    """Two become one, and the loudest stays."""
    picture = Picture(RATE_HZ)
    hop = RATE_HZ // 43  # about
    click = np.zeros(RATE_HZ, np.float32)
    click[0] = 1.0
    picture.take(click)
    for _ in range(3 * N_COLUMNS * hop // (16 * RATE_HZ) + 1):
        picture.take(np.zeros(16 * RATE_HZ, np.float32))
    assert N_COLUMNS // 2 <= len(picture.columns) <= N_COLUMNS
    assert picture.columns[0].max() > 0.1
