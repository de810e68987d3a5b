"""Rig: a JACK server, an audience and a supervised performer, all real processes, to be hurt.

Its log runs through a process of its own, which can be killed like any other.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import psutil

from benchmarks._audience import NAME
from benchmarks._jack import ended, jack_server
from benchmarks._run import REPOSITORY
from benchmarks._sounding import Heard, sounding_notes
from benchmarks._stage import CAPTURE_PORTS, StageError
from realtime.board import Reading, board_folder, read_boards

RATE_HZ: Final = 48_000
PATIENCE_S: Final = 60.0
_FIRST_PATIENCE_S: Final = 150.0
_PORT: Final = "MusicHal:MusicHal"


class Rig:
    """A server, an audience and a supervised performer, and what was heard and said.

    Parameters
    ----------
    port
        What the performer plays into: "virtual", or the audience by its name.
    """

    def __init__(self, folder: Path, memory: Path, port: str) -> None:
        self.said: list[dict[str, Any]] = []
        self.folder = folder
        self._servers = contextlib.ExitStack()
        self.raise_server()
        self.raise_audience()
        options = ["--memory", str(memory), "--input", "default", "--record", str(folder)]
        self.log = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self.log.stdin is not None
        self.supervisor = subprocess.Popen(
            [sys.executable, "-m", "benchmarks._accident", port, *options],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
            stderr=self.log.stdin,
        )
        self.log.stdin.close()
        threading.Thread(target=self._read_log, daemon=True).start()
        self.wait_for(lambda: bool(self.saying("engine.heartbeat")), _FIRST_PATIENCE_S)
        if port == "virtual":
            subprocess.run(["jack_connect", _PORT, f"{NAME}:in"], check=True)
        self.wait_note(time.monotonic())

    def raise_server(self, rate_hz: int = RATE_HZ) -> None:
        """Start a server in place of the last one."""
        self.server = self._servers.enter_context(jack_server(rate_hz=rate_hz))

    def raise_audience(self) -> None:
        """Start an audience, which has heard nothing yet and in which nothing sounds."""
        self.heard: list[Heard] = []
        self.audience = subprocess.Popen(
            [sys.executable, "-m", "benchmarks._audience", CAPTURE_PORTS],
            cwd=REPOSITORY,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        reading = (self.audience, self.heard)
        threading.Thread(target=self._read_notes, args=reading, daemon=True).start()

    def close(self) -> None:
        """End everything."""
        for process in (self.supervisor, self.audience, self.log):
            process.terminate()
            ended(process)
        self._servers.close()

    @property
    def processes(self) -> list[psutil.Process]:
        """The supervisor and all that it started."""
        supervisor = psutil.Process(self.supervisor.pid)
        return [supervisor, *supervisor.children()]

    @property
    def performance(self) -> Reading | None:
        """What the one who performs has put up."""
        pids = {process.pid for process in self.processes}
        readings = [reading for reading in read_boards(board_folder()) if reading.pid in pids]
        return readings[0] if readings else None

    @property
    def performer_pid(self) -> int:
        """The one who performs."""
        performance = self.performance
        assert performance is not None
        return performance.pid

    def signal_all(self, number: signal.Signals) -> None:
        """Send a signal to everything that is ours on the machine."""
        for process in self.processes:
            process.send_signal(number)

    def saying(self, event: str) -> list[dict[str, Any]]:
        """Give the log lines of that name."""
        return [line for line in self.said if line.get("event") == event]

    def wait_note(self, since_s: float) -> float:
        """Wait for a note-on after a moment, and give its time."""

        def first() -> list[float]:
            begins = (note.begin_s for note in sounding_notes(list(self.heard)))
            return [begin_s for begin_s in begins if begin_s > since_s][:1]

        self.wait_for(lambda: bool(first()), PATIENCE_S)
        return first()[0]

    def wait_for(self, is_so: Callable[[], bool], limit_s: float) -> None:
        """Wait until something is so."""
        give_up_s = time.monotonic() + limit_s
        while not is_so():
            if time.monotonic() > give_up_s or self.supervisor.poll() is not None:
                last = [line for line in self.said[-200:] if line.get("level") != "info"][-8:]
                raise StageError(f"the performer does not go on: {last or self.said[-5:]}")
            time.sleep(0.005)

    def _read_notes(self, audience: "subprocess.Popen[bytes]", heard: list[Heard]) -> None:
        assert audience.stdout is not None
        for line in audience.stdout:
            at_ns, message = line.split()
            heard.append((int(at_ns) / 1e9, bytes.fromhex(message.decode())))

    def _read_log(self) -> None:
        assert self.log.stdout is not None
        for line in self.log.stdout:
            with contextlib.suppress(json.JSONDecodeError):
                self.said.append(json.loads(line))
