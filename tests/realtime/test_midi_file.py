"""MIDI file: a performance kept whole, or not at all."""

import errno
import os
from pathlib import Path

import mido
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.output_path import OutputPathError
from oracle.event import Note
from realtime.midi import NotePlayer
from realtime.midi_file import TICKS_PER_S, MidiFileError, MidiFileSink
from tests.realtime.midi_doubles import HandScheduler


def performed(path: Path) -> bytes:
    """Perform three notes into a file and give its bytes."""
    scheduler = HandScheduler()
    sink = MidiFileSink(path)
    with NotePlayer([sink], scheduler) as player:
        player.play([Note(60, 64, 0.5), Note(64, 80, 0.25)])
        scheduler.advance(1)
        player.play([Note(67, 100, 9)])
        scheduler.advance(0.5)
    assert sink.keep()
    return path.read_bytes()


def struck(path: Path) -> MidiFileSink:
    """Give a sink that has been sent one note."""
    sink = MidiFileSink(path)
    sink.send((0x90, 60, 64), 0.0)
    sink.send((0x80, 60, 0), 1.0)
    return sink


def test_a_silent_performance_writes_nothing(tmp_path: Path) -> None:
    """Where no note began, an older performance is worth more."""
    path = tmp_path / "p.mid"
    before = performed(path)
    sink = MidiFileSink(path)
    sink.send((0xB0, 123, 0), 0.0)
    sink.close()
    assert not sink.keep()
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_what_was_never_closed_cannot_be_kept(tmp_path: Path) -> None:
    """Half a performance never takes a whole one's place."""
    sink = struck(tmp_path / "p.mid")
    assert not sink.keep()
    assert list(tmp_path.iterdir()) == []


def test_notes_are_where_they_were_played(tmp_path: Path) -> None:
    """Read back, each message is at its second; the last note is ended by the close."""
    performed(tmp_path / "p.mid")
    now_s = 0.0
    heard = []
    for message in mido.MidiFile(tmp_path / "p.mid"):
        now_s += message.time
        if message.type.startswith("note"):
            heard.append((now_s, message.type, message.note, message.velocity))
    expected = [
        (0.0, "note_on", 60, 64),
        (0.0, "note_on", 64, 80),
        (0.25, "note_off", 64, 0),
        (0.5, "note_off", 60, 0),
        (1.0, "note_on", 67, 100),
        (1.5, "note_off", 67, 0),
    ]
    assert [entry[1:] for entry in heard] == [entry[1:] for entry in expected]
    assert [entry[0] for entry in heard] == pytest.approx([entry[0] for entry in expected])


def test_the_same_performance_gives_the_same_bytes(tmp_path: Path) -> None:
    """Nothing of the day, the machine or the path is in the file."""
    assert performed(tmp_path / "a.mid") == performed(tmp_path / "b.mid")


@given(st.lists(st.floats(0, 20_000), max_size=30).map(sorted))
def test_no_rounding_adds_up(times_s: list[float]) -> None:
    """After any number of messages the last is within half a tick of its time."""
    sink = MidiFileSink(Path("never-written.mid"))
    for at_s in times_s:
        sink.send((0x90, 60, 64), at_s)
    track = sink._midi_file().tracks[0]
    ticks = sum(message.time for message in track)
    assert abs(ticks - (times_s[-1] if times_s else 0) * TICKS_PER_S) <= 0.5


def test_the_file_appears_only_when_it_is_kept(tmp_path: Path) -> None:
    """Until then it is beside its place, and afterwards nothing else is there."""
    path = tmp_path / "p.mid"
    sink = struck(path)
    assert list(tmp_path.iterdir()) == []
    sink.close()
    assert list(tmp_path.iterdir()) == [sink.unfinished] == [tmp_path / "p.unfinished.mid"]
    assert sink.keep()
    assert list(tmp_path.iterdir()) == [path]


def test_a_failed_performance_stays_beside_an_older_one(tmp_path: Path) -> None:
    """What is never told to be kept overwrites nothing, and is not lost either."""
    path = tmp_path / "p.mid"
    before = performed(path)
    sink = struck(path)
    sink.close()
    assert sink.is_unfinished
    assert path.read_bytes() == before
    assert mido.MidiFile(sink.unfinished).length == pytest.approx(1.0)


def test_a_second_close_does_not_write_again(tmp_path: Path) -> None:
    """What the musician has moved away does not come back."""
    path = tmp_path / "p.mid"
    sink = struck(path)
    sink.close()
    sink.keep()
    path.unlink()
    sink.close()
    assert not sink.keep()
    assert list(tmp_path.iterdir()) == []


def test_an_older_performance_survives_a_full_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The older file is untouched, the partial one is gone, and one sentence says why."""
    path = tmp_path / "p.mid"
    before = performed(path)

    def refuse(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("os.fsync", refuse)
    with pytest.raises(
        MidiFileError, match=r"p\.unfinished\.mid \(No space left on device\): free some space"
    ):
        struck(path).close()
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_place_that_is_taken_by_a_folder_keeps_the_performance(tmp_path: Path) -> None:
    """Even then it is not lost."""
    path = tmp_path / "p.mid"
    sink = struck(path)
    sink.close()
    path.mkdir()
    with pytest.raises(
        MidiFileError, match=r"could not be moved .*: it is in .*p\.unfinished\.mid"
    ):
        sink.keep()
    assert sink.unfinished.exists()


def test_a_folder_is_refused_before_the_first_note(tmp_path: Path) -> None:
    """Better before the concert than after it."""
    with pytest.raises(OutputPathError, match="is a folder: give the name of a file"):
        MidiFileSink(tmp_path)


def test_a_missing_folder_is_refused_before_the_first_note(tmp_path: Path) -> None:
    """The message names the folder to create."""
    with pytest.raises(OutputPathError, match=r"There is no folder .*nowhere: create it"):
        MidiFileSink(tmp_path / "nowhere" / "p.mid")


def test_a_folder_that_is_not_ours_is_refused_before_the_first_note(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder without the right to write is named."""

    def refuse(dir: Path) -> None:
        raise PermissionError

    monkeypatch.setattr("tempfile.TemporaryFile", refuse)
    with pytest.raises(OutputPathError, match="is not writable: choose another"):
        MidiFileSink(tmp_path / "p.mid")
