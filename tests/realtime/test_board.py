"""What a performance puts up is what another process reads, while it plays and after."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from realtime import board as board_module
from realtime.board import (
    BEAT_S,
    N_NOTES,
    N_TALLIES,
    SUFFIX,
    Board,
    board_folder,
    put_up,
    read_board,
    read_boards,
    sweep,
)
from realtime.budget import BudgetConfig
from realtime.histogram import Histogram
from realtime.midi import NOTE_ON
from realtime.panic import NOTE_OFF
from realtime.report import Performance
from tests.realtime.midi_doubles import HandScheduler

ABOUT = {"pace": "realtime", "input": "guitar"}


def make_board(folder: Path, performance: Performance | None = None) -> Board:
    """Put a board up."""
    return Board(ABOUT, performance or Performance(), HandScheduler(), folder)


def own_path(folder: Path) -> Path:
    """Give where this process's board is."""
    return folder / f"{os.getpid()}{SUFFIX}"


def a_performance() -> Performance:
    """Give a performance with something of everything."""
    performance = Performance(n_events=5, n_answers=3, n_considered=2, xruns=7)
    performance.event_latency.record(30_000_000)
    performance.event_latency.record(-1)
    performance.stages["oracle"].record(200_000)
    performance.unanswered["no state answers"] = 2
    performance.relaxed["gesture_token"] = 1
    performance.modes += ["shadow", "lead"]
    return performance


def test_a_folder_that_others_may_use_is_refused(tmp_path: Path) -> None:
    """Nothing is written there, and the performance goes on without a board."""
    folder = tmp_path / "boards"
    folder.mkdir()
    folder.chmod(0o777)
    with pytest.raises(PermissionError, match="only its owner"):
        make_board(folder)
    assert list(folder.iterdir()) == []


def test_a_link_in_the_way_is_replaced_and_not_followed(tmp_path: Path) -> None:
    """What it led to stays as it was."""
    precious = tmp_path / "precious.memory"
    precious.write_bytes(b"learned")
    own_path(tmp_path).symlink_to(precious)
    make_board(tmp_path).close()
    assert precious.read_bytes() == b"learned"


def test_nothing_is_read_where_nothing_was_put_up(tmp_path: Path) -> None:
    """No folder, no board, an empty or another file: all the same."""
    assert read_boards(tmp_path / "none") == []
    (tmp_path / f"1{SUFFIX}").write_bytes(b"")
    (tmp_path / f"2{SUFFIX}").write_bytes(bytes(10))
    assert read_boards(tmp_path) == []
    assert read_board(tmp_path / f"3{SUFFIX}") is None


def test_what_was_counted_is_read(tmp_path: Path) -> None:
    """Every counter, histogram and reason."""
    performance = a_performance()
    board = make_board(tmp_path, performance)
    board.publish()
    (reading,) = read_boards(tmp_path)
    assert reading.performance.as_dict(ABOUT) == performance.as_dict(ABOUT)
    assert (reading.pid, reading.about, reading.is_running) == (os.getpid(), ABOUT, True)
    assert reading.start_ns <= reading.beat_ns


def test_it_is_brought_up_to_date_by_itself(tmp_path: Path) -> None:
    """Once a beat, until it is closed."""
    performance, scheduler = Performance(), HandScheduler()
    board = Board(ABOUT, performance, scheduler, tmp_path)
    seen = []
    for n_events in (3, 8):
        performance.n_events = n_events
        scheduler.advance(BEAT_S)
        reading = read_board(own_path(tmp_path))
        assert reading is not None
        seen.append(reading.performance.n_events)
    assert seen == [3, 8]
    board.close()
    board.close()
    assert scheduler.n_booked == 0
    assert list(tmp_path.iterdir()) == []


def test_reasons_keep_their_places_and_too_many_are_left_out(tmp_path: Path) -> None:
    """A count never moves to another reason."""
    performance = Performance()
    board = make_board(tmp_path, performance)
    for n in range(N_TALLIES + 5):
        performance.unanswered[f"reason {n}"] = n + 1
        board.publish()
    reading = read_board(own_path(tmp_path))
    assert reading is not None
    assert reading.performance.unanswered == {f"reason {n}": n + 1 for n in range(N_TALLIES)}


@pytest.mark.parametrize("n_notes", [0, 1, N_NOTES, N_NOTES + 10])
def test_the_newest_notes_are_read_oldest_first(n_notes: int, tmp_path: Path) -> None:
    """Only those that begin."""
    board = make_board(tmp_path)
    for n in range(n_notes):
        board.send((NOTE_ON, n % 128, 64), 0.0)
        board.send((NOTE_OFF, n % 128, 0), 0.0)
    reading = read_board(own_path(tmp_path))
    assert reading is not None
    expected = [n % 128 for n in range(max(0, n_notes - N_NOTES), n_notes)]
    assert reading.notes["pitch"].tolist() == expected
    assert (np.diff(reading.notes["sent_ns"]) >= 0).all()


def test_a_board_of_another_version_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its words would mean something else."""
    make_board(tmp_path)
    monkeypatch.setattr(board_module, "_LAYOUT", 1)
    assert read_boards(tmp_path) == []


def test_boards_of_the_dead_are_taken_down(tmp_path: Path) -> None:
    """Those of the living stay."""
    script = (
        "from pathlib import Path; from tests.realtime.test_board import make_board; "
        f"make_board(Path({str(tmp_path)!r}))"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)
    make_board(tmp_path)
    assert [reading.is_running for reading in read_boards(tmp_path)] == [True, False]
    sweep(tmp_path)
    assert list(tmp_path.iterdir()) == [own_path(tmp_path)]


def test_without_a_place_for_it_the_performance_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file is where the folder should be."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    board_folder().write_text("")
    assert put_up(ABOUT, BudgetConfig(), Performance(), HandScheduler()) == []
    board_folder().unlink()
    (sink,) = put_up(ABOUT, BudgetConfig(), Performance(), HandScheduler())
    (reading,) = read_boards(board_folder())
    assert BudgetConfig(**reading.about["budget"]) == BudgetConfig()
    sink.close()


def test_a_histogram_survives_the_way() -> None:
    """With its longest and its negative ones."""
    one, other = Histogram(), Histogram()
    for duration_ns in (5, -3, 10**9):
        one.record(duration_ns)
    words = np.zeros(Histogram.N_WORDS, np.int64)
    one.write_to(words)
    other.read_from(words)
    words[:] = 0
    assert (other.n, other.n_negative) == (3, 1)
    assert other.summary_ms() == one.summary_ms()
