"""A recorded performance, performed again: the same notes, or what has changed."""

import gc
import json
import shutil
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import structlog

from models.audio_file import AudioFile
from models.codebook import Codebook
from models.listener import Listener
from models.spectral import SpectralEncoder
from oracle.memory import Memory
from realtime import engine, perform, rehearsal, session_format
from realtime.board import read_boards
from realtime.budget import BudgetConfig
from realtime.doorbell import Doorbell
from realtime.ensemble import make_ensemble
from realtime.midi import NotePlayer
from realtime.recogniser import Recogniser
from realtime.rehearsal import Rehearsal
from realtime.replay import main
from realtime.report import Performance
from realtime.responder import Responder
from realtime.session import read_session
from realtime.session_format import AUDIO, LINES, MIDI, REST, memory_name, part_name
from tests.commands import assert_refused, in_process
from tests.realtime.performing import BurstSource, burst, read, rehearse


@pytest.fixture(scope="module")
def session(take_memory: Path, phrase: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Record a performance of two memories to two phrases, which come all at once.

    The memories are longer than they may be, and forget meanwhile. Some answers are late and some
    are reflexes, as it happens; what would be played on with, and how much of it, would depend on
    how fast the machine is.
    """
    folder = tmp_path_factory.mktemp("sessions")
    (folder / "config.toml").write_text("[improviser]\nphrase_notes = 0\nmax_events = 16\n")
    interval_s = sys.getswitchinterval()
    audio, rate_hz = read(phrase)
    soundfile.write(folder / "twice.wav", [*audio, *np.zeros(rate_hz), *audio], rate_hz, "FLOAT")
    other = shutil.copy(take_memory, folder / "other.memory")

    def open_source(*arguments: Any, **named: Any) -> BurstSource:
        (doorbell,) = (argument for argument in arguments if isinstance(argument, Doorbell))
        return burst(folder / "twice.wav")(doorbell)

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_RUNTIME_DIR", str(folder))
        patch.setattr(perform, "open_source", open_source)
        patch.setattr(engine, "_LAST_NOTES_S", 0.0)
        options = [
            "--memory",
            take_memory,
            "--memory",
            other,
            "--input",
            phrase,
            "--midi-out",
            "none",
            "--headless",
        ]
        options += ["--record", folder / "kept", "--seed", 3, "--config", folder / "config.toml"]
        assert perform.main([str(option) for option in options]) == 0
    structlog.reset_defaults()
    sys.setswitchinterval(interval_s)
    gc.unfreeze()
    assert read_boards(folder / "musichal") == []  # it was up, and was taken down
    assert (folder / "musichal").is_dir()
    (kept,) = (folder / "kept").iterdir()
    return kept


def edited(session: Path, folder: Path, edit: Callable[[dict[str, Any]], None]) -> Path:
    """Copy a session and edit its lines."""
    copy = folder / "copy"
    shutil.copytree(session, copy)
    lines = [json.loads(line) for line in (copy / LINES).read_text().splitlines()]
    for line in lines:
        edit(line)
    (copy / LINES).write_text("".join(json.dumps(line) + "\n" for line in lines))
    return copy


def test_every_event_and_decision_is_kept(session: Path) -> None:
    """An attack, an answer with what it was asked and considered, a body; notes and sound."""
    kept = read_session(session)
    answers = kept.of_kind("answer")
    n_events = len(kept.of_kind("attack"))
    assert n_events == len(answers) > 2
    assert n_events - len(kept.of_kind("body")) in (0, 1)  # the last note may be sounding still
    assert {"may_wait", "finish_ns", "onset_ns"} < kept.of_kind("attack")[0].keys()
    assert answers[0]["trace"]["request"][0]["attribute"]
    assert answers[0]["trace"]["candidates"][0]["probability"] > 0
    assert {answer["memory"] for answer in answers} == {0, 1}
    assert all(len(learned["tokens"]) == 2 for learned in kept.of_kind("body"))
    n_note_ons = sum(line["message"][0] == 0x90 for line in kept.of_kind("midi"))
    played = [*answers, *kept.of_kind("played_on")]
    assert n_note_ons == sum(len(line["notes"]) for line in played)
    assert {path.name for path in session.iterdir()} >= {
        AUDIO,
        LINES,
        memory_name(0),
        memory_name(1),
        MIDI,
    }


def test_the_notes_are_the_same(session: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever was late then; of the folder above, the newest is meant."""
    for folder in (session, session.parent):
        ended = in_process(main, [folder], capsys)
        assert ended.code == 0
        assert ended.out.endswith("answers performed again: all notes are the same.\n")


@pytest.fixture
def leading(session: Path, phrase: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep what is decided in a rehearsal to the same sound, in which phrases are played on."""
    copy = tmp_path / "leading"
    shutil.copytree(session, copy)
    head = json.loads((copy / LINES).read_text().splitlines()[0])
    head["config"]["improviser"] |= {"mode": "lead", "phrase_notes": 16}
    head["n_memories"] = 1
    lines = [json.dumps(head) + "\n"]

    def record(kind: str, **values: Any) -> None:
        lines.append(session_format.line(kind, values))

    monkeypatch.setattr(rehearsal, "Responder", partial(Responder, record=record))
    memory = Memory.load(copy / memory_name(0))
    kept = read_session(copy)
    seconds = kept.n_frames / kept.rate_hz  # what a burst has of the phrase has no silence after it
    rehearse(phrase, memory, mode="lead", seed=kept.seed, seconds=seconds)
    (copy / LINES).write_text("".join(lines))
    return copy


def test_phrases_are_played_on_again_with_the_same_notes(
    leading: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """In the order of then among the answers; one that is missing changes what follows."""
    kept = read_session(leading)
    played_on = kept.of_kind("played_on")
    assert len(played_on) > 2
    ended = in_process(main, [leading], capsys)
    assert ended.code == 0
    assert int(ended.out.split()[0]) == len(played_on) + len(kept.of_kind("answer"))

    def edit(line: dict[str, Any]) -> None:
        if line == played_on[1]:
            line["kind"] = "forgotten"

    assert in_process(main, [edited(leading, tmp_path, edit)], capsys).code == 1


@pytest.fixture
def forgetful(session: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep a rehearsal of two memories, each of which forgets some events after it began to."""
    copy = tmp_path / "forgetful"
    shutil.copytree(session, copy)
    head = (copy / LINES).read_text().splitlines()[0]
    lines = [head + "\n"]

    def record(kind: str, **values: Any) -> None:
        lines.append(session_format.line(kind, values))

    monkeypatch.setattr(rehearsal, "Responder", partial(Responder, record=record))
    kept = read_session(copy)
    sound = tmp_path / "sound.wav"
    soundfile.write(sound, np.concatenate([*kept.blocks()]), kept.rate_hz, "FLOAT")
    memories = kept.memories()
    asides = [Slow(2), Slow(5)]
    ensemble = make_ensemble(memories, kept.rate_hz, kept.improviser, seed=kept.seed, asides=asides)
    codebooks = {i: Codebook(memory.centroids) for i, memory in enumerate(memories)}
    Rehearsal(
        file=AudioFile(sound),
        channel="mix",
        block_frames=1024,
        listener=Listener(kept.rate_hz, kept.listener),
        recognisers=[Recogniser(SpectralEncoder(), codebooks)],
        ensemble=ensemble,
        make_player=lambda scheduler: NotePlayer([], scheduler),
        budget=BudgetConfig(),
        performance=Performance(),
    ).run(kept.n_frames / kept.rate_hz)
    assert all(n_forgotten > 0 for n_forgotten in ensemble.n_forgotten)
    (copy / LINES).write_text("".join(lines))
    return copy


class Slow:
    """Builds a shorter memory, which is there when it has been asked for so many times."""

    def __init__(self, n_asked: int) -> None:
        self._n_asked = n_asked
        self._n_left = n_asked
        self._build: Callable[[], Memory]

    def __call__(self, build: Callable[[], Memory]) -> "Slow":
        """Take what is to be built."""
        self._build, self._n_left = build, self._n_asked
        return self

    def done(self) -> bool:
        """Say whether it is there."""
        self._n_left -= 1
        return self._n_left < 0

    def result(self) -> Memory:
        """Give it."""
        return self._build()


def test_what_was_forgotten_is_forgotten_at_the_same_event_again(
    forgetful: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of each memory; had it been another event, other notes would have been answered."""
    assert in_process(main, [forgetful], capsys).code == 0

    def edit(line: dict[str, Any]) -> None:
        if line["kind"] == "body":
            line["n_forgotten"] = [0, 0]

    assert in_process(main, [edited(forgetful, tmp_path, edit)], capsys).code == 1


def test_the_memory_that_answered_then_answers(
    forgetful: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nobody finds out again whose turn it was; memories that are alike are told apart."""

    def edit(line: dict[str, Any]) -> None:
        if line["kind"] == "answer":
            line["memory"] = 1 - line["memory"]

    assert in_process(main, [edited(forgetful, tmp_path, edit)], capsys).code == 1


def test_notes_that_are_not_the_same_are_shown(
    session: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Those of then beside those of now, and the exit code says it."""

    def edit(line: dict[str, Any]) -> None:
        if line["kind"] == "answer" and line["index"] == 1:
            line["notes"] = [[1, 2, 3.0]]

    ended = in_process(main, [edited(session, tmp_path, edit)], capsys)
    assert ended.code == 1
    first, second = ended.out.splitlines()
    assert first.startswith("1 of ")
    assert second.endswith(", and was C♯-1")


def test_another_decision_gives_other_notes(
    session: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """So the decisions noted are those that were made: replay can fail."""

    def edit(line: dict[str, Any]) -> None:
        if line["kind"] == "session":
            line["seed"] += 1
        if line["kind"] == "answer":
            line["token"], line["is_considered"] = (line["token"] or 0) ^ 1, True

    assert in_process(main, [edited(session, tmp_path, edit)], capsys).code == 1


def test_a_line_torn_off_by_a_kill_is_left_out(
    session: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The others are performed again."""
    copy = edited(session, tmp_path, lambda line: None)
    with (copy / LINES).open("a") as lines:
        lines.write('{"kind": "answer", "ind')
    assert in_process(main, [copy], capsys).code == 0


def test_a_sound_cut_off_by_a_kill_is_replayed_as_far_as_it_goes(
    session: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Answers to what is not there any more are left out, and said to be."""
    copy = edited(session, tmp_path, lambda line: None)
    n_answers = len(read_session(copy).of_kind("answer"))
    for name in (AUDIO, REST):
        content = (copy / name).read_bytes()
        # as it is before the file is closed: its length is not known yet
        header = content[:21] + bytes([content[21] & 0xF0, 0, 0, 0, 0]) + content[26:]
        (copy / name).write_bytes(header[: len(header) * 3 // 4])
    ended = in_process(main, [copy], capsys)
    assert ended.code == 0
    cut_off, verdict = ended.out.splitlines()
    n_replayed = int(verdict.split()[0])
    assert 0 < n_replayed < n_answers
    assert f"{n_answers - n_replayed} answers after its end are left out" in cut_off


def test_later_parts_are_left_out_and_said_to_be(
    session: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of a recording whose disk was full for a while."""
    copy = edited(session, tmp_path, lambda line: None)
    for number in (2, 3):
        (copy / part_name(LINES, number)).write_text('{"kind": "part"}\n')
    ended = in_process(main, [copy], capsys)
    assert ended.code == 0
    assert ended.out.startswith("This is the first of 3 parts: ")


def test_what_cannot_be_replayed_is_refused_in_one_sentence(
    session: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """No session, another version, no sense, another sound, no memory."""

    def shift(line: dict[str, Any]) -> None:
        if line["kind"] == "attack":
            line["attack"]["onset_frame"] += 100

    refused: list[tuple[Callable[[Path], object], str]] = [
        (lambda copy: shutil.rmtree(copy), "no recorded performance in"),
        (lambda copy: (copy / LINES).write_text("{}\n"), "is damaged"),
        (lambda copy: (copy / LINES).write_text("no sense\n"), "cannot be read"),
        (lambda copy: (copy / LINES).write_text('{"kind": "x"}\n'), "is damaged"),
        (
            lambda copy: (copy / LINES).write_text('{"kind": "session", "version": 0}\n'),
            "another version",
        ),
        (lambda copy: (copy / memory_name(0)).unlink(), "There is no memory at"),
        (lambda copy: (copy / AUDIO).unlink(), "The sound of .* cannot be read"),
    ]
    for number, (spoil, match) in enumerate(refused):
        copy = edited(session, tmp_path / str(number), lambda line: None)
        spoil(copy)
        assert_refused(in_process(main, [copy], capsys), match)
    shifted = edited(session, tmp_path / "shifted", shift)
    assert_refused(in_process(main, [shifted], capsys), "the sound or the listener has changed")
