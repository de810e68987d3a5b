"""MIDI file: a performance kept whole, or not at all."""

import errno
import os
from pathlib import Path

import mido
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oracle.event import Note
from realtime.midi import NotePlayer
from realtime.midi_file import TICKS_PER_S, MidiFileError, MidiFileSink
from tests.realtime.midi_doubles import HandScheduler


def performed(path: Path) -> bytes:
    """Perform three notes into a file and give its bytes."""
    scheduler = HandScheduler()
    with NotePlayer([MidiFileSink(path)], scheduler) as player:
        player.play([Note(60, 64, 0.5), Note(64, 80, 0.25)])
        scheduler.advance(1)
        player.play([Note(67, 100, 9)])
        scheduler.advance(0.5)
    return path.read_bytes()


def test_a_silent_performance_is_a_valid_file(tmp_path: Path) -> None:
    """No message at all still opens in any program."""
    path = tmp_path / "silence.mid"
    MidiFileSink(path).close()
    assert mido.MidiFile(path).length == 0


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


def test_the_file_appears_only_at_the_close(tmp_path: Path) -> None:
    """Until then nothing is written, and afterwards nothing but the file is there."""
    path = tmp_path / "p.mid"
    sink = MidiFileSink(path)
    sink.send((0x90, 60, 64), 0.0)
    assert list(tmp_path.iterdir()) == []
    sink.close()
    assert list(tmp_path.iterdir()) == [path]


def test_a_second_close_does_not_write_again(tmp_path: Path) -> None:
    """What the musician has moved away does not come back."""
    path = tmp_path / "p.mid"
    sink = MidiFileSink(path)
    sink.close()
    path.unlink()
    sink.close()
    assert not path.exists()


def test_an_older_performance_survives_a_full_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The older file is untouched, the partial one is gone, and one sentence says why."""
    path = tmp_path / "p.mid"
    before = performed(path)

    def refuse(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("os.fsync", refuse)
    with pytest.raises(MidiFileError, match=r"p\.mid \(No space left on device\): free some space"):
        MidiFileSink(path).close()
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_is_refused_before_the_first_note(tmp_path: Path) -> None:
    """Better before the concert than after it."""
    with pytest.raises(MidiFileError, match="is a folder: give the name of a MIDI file"):
        MidiFileSink(tmp_path)


def test_a_missing_folder_is_refused_before_the_first_note(tmp_path: Path) -> None:
    """The message names the folder to create."""
    with pytest.raises(MidiFileError, match=r"There is no folder .*nowhere: create it"):
        MidiFileSink(tmp_path / "nowhere" / "p.mid")


def test_a_folder_that_is_not_ours_is_refused_before_the_first_note(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder without the right to write is named."""
    monkeypatch.setattr("os.access", lambda path, mode: False)
    with pytest.raises(MidiFileError, match="is not writable: choose another"):
        MidiFileSink(tmp_path / "p.mid")
