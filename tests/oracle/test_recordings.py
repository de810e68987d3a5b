from pathlib import Path

import pytest

from models.errors import AudioFileError
from oracle.errors import TrainingError
from oracle.recordings import Recordings, content_sha256, find_recordings
from tests.commands import recorded


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give a folder with three recordings, one that is none, and other things."""
    for name in ("b.wav", "a.FLAC", "c/d.wav"):
        recorded(tmp_path / name)
    (tmp_path / "e.wav").write_text("la la la")
    (tmp_path / "notes.txt").write_text("by heart")
    (tmp_path / "._b.wav").write_bytes(b"\0\5\26\7")
    return tmp_path


def names(found: Recordings, folder: Path) -> list[str]:
    """Name what was found, from the folder on."""
    return [file.path.relative_to(folder).as_posix() for file in found.files]


def test_a_folder_gives_its_recordings_by_name(folder: Path) -> None:
    """Also those in folders of its own, whatever the case; other files and hidden ones are not."""
    found = find_recordings([folder])
    assert names(found, folder) == ["a.FLAC", "b.wav", "c/d.wav"]
    assert len(found.refused) == 1
    assert "e.wav cannot be read as audio" in found.refused[0]


def test_a_pattern_gives_what_it_matches_and_what_is_in_its_folders(folder: Path) -> None:
    """For those whose shell leaves it as it is."""
    assert names(find_recordings([f"{folder}/[ab]*"]), folder) == ["a.FLAC", "b.wav"]
    assert names(find_recordings([f"{folder}/**/d.*"]), folder) == ["c/d.wav"]
    assert names(find_recordings([f"{folder}/?"]), folder) == ["c/d.wav"]


def test_a_file_may_be_called_like_a_pattern(tmp_path: Path) -> None:
    """What is there is meant."""
    path = recorded(tmp_path / "take [2].wav")
    assert [file.path for file in find_recordings([path]).files] == [path]


def test_recordings_are_found_in_the_order_they_are_named(folder: Path) -> None:
    """Files and folders may be mixed, and one may be named twice."""
    found = find_recordings([folder / "b.wav", folder / "c", folder / "b.wav"])
    assert names(found, folder) == ["b.wav", "c/d.wav", "b.wav"]
    assert found.refused == ()


def test_what_was_named_must_be_there(folder: Path) -> None:
    """Also where others are."""
    with pytest.raises(AudioFileError, match=r"none\.wav is not a file: check the name"):
        find_recordings([folder / "b.wav", folder / "none.wav"])
    with pytest.raises(TrainingError, match=r"There is no recording in .*\*\.mp3: name a file"):
        find_recordings([folder / "b.wav", f"{folder}/*.mp3"])
    with pytest.raises(AudioFileError, match=r"e\.wav cannot be read as audio"):
        find_recordings([folder / "e.wav"])


def test_a_recording_is_known_by_its_content(folder: Path) -> None:
    """Wherever it lies; once it is gone, that is said."""
    assert content_sha256(folder / "b.wav") == content_sha256(folder / "c" / "d.wav")
    assert content_sha256(folder / "b.wav") != content_sha256(folder / "a.FLAC")
    with pytest.raises(AudioFileError, match=r"cannot be read \(No such file"):
        content_sha256(folder / "gone.wav")
