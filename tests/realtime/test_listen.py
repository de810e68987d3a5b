"""What the program hears of an input, and what it says when it hears nothing."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from realtime import listen_input
from realtime.board import Board
from realtime.config import Config
from realtime.doorbell import Doorbell
from realtime.listen import main
from realtime.midi import NOTE_ON
from realtime.monotonic import monotonic_ns
from realtime.recording import recorded
from realtime.report import Performance
from realtime.source import CaptureConfig, has_ended
from tests.commands import N_NOTES, RATE_HZ, assert_refused, in_process, phrase
from tests.oracle.memories import make_memory, melody
from tests.realtime.midi_doubles import HandScheduler
from tests.realtime.performing import BurstSource


@pytest.fixture(scope="module")
def notes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give eight plucked notes from A3 on."""
    path = tmp_path_factory.mktemp("notes") / "notes.wav"
    soundfile.write(path, phrase(), RATE_HZ)
    return path


def write(path: Path, audio: NDArray[np.float64]) -> Path:
    """Write a recording."""
    soundfile.write(path, audio, RATE_HZ, subtype="FLOAT")
    return path


def test_each_event_is_an_object_a_line(notes: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """When it was played, how high, and nothing that was not heard."""
    ended = in_process(main, [notes, "--json"], capsys)
    events = [json.loads(line) for line in ended.out.splitlines()]
    assert (ended.code, len(events)) == (0, N_NOTES)
    assert [event["onset_s"] for event in events] == pytest.approx(
        0.2 + 0.4 * np.arange(N_NOTES), abs=0.02
    )
    assert [round(event["pitch"]) for event in events[:4]] == [57, 61, 64, 69]
    assert "gesture_token" not in events[0]
    assert all(np.isfinite(event["level_db"]) for event in events)


def test_a_player_reads_a_line_under_headings(
    notes: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As wide as they are; only the seconds asked for are heard."""
    ended = in_process(main, [notes, "--seconds", 0.9], capsys)
    headings, first = ended.out.splitlines()[:2]
    assert len(headings) == len(first)
    assert first.split()[1] == "A3"
    assert first[headings.index("token") :].split()[0] == "–"


def test_with_a_memory_gestures_are_named(
    take_memory: Path, phrase: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As the memory has learned them."""
    ended = in_process(main, [phrase, "--memory", take_memory, "--json"], capsys)
    events = [json.loads(line) for line in ended.out.splitlines()]
    assert len(events) > 2
    assert all(event["gesture_token"] == int(event["gesture_token"]) for event in events)


def test_it_is_drawn_where_it_was_asked_for(
    notes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """And the drawing is named."""
    ended = in_process(main, [notes, "--plot", tmp_path / "a.png"], capsys)
    assert ended.err.endswith(f"The drawing is {tmp_path / 'a.png'}.\n")
    assert (tmp_path / "a.png").stat().st_size > 10_000


@pytest.mark.parametrize(
    ("gain", "said"), [(0.0, "Every sample is 0"), (1e-6, "below .listener. gate_dbfs")]
)
def test_why_nothing_is_heard_is_said(
    gain: float, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Once, and the exit code says so too."""
    ended = in_process(main, [write(tmp_path / "a.wav", gain * phrase())], capsys)
    assert ended.code == 1
    assert len(re.findall(said, ended.err)) == 1


def test_a_recording_that_begins_with_silence_is_not_called_silent(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is waited for its end before something is said of it."""
    late = np.concatenate([np.zeros(7 * RATE_HZ), phrase()])
    ended = in_process(main, [write(tmp_path / "a.wav", late), "--json"], capsys)
    assert (ended.code, len(ended.out.splitlines())) == (0, N_NOTES)
    assert "Every sample" not in ended.err


def test_nothing_is_said_twice(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """After five seconds of a live input, and in the end, with another level."""
    rising = 1e-5 * np.linspace(0.1, 1, 8 * RATE_HZ) * np.tile(phrase(), 2)

    def device(config: CaptureConfig, doorbell: Doorbell) -> BurstSource:
        return BurstSource(rising.astype(np.float32), RATE_HZ, doorbell, is_endless=True)

    monkeypatch.setattr(listen_input, "AudioInput", device)
    monkeypatch.setattr(listen_input, "_channels_of_device", lambda what, rate_hz: [])
    ended = in_process(main, ["guitar", "--seconds", 8], capsys)
    assert len([line for line in ended.err.splitlines() if "gate_dbfs" in line]) == 1


def test_the_wrong_channel_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """And which is the right one; listened to, it sounds."""
    audio = np.stack([np.zeros(4 * RATE_HZ), phrase()], axis=1)
    path = write(tmp_path / "a.wav", audio)
    ended = in_process(main, [path, "--channel", 1], capsys)
    assert ended.code == 1
    assert "Channel 2 is at" in ended.err
    assert in_process(main, [path, "--channel", 2], capsys).code == 0


def test_a_live_input_is_heard_as_it_comes(
    notes: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Until the seconds are over, when one more note is, and the input is let go."""
    opened = []

    def device(config: CaptureConfig, doorbell: Doorbell) -> BurstSource:
        assert config.device == "guitar"
        audio = np.tile(phrase().astype(np.float32), 2)
        opened.append(BurstSource(audio, RATE_HZ, doorbell, is_endless=True))
        return opened[0]

    monkeypatch.setattr(listen_input, "AudioInput", device)
    ended = in_process(main, ["guitar", "--seconds", 5, "--json"], capsys)
    assert (ended.code, len(ended.out.splitlines())) == (0, N_NOTES + 1)
    assert has_ended(opened[0].counters)


def test_our_own_notes_that_come_back_are_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """In a kept performance whose synthesiser is heard by its microphone."""
    audio = phrase().astype(np.float32)
    source = BurstSource(audio, RATE_HZ, Doorbell(), is_endless=False)
    with recorded(
        tmp_path,
        about={},
        config=Config(),
        memories=[make_memory(melody([60]))],
        seed=0,
        source=source,
        tell=lambda said: None,
    ) as tap:
        source.start()
        for i, semitones in enumerate((0, 4, 7, 12, 7, 4, 0, 4)):
            tap.sinks[0].send((NOTE_ON, 57 + semitones, 64), 0.2 + 0.4 * i - 0.05)
    ended = in_process(main, [tmp_path, "--json"], capsys)
    assert len(ended.out.splitlines()) == N_NOTES
    assert re.search("Our own notes come back: [78] of 8 were heard 5[0-9] ms", ended.err)


def test_notes_of_a_performance_elsewhere_are_those_since_the_start(tmp_path: Path) -> None:
    """In seconds of the stream."""
    board = Board({}, Performance(), HandScheduler(), tmp_path)
    board.send((NOTE_ON, 60, 64), 0.0)
    start_ns = monotonic_ns()
    board.send((NOTE_ON, 62, 64), 0.0)
    (note,) = listen_input.notes_of_boards(tmp_path, start_ns)
    assert note.pitch == 62
    assert note.at_s >= 0
    board.close()
    assert listen_input.notes_of_boards(tmp_path, start_ns) == []


def test_what_cannot_be_had_is_refused_in_one_sentence(
    notes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """No recording, no drawing, no channel; nothing is written."""
    refused: list[tuple[list[object], str]] = [
        (["none.wav"], "none.wav is not a file"),
        ([tmp_path], "is a folder: name one recording in it"),
        ([notes, "--plot", tmp_path / "a.gif"], r"end it in \.png or \.svg"),
        ([notes, "--plot", notes], "notes.wav is no drawing"),
        ([notes, "--channel", "3"], "has no channel 3"),
        ([notes, "--channel", "0"], "from 1 to 32"),
        ([notes, "--seconds", "-1"], "above 0"),
    ]
    for arguments, match in refused:
        assert_refused(in_process(main, arguments, capsys), match)
    assert not list(tmp_path.iterdir())
