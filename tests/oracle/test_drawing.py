from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import matplotlib.image
import numpy as np
import pytest

from oracle.drawing import N_TOLD_APART, draw
from oracle.memory_file import MemoryFileError
from tests.oracle.memories import make_memory, melody

TUNE = [60, 62, 64, 65, 67, 60, 62, 64, 69]


@pytest.mark.parametrize("n", [0, 1, 20, N_TOLD_APART - 1, N_TOLD_APART, 2000])
def test_any_size_is_drawn_above_and_below_the_line(n: int, tmp_path: Path) -> None:
    """In blue and in red, on white; of nothing there is only the root."""
    draw(make_memory(melody([TUNE[i * i % 9] for i in range(n)])), tmp_path / "a.png")
    picture = matplotlib.image.imread(tmp_path / "a.png")[..., :3]
    red, _, blue = np.moveaxis(picture, -1, 0)
    rows = np.arange(len(picture))[:, np.newaxis] + np.zeros_like(red)
    assert picture.max() == 1
    if n > 1:
        above, below = rows[blue > red + 0.05], rows[red > blue + 0.05]
        assert above.size > 100
        assert below.size > 100
        assert above.mean() < below.mean()


def test_a_small_oracle_is_drawn_with_all_its_states_and_notes(tmp_path: Path) -> None:
    """Numbers in circles, the notes on the way; SVG keeps both."""
    draw(make_memory(melody(TUNE)), tmp_path / "a.svg")
    text = (tmp_path / "a.svg").read_text()
    assert ET.fromstring(text).tag.endswith("svg")
    for said in ("<!-- 0 -->", "<!-- 9 -->", "<!-- C4 -->", "<!-- A4 -->"):
        assert said in text


def test_a_large_oracle_says_when_its_events_were_played_and_in_what(tmp_path: Path) -> None:
    """Where there are several recordings each one's name stands where it begins."""
    memory = make_memory(melody([TUNE[i * i % 9] for i in range(100)]))
    source = memory.add_source("two.wav")
    for event in melody(TUNE):
        memory.learn(replace(event, source=source))
    draw(memory, tmp_path / "a.svg")
    text = (tmp_path / "a.svg").read_text()
    said = {name: text.count(f"<!--  {name} -->") for name in ("one.wav", "two.wav")}
    assert said == {"one.wav": 1, "two.wav": 1}
    assert "<!-- 0:04.75 -->" in text  # event 20, a quarter of a second each


def test_what_cannot_be_written_is_said(tmp_path: Path) -> None:
    """And nothing is left behind."""
    with pytest.raises(MemoryFileError, match="cannot be written"):
        draw(make_memory(melody(TUNE)), tmp_path / "none" / "a.png")
    assert not list(tmp_path.iterdir())
