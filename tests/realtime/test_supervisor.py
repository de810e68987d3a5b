"""The supervisor: a performer that dies is silenced and started again, one that ends is not."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from realtime import supervised, supervisor
from realtime.panic import panic_messages
from realtime.returning_port import ReturningPort
from realtime.supervised import Supervised
from realtime.supervisor import BEAT_FD, DEVICE_GONE, LAST_BEAT
from tests.conftest import REPOSITORY

WAIT_S = 60
PLAYING = {"input": "loop", "channels": [0], "system": 7, "receivers": ["synth"]}


TOLD = (7, ["synth"], [0])


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[tuple[object, ...]]:
    """Give what ports were told instead of telling them."""
    told: list[tuple[object, ...]] = []

    def tell(*whom: object) -> list[str]:
        told.append(whom)
        return ["synth"]

    monkeypatch.setattr(supervisor, "end_all_notes_apart", tell)
    return told


@pytest.fixture
def stage(
    told: list[tuple[object, ...]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[Path]:
    """Supervise without MIDI, delays or a hand on this process's signals, in a folder."""
    monkeypatch.setattr(supervisor, "_LONGEST_DELAY_S", 0.0)
    monkeypatch.setattr(supervisor, "_HUNG_S", 60.0)  # a busy machine is no hanging performer
    handlers = {number: signal.getsignal(number) for number in supervisor._SIGNALS}
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    signal.set_wakeup_fd(-1)
    for number, handler in handlers.items():
        signal.signal(number, handler)


def performer(*lives: str) -> list[str]:
    """Give a command that does another thing each time it is run, and `beat`s as it likes."""
    head = f"""
import json, os, pathlib, signal, sys, time
with open("lives", "a") as file:
    file.write(json.dumps([sys.argv[1:], os.environ[{LAST_BEAT!r}]]) + "\\n")
life = len(pathlib.Path("lives").read_text().splitlines())
def beat(**said):
    os.write(int(os.environ[{BEAT_FD!r}]), json.dumps(said).encode() + b"\\n")
def play():
    beat(**{PLAYING!r})
def die():
    os.kill(os.getpid(), signal.SIGKILL)
"""
    body = "".join(
        f"if life == {number}:\n{textwrap.indent(life, '    ')}\n"
        for number, life in enumerate(lives, start=1)
    )
    return [sys.executable, "-S", "-c", head + body]


def lives(folder: Path) -> list[tuple[list[str], dict[str, object]]]:
    """Give the arguments and the last beat that each performer was started with."""
    lines = [json.loads(line) for line in (folder / "lives").read_text().splitlines()]
    return [(arguments, json.loads(last)) for arguments, last in lines]


def said(capfd: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    """Give what the supervisor logged."""
    return [json.loads(line) for line in capfd.readouterr().err.splitlines()]


@pytest.mark.parametrize("code", [0, 1, 2])
def test_a_performer_that_ends_before_it_played_is_not_started_again(
    stage: Path, told: list[object], code: int
) -> None:
    """What was wrong is the player's to mend, and was said; its exit code is handed on."""
    assert supervisor.supervise(performer(f"sys.exit({code})")) == code
    assert len(lives(stage)) == 1
    assert told == []


def test_one_that_is_killed_is_silenced_and_started_again(
    stage: Path, told: list[object], capfd: pytest.CaptureFixture[str]
) -> None:
    """The next one learns what the last said of itself, and is not asked to begin afresh again."""
    command = [*performer("play(); die()", "play(); sys.exit(0)"), "--afresh", "--seed", "1"]
    assert supervisor.supervise(command) == 0
    assert lives(stage) == [(["--afresh", "--seed", "1"], {}), (["--seed", "1"], PLAYING)]
    assert told == [TOLD]
    silenced, died = sorted(said(capfd), key=lambda line: line["event"] != "supervisor.silenced")
    assert (died["event"], died["how"]) == ("supervisor.performer_died", "killed by SIGKILL")
    assert (silenced["event"], silenced["receivers"]) == ("supervisor.silenced", ["synth"])


def test_a_device_that_keeps_going_away_is_no_reason_to_give_up(stage: Path) -> None:
    """However often it does."""
    gone = f"play(); sys.exit({DEVICE_GONE})"
    assert supervisor.supervise(performer(*[gone] * 8, "sys.exit(0)")) == 0
    assert len(lives(stage)) == 9


def test_one_that_keeps_dying_is_given_up_with_one_sentence(
    stage: Path, told: list[object], capfd: pytest.CaptureFixture[str]
) -> None:
    """After five deaths within a minute."""
    assert supervisor.supervise(performer(*["play(); sys.exit(1)"] * 9)) == 1
    assert len(lives(stage)) == len(told) == 5
    *_, last = said(capfd)
    assert last["event"] == "supervisor.gave_up"
    assert str(last["notice"]).startswith("The performance has died 5 times within a minute")


def test_one_that_hangs_is_killed(
    stage: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Only once it has played: preparing takes its time."""
    monkeypatch.setattr(supervisor, "_HUNG_S", 0.3)
    hung = "time.sleep(0.5); play(); time.sleep(600)"
    assert supervisor.supervise(performer(hung, "sys.exit(0)")) == 0
    assert said(capfd)[0]["how"] == "hung"


def test_one_that_takes_its_time_to_end_is_let_end(
    stage: Path, told: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says that it ends, and then may write for longer than it may be silent while it plays."""
    monkeypatch.setattr(supervisor, "_HUNG_S", 0.2)
    assert supervisor.supervise(performer("play(); beat(ending=True); time.sleep(0.8)")) == 0
    assert len(lives(stage)) == 1
    assert told == []


def test_deaths_long_ago_do_not_count_when_a_device_goes(
    stage: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor does a device that goes make up for them, or wait."""
    monkeypatch.setattr(supervisor, "_MOST_DEATHS", 2)
    gone = f"play(); sys.exit({DEVICE_GONE})"
    assert supervisor.supervise(performer("play(); sys.exit(1)", gone, gone, "sys.exit(0)")) == 0
    assert len(lives(stage)) == 4


def test_a_process_left_behind_does_not_keep_a_dead_performer(stage: Path) -> None:
    """Even one that holds the pipe."""
    leave = "play(); os.fork() or time.sleep(20); os._exit(3)"
    assert supervisor.supervise(performer(leave, "sys.exit(0)")) == 0
    assert len(lives(stage)) == 2


def test_a_look_that_fails_does_not_stop_the_beats(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a MIDI library comes up with is said, and the performance goes on."""

    class Unlucky(ReturningPort):
        def look_after(self) -> None:
            raise UnicodeDecodeError("utf-8", b"\xe9", 0, 1, "a client's name")

    async def play() -> list[dict[str, object]]:
        async with Supervised().beside(listening_to="x", port=Unlucky("x", None), stop=stop.set):
            reader = asyncio.get_running_loop().run_in_executor(None, three_beats)
            return await asyncio.wait_for(reader, WAIT_S)

    def three_beats() -> list[dict[str, object]]:
        return [json.loads(os.read(read_fd, 4096)) for _ in range(3)]

    monkeypatch.setattr(supervised, "BEAT_S", 0.05)
    monkeypatch.setattr(supervised, "LOOK_S", 0.0)
    stop = threading.Event()
    read_fd, write_fd = os.pipe()
    monkeypatch.setenv(BEAT_FD, str(write_fd))
    with structlog.testing.capture_logs() as logged:
        beats = asyncio.run(play())
    os.close(read_fd)
    os.close(write_fd)
    assert [beat["input"] for beat in beats] == ["x"] * 3
    assert {line["event"] for line in logged} == {"midi.look_failed"}
    assert not stop.is_set()


def test_a_polite_kill_is_passed_on_and_its_code_handed_back(tmp_path: Path) -> None:
    """The performer ends by itself; it is not started again."""
    polite = (
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(7)); play(); print('on', flush=True)"
    )
    code = f"""
import sys
from realtime import supervisor
supervisor._HUNG_S = 600.0
assert not {{"numpy", "numba", "rtmidi"}} & set(sys.modules), "the supervisor is light"
sys.exit(supervisor.supervise({performer(polite + "; time.sleep(600)")!r}))
"""
    with subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"on\n"
        process.terminate()
        assert process.wait(WAIT_S) == 7
    assert len(lives(tmp_path)) == 1


def test_without_a_supervisor_nothing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """And nothing is expected."""
    monkeypatch.delenv(BEAT_FD, raising=False)
    alone = Supervised()
    assert not alone
    assert alone.beat()
    assert (alone.receivers, alone.input) == ([], None)


def test_a_supervisor_hears_beats_and_its_end_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also while its pipe is full, a beat never waits."""
    read_fd, write_fd = os.pipe()
    monkeypatch.setenv(BEAT_FD, str(write_fd))
    monkeypatch.setenv(LAST_BEAT, json.dumps(PLAYING))
    performing = Supervised()
    assert (performing.receivers, performing.input) == (["synth"], "loop")
    assert performing.beat(input="loop")
    assert os.read(read_fd, 100) == b'{"input": "loop"}\n'
    assert all(performing.beat(input="x" * 1000) for _ in range(1000))
    os.close(read_fd)
    assert not performing.beat()
    os.close(write_fd)


def test_a_panic_ends_every_pitch_of_a_channel() -> None:
    """Two controllers, then note by note."""
    messages = list(panic_messages([3]))
    assert messages[:2] == [(0xB3, 123, 0), (0xB3, 120, 0)]
    assert messages[2:] == [(0x83, pitch, 0) for pitch in range(128)]
