"""What is kept of a performance, and that keeping it never holds it up."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.output_path import OutputPathError
from realtime import recorder as recorder_module
from realtime.config import Config
from realtime.doorbell import Doorbell
from realtime.midi import NOTE_ON
from realtime.panic import NOTE_OFF
from realtime.recorder import Recorder, Tap, recorded
from realtime.ring import Consumer, Observer, Producer, make_ring
from realtime.session_format import AUDIO, LINES, MIDI, REST, joined, split
from tests.oracle.memories import make_memory, melody
from tests.realtime.performing import BurstSource
from tests.realtime.stage_doubles import attack

RATE_HZ = 48_000
FULL = Path("/dev/full")


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
def test_a_full_disk_ends_the_recording_and_nothing_else(
    name: str, tmp_path: Path, ring: tuple[Producer, Consumer]
) -> None:
    """Whatever is noted afterwards is taken, and forgotten."""
    (tmp_path / name).symlink_to(FULL)
    recorder = make_recorder(tmp_path, ring)
    recorder.start()
    for _ in range(2000):
        recorder.record("token", index=1)
    ring[0].push_nowait(noise(1 << 14))
    recorder.finish()
    assert recorder.error is not None
    recorder.record("token", index=2)
    recorder.finish()
    assert "recorder" not in {thread.name for thread in threading.enumerate()}


@contextmanager
def recording(parent: Path | None, said: list[str]) -> Iterator[Tap]:
    """Record a performance to silence."""
    source = BurstSource(np.zeros(0, np.float32), RATE_HZ, Doorbell(), is_endless=True)
    with recorded(
        parent,
        about={"input": "burst"},
        config=Config(),
        memories=[make_memory(melody([60, 62]))],
        seed=7,
        source=source,
        tell=said.append,
    ) as tap:
        yield tap


def test_a_performance_that_is_not_recorded_leaves_nothing() -> None:
    """Its decisions are told to nobody."""
    said: list[str] = []
    with recording(None, said) as tap:
        tap.record("token")
        assert tap.sinks == ()
    assert said == []


def test_each_performance_has_a_folder_of_its_own(tmp_path: Path) -> None:
    """Also two within one second; where it is, is said; what it is, comes first in it."""
    said: list[str] = []
    for _ in range(2):
        with recording(tmp_path / "a" / "b", said) as tap:
            tap.record("token")
    folders = sorted((tmp_path / "a" / "b").iterdir())
    assert sorted(said) == [f"The performance is recorded in {folder}." for folder in folders]
    assert len(folders) == 2
    for folder in folders:
        head, token = map(json.loads, (folder / LINES).read_text().splitlines())
        assert (head["kind"], head["seed"], head["rate_hz"]) == ("session", 7, RATE_HZ)
        assert head["config"]["listener"]["heard_ms"] == Config().listener.heard_ms
        assert token == {"kind": "token"}


def test_a_place_that_takes_no_folder_is_refused(tmp_path: Path) -> None:
    """Before the first note."""
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(OutputPathError, match="No folder can be made in"),
        recording(tmp_path / "file", []),
    ):
        pass


def test_what_is_lost_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At the end, once."""
    monkeypatch.setattr(recorder_module, "N_WAITING", 0)
    said: list[str] = []
    with recording(tmp_path, said) as tap:
        tap.record("token")
    assert len(said) == 1
    assert "lacks 1 lines and 0 frames: its disk was too slow." in said[0]
