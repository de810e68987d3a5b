"""What a player reads of a performance in another process."""

import json
import os
from pathlib import Path

import pytest

from realtime import status
from realtime.board import SUFFIX, Board, board_folder
from realtime.midi import NOTE_ON
from realtime.monotonic import NS_PER_S, monotonic_ns
from realtime.report import Performance
from realtime.status import main
from tests.commands import assert_refused, in_process
from tests.realtime.midi_doubles import HandScheduler


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Look in no other place."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))


def playing() -> Board:
    """Put a board up for a performance of three events."""
    about = {"input": "guitar", "budget": {"target_ms": 60.0}}
    board = Board(about, Performance(n_events=3, n_answers=3), HandScheduler(), board_folder())
    board.send((NOTE_ON, 60, 64), 0.0)
    board.publish()
    return board


def test_no_performance_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    """And how to begin one."""
    assert_refused(in_process(main, [], capsys), "Nothing is being performed: start with")


def test_a_performance_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    """Whose it is, what it plays to, what was counted, against its own budget."""
    board = playing()
    board.publish()
    ended = in_process(main, [], capsys)
    board.close()
    assert ended.code == 0
    assert f"Process {os.getpid()} has been playing to guitar for 0:00." in ended.out
    assert "The input is silent: every sample is 0." in " ".join(ended.out.split())
    assert "3 events heard, 3 answered" in " ".join(ended.out.split())
    assert "60" in ended.out


def test_a_machine_reads_an_object(capsys: pytest.CaptureFixture[str]) -> None:
    """The report's numbers, and how old they are."""
    board = playing()
    said = json.loads(in_process(main, ["--json"], capsys).out)
    board.close()
    assert (said["pid"], said["n_events"], said["input"]) == (os.getpid(), 3, "guitar")
    assert said["age_s"] >= 0


def test_one_without_a_sign_of_life_is_said(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With its age."""
    board = playing()
    monkeypatch.setattr(status, "monotonic_ns", lambda: monotonic_ns() + 90 * NS_PER_S)
    assert_refused(in_process(main, [], capsys), "no sign of life for 90 s")
    board.close()


def test_one_that_was_killed_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    """Its board is still up."""
    playing()
    path = board_folder() / f"{os.getpid()}{SUFFIX}"
    content = path.read_bytes()
    pid, never = os.getpid().to_bytes(8, "little"), (1 << 22).to_bytes(8, "little")
    path.write_bytes(content.replace(pid, never, 1))
    assert_refused(in_process(main, [], capsys), f"process {1 << 22} ended without saying so")


def test_watching_goes_on_from_one_performance_to_the_next(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the two it says that there is none; Ctrl-C is no failure."""
    boards: list[Board] = []

    def nap(seconds: float) -> None:
        if len(boards) == 2:
            raise KeyboardInterrupt
        if boards:
            boards[-1].close()
        if not boards or naps:
            boards.append(playing())
        naps.append(seconds)

    naps: list[float] = []
    monkeypatch.setattr("time.sleep", nap)
    ended = in_process(main, ["--watch", "--json"], capsys)
    boards[-1].close()
    assert ended.code == 0
    assert [json.loads(line)["n_events"] for line in ended.out.splitlines()] == [3, 3]
    assert ended.err.count("Nothing is being performed") == 1


def test_encoders_that_fail_are_said(capsys: pytest.CaptureFixture[str]) -> None:
    """As long as they do."""
    for n_returns, is_said in ((1, True), (2, False)):
        performance = Performance(n_encoder_failures=2, n_encoder_returns=n_returns)
        performance.modes.append("shadow")
        board = Board({}, performance, HandScheduler(), board_folder())
        board.publish()
        said = " ".join(in_process(main, [], capsys).out.split())
        board.close()
        failing = "1 of its encoders fail: answers by their memories are reflexes."
        assert (failing in said) is is_said
