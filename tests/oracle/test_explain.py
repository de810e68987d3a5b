import re
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest
import soundfile

from oracle.explain import main
from oracle.gesture_page import hue, plane
from oracle.memory_json import write_json
from tests.commands import assert_refused, in_process
from tests.oracle.memories import make_event, make_memory, melody

TUNE = [60, 62, 64, 60, 62, 60]


@pytest.fixture
def memory_path(tmp_path: Path) -> Path:
    """Save a melody learned from ``one.wav``, which is in another folder."""
    make_memory(melody(TUNE)).save(tmp_path / "a.memory")
    (tmp_path / "recordings").mkdir()
    soundfile.write(tmp_path / "recordings" / "one.wav", np.full(16_000, 0.5), 8000)
    return tmp_path / "a.memory"


def test_a_token_is_explained(memory_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every figure of it, and every place."""
    ended = in_process(main, [memory_path, "--token", 2], capsys)
    assert ended.code == 0
    assert ended.out.splitlines() == [
        "token            2: 2 of 6 events (33.3%)",
        "pitch classes    D 2",
        "level            -20 to -20 dBFS, median -20",
        "since last note  0.25 to 0.25 s, median 0.25",
        "sounds like      token 0, 3 events, 2 away",
        "sounds like      token 4, 1 events, 2 away",
        "exemplar         0:00.25 to 0:00.50 of one.wav: D4",
        "exemplar         0:01.00 to 0:01.25 of one.wav: D4",
        "occurs           0:00.25 to 0:00.50 of one.wav: D4",
        "occurs           0:01.00 to 0:01.25 of one.wav: D4",
    ]


def test_without_options_all_are_told_in_a_line_each(
    memory_path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The most used first; of an exported memory too."""
    write_json(make_memory([*melody(TUNE), make_event(9)]), tmp_path / "a.json")
    lines = in_process(main, [tmp_path / "a.json"], capsys).out.splitlines()
    assert [line.split()[1] for line in lines] == ["0", "2", "4", "9"]
    assert lines[0].endswith("C 3")
    assert lines[-1].endswith("no pitch")


class Page(HTMLParser):
    """Counts what is on a page, and refuses elements that are not closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Open an element."""
        self.seen.append((tag, dict(attrs)))
        if tag != "meta":
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """See an element that is closed at once."""
        self.seen.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        """Close the newest element."""
        assert self.open.pop() == tag


def test_the_page_shows_and_plays_every_gesture(
    memory_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One card each, one circle each, a sound for each exemplar, and nothing from elsewhere."""
    target = memory_path.with_suffix(".html")
    options = [memory_path, "--html", target, "--recordings", memory_path.parent / "recordings"]
    ended = in_process(main, options, capsys)
    assert (ended.code, ended.out) == (0, f"The page is {target}.\n")
    text = target.read_text(encoding="utf-8")
    assert text.count("Gestures of a.memory") == 2
    page = Page(text.removeprefix("<!doctype html>") + "</html>")
    tags = [tag for tag, _ in page.seen]
    assert tags.count("article") == tags.count("circle") == 3
    assert sum("data-sound" in attributes for _, attributes in page.seen) == len(TUNE)
    assert not re.search(r'(?:src|href)="(?!#)', text)
    for svg in re.findall(r"<svg.*?</svg>", text, re.DOTALL):
        ET.fromstring(svg)


def test_recordings_that_are_gone_are_said(
    memory_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The page is there all the same, only silent."""
    (memory_path.parent / "recordings" / "one.wav").unlink()
    target = memory_path.with_suffix(".html")
    ended = in_process(main, [memory_path, "--html", target], capsys)
    assert ended.code == 0
    assert f"Without sound: one.wav as it was learned is not in {memory_path.parent}:" in ended.out
    assert ended.out.splitlines()[0].endswith("--recordings FOLDER.")
    assert "Not found, and so without sound: one.wav." in target.read_text(encoding="utf-8")


def test_a_recording_that_is_damaged_has_no_sound(
    memory_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Known by its name and length only, it may be; the page is there all the same."""
    recording, target = (
        memory_path.parent / "recordings" / "one.wav",
        memory_path.with_suffix(".html"),
    )
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, 16_000)
    soundfile.write(recording, noise, 8000, format="FLAC")
    recording.write_bytes(recording.read_bytes()[: recording.stat().st_size // 4])
    options = [memory_path, "--html", target, "--recordings", recording.parent]
    ended = in_process(main, options, capsys)
    assert ended.code == 0
    assert "Without sound: one.wav" in ended.out
    assert "data-sound=" not in target.read_text(encoding="utf-8")


def test_names_cannot_break_the_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A musician may call a memory what he likes."""
    make_memory(melody(TUNE)).save(tmp_path / "<b>&.memory")
    in_process(main, [tmp_path / "<b>&.memory", "--html", tmp_path / "a.html"], capsys)
    assert "<b>" not in (tmp_path / "a.html").read_text(encoding="utf-8")


def test_a_memory_of_nothing_has_a_page_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With no gesture on it."""
    make_memory([]).save(tmp_path / "a.memory")
    assert (
        in_process(main, [tmp_path / "a.memory", "--html", tmp_path / "a.html"], capsys).code == 0
    )
    assert "0 notes and sounds, told apart as 0 of 16" in (tmp_path / "a.html").read_text(
        encoding="utf-8"
    )


def test_neighbours_on_the_circle_of_fifths_have_near_colours() -> None:
    """C and G are 30° apart, C and F♯ opposite; what is everywhere is nowhere."""
    hues = {pitch: hue(np.eye(12, dtype=np.int64)[pitch]) for pitch in (0, 7, 6)}
    assert hues == {0: 0, 7: pytest.approx(30), 6: pytest.approx(180)}
    assert hue(np.zeros(12, np.int64)) is None
    assert hue(np.ones(12, np.int64)) is None


@pytest.mark.parametrize("shape", [(0, 3), (1, 3), (5, 1), (5, 8)])
def test_centroids_of_any_number_lie_in_the_plane(shape: tuple[int, int]) -> None:
    """Within the unit square; of one dimension on a line."""
    places = plane(np.random.default_rng(0).normal(size=shape).astype(np.float32))
    assert places.shape == (shape[0], 2)
    assert ((places >= 0) & (places <= 1)).all()
    if shape == (5, 1):
        assert set(places[:, 1]) == {0.5}


def test_what_cannot_be_explained_is_refused_in_one_sentence(
    memory_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """No memory, no such token, no page; nothing is written."""
    refused: list[tuple[list[object], str]] = [
        (["none.memory"], "There is no memory at"),
        ([memory_path, "--token", 16], "token must be 0…15, got 16"),
        ([memory_path, "--token", "x"], "invalid int value"),
        ([memory_path, "--html", memory_path.with_name("none") / "a.html"], "There is no folder"),
        ([memory_path, "--html", memory_path], "read as well as written"),
    ]
    for arguments, match in refused:
        assert_refused(in_process(main, arguments, capsys), match)
