import os
from pathlib import Path

import pytest

from models.output_path import OutputPathError, require_writable


def test_a_new_file_and_an_old_one_can_be_written(tmp_path: Path) -> None:
    """Nothing is created, and nothing changes, by asking."""
    old = tmp_path / "old.mid"
    old.write_text("an older one")
    require_writable(tmp_path / "new", (".mid",))
    require_writable(old, (".mid",), sources=[tmp_path / "another"])
    assert [*tmp_path.iterdir()] == [old]
    assert old.read_text() == "an older one"


def test_a_bare_name_is_in_this_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It needs no folder of its own."""
    monkeypatch.chdir(tmp_path)
    require_writable(Path("new"), ())


def test_what_is_read_is_not_written_over(tmp_path: Path) -> None:
    """Whatever way leads there."""
    source = tmp_path / "source"
    source.write_text("mine")
    (tmp_path / "link").symlink_to(source)
    for same in (source, tmp_path / "link", tmp_path / ".." / tmp_path.name / "source"):
        with pytest.raises(OutputPathError, match="is read as well as written: choose another"):
            require_writable(same, ("",), sources=[source])


def test_a_file_of_another_kind_is_not_written_over(tmp_path: Path) -> None:
    """A recording that was named in the wrong place is worth more than what would replace it."""
    song = tmp_path / "song.FLAC"
    song.write_text("mine")
    with pytest.raises(OutputPathError, match=r"song\.FLAC is there already, and is no \.mid or"):
        require_writable(song, (".mid", ".midi"))
    require_writable(tmp_path / "new.flac", (".mid", ".midi"))


def test_a_folder_is_refused(tmp_path: Path) -> None:
    """It is no file."""
    with pytest.raises(OutputPathError, match="is a folder: give the name of a file"):
        require_writable(tmp_path, ())


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    """The sentence names it."""
    with pytest.raises(OutputPathError, match=r"There is no folder .*nowhere: create it"):
        require_writable(tmp_path / "nowhere" / "new", ())


def test_what_is_no_file_is_not_replaced(tmp_path: Path) -> None:
    """A pipe, or /dev/null, would be gone for everybody."""
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path(os.devnull)):
        with pytest.raises(OutputPathError, match="is no file that could be replaced"):
            require_writable(path, ())


def test_a_folder_that_is_not_ours_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is tried, as a right alone says nothing of a read-only disk."""

    def refuse(dir: Path) -> None:
        raise PermissionError

    monkeypatch.setattr("tempfile.TemporaryFile", refuse)
    with pytest.raises(OutputPathError, match="is not writable: choose another"):
        require_writable(tmp_path / "new", (".mid",))
