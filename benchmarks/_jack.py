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
from realtime.devices import abandon_portaudio, portaudio, portaudio_is_abandoned
from realtime.patience import call_within

ANSWER_S = 10.0
"""On a machine so busy that JACK takes longer, nothing can be measured."""


class JackMissingError(NotMeasuredError):
    """Raised when there is no JACK server to be had; the message says why, and what to do."""


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
            server = _started(command)
            try:
                yield server
            finally:
                server.terminate()
                if ended(server) == -signal.SIGKILL:
                    # JACK remembers eight servers by name until they leave: leave in its name
                    successor = _started(command)
                    successor.terminate()
                    ended(successor)
        finally:
            jack.set_error_function(None)


def _started(command: list[str]) -> "subprocess.Popen[bytes]":
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    give_up_s = time.monotonic() + ANSWER_S
    while not _answers():
        if server.poll() is not None:
            raise JackMissingError("jackd does not start here; run it by hand to see why")
        if time.monotonic() > give_up_s:
            server.kill()
            raise JackMissingError("jackd does not answer: let the machine do less meanwhile")
        time.sleep(0.05)  # it has no way of saying that it is ready
    return server


def ended(process: "subprocess.Popen[Any]") -> int:
    """Wait for a process that was told to end, kill it if it does not, and return its code."""
    try:
        return process.wait(ANSWER_S)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()


def _answers() -> bool:
    """Say whether a client gets in and out of the server that runs by now."""
    import jack

    def knock() -> None:
        jack.Client("knock", no_start_server=True).close()

    try:
        call_within(ANSWER_S, knock)
    except (jack.JackOpenError, TimeoutError):
        return False
    return True


@contextlib.contextmanager
def musician(name: str = "musician") -> Iterator[str]:
    """Let a musician in another process play ramps on two channels of the running server.

    Raises
    ------
    JackMissingError
        The server does not let it in.
    """
    player = subprocess.Popen(
        [sys.executable, "-m", "benchmarks._musician", name],
        cwd=REPOSITORY,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert player.stdin is not None
    assert player.stdout is not None
    try:
        if call_within(ANSWER_S, player.stdout.readline) != b"ready\n":
            raise JackMissingError("no client gets into the JACK server")
        yield name
    except TimeoutError:
        raise JackMissingError("the JACK server keeps a client waiting") from None
    finally:
        player.stdin.close()
        ended(player)
        player.stdout.close()


@contextlib.contextmanager
def seen_by_portaudio() -> Iterator[None]:
    """Let PortAudio see the server and its clients meanwhile, and let go of them in the end.

    Raises
    ------
    JackMissingError
        PortAudio does not get into the server.
    """
    if portaudio_is_abandoned():
        raise JackMissingError("PortAudio hangs in this process, with a server that has gone")
    sounddevice = portaudio()
    try:
        call_within(ANSWER_S, sounddevice._terminate)
        call_within(ANSWER_S, sounddevice._initialize)
    except TimeoutError:
        abandon_portaudio()
        raise JackMissingError("the JACK server keeps PortAudio waiting") from None
    try:
        yield
    finally:
        # without its server PortAudio waits ten minutes to end, or aborts the process
        if not _answers():
            abandon_portaudio()
        if not portaudio_is_abandoned():
            sounddevice._terminate()
            with mock.patch.dict(os.environ, JACK_DEFAULT_SERVER="none"):
                sounddevice._initialize()
