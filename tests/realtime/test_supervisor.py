"""The supervisor: a performer that dies is silenced and started again, one that ends is not."""

import contextlib
import json
import math
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from structlog.testing import capture_logs

from realtime import supervisor, telemetry, troupe
from realtime.supervised import Supervised
from realtime.supervisor import DEVICE_GONE, supervise
from realtime.troupe import BEAT_FD, CALL_FD, END_ALL, PORT_FD, Keeper
from tests.conftest import REPOSITORY

WAIT_S = 60
PLAYING = {"input": "loop"}


class FakeKeeper(Keeper):
    """Counts what a keeper is told."""

    def __init__(self) -> None:
        self.fd = os.open(os.devnull, os.O_WRONLY)
        self.n_silenced = 0
        self.n_closed = 0

    def is_well(self) -> bool:
        """It is."""
        return True

    def end_all_notes(self) -> None:
        """Count."""
        self.n_silenced += 1

    def close(self) -> None:
        """Count."""
        os.close(self.fd)
        self.n_closed += 1


@pytest.fixture
def keeper() -> FakeKeeper:
    """Give a keeper without a port."""
    return FakeKeeper()


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """Supervise without MIDI, delays or a hand on this process's signals, in a folder."""
    monkeypatch.setattr(supervisor, "_LONGEST_DELAY_S", 0.0)
    monkeypatch.setattr(troupe, "HUNG_S", 60.0)  # a busy machine is no hanging performer
    handlers = {number: signal.getsignal(number) for number in supervisor._SIGNALS}
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    signal.set_wakeup_fd(-1)
    for number, handler in handlers.items():
        signal.signal(number, handler)


def performer(*lives: str) -> list[str]:
    """Give a command that does another thing each time it is called, and `beat`s as it likes."""
    head = f"""
import json, os, pathlib, signal, sys, time
begun = pathlib.Path("begun").open("a").write("x")
call = open(int(os.environ[{CALL_FD!r}])).readline()
call or sys.exit(0)
with open("lives", "a") as file:
    file.write(json.dumps([sys.argv[1:], call]) + "\\n")
life = len(pathlib.Path("lives").read_text().splitlines())
def beat(**said):
    os.write(int(os.environ[{BEAT_FD!r}]), json.dumps(said).encode() + b"\\n")
def play():
    beat(**{PLAYING!r})
def play_beside(n):
    while len(pathlib.Path("begun").read_text()) < n:
        play()
        time.sleep(0.05)
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


@pytest.mark.parametrize("code", [0, 1, 2])
def test_a_performer_that_ends_before_it_played_is_not_started_again(
    stage: Path, keeper: FakeKeeper, code: int
) -> None:
    """What was wrong is the player's to mend, and was said; its exit code is handed on."""
    assert supervise(performer(f"sys.exit({code})"), keeper) == code
    assert len(lives(stage)) == 1
    assert (keeper.n_silenced, keeper.n_closed) == (0, 1)


def test_one_that_is_killed_is_silenced_and_started_again(stage: Path, keeper: FakeKeeper) -> None:
    """The next one learns what the last said of itself, and is not asked to begin afresh again."""
    command = [*performer("play(); die()", "play(); sys.exit(0)"), "--afresh", "--seed", "1"]
    with capture_logs() as said:
        assert supervise(command, keeper) == 0
    assert lives(stage) == [(["--afresh", "--seed", "1"], {}), (["--seed", "1"], PLAYING)]
    assert keeper.n_silenced == 1
    assert [(line["event"], line["how"]) for line in said] == [
        ("supervisor.performer_died", "killed by SIGKILL")
    ]


def test_an_understudy_waits_for_its_call_and_is_not_begun_afresh(
    stage: Path, keeper: FakeKeeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is ready before the performer dies, and one that is not called ends with the rest."""
    monkeypatch.setattr(supervisor, "_SETTLED_S", 0.0)
    command = performer("play_beside(2); die()", "play_beside(3)")
    assert supervise([*command, "--afresh"], keeper) == 0
    assert lives(stage) == [(["--afresh"], {}), ([], PLAYING)]
    assert (stage / "begun").read_text() == "xxx"


def test_an_understudy_that_died_while_it_waited_is_replaced(
    stage: Path, keeper: FakeKeeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By one that is started when it is needed; the dead one is not called to die once more."""
    monkeypatch.setattr(supervisor, "_SETTLED_S", 0.0)

    def is_well() -> bool:  # asked at every tick
        with contextlib.suppress(FileNotFoundError, ValueError):
            understudy = psutil.Process(int((stage / "dying").read_text()))
            if understudy.status() == psutil.STATUS_ZOMBIE:
                (stage / "dead").touch()
        return True

    monkeypatch.setattr(keeper, "is_well", is_well)
    wait = f"""
give_up_s = time.monotonic() + {WAIT_S}
while not os.path.exists("dead") and time.monotonic() < give_up_s:
    play()
    time.sleep(0.05)
die()"""
    command = performer(wait, "sys.exit(0)")
    command[-1] = command[-1].replace(
        "call = ",
        """if os.path.getsize("begun") == 2:
    pathlib.Path("dying").write_text(str(os.getpid()))
    os._exit(1)
call = """,
    )
    with capture_logs() as said:
        assert supervise(command, keeper) == 0
    assert (stage / "dead").exists()
    assert len(lives(stage)) == 2
    assert (stage / "begun").read_text() == "xxx"
    assert keeper.n_silenced == 1
    died = [line["how"] for line in said if line["event"] == "supervisor.performer_died"]
    assert died == ["killed by SIGKILL"]


def test_a_device_that_keeps_going_away_is_no_reason_to_give_up(stage: Path) -> None:
    """However often it does."""
    gone = f"play(); sys.exit({DEVICE_GONE})"
    assert supervise(performer(*[gone] * 8, "sys.exit(0)"), None) == 0
    assert len(lives(stage)) == 9


def test_one_that_keeps_dying_is_given_up_with_one_sentence(
    stage: Path, keeper: FakeKeeper
) -> None:
    """After five deaths within a minute."""
    with capture_logs() as said:
        assert supervise(performer(*["play(); sys.exit(1)"] * 9), keeper) == 1
    assert len(lives(stage)) == keeper.n_silenced == 5
    assert said[-1]["event"] == "supervisor.gave_up"
    assert said[-1]["notice"].startswith("The performance has died 5 times within a minute")


def test_one_that_hangs_is_killed(stage: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only once it has played: preparing takes its time."""
    monkeypatch.setattr(troupe, "HUNG_S", 0.3)
    hung = "time.sleep(0.5); play(); time.sleep(600)"
    with capture_logs() as said:
        assert supervise(performer(hung, "sys.exit(0)"), None) == 0
    assert said[0]["how"] == "hung"


def test_one_that_takes_its_time_to_end_is_let_end(
    stage: Path, keeper: FakeKeeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says that it ends, and then may write for longer than it may be silent while it plays."""
    monkeypatch.setattr(troupe, "HUNG_S", 0.2)
    assert supervise(performer("play(); beat(ending=True); time.sleep(0.8)"), keeper) == 0
    assert len(lives(stage)) == 1
    assert keeper.n_silenced == 0


def test_deaths_long_ago_do_not_count_when_a_device_goes(
    stage: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor does a device that goes make up for them, or wait."""
    monkeypatch.setattr(supervisor, "_MOST_DEATHS", 2)
    gone = f"play(); sys.exit({DEVICE_GONE})"
    assert supervise(performer("play(); sys.exit(1)", gone, gone, "sys.exit(0)"), None) == 0
    assert len(lives(stage)) == 4


def test_a_process_left_behind_does_not_keep_a_dead_performer(stage: Path) -> None:
    """Even one that holds the pipe."""
    leave = "play(); os.fork() or time.sleep(20); os._exit(3)"
    assert supervise(performer(leave, "sys.exit(0)"), None) == 0
    assert len(lives(stage)) == 2


def test_a_polite_kill_is_passed_on_and_its_code_handed_back(tmp_path: Path) -> None:
    """The performer ends by itself; it is not started again."""
    polite = (
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(7)); play(); print('on', flush=True)"
    )
    code = f"""
import sys
from realtime import supervisor, telemetry, troupe
troupe.HUNG_S = 600.0
assert not {{"numpy", "numba", "rtmidi"}} & set(sys.modules), "the supervisor is light"
sys.exit(supervisor.supervise({performer(polite + "; time.sleep(600)")!r}, None))
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


def test_a_log_is_kept_short_while_they_play(stage: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was said before is set aside once, and whoever writes goes on at its begin."""
    monkeypatch.setattr(telemetry, "_LONGEST_LOG_BYTES", 4)
    log = stage / "musichal.log"
    log.write_text("old lines\n")
    new = 'open("musichal.log", "a").write("new")'
    wait = 'while not pathlib.Path("musichal.log.1").exists(): play(); time.sleep(0.05)'
    assert supervise(performer(f"{wait}\n{new}"), None, log) == 0
    assert (log.read_text(), (stage / "musichal.log.1").read_text()) == ("new", "old lines\n")


def test_a_keeper_that_dies_is_started_again_and_nothing_sent_or_left_is_lost(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """What was sent while none was there is read by the next, who finds what the last one left."""
    monkeypatch.setattr(troupe, "_AGAIN_S", 0.05)
    out = tmp_path / "sent"
    code = f"""
import os, sys
read_fd, left_fd = map(int, sys.argv[1:])
for _ in range(3):
    byte = os.read(read_fd, 1)
    open({str(out)!r}, "ab", 0).write(os.pread(left_fd, 9, 0) + byte)
    os.pwrite(left_fd, byte, 0)
"""
    one = Keeper([sys.executable, "-S", "-c", code])
    give_up_s = time.monotonic() + WAIT_S
    one.end_all_notes()
    os.write(one.fd, b"\x90\x40\x41")
    while one.is_well():
        assert time.monotonic() < give_up_s
        time.sleep(0.01)
    one.close()
    sent = END_ALL + b"\x90\x40\x41"
    assert out.read_bytes() == b"".join(sent[max(0, i - 1) : i + 1] for i in range(len(sent)))


def test_where_no_process_can_be_started_what_runs_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Neither an understudy nor another keeper is worth the concert, nor a descriptor a try."""
    cast = supervisor._Cast([sys.executable, "-S", "-c", "input()"], None)
    one = Keeper([sys.executable, "-S", "-c", ""])
    one._process.wait(WAIT_S)
    monkeypatch.setattr(troupe, "_AGAIN_S", 0.0)
    one._again_s = 0.0
    cast.performer.playing_since_s = -math.inf

    def refuse(*_: object, **__: object) -> None:
        raise BlockingIOError("Resource temporarily unavailable")

    n_open = psutil.Process().num_fds()
    with monkeypatch.context() as patch, capture_logs() as logs:
        patch.setattr(subprocess, "Popen", refuse)
        for _ in range(3):
            cast.prepare()
            assert one.is_well()
    assert [entry["event"] for entry in logs] == ["supervisor.no_understudy"]
    assert psutil.Process().num_fds() == n_open
    one.close()
    cast.performer.dismiss()


def test_without_a_supervisor_nothing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """And nothing is expected."""
    for name in (BEAT_FD, CALL_FD, PORT_FD):
        monkeypatch.delenv(name, raising=False)
    alone = Supervised()
    assert not alone
    assert alone.beat()
    alone.wait_called(never)
    assert (alone.port_fd, alone.input) == (None, None)


def test_a_supervisor_hears_beats_and_its_end_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also while its pipe is full, a beat never waits."""
    read_fd, write_fd = os.pipe()
    monkeypatch.setenv(BEAT_FD, str(write_fd))
    performing = Supervised()
    assert performing.beat(input="loop")
    assert os.read(read_fd, 100) == b'{"input": "loop"}\n'
    assert all(performing.beat(input="x" * 1000) for _ in range(1000))
    os.close(read_fd)
    assert not performing.beat()
    os.close(write_fd)


def test_one_that_is_called_learns_what_the_last_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """And does not wait if the call is there; if it never comes, it ends without a word."""
    read_fd, write_fd = os.pipe()
    os.write(write_fd, json.dumps(PLAYING).encode() + b"\n")
    monkeypatch.setenv(CALL_FD, str(read_fd))
    called = Supervised()
    called.wait_called(never)
    assert called.input == "loop"
    read_fd, write_fd = os.pipe()
    monkeypatch.setenv(CALL_FD, str(read_fd))
    waiting: list[bool] = []

    def begin_waiting() -> None:
        waiting.append(True)
        os.close(write_fd)

    with pytest.raises(SystemExit):
        Supervised().wait_called(begin_waiting)
    assert waiting == [True]


def never() -> None:
    """Must not be called."""
    raise AssertionError
