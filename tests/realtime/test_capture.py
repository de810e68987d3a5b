"""Capture from a real JACK server: nothing is lost, whoever holds the GIL."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import numpy as np
import pytest

from benchmarks._musician import RAMP_FRAMES, n_breaks
from benchmarks._neighbours import gil_hogs
from realtime import capture, devices
from realtime.capture import AudioInput, latency_stated_s
from realtime.clock import StreamClock
from realtime.devices import InputDevice, find_input
from realtime.doorbell import Doorbell
from realtime.errors import DeviceFormatError, DeviceGoneError, DeviceNotFoundError
from realtime.source import (
    CALLBACKS,
    DROPPED_BLOCKS,
    DROPPED_FRAMES,
    OVERFLOWS,
    AudioSource,
    CaptureConfig,
    has_ended,
)
from tests.realtime.conftest import JACK_BLOCK_FRAMES, JACK_RATE_HZ

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture
def bell() -> Iterator[Doorbell]:
    """Give a doorbell that is closed after the test."""
    doorbell = Doorbell()
    yield doorbell
    doorbell.close()


def captured(source: AudioInput, bell: Doorbell, n_frames: int) -> Any:
    """Start the source, take at least so many frames, and stop it."""
    blocks: list[Any] = []
    source.start()
    while sum(map(len, blocks)) < n_frames:
        assert bell.wait(5.0)
        blocks.append(source.audio.pop_nowait())
    source.stop()
    blocks.append(source.audio.pop_nowait())
    return np.concatenate(blocks)


def n_breaks_of_ours(source: AudioInput, frames: Any) -> int:
    """Count the breaks in a captured ramp for which the server reports no xrun.

    A report may come some callbacks after the break, so the end of the ramp is not judged.
    """
    judged = frames[: -JACK_RATE_HZ // 10]
    return max(n_breaks(judged, JACK_BLOCK_FRAMES) - int(source.counters[OVERFLOWS]), 0)


def played(name: str, bell: Doorbell, **config: Any) -> tuple[AudioInput, Any]:
    """Capture a quarter of a second of the musician."""
    source = AudioInput(CaptureConfig(device=name, **config), bell)
    return source, captured(source, bell, JACK_RATE_HZ // 4)


@pytest.mark.parametrize(("stated_s", "latency_s"), [(0.0, 0.0), (0.02, 0.02), (89_478.5, 0.0)])
def test_a_latency_of_a_day_is_none(stated_s: float, latency_s: float) -> None:
    """JACK states one of a port that is not connected."""
    assert latency_stated_s(stated_s) == latency_s


@pytest.mark.jack
def test_what_is_played_arrives_sample_for_sample(jack_input: str, bell: Doorbell) -> None:
    """Between the server's own xruns, every frame follows the one before it."""
    source = AudioInput(CaptureConfig(device=jack_input, channel=1), bell)
    frames = captured(source, bell, 2 * JACK_RATE_HZ)
    assert source.rate_hz == JACK_RATE_HZ
    assert np.ptp(frames) * RAMP_FRAMES > JACK_RATE_HZ
    assert n_breaks_of_ours(source, frames) == 0
    assert source.counters[DROPPED_BLOCKS] == 0
    assert frames.size == source.counters[CALLBACKS] * JACK_BLOCK_FRAMES


@pytest.mark.jack
def test_a_channel_is_chosen_and_all_can_be_mixed(jack_input: str, bell: Doorbell) -> None:
    """Channel 1 rises, channel 2 falls, and their mean is silence."""
    _, rising = played(jack_input, bell, channel=1)
    _, falling = played(jack_input, bell, channel=2)
    _, mixed = played(jack_input, bell, channel="mix")
    assert np.median(np.diff(rising)) * RAMP_FRAMES == 1.0
    assert np.median(np.diff(falling)) * RAMP_FRAMES == -1.0
    assert np.median(np.abs(mixed)) == 0.0  # an xrun may fall between the two ports


@pytest.mark.jack
@pytest.mark.parametrize("block_frames", [32, 100, 1024])
def test_blocks_may_differ_from_the_devices(
    jack_input: str, bell: Doorbell, block_frames: int
) -> None:
    """PortAudio cuts the server's 128 frames anew, and none is lost."""
    source, frames = played(jack_input, bell, channel=1, block_frames=block_frames)
    assert n_breaks_of_ours(source, frames) == 0
    assert frames.size == source.counters[CALLBACKS] * block_frames


@pytest.mark.jack
def test_the_clock_knows_when_each_frame_was_played(jack_input: str, bell: Doorbell) -> None:
    """The newest frame is as old as the host says, to within the lateness of one callback."""
    source = AudioInput(CaptureConfig(device=jack_input, channel=1), bell)
    clock = StreamClock(source.rate_hz, latency_s=source.latency_s)
    before_ns = time.monotonic_ns()
    captured(source, bell, JACK_RATE_HZ)
    after_ns = time.monotonic_ns()
    stamps = source.stamps.pop_nowait()
    clock.follow(stamps)
    ends = [clock.monotonic_ns(int(end)) for end in stamps["frame"] + stamps["n_frames"]]
    assert ends == sorted(ends)
    assert before_ns < ends[0] < ends[-1] < after_ns + 1_000_000
    assert (stamps["frame"] == np.arange(len(stamps)) * JACK_BLOCK_FRAMES).all()


@pytest.mark.jack
@pytest.mark.slow
def test_no_block_is_lost_while_two_threads_hold_the_gil(jack_input: str, bell: Doorbell) -> None:
    """Ten seconds of two spinning threads, and every block that the server gave is there."""
    source = AudioInput(CaptureConfig(device=jack_input, channel=1), bell)
    with gil_hogs(2):
        frames = captured(source, bell, 10 * JACK_RATE_HZ)
    assert source.counters[DROPPED_BLOCKS] == 0
    assert frames.size == source.counters[CALLBACKS] * JACK_BLOCK_FRAMES
    assert n_breaks_of_ours(source, frames) == 0


@pytest.mark.jack
def test_a_full_ring_drops_whole_blocks_and_counts_them(jack_input: str, bell: Doorbell) -> None:
    """If nobody listens, the oldest second stays and the rest is counted."""
    source = AudioInput(CaptureConfig(device=jack_input, channel=1, ring_s=1.0), bell)
    source.start()
    while source.counters[DROPPED_BLOCKS] < 3:
        assert bell.wait(5.0)
    source.stop()
    frames = source.audio.pop_nowait()
    assert frames.size == 2**16
    assert n_breaks_of_ours(source, frames) == 0
    n_dropped = source.counters[DROPPED_BLOCKS]
    assert source.counters[DROPPED_FRAMES] == n_dropped * JACK_BLOCK_FRAMES
    assert source.counters[CALLBACKS] == n_dropped + 2**16 // JACK_BLOCK_FRAMES


@pytest.mark.jack
def test_stopping_ends_the_stream_and_may_be_repeated(jack_input: str, bell: Doorbell) -> None:
    """The listener is woken a last time; a stop that was asked for is no error."""
    source: AudioSource = AudioInput(CaptureConfig(device=jack_input), bell)
    assert not has_ended(source.counters)
    source.start()
    source.check()
    assert source.stop()
    bell.drain()
    assert source.stop()
    source.check()
    assert has_ended(source.counters)


@pytest.mark.jack
def test_a_rate_the_server_does_not_run_at_is_refused(jack_input: str, bell: Doorbell) -> None:
    """The message names the rate asked for and those there are."""
    with pytest.raises(DeviceFormatError, match="not run at 44100 Hz: choose one of 48000"):
        AudioInput(CaptureConfig(device=jack_input, rate_hz=44_100), bell)


@pytest.mark.jack
def test_a_channel_the_device_lacks_is_refused(jack_input: str, bell: Doorbell) -> None:
    """The message says which channels there are."""
    with pytest.raises(DeviceFormatError, match="no channel 3: choose from 1 to 2"):
        AudioInput(CaptureConfig(device=jack_input, channel=3), bell)


@pytest.mark.jack
def test_an_unknown_device_is_refused_with_those_there_are(jack_input: str) -> None:
    """The musician is among the names."""
    with pytest.raises(DeviceNotFoundError, match=r"no audio input 'tuba'.*'musician'"):
        find_input("tuba")


@pytest.mark.jack
def test_a_server_that_dies_is_noticed_and_does_not_hold_up_the_end(
    jack_server: "subprocess.Popen[bytes]",
) -> None:
    """One error, a stop within seconds, and a process that ends: in a process of its own."""
    code = f"""
import os, signal
from benchmarks._musician import n_breaks
from benchmarks._neighbours import gil_hogs
from realtime.capture import AudioInput
from realtime.doorbell import Doorbell
from realtime.errors import DeviceGoneError
from realtime.source import CaptureConfig, has_ended
bell = Doorbell()
source = AudioInput(CaptureConfig(device="system"), bell)
source.start()
assert bell.wait(5.0)
source.check()
os.kill({jack_server.pid}, signal.SIGKILL)
try:
    while True:
        bell.wait(0.1)
        source.check()
except DeviceGoneError as error:
    assert "'system' has stopped" in str(error)
assert not source.stop(), "PortAudio waits for the server, and may ring when it has"
assert not source.stop()
assert has_ended(source.counters)
"""
    subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, check=True, timeout=60)


class FakeStream:
    """PortAudio's stream, as far as it is used here."""

    latency = 0.005
    active: Any = True

    def __init__(self) -> None:
        self.start = mock.Mock()
        self.may_close = threading.Event()
        self.may_close.set()

    def close(self, *, ignore_errors: bool) -> None:
        """Wait, as PortAudio does for a server that died."""
        self.may_close.wait()


class RefusedError(Exception):
    """What PortAudio raises."""


@pytest.fixture
def stream(monkeypatch: pytest.MonkeyPatch) -> FakeStream:
    """Give the stream that any input opens, on a machine without PortAudio."""
    made = FakeStream()
    device = InputDevice(0, "loopback", "none", 2, 8_000)
    fake = SimpleNamespace(PortAudioError=RefusedError, _exit_handler=None)
    monkeypatch.setitem(sys.modules, "sounddevice", fake)
    monkeypatch.setattr(capture, "find_input", lambda wanted: device)
    monkeypatch.setattr(capture, "supported_rate_hz", lambda *_: 8_000)
    monkeypatch.setattr(AudioInput, "_open", lambda *_: made)
    return made


def test_a_stream_that_does_not_close_is_said_to_hold_the_doorbell(
    stream: FakeStream, bell: Doorbell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its callback may still ring: only once it is closed does stopping say so."""
    monkeypatch.setattr(capture, "STOP_S", 0.0)
    monkeypatch.setattr(devices, "_is_abandoned", False)
    stream.may_close.clear()
    source = AudioInput(CaptureConfig(), bell)
    assert not source.stop()
    assert has_ended(source.counters)
    stream.may_close.set()
    while not source.stop():
        pass


def test_a_stream_that_does_not_start_is_given_up(
    stream: FakeStream, bell: Doorbell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PortAudio waits ten minutes for a JACK server that hangs; a musician does not."""
    monkeypatch.setattr(capture, "ANSWER_S", 0.0)
    monkeypatch.setattr(devices, "_is_abandoned", False)
    may_start = threading.Event()
    stream.start.side_effect = may_start.wait
    source = AudioInput(CaptureConfig(), bell)
    with pytest.raises(DeviceGoneError, match=r"does not start \(no answer in 10 s\): reconnect"):
        source.start()
    assert devices.portaudio_is_abandoned()
    may_start.set()


@pytest.mark.parametrize(("block_frames", "limit_s"), [(128, 1.0), (8192, 4.096)])
def test_silence_counts_from_the_start_and_in_blocks(
    stream: FakeStream,
    bell: Doorbell,
    monkeypatch: pytest.MonkeyPatch,
    block_frames: int,
    limit_s: float,
) -> None:
    """A start that takes 3 s is no silence; a second of it is, or four blocks if they are long."""
    now_ns = 0

    def wait(seconds: float) -> None:
        nonlocal now_ns
        now_ns += round(seconds * 1e9)

    monkeypatch.setattr(capture, "monotonic_ns", lambda: now_ns)
    stream.start.side_effect = lambda: wait(3.0)
    source = AudioInput(CaptureConfig(block_frames=block_frames), bell)
    source.start()
    source.check()
    wait(limit_s)
    source.check()
    wait(1e-9)
    with pytest.raises(DeviceGoneError, match="'loopback' has stopped: reconnect it"):
        source.check()


def test_what_portaudio_refuses_while_it_plays_is_one_sentence(
    stream: FakeStream, bell: Doorbell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A device that is gone may fail at the start, or when asked whether it plays."""
    refusal = mock.PropertyMock(side_effect=RefusedError("unanticipated host error"))
    source = AudioInput(CaptureConfig(), bell)
    source.start()
    monkeypatch.setattr(FakeStream, "active", refusal)
    with pytest.raises(DeviceGoneError, match=r"has stopped \(unanticipated .*\): reconnect it"):
        source.check()
    stream.start.side_effect = RefusedError("device unavailable")
    with pytest.raises(DeviceGoneError, match=r"not start \(device unavailable\): reconnect"):
        source.start()


def test_the_callback_allocates_nothing(tmp_path: Path) -> None:
    """No call of numba's allocator is left in the compiled callback."""
    code = """
from realtime.capture import _compiled
for callback in _compiled():
    code = callback.inspect_llvm()
    assert "call i64 @write" in code, "all of deliver is in the library"
    assert "NRT_Allocate" not in code and "NRT_MemInfo_alloc" not in code
"""
    fresh = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)}  # cached code cannot be inspected
    subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, env=fresh, check=True)
