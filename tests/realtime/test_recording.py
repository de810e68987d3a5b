"""A performance kept: a folder of its own, what it began with, and what is said of it."""

import errno
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from models.output_path import OutputPathError
from realtime import recorder as recorder_module
from realtime.config import Config
from realtime.doorbell import Doorbell
from realtime.midi_file import MidiFileError
from realtime.recorder import Recorder
from realtime.recording import Tap, recorded
from realtime.session_format import LINES
from tests.oracle.memories import make_memory, melody
from tests.realtime.performing import BurstSource

RATE_HZ = 48_000
TIMEOUT_S = 10.0


@contextmanager
def recording(parent: Path | None, said: list[str]) -> Iterator[Tap]:
    """Record a performance to silence."""
    source = BurstSource(np.zeros(0, np.float32), RATE_HZ, Doorbell(), is_endless=True)
    with recorded(
        parent,
        about={"input": "burst"},
        config=Config(),
        memories=[make_memory(melody([60, 62]))],
        seed=7,
        source=source,
        tell=said.append,
    ) as tap:
        yield tap


def test_a_performance_that_is_not_recorded_leaves_nothing() -> None:
    """Its decisions are told to nobody."""
    said: list[str] = []
    with recording(None, said) as tap:
        tap.record("token")
        assert tap.sinks == ()
    assert said == []


def test_each_performance_has_a_folder_of_its_own(tmp_path: Path) -> None:
    """Also two within one second; where it is, is said; what it is, comes first in it."""
    said: list[str] = []
    for _ in range(2):
        with recording(tmp_path / "a" / "b", said) as tap:
            tap.record("token")
    folders = sorted((tmp_path / "a" / "b").iterdir())
    assert sorted(said) == [f"The performance is recorded in {folder}." for folder in folders]
    assert len(folders) == 2
    for folder in folders:
        head, token = map(json.loads, (folder / LINES).read_text().splitlines())
        assert (head["kind"], head["seed"], head["rate_hz"]) == ("session", 7, RATE_HZ)
        assert head["config"]["listener"]["heard_ms"] == Config().listener.heard_ms
        assert token == {"kind": "token"}


def test_a_place_that_takes_no_folder_is_refused(tmp_path: Path) -> None:
    """Before the first note."""
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(OutputPathError, match="No folder can be made in"),
        recording(tmp_path / "file", []),
    ):
        pass


def test_what_is_lost_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At the end, once."""
    monkeypatch.setattr(recorder_module, "N_WAITING", 0)
    said: list[str] = []
    with recording(tmp_path, said) as tap:
        tap.record("token")
    assert len(said) == 1
    assert "lacks 0.0 s of sound and 1 lines: its disk was too slow." in said[0]


def test_what_could_not_be_kept_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that stopped, and one that went on."""

    def stop(recorder: Recorder) -> None:
        recorder.error = OSError(errno.ENOSPC, "No space left")

    def go_on(recorder: Recorder) -> None:
        recorder.n_parts, recorder.n_lost_frames = 2, 2 * RATE_HZ

    def leave_midi(recorder: Recorder) -> None:
        recorder.midi_error = MidiFileError("It could not be written.")

    said: list[str] = []
    for run in (stop, go_on, leave_midi):
        monkeypatch.setattr(Recorder, "_run", run)
        with recording(tmp_path, said):
            pass
    assert "ends before the performance did (No space left: free some space)." in said[0]
    assert (
        "lacks 2.0 s of sound and 0 lines: its disk took nothing for a while. It is in 2 parts"
        in said[1]
    )
    assert said[2].endswith(", but for output.mid: It could not be written.")


def test_a_disk_that_does_not_take_the_end_in_time_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The performance is over all the same."""
    monkeypatch.setattr(recorder_module, "FINISH_S", 0.0)
    answers = threading.Event()
    monkeypatch.setattr(Recorder, "_run", lambda recorder: answers.wait(TIMEOUT_S))
    said: list[str] = []
    with recording(tmp_path, said):
        pass
    answers.set()
    assert "may lack its end: its disk has not taken it within" in said[0]
