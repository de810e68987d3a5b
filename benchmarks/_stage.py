"""Stage: the program itself, started as a player starts it, and a referee who plays to it."""

import argparse
import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import psutil
from numpy.typing import NDArray

from benchmarks._accounts import Account, read_account
from benchmarks._jack import ended
from benchmarks._referee import MIDI_PORT, Game
from benchmarks._run import REPOSITORY
from realtime.patience import call_within

CAPTURE_PORTS: Final = "PortAudio:.*"
TAKE: Final = REPOSITORY / "takes" / "calling_card.flac"

_PERFORMER: Final = "realtime.perform"
_SESSIONS: Final = "sessions"
_SIGN_OF_LIFE: Final = "engine.heartbeat"
_PATIENCE_S: Final = 180.0  # the first start on a machine compiles the kernels
_LEAVING_S: Final = 20.0
_MODE: Final = "shadow"  # which answers every event; and nothing but answers, without phrases


class StageError(Exception):
    """Raised when the program does not start or does not end; the message holds what it said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Performer:
    """The program while it plays.

    Attributes
    ----------
    starting_s
        From its start as a process until its first sign of life.
    """

    process: "subprocess.Popen[bytes]"
    folder: Path
    starting_s: float

    @property
    def playing(self) -> psutil.Process:
        """The process that plays: what was started, or the first performer that it supervises."""
        started = psutil.Process(self.process.pid)
        performers = [child for child in started.children() if _PERFORMER in child.cmdline()]
        return min(performers, key=psutil.Process.create_time, default=started)

    def report(self) -> dict[str, Any]:
        """End it as a player does, and read what it reports of itself."""
        self.process.terminate()
        try:
            code = self.process.wait(_LEAVING_S)
        except subprocess.TimeoutExpired:
            raise StageError(f"it does not end: {_last_words(self.folder)}") from None
        if code != 0:
            raise StageError(f"it ended with {code}: {_last_words(self.folder)}")
        report: dict[str, Any] = json.loads((self.folder / "report.json").read_text())
        return report

    def account(self) -> Account:
        """Read what it recorded of its answers, once it has ended."""
        return read_account(self.folder / _SESSIONS)


def train(folder: Path, encoder: str) -> Path:
    """Learn the bundled take with an encoder and give the memory's path."""
    memory = folder / "take.memory"
    where = ["--output", str(memory), "--encoder", encoder]
    done = subprocess.run(
        [sys.executable, "-m", "oracle.train", str(TAKE), *where],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise StageError(f"oracle.train ended with {done.returncode}: {done.stderr[-2000:]}")
    return memory


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add what every performance before a referee can be asked."""
    parser.add_argument("--encoder", default="spectral", help="as oracle.train takes it")
    parser.add_argument(
        "--no-realtime", action="store_true", help="schedule the server like any program"
    )


@contextlib.contextmanager
def performer(
    memory: Path,
    *,
    module: str = "realtime.perform",
    midi_out: str = MIDI_PORT,
    max_events: int = 100_000,
    is_recorded: bool = False,
) -> Iterator[Performer]:
    """Start the program with a memory of at most so many events, and end it in the end."""
    folder = memory.parent
    settings, report = folder / "config.toml", folder / "report.json"
    settings.write_text(
        f'[improviser]\nmode = "{_MODE}"\nphrase_notes = 0\nmax_events = {max_events}\n'
    )
    command = [sys.executable, "-m", module, "--memory", str(memory), "--input", "default"]
    command += ["--config", str(settings), "--midi-out", midi_out, "--report", str(report)]
    command += ["--record", str(folder / _SESSIONS)] if is_recorded else []
    start_s = time.monotonic()
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [*command, "--headless"], cwd=REPOSITORY, stdout=log, stderr=subprocess.STDOUT
        )
    try:
        while _SIGN_OF_LIFE not in _log(folder):
            if process.poll() is not None or time.monotonic() - start_s > _PATIENCE_S:
                raise StageError(f"it does not start: {_last_words(folder)}")
            time.sleep(0.02)
        yield Performer(process=process, folder=folder, starting_s=time.monotonic() - start_s)
    finally:
        process.terminate()  # whom a killed supervisor leaves behind would end later
        ended(process)


@contextlib.contextmanager
def referee(recording: Path, n_times: int = 1) -> Iterator["subprocess.Popen[str]"]:
    """Start a referee with a recording; it waits for `play`."""
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks._referee", str(recording), CAPTURE_PORTS, str(n_times)],
        cwd=REPOSITORY,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        try:
            said = call_within(_PATIENCE_S, process.stdout.readline)
        except TimeoutError:
            said = ""
        if said != "ready\n":
            raise StageError("the referee does not reach the JACK server")
        yield process
    finally:
        process.kill()
        process.wait()


def play(referee: "subprocess.Popen[str]", longest_s: float) -> Game:
    """Let the referee play, and give what it wrote down."""
    try:
        said, _ = referee.communicate("play\n", timeout=longest_s)
    except subprocess.TimeoutExpired:
        raise StageError("the JACK server no longer calls the referee") from None
    return Game(**json.loads(said))


def first_answers(game: Game, onsets: NDArray[np.int64], longest_ms: float) -> NDArray[np.int64]:
    """Give the place among the note-ons of each onset's first answer, -1 where none came in time.

    Parameters
    ----------
    onsets
        Their frames in what was played, ascending.
    longest_ms
        What comes later, or after the next onset, answers something else.
    """
    times, note_ons = game.time_of(onsets), np.array(game.note_ons, np.int64)
    places = np.searchsorted(note_ons, times)
    ends = np.append(times[1:], np.iinfo(np.int64).max)
    ends = np.minimum(ends, times + round(longest_ms * game.rate_hz / 1e3) + 1)
    return np.where(places < np.searchsorted(note_ons, ends), places, -1)


def latencies_ms(game: Game, onsets: NDArray[np.int64], longest_ms: float) -> NDArray[np.float64]:
    """Give how long after each onset its first answer came, NaN where none did; see above."""
    places = first_answers(game, onsets, longest_ms)
    note_ons = np.array([*game.note_ons, 0], np.int64)
    late_ms = (note_ons[places] - game.time_of(onsets)) * 1e3 / game.rate_hz
    return np.where(places >= 0, late_ms, np.nan)


def _log(folder: Path) -> str:
    return (folder / "log").read_text(errors="replace")


def _last_words(folder: Path) -> str:
    return _log(folder)[-2000:]
