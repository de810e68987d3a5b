"""A JACK server without hardware and a musician who plays to it."""

import contextlib
import subprocess
from collections.abc import Iterator

import pytest

from benchmarks import _jack
from realtime.devices import portaudio
from realtime.errors import PortAudioMissingError

JACK_RATE_HZ = 48_000
JACK_BLOCK_FRAMES = 128


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
