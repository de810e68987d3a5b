"""A JACK server without hardware, and a musician who plays to it, for benchmarks and tests."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any
from unittest import mock

from benchmarks._run import REPOSITORY, NotMeasuredError


class JackMissingError(NotMeasuredError):
    """Raised when there is no JACK server to be had; the message says what to install."""


@contextlib.contextmanager
def jack_server(
    *,
    rate_hz: int = 48_000,
    block_frames: int = 128,
    is_realtime: bool = False,
    is_patient: bool = False,
) -> Iterator["subprocess.Popen[bytes]"]:
    """Run a server of its own name, which JACK clients of this process find by default.

    With `is_realtime` it, and the audio threads of its clients, are scheduled before all others
    where the system allows that, as on a stage. With `is_patient` it waits for its clients instead
    of going on without them: nothing is lost on a busy machine, nor can anything be shown to be.

    Raises
    ------
    JackMissingError
        There is no jackd, no libjack or no JACK-Client, or the server does not start.
    """
    jackd = shutil.which("jackd")
    if jackd is None:
        raise JackMissingError("there is no jackd: apt-get install jackd2")
    try:
        import jack
    except (ImportError, OSError) as error:
        raise JackMissingError(f"JACK-Client cannot be imported: {error}") from None
    name = f"musichal{os.getpid()}"
    schedule = "--realtime" if is_realtime else "--no-realtime"
    driver = ["-d", "dummy", "-r", str(rate_hz), "-p", str(block_frames)]
    manner = ["--sync"] if is_patient else []
    command = [jackd, schedule, *manner, "-n", name, *driver]
    with mock.patch.dict(os.environ, JACK_DEFAULT_SERVER=name, JACK_NO_START_SERVER="1"):
        jack.set_error_function(lambda message: None)
        try:
            server = _started(command, jack)
            try:
                yield server
            finally:
                server.terminate()
                if server.wait() == -signal.SIGKILL:
                    # JACK remembers eight servers by name until they leave: leave in its name
                    successor = _started(command, jack)
                    successor.terminate()
                    successor.wait()
        finally:
            jack.set_error_function(None)


def _started(command: list[str], jack: Any) -> "subprocess.Popen[bytes]":
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not _answers(jack):
        if server.poll() is not None:
            raise JackMissingError("jackd does not start here; run it by hand to see why")
        time.sleep(0.05)  # it has no way of saying that it is ready
    return server


def _answers(jack: Any) -> bool:
    try:
        jack.Client("knock", no_start_server=True).close()
    except jack.JackOpenError:
        return False
    return True


@contextlib.contextmanager
def musician(name: str = "musician") -> Iterator[str]:
    """Let a musician in another process play ramps on two channels of the running server."""
    player = subprocess.Popen(
        [sys.executable, "-m", "benchmarks._musician", name],
        cwd=REPOSITORY,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert player.stdin is not None
    assert player.stdout is not None
    with player, player.stdin:
        assert player.stdout.readline() == b"ready\n"
        yield name


@contextlib.contextmanager
def seen_by_portaudio() -> Iterator[None]:
    """Let PortAudio see the server and its clients meanwhile, and let go of them in the end."""
    from realtime.devices import portaudio

    sounddevice = portaudio()
    sounddevice._terminate()
    sounddevice._initialize()
    try:
        yield
    finally:
        sounddevice._terminate()
        with mock.patch.dict(os.environ, JACK_DEFAULT_SERVER="none"):
            sounddevice._initialize()
