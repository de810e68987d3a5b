"""The supervisor: a performer that dies is silenced and started again, one that ends is not."""

import json
import math
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from structlog.testing import capture_logs

from realtime import backoff, supervisor, telemetry, troupe
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
    monkeypatch.setattr(backoff, "FIRST_S", 0.0)
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


def test_an_understudy_that_died_while_it_waited_is_replaced_before_it_is_needed(
    stage: Path, keeper: FakeKeeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which is said; the dead one is not called to die once more, and the next one plays."""
    monkeypatch.setattr(supervisor, "_SETTLED_S", 0.0)
    command = performer("play_beside(3); die()", "sys.exit(0)")
    command[-1] = command[-1].replace(
        "call = ", "if os.path.getsize('begun') == 2: os._exit(0)\ncall = "
    )
    with capture_logs() as said:
        assert supervise(command, keeper) == 0
    assert len(lives(stage)) == 2
    assert (stage / "begun").read_text() == "xxx"
    assert [(line["event"], line.get("reason", line.get("how"))) for line in said] == [
        ("supervisor.understudy_started", None),
        ("supervisor.no_understudy", "exit code 0"),
        ("supervisor.understudy_started", None),
        ("supervisor.performer_died", "killed by SIGKILL"),
    ]


def test_an_understudy_that_dies_when_it_is_called_is_one_more_death(
    stage: Path, keeper: FakeKeeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before the call, of which nobody may be left to read, or upon it; the next one plays."""
    monkeypatch.setattr(supervisor, "_SETTLED_S", 0.0)
    call = troupe.Performer.call

    def kill_at_call(called: troupe.Performer, last_beat: dict[str, object]) -> None:
        if last_beat:  # all but the first
            deaths.append(called)
        if len(deaths) == 1:
            called._process.kill()
            called._process.wait()
        call(called, last_beat)

    deaths: list[troupe.Performer] = []
    monkeypatch.setattr(troupe.Performer, "call", kill_at_call)
    command = performer("play_beside(2); die()", "die()", "sys.exit(0)")
    assert supervise(command, keeper) == 0
    assert len(lives(stage)) == 3
    assert len(deaths) == keeper.n_silenced == 3


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
from realtime import backoff, supervisor, telemetry, troupe
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


@pytest.fixture
def reader(tmp_path: Path) -> Keeper:
    """Give a keeper that writes into a file what it finds and reads, one message a life."""
    code = f"""
import os, sys
read_fd, left_fd = map(int, sys.argv[1:])
with open({str(tmp_path / "sent")!r}, "ab", 0) as sent:
    sent.write(os.pread(left_fd, 1, 0) + os.read(read_fd, 3))
os.pwrite(left_fd, b"\\1", 0)
"""
    return Keeper([sys.executable, "-S", "-c", code])


def test_a_keeper_that_dies_is_started_again_and_once_more_in_the_end(
    reader: Keeper, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """At once, then less and less often; each finds what the last one left, and what waits."""
    monkeypatch.setattr(backoff, "FIRST_S", 600.0)
    for message in (END_ALL, b"\x90\x40\x41", b"\x80\x40\x00"):
        os.write(reader.fd, message)
    assert reader._process.wait(WAIT_S) == 0
    assert not reader.is_well()
    assert reader._process.wait(WAIT_S) == 0
    assert reader.is_well(), "it is dead, and not started again so soon"
    reader.close()
    sent = (tmp_path / "sent").read_bytes()
    assert sent == END_ALL + b"\1\x90\x40\x41" + b"\1\x80\x40\x00"


def test_a_dead_keeper_that_never_sent_anything_is_not_started_to_end_it(tmp_path: Path) -> None:
    """As the music is over."""
    begun = tmp_path / "begun"
    one = Keeper([sys.executable, "-S", "-c", f"open({str(begun)!r}, 'a').write('x')"])
    assert one._process.wait(WAIT_S) == 0
    one.close()
    assert begun.read_text() == "x"


def test_a_keeper_that_reads_no_more_is_killed_and_started_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Not while it starts, nor while there is nothing to read, nor for a machine that slept."""
    one = Keeper([sys.executable, "-S", "-c", "import time; time.sleep(600)"])
    hung, now_s = one._process, time.monotonic()
    with monkeypatch.context() as patch:
        patch.setattr(time, "monotonic", lambda: now_s)

        def all_well_for(duration_s: float, n_looks: int) -> bool:
            nonlocal now_s
            for _ in range(n_looks):
                now_s += duration_s / n_looks
                if not one.is_well():
                    return False
            return True

        one.end_all_notes()
        assert all_well_for(0.9 * troupe._KEEPER_STARTS_S, 100)
        os.read(one._read_fd, 100)
        assert all_well_for(100.0, 1000)
        one.end_all_notes()
        assert all_well_for(3600.0, 1)
        os.read(one._read_fd, 100)
        assert all_well_for(0.4, 4)
        one.end_all_notes()
        assert not all_well_for(1.5 * troupe._UNREAD_S, 15)
        assert hung.returncode == -signal.SIGKILL
        assert one._process.poll() is None
    one._process.kill()
    one._process.wait()
    one.close()


def test_where_no_process_can_be_started_what_runs_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Neither an understudy nor another keeper is worth the concert, nor a descriptor a try."""
    cast = supervisor._Cast([sys.executable, "-S", "-c", "input()"], None)
    one = Keeper([sys.executable, "-S", "-c", ""])
    one._process.wait(WAIT_S)
    cast.performer.playing_since_s = -math.inf
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


def test_where_no_performer_can_be_started_it_is_tried_until_one_can(
    stage: Path, keeper: FakeKeeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each refusal is said; a signal ends the wait."""
    popen = subprocess.Popen
    refusing: list[Callable[[], None]] = [refuse, refuse]

    def start(*arguments: object, **options: object) -> object:
        if (stage / "lives").exists() and refusing:
            refusing.pop()()
        return popen(*arguments, **options)  # type: ignore[call-overload]

    monkeypatch.setattr(subprocess, "Popen", start)
    with capture_logs() as said:
        assert supervise(performer("play(); die()", "sys.exit(0)"), keeper) == 0
    assert len(lives(stage)) == 2
    events = [line["event"] for line in said]
    assert events == ["supervisor.performer_died", *["supervisor.no_performer"] * 2]

    def be_interrupted() -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        refuse()

    (stage / "lives").unlink()
    refusing.append(be_interrupted)
    assert supervise(performer("play(); die()"), None) == 0
    assert len(lives(stage)) == 1


def refuse(*_: object, **__: object) -> None:
    """Start no process."""
    raise BlockingIOError("Resource temporarily unavailable")


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
