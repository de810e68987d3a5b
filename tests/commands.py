"""The commands, run as a player runs them, and what they say."""

import contextlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from tests.conftest import REPOSITORY

RATE_HZ = 22_050
N_NOTES = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a command ended, and what it said."""

    code: int
    out: str
    err: str


def assert_refused(ended: Ended, message: str) -> None:
    """Claim that a command ended with one sentence, last and like `message`, and no traceback."""
    assert ended.code > 0
    assert "Traceback" not in ended.out + ended.err
    lines = ended.err.splitlines()
    assert [line for line in lines if line.startswith("Error: ")] == lines[-1:]
    assert re.search(message, lines[-1]), f"{lines[-1]!r} is not like {message!r}"


def in_process(
    command: Callable[[list[str]], int],
    arguments: Iterable[object],
    capsys: pytest.CaptureFixture[str],
) -> Ended:
    """Run a command's main function."""
    capsys.readouterr()
    try:
        code = command([str(argument) for argument in arguments])
    except SystemExit as end:  # argparse's way
        code = int(end.code or 0)
    said = capsys.readouterr()
    return Ended(code=code, out=said.out, err=said.err)


@contextlib.contextmanager
def started(
    module: str, *arguments: object, folder: Path, **environment: str
) -> Iterator["subprocess.Popen[str]"]:
    """Start ``python -m module`` in a folder; what still runs at the end is killed."""
    process = subprocess.Popen(
        [sys.executable, "-m", module, *map(str, arguments)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # in the background, as CI may be, children are born deaf to Ctrl-C
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    with process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()


def wait_for(process: "subprocess.Popen[str]", said: str = "") -> Ended:
    """Wait for a command's end; `said` is what has been read of its stderr."""
    out, err = process.communicate()
    return Ended(code=process.returncode, out=out, err=said + err)


def as_process(module: str, *arguments: object, folder: Path, **environment: str) -> Ended:
    """Run ``python -m module`` in a folder."""
    with started(module, *arguments, folder=folder, **environment) as process:
        return wait_for(process)


def read_until(process: "subprocess.Popen[str]", text: str) -> str:
    """Read stderr up to the line that holds `text`."""
    assert process.stderr is not None
    said = ""
    for line in process.stderr:
        said += line
        if text in line:
            return said
    raise AssertionError(f"it never said {text!r}, but: {said}")


def phrase(rate_hz: int = RATE_HZ, n_notes: int = N_NOTES) -> NDArray[np.float64]:
    """Give four seconds with up to eight plucked notes."""
    time_s = np.arange(4 * rate_hz) / rate_hz
    audio = np.zeros(time_s.size)
    for i, semitones in enumerate((0, 4, 7, 12, 7, 4, 0, 4)[:n_notes]):
        since_s = np.maximum(time_s - 0.2 - 0.4 * i, 0.0)
        hz = 220.0 * 2 ** (semitones / 12)
        audio += 0.3 * np.exp(-8.0 * since_s) * np.sin(2 * np.pi * hz * since_s)
    return audio


def recorded(path: Path, rate_hz: int = RATE_HZ) -> Path:
    """Record the phrase."""
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, phrase(rate_hz), rate_hz)
    return path
