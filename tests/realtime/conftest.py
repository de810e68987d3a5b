"""A JACK server without hardware and a musician who plays to it."""

import importlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
JACK_RATE_HZ = 48_000
JACK_BLOCK_FRAMES = 128


def import_or_skip(name: str) -> Any:
    """Import a package that needs a system library, or skip where that is absent."""
    try:
        return importlib.import_module(name)
    except (ImportError, OSError) as error:
        pytest.skip(f"{name} cannot be imported: {error}")


@pytest.fixture
def jack_server(monkeypatch: pytest.MonkeyPatch) -> Iterator["subprocess.Popen[bytes]"]:
    """Run a JACK server of its own name, 48 kHz and 128 frames, that clients find by default."""
    jackd = shutil.which("jackd")
    if jackd is None:
        pytest.skip("there is no jackd: apt-get install jackd2")
    jack = import_or_skip("jack")
    name = f"test{os.getpid()}"
    monkeypatch.setenv("JACK_DEFAULT_SERVER", name)
    monkeypatch.setenv("JACK_NO_START_SERVER", "1")
    driver = ["-d", "dummy", "-r", str(JACK_RATE_HZ), "-p", str(JACK_BLOCK_FRAMES)]
    server = subprocess.Popen(
        [jackd, "--no-realtime", "-n", name, *driver],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    jack.set_error_function(lambda message: None)
    try:
        while True:
            try:
                jack.Client("knock", no_start_server=True).close()
                break
            except jack.JackOpenError:
                if server.poll() is not None:
                    pytest.skip("jackd does not start here")
                time.sleep(0.05)  # jackd has no way of saying that it is ready
        yield server
    finally:
        jack.set_error_function(None)
        server.terminate()
        server.wait()


@pytest.fixture
def musician(jack_server: "subprocess.Popen[bytes]") -> Iterator[str]:
    """Let a musician play ramps on two channels, and give the name of that input."""
    name = "musician"
    player = subprocess.Popen(
        [sys.executable, "-m", "tests.realtime.musician", name],
        cwd=REPOSITORY,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert player.stdin is not None
    assert player.stdout is not None
    assert player.stdout.readline() == b"ready\n"
    yield name
    player.stdin.close()
    player.wait()
    player.stdout.close()


@pytest.fixture
def jack_input(musician: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Give the name by which PortAudio knows the musician."""
    import_or_skip("sounddevice")
    from realtime.devices import refresh_devices

    refresh_devices()
    yield musician
    monkeypatch.setenv("JACK_DEFAULT_SERVER", "none")
    refresh_devices()  # so that PortAudio lets go of the server before it is ended
