import contextlib
import dataclasses
import errno
import os
import signal
from pathlib import Path

import numpy as np
import pytest
import soundfile

from models.audio_file import TAIL_S, AudioFile
from models.settings import read_settings
from oracle import train
from oracle.memory import Memory
from oracle.memory_file import read_memory_file
from oracle.train import STAGE_TABLES, TrainConfig, TrainingError, find_recordings, learn
from realtime.config import Config
from tests.commands import (
    N_NOTES,
    RATE_HZ,
    Ended,
    as_process,
    assert_refused,
    in_process,
    phrase,
    started,
    wait_for,
)
from tests.conftest import REPOSITORY
from tests.fakes import FakeEncoder


@pytest.fixture
def solo(tmp_path: Path) -> Path:
    """Give a recording of eight notes."""
    return recorded(tmp_path / "solo.wav")


def recorded(path: Path, rate_hz: int = RATE_HZ) -> Path:
    """Record the phrase."""
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, phrase(rate_hz), rate_hz)
    return path


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> Ended:
    """Run the command in this process."""
    return in_process(train.main, arguments, capsys)


# what it finds


def test_a_folder_gives_its_recordings_by_name(tmp_path: Path) -> None:
    """Also those in folders of its own, whatever the case; other files and hidden ones are not."""
    for name in ("b.wav", "a.FLAC", "c/d.wav"):
        recorded(tmp_path / name)
    (tmp_path / "notes.txt").write_text("by heart")
    (tmp_path / "._b.wav").write_bytes(b"\0\5\26\7")
    found = [file.path.relative_to(tmp_path).as_posix() for file in find_recordings([tmp_path])]
    assert found == ["a.FLAC", "b.wav", "c/d.wav"]


def test_recordings_are_found_in_the_order_they_are_named(tmp_path: Path) -> None:
    """Files and folders may be mixed, and one may be named twice."""
    b, a = recorded(tmp_path / "b.wav"), recorded(tmp_path / "folder" / "a.wav")
    found = find_recordings([b, a.parent, b])
    assert [file.path for file in found] == [b, a, b]


def test_training_knows_the_tables_that_are_the_stages() -> None:
    """One settings file serves both commands, and each knows what is the other's."""
    tables = [field.name for field in dataclasses.fields(Config)]
    own = [field.name for field in dataclasses.fields(TrainConfig)]
    assert sorted(tables) == sorted([*STAGE_TABLES, *own])
    read_settings(TrainConfig, REPOSITORY / "config.toml", others=STAGE_TABLES)


# what it learns


def test_every_note_becomes_an_event(solo: Path) -> None:
    """Eight plucks are eight states with a note each, at the right pitches."""
    memory, _ = learn([AudioFile(solo)], FakeEncoder(), TrainConfig())
    pitches = [note.pitch for state in range(1, 9) for note in memory.notes(state)]
    assert memory.n_events == N_NOTES
    assert pitches == [57, 61, 64, 69, 64, 61, 57, 61]


def test_a_single_note_can_be_learned(tmp_path: Path) -> None:
    """One event is a memory too, and what it lacks is said."""
    path = tmp_path / "one.wav"
    soundfile.write(path, phrase(n_notes=1), RATE_HZ)
    memory, messages = learn([AudioFile(path)], FakeEncoder(), TrainConfig())
    assert memory.n_events == 1
    assert len(messages) == 2


def test_each_event_knows_its_recording(tmp_path: Path) -> None:
    """Several recordings, at rates of their own, are one memory with provenance."""
    files = [recorded(tmp_path / "a.wav"), recorded(tmp_path / "b.flac", 48_000)]
    memory, _ = learn([AudioFile(file) for file in files], FakeEncoder(), TrainConfig())
    sources = [memory.event(state).source for state in range(1, memory.n_events + 1)]
    assert sources == [0] * N_NOTES + [1] * N_NOTES
    assert memory.provenance.sources == ("a.wav", "b.flac")


def test_progress_reaches_the_end(solo: Path) -> None:
    """What has been heard adds up to the recording and its tail, and then the search is shown."""
    shown: list[tuple[str, float]] = []
    learn([AudioFile(solo)], FakeEncoder(), TrainConfig(), lambda *what: shown.append(what))
    assert sum(heard_s for _, heard_s in shown) == pytest.approx(4.0 + TAIL_S)
    assert [*dict.fromkeys(doing for doing, _ in shown)] == [
        "solo.wav",
        "finding gestures",
        "finding repeats",
    ]


def test_silence_cannot_be_learned(tmp_path: Path) -> None:
    """The sentence names the first recordings, counts the others, and says what to try."""
    for i in range(5):
        soundfile.write(tmp_path / f"{i}.wav", np.zeros(RATE_HZ), RATE_HZ)
    with pytest.raises(TrainingError, match=r"2\.wav and 2 more: the sound is missing or quieter"):
        learn(find_recordings([tmp_path]), FakeEncoder(), TrainConfig())


def test_noise_without_a_note_cannot_be_learned(tmp_path: Path) -> None:
    """A memory with nothing to answer is none."""
    noise = np.random.default_rng(0).normal(0, 0.1, RATE_HZ)
    noise[: RATE_HZ // 2] = 0
    soundfile.write(tmp_path / "noise.wav", noise, RATE_HZ)
    with pytest.raises(TrainingError, match="No note was heard"):
        learn(find_recordings([tmp_path]), FakeEncoder(), TrainConfig())


# the command


def test_the_command_writes_a_memory_and_says_what_is_in_it(
    solo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The summary is on stdout, what one should know on stderr, without a bar off a terminal."""
    output = tmp_path / "solo.memory"
    ended = run(capsys, solo, "--output", output)
    assert ended.code == 0
    assert Memory.load(output).n_events == N_NOTES
    assert ended.out.splitlines()[0].startswith("8 events with 8 notes, told apart as 1 of 1")
    assert ended.out.splitlines()[-1] == f"The memory is {output}."
    assert all(line.startswith(("Note: ", "Preparing: ")) for line in ended.err.splitlines())


def test_two_trainings_give_the_same_tensors(
    solo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Bit for bit; only the day they were learned on may differ."""
    learned = []
    for name in ("a", "b"):
        assert run(capsys, solo, solo.parent, "--output", tmp_path / name).code == 0
        learned.append(read_memory_file(tmp_path / name))
    (a, metadata_a), (b, metadata_b) = learned
    assert a.keys() == b.keys()
    assert all(a[name].tobytes() == b[name].tobytes() for name in a)
    assert metadata_a | {"created": None} == metadata_b | {"created": None}


def test_settings_are_used(solo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The memory says how much of each event had been heard."""
    config = tmp_path / "config.toml"
    config.write_text("[listener]\nheard_ms = 20.0\n[budget]\ntarget_ms = 60.0\n")
    output = tmp_path / "solo.memory"
    assert run(capsys, solo, "--output", output, "--config", config).code == 0
    assert Memory.load(output).provenance.heard_ms == 20.0


def test_help_is_for_a_musician(capsys: pytest.CaptureFixture[str]) -> None:
    """Every option is explained, and there is an example."""
    ended = run(capsys, "--help")
    assert ended.code == 0
    assert "example: python -m oracle.train solo.wav --output solo.memory" in ended.out


REFUSED = {
    "no recording": (["none.wav"], "", r"none\.wav is not a file: check the name"),
    "an empty folder": (["empty"], "", r"There is no recording in empty: name a file or another"),
    "text": (["text.wav"], "", r"text\.wav cannot be read as audio: convert it to WAV or FLAC"),
    "cut off": (["cut.flac"], "", r"cut\.flac .* export it anew"),
    "silence": (["silent.wav"], "", r"Nothing was heard in silent\.wav: .* \[listener\] gate_dbfs"),
    "NaN": (["nan.wav"], "", r"nan\.wav holds values at 0\.0 s that are no audio"),
    "a low rate": (["low.wav"], "", r"low\.wav has a rate of 4000 Hz: convert it"),
    "33 channels": (["wide.wav"], "", r"wide\.wav has 33 channels: mix it down"),
    "an unknown key": (["solo.wav"], "[listener]\nheard = 1\n", r"no key 'heard': did you mean"),
    "an unknown table": (["solo.wav"], "[lisener]\n", r"no table 'lisener': did you mean 'list"),
    "a setting of another encoder": (
        ["solo.wav"],
        "[encoder]\nlayer = 3\n",
        r"\[encoder\] does not fit spectral: layer is 3, but the spectral encoder has no such",
    ),
    "no such encoder": (["solo.wav", "--encoder", "nought"], "", r"there is no encoder nought"),
    "no recording named": ([], "", r"the following arguments are required: RECORDING; see --help"),
}


@pytest.mark.parametrize(("arguments", "config", "message"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_learned_is_refused_in_a_sentence(
    solo: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    config: str,
    message: str,
) -> None:
    """It exits with a code, shows no traceback, and leaves an older memory alone."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.wav").write_text("la la la")
    soundfile.write("cut.flac", phrase(), RATE_HZ)
    (tmp_path / "cut.flac").write_bytes((tmp_path / "cut.flac").read_bytes()[:20_000])
    soundfile.write("silent.wav", np.zeros(RATE_HZ), RATE_HZ)
    soundfile.write("nan.wav", np.full(RATE_HZ, np.nan), RATE_HZ, subtype="FLOAT")
    soundfile.write("low.wav", np.zeros(4000), 4000)
    soundfile.write("wide.wav", np.zeros((RATE_HZ, 33)), RATE_HZ)
    (tmp_path / "config.toml").write_text(config)
    output = tmp_path / "old.memory"
    output.write_bytes(b"an older memory")
    before = sorted(tmp_path.iterdir())
    ended = run(capsys, *arguments, "--output", output)
    assert_refused(ended, message)
    assert output.read_bytes() == b"an older memory"
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    ("output", "message"),
    [
        ("folder", r"folder is a folder: give the name of a file"),
        ("nowhere/solo.memory", r"There is no folder nowhere: create it or choose another"),
        ("solo.wav", r"solo\.wav is read as well as written: choose another name"),
        ("pipe", r"pipe is no file that could be replaced: choose another name"),
    ],
)
def test_an_output_that_cannot_be_is_refused_before_anything_is_heard(
    solo: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    output: str,
    message: str,
) -> None:
    """Hours of hearing are not lost in the end."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(train, "learn", None)
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    before = solo.read_bytes()
    assert_refused(run(capsys, "solo.wav", "--output", output), message)
    assert solo.read_bytes() == before


def test_a_folder_that_is_not_ours_is_refused_before_anything_is_heard(
    solo: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The right to write is asked for first."""
    monkeypatch.setattr(train, "learn", None)
    monkeypatch.setattr("os.access", lambda path, mode: False)
    ended = run(capsys, solo, "--output", tmp_path / "solo.memory")
    assert_refused(ended, "is not writable: choose another")


def test_a_full_disk_leaves_the_older_memory(
    solo: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Nothing is left beside it either."""
    output = tmp_path / "solo.memory"
    output.write_bytes(b"an older memory")
    before = sorted(tmp_path.iterdir())

    def refuse(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("os.fsync", refuse)
    ended = run(capsys, solo, "--output", output)
    assert_refused(ended, r"cannot be written \(No space left on device\)")
    assert output.read_bytes() == b"an older memory"
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize("where", ["oracle.train.train_codebook", "os.fsync"])
def test_stopping_it_leaves_no_file(
    solo: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    where: str,
) -> None:
    """Ctrl-C while it learns, and even while it writes."""

    def interrupt(*arguments: object, **settings: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(where, interrupt)
    ended = run(capsys, solo, "--output", tmp_path / "solo.memory")
    assert ended.code == 130
    assert ended.err.splitlines()[-1] == "Stopped: nothing was written."
    assert [*tmp_path.iterdir()] == [solo]


def test_stopping_it_once_the_memory_is_written_claims_nothing_else(
    solo: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Ctrl-C while it counts what it has learned: the memory is there."""

    def interrupt(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(train, "summary", interrupt)
    output = tmp_path / "solo.memory"
    ended = run(capsys, solo, "--output", output)
    assert ended.code == 130
    assert "Stopped" not in ended.err
    assert Memory.load(output).n_events == N_NOTES


def test_a_signal_stops_it_without_a_traceback(tmp_path: Path) -> None:
    """A long recording is interrupted as Ctrl-C does it, as soon as it is being read."""
    long = tmp_path / "long.wav"
    soundfile.write(long, np.tile(phrase(), 100), RATE_HZ)
    with started("oracle.train", long, "--output", "long.memory", folder=tmp_path) as process:
        wait_until_open(process.pid, long)
        process.send_signal(signal.SIGINT)
        ended = wait_for(process)
    assert (ended.code, ended.err) == (130, "Stopped: nothing was written.\n")
    assert [*tmp_path.iterdir()] == [long]


def wait_until_open(pid: int, path: Path) -> None:
    """Wait until a process reads a file."""
    folder = Path(f"/proc/{pid}/fd")
    if not folder.exists():
        pytest.skip("this system does not show what a process reads")
    is_open = False
    while not is_open:
        with contextlib.suppress(FileNotFoundError):  # what is closed again while we look
            is_open = any(os.readlink(link) == str(path) for link in folder.iterdir())


def test_weights_that_are_not_here_are_named_with_the_way_to_get_them(tmp_path: Path) -> None:
    """The command that fetches them, the switch that does without, and no silent substitute."""
    recorded(tmp_path / "solo.wav")
    ended = as_process(
        "oracle.train",
        *("solo.wav", "--output", "solo.memory", "--encoder", "mert"),
        folder=tmp_path,
        HF_HOME=str(tmp_path / "home"),
        HF_HUB_OFFLINE="1",
    )
    assert_refused(
        ended,
        r"them with `hf download m-a-p/MERT-v1-95M --revision \w+`, or .* `--encoder spectral`",
    )
    assert not (tmp_path / "solo.memory").exists()
