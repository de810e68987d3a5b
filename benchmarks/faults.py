"""Faults: what a gig's bad luck costs, in notes that hang, music forgotten and seconds.

Each fault is really staged, on a JACK server without hardware: a performer under its supervisor
plays to an endless phrase into a virtual port, and an audience writes down what it hears. Recovery
counts from the fault, or from the return of what went away, to the next note-on the audience hears;
it holds the performer's start. Forgotten are events that the last heartbeat had learned and the
next performer does not know. Budget: no note hangs, nothing a second old is forgotten, 3 s.

It could mislead as the audience has to come back too when its server is killed: its start runs
beside the performer's, and is the shorter one. A performer that hangs is noticed after 1.5 s, which
counts.
"""

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final
from unittest import mock

from benchmarks._audience import NAME
from benchmarks._jack import ended, jack_server
from benchmarks._run import REPOSITORY, Headline, run
from benchmarks._stage import CAPTURE_PORTS, StageError, train

LIMIT_S: Final = 3.0
_PORT: Final = "MusicHal:MusicHal"
_PLAY_S: Final = 2.5
_AWAY_S: Final = 4.0
_PATIENCE_S: Final = 60.0
_FIRST_PATIENCE_S: Final = 150.0


class Rig:
    """A server, an audience and a supervised performer, and what was heard and said."""

    def __init__(self, folder: Path, memory: Path) -> None:
        self.said: list[dict[str, Any]] = []
        self._servers = contextlib.ExitStack()
        self.raise_server()
        self.raise_audience()
        command = [sys.executable, "-m", "realtime.perform", "--headless", "--memory", str(memory)]
        self.supervisor = subprocess.Popen(
            [*command, "--input", "default", "--midi-out", "virtual"],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
            stderr=subprocess.PIPE,
        )
        threading.Thread(target=self._read_log, daemon=True).start()
        self.wait_for(lambda: bool(self.saying("engine.heartbeat")), _FIRST_PATIENCE_S)
        subprocess.run(["jack_connect", _PORT, f"{NAME}:in"], check=True)
        self.wait_note(time.monotonic())

    def raise_server(self) -> None:
        """Start a server, as the last one was."""
        self.server = self._servers.enter_context(jack_server())

    def raise_audience(self) -> None:
        """Start an audience, which has heard nothing yet and in which nothing sounds."""
        self.heard: list[tuple[float, bytes]] = []
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
        for process in (self.supervisor, self.audience):
            process.terminate()
            ended(process)
        self._servers.close()

    @property
    def performer_pid(self) -> int:
        """The supervisor's child."""
        children = Path(f"/proc/{self.supervisor.pid}/task/{self.supervisor.pid}/children")
        return int(children.read_text().split()[0])

    def saying(self, event: str) -> list[dict[str, Any]]:
        """Give the log lines of that name."""
        return [line for line in self.said if line.get("event") == event]

    def wait_note(self, since_s: float) -> float:
        """Wait for a note-on after a moment, and give its time."""

        def first() -> list[float]:
            ons = (at_s for at_s, m in self.heard if m[0] & 0xF0 == 0x90 and m[2] > 0)
            return [at_s for at_s in ons if at_s > since_s][:1]

        self.wait_for(lambda: bool(first()), _PATIENCE_S)
        return first()[0]

    def wait_for(self, is_so: Callable[[], bool], limit_s: float) -> None:
        """Wait until something is so."""
        give_up_s = time.monotonic() + limit_s
        while not is_so():
            if time.monotonic() > give_up_s or self.supervisor.poll() is not None:
                raise StageError(f"the performer does not go on: {self.said[-5:]}")
            time.sleep(0.005)

    def hanging(self, until_s: float) -> int:
        """Count the notes that sound at a moment, so far as the audience has heard."""
        sounding: set[int] = set()
        for at_s, (status, pitch, velocity) in list(self.heard):
            if at_s > until_s:
                break
            if status & 0xF0 == 0x90 and velocity:
                sounding.add(pitch)
            elif status & 0xF0 in (0x80, 0x90):
                sounding.discard(pitch)
        return len(sounding)

    def _read_notes(
        self, audience: "subprocess.Popen[bytes]", heard: list[tuple[float, bytes]]
    ) -> None:
        assert audience.stdout is not None
        for line in audience.stdout:
            at_ns, message = line.split()
            heard.append((int(at_ns) / 1e9, bytes.fromhex(message.decode())))

    def _read_log(self) -> None:
        assert self.supervisor.stderr is not None
        for line in self.supervisor.stderr:
            with contextlib.suppress(ValueError):
                self.said.append(json.loads(line))


def kill_performer(rig: Rig) -> float:
    """SIGKILL."""
    os.kill(rig.performer_pid, signal.SIGKILL)
    return time.monotonic()


def hang_performer(rig: Rig) -> float:
    """SIGSTOP, which is as good as a loop that does not turn."""
    os.kill(rig.performer_pid, signal.SIGSTOP)
    return time.monotonic()


def suspend_machine(rig: Rig) -> float:
    """SIGSTOP to performer and supervisor alike, and SIGCONT three seconds later."""
    pids = [rig.supervisor.pid, rig.performer_pid]
    for number in (signal.SIGSTOP, signal.SIGCONT):
        for pid in pids:
            os.kill(pid, number)
        gone_on_s = time.monotonic()
        if number == signal.SIGSTOP:
            time.sleep(3.0)
    return gone_on_s


def restart_server(rig: Rig) -> float:
    """SIGKILL to the audio server, and another one at once."""
    return _restart_server(rig, away_s=0.0)


def lose_server(rig: Rig) -> float:
    """SIGKILL to the audio server, and another one some seconds later."""
    return _restart_server(rig, away_s=_AWAY_S)


def _restart_server(rig: Rig, *, away_s: float) -> float:
    rig.server.kill()
    rig.server.wait()
    ended(rig.audience)
    time.sleep(away_s)
    rig.raise_server()
    back_s = time.monotonic()
    rig.raise_audience()
    return back_s


FAULTS: Final[dict[str, Callable[[Rig], float]]] = {
    "performer killed": kill_performer,
    "performer hung": hang_performer,
    "machine suspended 3 s": suspend_machine,
    "audio server killed and back at once": restart_server,
    "audio server killed and back after 4 s": lose_server,
}


def stage(rig: Rig, fault: Callable[[Rig], float]) -> dict[str, Any]:
    """Let a fault happen to a performance that goes well, and see what becomes of it."""
    time.sleep(_PLAY_S)
    rig.wait_note(time.monotonic())
    n_said = len(rig.said)
    learned = rig.saying("engine.heartbeat")[-1]["n_learned"] + _n_known(rig.said)
    back_s = fault(rig)
    time.sleep(0.2)  # what was on its way is no recovery
    note_s = rig.wait_note(back_s + 0.2)
    now = rig.said[n_said:]
    is_restarted = any(line.get("event") == "perform.started" for line in now)
    return {
        "recovery_s": note_s - back_s,
        "is_restarted": is_restarted,
        "n_hanging": rig.hanging(note_s - 0.001) if is_restarted else 0,
        "n_forgotten": max(0, learned - _n_known(now)) if is_restarted else 0,
    }


def _n_known(said: list[dict[str, Any]]) -> int:
    """Say how many events of earlier performances the newest performer knows."""
    notices = [str(line.get("notice", "")) for line in said]
    counts = [
        int(n.split(": ")[1].split(" ")[0]) for n in notices if n.startswith("Events learned")
    ]
    return counts[-1] if counts else 0


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Stage every fault on one rig, one after the other."""
    faults = list(FAULTS.items())[:1] if options.quick else list(FAULTS.items())
    with tempfile.TemporaryDirectory() as name, mock.patch.dict(os.environ):
        folder = Path(name)
        memory = train(folder, "spectral")
        rig = Rig(folder, memory)
        try:
            rows = {what: stage(rig, fault) for what, fault in faults}
            rows["polite kill"] = _end(rig)
        finally:
            rig.close()
    return {"faults": rows}


def _end(rig: Rig) -> dict[str, Any]:
    """SIGTERM to the supervisor: everything ends, and no note sounds."""
    began_s = time.monotonic()
    rig.supervisor.terminate()
    ended(rig.supervisor)
    ended_s = time.monotonic()
    time.sleep(0.2)
    return {
        "recovery_s": ended_s - began_s,
        "is_restarted": False,
        "n_hanging": rig.hanging(time.monotonic()),
        "n_forgotten": 0,
    }


def headlines(result: dict[str, Any]) -> Iterator[Headline]:
    """Pick what decides."""
    rows = result["faults"].values()
    yield Headline(
        name="faults: longest recovery",
        value=max(row["recovery_s"] for row in rows),
        unit="s",
        target=LIMIT_S,
    )
    yield Headline(
        name="faults: notes hanging", value=sum(row["n_hanging"] for row in rows), target=0
    )
    yield Headline(
        name="faults: events forgotten", value=sum(row["n_forgotten"] for row in rows), target=0
    )


def show(result: dict[str, Any]) -> None:
    """Print the matrix."""
    print(f"{'fault':40} {'recovery s':>10} {'restarted':>9} {'hanging':>7} {'forgotten':>9}")
    for what, row in result["faults"].items():
        print(
            f"{what:40} {row['recovery_s']:10.2f} {'yes' if row['is_restarted'] else 'no':>9} "
            f"{row['n_hanging']:7} {row['n_forgotten']:9}"
        )


def main(arguments: list[str] | None = None) -> int:
    """Measure and print."""
    return run(__doc__, measure, show, headlines, arguments=arguments)


if __name__ == "__main__":
    sys.exit(main())
