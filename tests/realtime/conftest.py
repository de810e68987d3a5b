"""A memory of the bundled take, a JACK server without hardware, a musician who plays to it."""

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import soundfile

from benchmarks import _jack
from oracle import train
from realtime.devices import portaudio
from realtime.errors import PortAudioMissingError
from realtime.opening import TAKE

JACK_RATE_HZ = 48_000
JACK_BLOCK_FRAMES = 128
PHRASE_S = 2.5


@pytest.fixture(scope="session")
def take_memory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Learn the bundled take, once."""
    path = tmp_path_factory.mktemp("memory") / "take.memory"
    assert train.main([str(TAKE), "--output", str(path)]) == 0
    return path


@pytest.fixture(scope="session")
def phrase(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Cut the first phrase out of the bundled take."""
    path = tmp_path_factory.mktemp("phrase") / "phrase.wav"
    frames, rate_hz = soundfile.read(TAKE, dtype="float32")
    soundfile.write(path, frames[: round(PHRASE_S * rate_hz)], rate_hz, subtype="FLOAT")
    return path


@pytest.fixture
def jack_server() -> Iterator["subprocess.Popen[bytes]"]:
    """Run a JACK server that clients find by default, or skip where there is none."""
    with contextlib.ExitStack() as stack:
        server = _jack.jack_server(rate_hz=JACK_RATE_HZ, block_frames=JACK_BLOCK_FRAMES)
        try:
            process = stack.enter_context(server)
        except _jack.JackMissingError as error:
            pytest.skip(str(error))
        yield process


@pytest.fixture
def patient_jack_server() -> Iterator[None]:
    """Run a JACK server that waits for its clients, for tests of what arrives, not of when."""
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(_jack.jack_server(is_patient=True))
        except _jack.JackMissingError as error:
            pytest.skip(str(error))
        yield


@pytest.fixture
def musician(jack_server: "subprocess.Popen[bytes]") -> Iterator[str]:
    """Let a musician play ramps on two channels, and give the name of that input."""
    with _jack.musician() as name:
        yield name


@pytest.fixture
def jack_input(musician: str) -> Iterator[str]:
    """Give the name by which PortAudio knows the musician."""
    try:
        portaudio()
    except PortAudioMissingError as error:
        pytest.skip(str(error))
    with _jack.seen_by_portaudio():
        yield musician
