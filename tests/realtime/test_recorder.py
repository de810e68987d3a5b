"""What is kept of a performance, and that keeping it never holds it up."""

import errno
import json
import resource
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
import structlog
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from realtime import backoff
from realtime import recorder as recorder_module
from realtime.midi import NOTE_ON
from realtime.panic import NOTE_OFF
from realtime.recorder import Recorder, remedy
from realtime.ring import Consumer, Observer, Producer, make_ring
from realtime.session_format import AUDIO, LINES, MIDI, REST, joined, part_name, split
from realtime.session_part import SessionPart
from tests.realtime.stage_doubles import attack

RATE_HZ = 48_000
FULL = Path("/dev/full")
TIMEOUT_S = 10.0


def wait_until(has_come: Callable[[], bool]) -> None:
    """Wait for the recorder's thread."""
    deadline_s = time.monotonic() + TIMEOUT_S
    while not has_come():
        assert time.monotonic() < deadline_s
        time.sleep(0.01)


@pytest.fixture
def ring() -> tuple[Producer, Consumer]:
    """Give the audio ring of a performance."""
    return make_ring(1 << 14, np.float32)


def make_recorder(folder: Path, ring: tuple[Producer, Consumer]) -> Recorder:
    """Record in a folder."""
    return Recorder(folder, Observer(ring[0].ring), RATE_HZ)


def noise(n_frames: int) -> NDArray[np.float32]:
    """Give frames that no converter made."""
    return np.random.default_rng(0).uniform(-1, 1, n_frames).astype(np.float32)


def written(folder: Path) -> NDArray[np.float32]:
    """Read the sound as replay does."""
    frames, rest = (soundfile.read(folder / name, dtype="float32")[0] for name in (AUDIO, REST))
    return joined(frames, rest)


@given(st.floats(-1, 1, width=32, exclude_max=True).filter(lambda x: x == 0 or abs(x) > 2**-23))
def test_sound_is_kept_to_the_last_bit(value: float) -> None:
    """Down to a level that is 140 dB below full scale."""
    frames = np.array([value], np.float32)
    steps, rest = (part / np.float32(1 << 23) for part in split(frames))
    assert joined(steps.astype(np.float32), rest.astype(np.float32)) == frames


def test_what_came_from_a_converter_leaves_no_rest() -> None:
    """The second file is then next to nothing; what is over full scale is cut off."""
    steps = np.array([-(1 << 23), -1, 0, 12345, (1 << 23) - 1])
    kept, rest = split((steps / (1 << 23)).astype(np.float32))
    assert (kept == steps).all()
    assert (rest == 0).all()
    assert split(np.array([7.0], np.float32))[0] == (1 << 23) - 1


def test_nothing_is_recorded_as_nothing(tmp_path: Path, ring: tuple[Producer, Consumer]) -> None:
    """Ended as soon as it was begun."""
    recorder = make_recorder(tmp_path, ring)
    recorder.start()
    recorder.finish()
    assert recorder.error is None
    assert (tmp_path / LINES).read_text() == ""
    assert not (tmp_path / MIDI).exists()


def test_what_makes_no_line_is_lost_alone(tmp_path: Path, ring: tuple[Producer, Consumer]) -> None:
    """It is counted, and what came before and after it is kept in one part."""
    recorder = make_recorder(tmp_path, ring)
    for value in (1, object(), 3):
        recorder.record("note", value=value)
    recorder.start()
    recorder.finish()
    *kept, lost = map(json.loads, (tmp_path / LINES).read_text().splitlines())
    assert [line["value"] for line in kept] == [1, 3]
    assert (lost["kind"], lost["n_lines"]) == ("lost", 1)
    assert (recorder.error, recorder.n_parts, recorder.n_lost_lines) == (None, 1, 1)


def test_sound_notes_and_decisions_are_kept(
    tmp_path: Path, ring: tuple[Producer, Consumer]
) -> None:
    """In order, whatever came before or after the thread began; NaN is null."""
    recorder, frames = make_recorder(tmp_path, ring), noise(10_000)
    recorder.record("attack", attack=attack(3, pitch=np.nan))
    ring[0].push_nowait(frames[:4000])
    recorder.start()
    ring[0].push_nowait(frames[4000:])
    recorder.send((NOTE_ON, 60, 64), 0.5)
    recorder.send((NOTE_OFF, 60, 0), 0.75)
    recorder.finish()
    assert np.array_equal(written(tmp_path), frames)
    first, *others = map(json.loads, (tmp_path / LINES).read_text().splitlines())
    assert (first["kind"], first["attack"]["index"], first["attack"]["pitch"]) == (
        "attack",
        3,
        None,
    )
    assert [line["message"] for line in others] == [[NOTE_ON, 60, 64], [NOTE_OFF, 60, 0]]
    assert (tmp_path / MIDI).read_bytes().startswith(b"MThd")


def test_frames_that_were_overwritten_are_silence_and_counted(
    tmp_path: Path, ring: tuple[Producer, Consumer]
) -> None:
    """So that what comes after them keeps its position."""
    producer, consumer = ring
    frames = noise(1 << 15)
    for half in np.split(frames, 2):
        producer.push_nowait(half)
        consumer.pop_nowait()
    recorder = make_recorder(tmp_path, ring)
    recorder.start()
    recorder.finish()
    assert recorder.n_lost_frames == 1 << 14
    assert not written(tmp_path)[: 1 << 14].any()
    assert np.array_equal(written(tmp_path)[1 << 14 :], frames[1 << 14 :])
    (lost,) = map(json.loads, (tmp_path / LINES).read_text().splitlines())
    assert lost == {"kind": "lost", "n_lines": 0, "n_frames": 1 << 14}


def test_a_queue_that_is_full_refuses_and_counts(
    tmp_path: Path, ring: tuple[Producer, Consumer], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It never waits for the thread, which does not even run."""
    monkeypatch.setattr(recorder_module, "N_WAITING", 10)
    recorder = make_recorder(tmp_path, ring)
    for _ in range(13):
        recorder.record("token")
    assert recorder.n_lost_lines == 3
    recorder.start()
    recorder.finish()
    assert len((tmp_path / LINES).read_text().splitlines()) == 11  # and that three were lost


@pytest.mark.skipif(not FULL.exists(), reason="needs /dev/full")
@pytest.mark.parametrize("name", [LINES, AUDIO, REST])
def test_after_a_full_disk_it_goes_on_in_a_new_part(
    name: str,
    tmp_path: Path,
    ring: tuple[Producer, Consumer],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With the sound from then on and all that was noted; the change is said, each way once."""
    monkeypatch.setattr(backoff, "FIRST_S", 0.0)
    (tmp_path / name).symlink_to(FULL)
    frames = noise(1 << 13)
    recorder = make_recorder(tmp_path, ring)
    is_full = threading.Event()
    is_full.set()
    monkeypatch.setattr(recorder, "_has_room", lambda: not is_full.is_set())
    ring[0].push_nowait(frames)
    ring[1].release(frames.size)
    with structlog.testing.capture_logs() as logs:
        recorder.record("token", index=1)
        recorder.start()
        wait_until(lambda: recorder.error is not None)
        recorder.record("token", index=2)
        ring[0].push_nowait(frames)
        is_full.clear()
        wait_until(lambda: recorder.n_parts == 2)
        ring[1].release(frames.size)
        ring[0].push_nowait(frames[:100])
        recorder.send((NOTE_ON, 60, 64), 0.5)
        recorder.finish()
    assert [log["event"] for log in logs] == ["recorder.paused", "recorder.resumed"]
    assert "(No space left on device: free some space)" in logs[0]["notice"]
    assert recorder.error is None
    names = [part_name(each, 2) for each in (LINES, AUDIO, REST)]
    part, *lines = map(json.loads, (tmp_path / names[0]).read_text().splitlines())
    assert (part["kind"], part["number"]) == ("part", 2)
    first_frame = part["first_frame"]
    sound = joined(*(soundfile.read(tmp_path / each, dtype="float32")[0] for each in names[1:]))
    heard = np.concatenate([frames, frames, frames[:100]])
    assert np.array_equal(sound, heard[first_frame:])
    assert first_frame in (2 << 13, (2 << 13) + 100)
    noted = [line["index"] for line in lines if line["kind"] == "token"]
    assert noted == [1, 2]
    assert (tmp_path / MIDI).exists()


@pytest.mark.skipif(not FULL.exists(), reason="needs /dev/full")
def test_a_disk_that_stays_full_ends_nothing_but_the_recording(
    tmp_path: Path, ring: tuple[Producer, Consumer], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The thread ends with the performance; what is noted is taken up to a number."""
    monkeypatch.setattr(recorder_module, "N_WAITING", 3)
    (tmp_path / LINES).symlink_to(FULL)
    recorder = make_recorder(tmp_path, ring)
    monkeypatch.setattr(recorder, "_has_room", lambda: False)
    recorder.record("token", index=0)
    recorder.start()
    wait_until(lambda: recorder.error is not None)
    for index in range(5):
        recorder.record("token", index=index)
    recorder.finish()
    assert recorder.error is not None
    assert recorder.n_lost_lines == 3
    assert "recorder" not in {thread.name for thread in threading.enumerate()}


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(errno.EDQUOT, "Disk quota exceeded"), "Disk quota exceeded: free some space"),
        (OSError(errno.EFBIG, "File too large"), "File too large: free some space"),
        (OSError(errno.EIO, "Input/output error"), "Input/output error"),
        (OSError("gone"), "gone"),
        (RuntimeError("no flac"), "RuntimeError: no flac"),
    ],
)
def test_space_is_asked_for_only_where_there_is_none(error: Exception, said: str) -> None:
    """What else is wrong is said as the system says it."""
    assert remedy(error) == said


def test_notes_that_find_no_file_leave_the_recording_whole(
    tmp_path: Path, ring: tuple[Producer, Consumer]
) -> None:
    """There is no second part, and they are in the lines of the first."""
    (tmp_path / MIDI).mkdir()
    recorder = make_recorder(tmp_path, ring)
    recorder.start()
    recorder.send((NOTE_ON, 60, 64), 0.5)
    assert recorder.finish()
    assert (recorder.error, recorder.n_parts) == (None, 1)
    assert "output.mid" in str(recorder.midi_error)
    assert {path.name for path in tmp_path.iterdir()} == {AUDIO, REST, LINES, MIDI}
    (note,) = map(json.loads, (tmp_path / LINES).read_text().splitlines())
    assert note["message"] == [NOTE_ON, 60, 64]


def test_lines_that_find_no_room_are_not_half_there(tmp_path: Path) -> None:
    """Not even when the disk takes some of them before it is full."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    with SessionPart(tmp_path, 1, RATE_HZ) as part:
        part.write_lines("first\n")
        resource.setrlimit(resource.RLIMIT_FSIZE, (10, limits[1]))
        try:
            with pytest.raises(OSError, match="File too large"):
                part.write_lines("second\nthird\n")
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        part.write_lines("fourth\n")
    assert (tmp_path / LINES).read_text() == "first\nfourth\n"


def test_a_sound_that_finds_no_room_says_what_the_system_said(tmp_path: Path) -> None:
    """Not libsndfile's "System error"."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with (
            pytest.raises(OSError, match="File too large"),
            SessionPart(tmp_path, 1, RATE_HZ) as part,
        ):
            part.write_audio(noise(1 << 16))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
