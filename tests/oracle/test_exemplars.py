import errno
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from models.audio_file import AudioFile
from oracle.exemplars import RATE_HZ, Span, cut, locate, span_of
from oracle.provenance import Provenance
from oracle.recordings import content_sha256


def learned_from(*sources: str, sha256: tuple[str, ...] = ()) -> Provenance:
    """Say that something was learned from these."""
    return Provenance(
        encoder="{}", listener={"heard_ms": 20.0}, sources=sources, source_sha256=sha256
    )


@pytest.fixture
def ramp(tmp_path: Path) -> AudioFile:
    """Give ten seconds that rise from 0 to 1."""
    path = tmp_path / "deep" / "ramp.wav"
    path.parent.mkdir()
    soundfile.write(path, np.linspace(0, 1, 10 * 8000, dtype=np.float32), 8000, subtype="FLOAT")
    return AudioFile(path)


def test_spans_are_neither_too_short_nor_too_long() -> None:
    """And do not begin before the recording."""
    assert span_of(5.0, 0.5) == Span(4.98, 5.5)
    assert span_of(0.0, 0.0) == Span(0.0, 0.25)
    assert span_of(5.0, 60.0) == Span(4.98, 6.0)


def test_moments_are_cut_where_they_are(ramp: AudioFile) -> None:
    """In any order, across blocks, and over each other; the ends are soft."""
    spans = [Span(8.1, 8.3), Span(1.0, 2.0), Span(1.5, 1.75)]
    cuts = cut(ramp, spans)
    assert cuts.keys() == set(spans)
    for span in spans:
        frames, rate_hz = soundfile.read(io.BytesIO(cuts[span]))
        assert rate_hz == 8000
        assert len(frames) == pytest.approx((span.end_s - span.begin_s) * 8000, abs=1)
        middle = frames[len(frames) // 2]
        assert middle == pytest.approx((span.begin_s + span.end_s) / 20, abs=1e-3)
        assert frames[0] == frames[-1] == 0


def test_what_lies_behind_the_end_is_left_out(ramp: AudioFile) -> None:
    """And what lies across it is shorter."""
    across, behind = Span(9.5, 10.5), Span(11.0, 12.0)
    cuts = cut(ramp, [across, behind])
    assert cuts.keys() == {across}
    assert len(soundfile.read(io.BytesIO(cuts[across]))[0]) == 4000
    assert cut(ramp, []) == {}


def test_sounds_are_small(tmp_path: Path) -> None:
    """A high rate is not kept."""
    path = tmp_path / "high.wav"
    soundfile.write(path, np.zeros(96_000), 96_000)
    (clip,) = cut(AudioFile(path), [Span(0.0, 0.5)]).values()
    assert soundfile.info(io.BytesIO(clip)).samplerate == RATE_HZ


def test_recordings_are_found_by_name(ramp: AudioFile, tmp_path: Path) -> None:
    """In a folder of a folder, or named; what is no recording is not one."""
    (tmp_path / "notes.wav").write_text("no sound")
    sources = learned_from("live", "old/place/ramp.wav", "notes.wav")
    assert [*locate(sources, [tmp_path], {})] == [1]
    assert locate(sources, [ramp.path], {})[1].path == ramp.path
    assert locate(sources, [], {}) == {}


def test_another_recording_of_the_same_name_is_not_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that is too short is another; of two that fit, neither; the folder we are in is none."""
    for folder, seconds in (("a", 1), ("b", 3), ("c", 3)):
        (tmp_path / folder).mkdir()
        soundfile.write(tmp_path / folder / "take.wav", np.zeros(seconds * 8000), 8000)
    places = [tmp_path / folder for folder in "abc"]
    monkeypatch.chdir(places[0])
    assert locate(learned_from("take.wav"), places[:2], {0: 2.0})[0].path == places[1] / "take.wav"
    assert locate(learned_from("take.wav"), places[:2], {0: 0.5}) == {}
    assert locate(learned_from("take.wav"), places, {0: 2.0}) == {}
    assert locate(learned_from("take.wav"), places[2:], {0: 2.0})[0].path == places[2] / "take.wav"


def test_a_recording_whose_hash_was_kept_is_known_by_its_content(
    ramp: AudioFile, tmp_path: Path
) -> None:
    """Copies are the same; another of that name and length is not, nor one that was edited."""
    for folder, level in (("a", 0.1), ("b", 0.2), ("c", 0.1)):
        (tmp_path / folder).mkdir()
        soundfile.write(tmp_path / folder / "take.wav", np.full(8000, level), 8000)
    first, second, copy = (tmp_path / folder / "take.wav" for folder in "abc")
    wanted = learned_from("take.wav", "ramp.wav", sha256=(content_sha256(first),))
    assert [file.path for file in locate(wanted, [tmp_path], {}).values()] == [first, ramp.path]
    assert locate(wanted, [second, copy], {})[0].path == copy
    soundfile.write(first, np.full(8000, 0.3), 8000)
    assert locate(wanted, [first, second], {}) == {}


def test_what_cannot_be_read_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file of that name that is somebody else's, and one in a folder that is closed to us."""
    for folder in "abc":
        (tmp_path / folder).mkdir()
        soundfile.write(tmp_path / folder / "take.wav", np.full(8000, 0.1), 8000)
    meant = tmp_path / "c" / "take.wav"
    wanted = learned_from("take.wav", sha256=(content_sha256(meant),))
    monkeypatch.setattr(Path, "open", refusing("a", Path.open))
    monkeypatch.setattr(Path, "is_file", refusing("b", Path.is_file))
    assert locate(wanted, [tmp_path], {})[0].path == meant


def refusing(folder: str, call: Callable[..., Any]) -> Callable[..., Any]:
    """Make a method of paths that has no right to those in one folder."""

    def called(path: Path, *arguments: Any) -> Any:
        if path.parent.name == folder:
            raise PermissionError(errno.EACCES, "Permission denied")
        return call(path, *arguments)

    return called
