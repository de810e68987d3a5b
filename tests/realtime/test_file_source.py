"""A file that plays like a microphone."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from models.audio_file import TAIL_S, AudioFile
from models.errors import AudioFileError
from realtime import file_source
from realtime.clock import StreamClock
from realtime.doorbell import Doorbell
from realtime.file_source import FileSource
from realtime.source import (
    CALLBACKS,
    DROPPED_BLOCKS,
    DROPPED_FRAMES,
    OVERFLOWS,
    AudioSource,
    CaptureConfig,
    has_ended,
)

RATE_HZ = 16_000
TAIL_FRAMES = round(TAIL_S * RATE_HZ)


@pytest.fixture
def bell() -> Iterator[Doorbell]:
    """Give a doorbell that is closed after the test."""
    doorbell = Doorbell()
    yield doorbell
    doorbell.close()


def written(path: Path, n_frames: int, n_channels: int = 1) -> Any:
    """Write noise as float32 and return it [shape=(n_frames, n_channels)]."""
    noise = np.random.default_rng(0).uniform(-1, 1, (n_frames, n_channels)).astype(np.float32)
    soundfile.write(path, noise, RATE_HZ, subtype="FLOAT")
    return noise


def heard(source: AudioSource, bell: Doorbell) -> Any:
    """Play to the end; return all frames and all stamps."""
    frames, stamps = [], []
    source.start()
    has_more = True
    while has_more:
        assert bell.wait(10.0)
        has_more = not has_ended(source.counters)
        stamps.append(source.stamps.pop_nowait())
        frames.append(source.audio.pop_nowait())
    source.stop()
    return np.concatenate(frames), np.concatenate(stamps)


def test_a_single_frame_is_played_and_heard_out(tmp_path: Path, bell: Doorbell) -> None:
    """The shortest file, and the silence after it."""
    noise = written(tmp_path / "one.wav", 1)
    frames, _ = heard(FileSource(AudioFile(tmp_path / "one.wav"), CaptureConfig(), bell), bell)
    assert frames.tolist() == noise[:, 0].tolist() + [0.0] * TAIL_FRAMES


@pytest.mark.parametrize(("channel", "block_frames"), [(1, 128), (2, 100), ("mix", 1024)])
def test_every_frame_of_the_channel_arrives(
    tmp_path: Path, bell: Doorbell, channel: Any, block_frames: int
) -> None:
    """As many as the file has and the tail, in the order they have there."""
    noise = written(tmp_path / "noise.wav", 4567, 2)
    config = CaptureConfig(channel=channel, block_frames=block_frames)
    source = FileSource(AudioFile(tmp_path / "noise.wav"), config, bell)
    frames, stamps = heard(source, bell)
    expected = noise.mean(axis=1) if channel == "mix" else noise[:, channel - 1]
    np.testing.assert_allclose(frames[:4567], expected, atol=1e-7)
    assert frames.size == 4567 + TAIL_FRAMES
    assert not frames[4567:].any()
    assert set(stamps["n_frames"][:-1]) == {block_frames}
    assert source.counters[CALLBACKS] == len(stamps) == -(-frames.size // block_frames)
    assert source.counters[DROPPED_BLOCKS] == 0
    source.check()


def test_stamps_are_nominal_times_and_blocks_are_never_early(
    tmp_path: Path, bell: Doorbell
) -> None:
    """A file has no drift, and no block is handed over before its last frame is due."""
    written(tmp_path / "noise.wav", RATE_HZ)
    source = FileSource(AudioFile(tmp_path / "noise.wav"), CaptureConfig(), bell)
    _, stamps = heard(source, bell)
    clock = StreamClock(source.rate_hz)
    clock.follow(stamps)
    last = int(stamps["frame"][-1])
    assert clock.monotonic_ns(last) - clock.monotonic_ns(0) == pytest.approx(
        last / RATE_HZ * 1e9, abs=1e5
    )
    end_s = stamps["adc_s"] + stamps["n_frames"] / RATE_HZ
    assert (stamps["current_s"] >= end_s - 1e-6).all()
    np.testing.assert_allclose(np.diff(stamps["adc_s"]), 128 / RATE_HZ, atol=1e-7)


def test_if_nobody_listens_blocks_are_dropped_and_counted(tmp_path: Path, bell: Doorbell) -> None:
    """A file waits for the listener no more than a device does."""
    written(tmp_path / "noise.wav", RATE_HZ)
    config = CaptureConfig(ring_s=1.0)
    source = FileSource(AudioFile(tmp_path / "noise.wav"), config, bell)
    source.start()
    while not has_ended(source.counters):
        assert bell.wait(10.0)
    source.stop()
    n_frames = source.audio.pop_nowait().size
    assert n_frames == 2**14
    assert source.counters[DROPPED_FRAMES] == RATE_HZ + TAIL_FRAMES - n_frames
    source.check()


def test_it_plays_longer_than_it_decodes_ahead(tmp_path: Path, bell: Doorbell) -> None:
    """The decoder comes back for more, several times."""
    noise = written(tmp_path / "long.wav", 6 * RATE_HZ)
    source = FileSource(AudioFile(tmp_path / "long.wav"), CaptureConfig(), bell)
    frames, _ = heard(source, bell)
    assert frames[: 6 * RATE_HZ].tolist() == noise[:, 0].tolist()


def test_it_stops_in_the_middle_and_leaves_no_thread(tmp_path: Path, bell: Doorbell) -> None:
    """The end is said, both threads are gone, and stopping again is harmless."""
    written(tmp_path / "long.wav", 60 * RATE_HZ)
    n_threads = threading.active_count()
    source = FileSource(AudioFile(tmp_path / "long.wav"), CaptureConfig(), bell)
    source.start()
    assert bell.wait(10.0)
    assert source.stop()
    assert source.stop()
    assert has_ended(source.counters)
    assert threading.active_count() == n_threads


class Disk:
    """A recording of 4096 frames on a disk that then answers nothing until it is told to."""

    path = Path("slow.wav")
    rate_hz = RATE_HZ

    def __init__(self) -> None:
        self.is_asked, self.may_answer = threading.Event(), threading.Event()

    def blocks(self, *_arguments: Any, **_options: Any) -> Iterator[Any]:
        """Give half a ring's worth at a time, and stop at the ninth."""
        for _block in range(8):
            yield np.zeros(512, np.float32)
        self.is_asked.set()
        self.may_answer.wait()
        yield np.zeros(512, np.float32)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Give such a disk, with little decoded ahead."""
    monkeypatch.setattr(file_source, "_AHEAD_S", 1024 / RATE_HZ)
    made = Disk()
    yield made
    made.may_answer.set()


def test_a_disk_that_hangs_holds_up_no_stop(
    disk: Any, bell: Doorbell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopping says that a thread is left, and that it is gone once the disk has answered."""
    monkeypatch.setattr(file_source, "STOP_S", 0.1)
    source = FileSource(disk, CaptureConfig(), bell)
    source.start()
    assert disk.is_asked.wait(10.0)
    assert not source.stop()
    assert has_ended(source.counters)
    disk.may_answer.set()
    while not source.stop():
        pass


def test_a_late_disk_is_counted_once_and_no_frame_is_lost(disk: Any, bell: Doorbell) -> None:
    """The block that was not there when due comes after all."""
    source = FileSource(disk, CaptureConfig(), bell)
    source.start()
    while source.counters[OVERFLOWS] == 0:
        bell.wait(0.01)
    assert source.audio.pop_nowait().size == 4096
    disk.may_answer.set()
    while not has_ended(source.counters):
        assert bell.wait(10.0)
    assert source.audio.pop_nowait().size == 512
    assert source.counters[OVERFLOWS] == 1
    assert source.stop()


def test_it_can_be_stopped_without_having_been_started(tmp_path: Path, bell: Doorbell) -> None:
    """An engine that fails before it starts stops everything it has."""
    written(tmp_path / "noise.wav", 10)
    source = FileSource(AudioFile(tmp_path / "noise.wav"), CaptureConfig(), bell)
    source.stop()
    assert has_ended(source.counters)


def test_damage_further_on_ends_the_playing_and_is_raised(tmp_path: Path, bell: Doorbell) -> None:
    """What came before is played; `check` says what was met."""
    noise = written(tmp_path / "noise.wav", RATE_HZ)
    noise[8192 + 5] = np.nan
    soundfile.write(tmp_path / "noise.wav", noise, RATE_HZ, subtype="FLOAT")
    source = FileSource(AudioFile(tmp_path / "noise.wav"), CaptureConfig(), bell)
    frames, _ = heard(source, bell)
    assert frames.tolist() == noise[: frames.size, 0].tolist()
    with pytest.raises(AudioFileError):
        source.check()
