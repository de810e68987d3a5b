import contextlib
import errno
import os
import re
import signal
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from numba import njit

from models.encoder import Encoder, EncoderConfig
from models.listener import ListenerConfig
from models.loading import load_as_set
from oracle import train, train_command
from oracle.checkpoint import Checkpoint
from oracle.learning import learn
from oracle.memory import Memory
from oracle.memory_file import read_tensors
from oracle.train_command import SOME_LEFT_OUT
from realtime.config import Config
from realtime.learned import as_learned
from tests.commands import (
    N_NOTES,
    RATE_HZ,
    Ended,
    assert_refused,
    in_process,
    phrase,
    recorded,
    started,
    wait_for,
)


@pytest.fixture
def solo(tmp_path: Path) -> Path:
    """Give a recording of eight notes."""
    return recorded(tmp_path / "solo.wav")


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> Ended:
    """Run the command in this process."""
    return in_process(train.main, arguments, capsys)


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


def test_what_compiling_took_is_left_out_of_the_speed_and_said(
    solo: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """At a first start it takes longer than learning."""

    def compile_and_learn(*arguments: Any) -> Any:
        njit(lambda: 1)()
        return learn(*arguments)

    def say(memory: Memory, heard_s: float, took_s: float, compiling_s: float) -> str:
        assert 0 < compiling_s < took_s + compiling_s
        return summary(memory, heard_s, 2.0, 58.2)

    summary = train.summary
    monkeypatch.setattr(train, "learn", compile_and_learn)
    monkeypatch.setattr(train, "summary", say)
    ended = run(capsys, solo, "--output", tmp_path / "solo.memory")
    assert " of sound learned in 2.0 s, " in ended.out
    assert " Compiling took 58 s more." in ended.out


def test_two_trainings_differ_in_nothing_but_their_date(
    solo: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """And, where the environment gives the date that builds are made by, not even in that."""
    learned, files = [], []
    for name in ("a", "b"):
        assert run(capsys, solo, "--output", tmp_path / name).code == 0
        learned.append(read_tensors(tmp_path / name))
        with monkeypatch.context() as patched:
            patched.setenv("SOURCE_DATE_EPOCH", "86400")
            assert run(capsys, solo, "--output", tmp_path / f"{name}.memory").code == 0
        files.append((tmp_path / f"{name}.memory").read_bytes())
    (a, metadata_a), (b, metadata_b) = learned
    assert a.keys() == b.keys()
    assert all(a[name].tobytes() == b[name].tobytes() for name in a)
    assert metadata_a | {"created": None} == metadata_b | {"created": None}
    assert files[0] == files[1]
    assert Memory.load(tmp_path / "a.memory").provenance.created == "1970-01-02T00:00:00+00:00"


def test_a_bad_recording_in_a_folder_is_left_out_named_and_the_exit_code_says_so(
    solo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One that cannot be opened, and one that is damaged in the middle: none of it is learned."""
    folder = tmp_path / "takes"
    recorded(folder / "b.wav")
    (folder / "a.wav").write_text("la la la")
    damaged = recorded(folder / "c.flac").read_bytes()
    (folder / "c.flac").write_bytes(damaged[: len(damaged) // 2])
    output = tmp_path / "takes.memory"
    ended = run(capsys, folder, "--output", output)
    assert ended.code == SOME_LEFT_OUT
    told = [line for line in ended.err.splitlines() if line.startswith("Left out: ")]
    assert "a.wav cannot be read as audio: convert it to WAV or FLAC." in told[0]
    assert "c.flac" in told[1]
    assert len(told) == 2
    assert Memory.load(output).provenance.sources == ("b.wav",)


def test_a_recording_that_sounds_wrong_is_named_at_the_end(
    solo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A line each, in the words of `realtime.listen`; it is learned all the same."""
    loud = tmp_path / "loud.wav"
    soundfile.write(loud, np.clip(20 * phrase(), -1, 1), RATE_HZ)
    ended = run(capsys, solo, loud, "--output", tmp_path / "a.memory")
    assert ended.code == 0
    said = [line for line in ended.err.splitlines() if not line.startswith(("Note: ", "Preparing"))]
    assert [line.startswith(f"{loud}: The input clips (") for line in said] == [True]


def test_a_profile_and_the_number_of_events_are_chosen_by_name(
    solo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As is the encoder, by either of its two names."""
    output = tmp_path / "solo.memory"
    chosen = ("--profile", "quick_test", "--max-events", 3, "--feature-extractor", "spectral")
    assert run(capsys, solo, "--output", output, *chosen).code == 0
    assert Memory.load(output).n_events == 3


def test_two_at_once_do_not_get_in_each_others_way(
    solo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The second one is refused while the first is at work."""
    output = tmp_path / "solo.memory"
    with Checkpoint.beside(output):
        assert_refused(run(capsys, solo, "--output", output), "Another training is at work on")
    assert run(capsys, solo, "--output", output).code == 0


def test_settings_are_used(solo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The memory says how each event was heard, and on stage events are heard so."""
    config = tmp_path / "config.toml"
    config.write_text("[listener]\nheard_ms = 8.0\ngate_dbfs = -60.0\n[budget]\ntarget_ms = 60.0\n")
    output = tmp_path / "solo.memory"
    assert run(capsys, solo, "--output", output, "--config", config).code == 0
    memory = Memory.load(output)
    assert memory.provenance.heard_ms == 8.0
    on_stage = as_learned(Config(), memory, output).listener
    assert on_stage == ListenerConfig(heard_ms=8.0, gate_dbfs=-60.0)


def test_learning_computes_on_all_cores(
    solo: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Whatever the stage leaves free."""
    asked: list[int] = []

    def load(config: EncoderConfig, name: str | None) -> Encoder:
        asked.append(config.n_threads)
        return load_as_set(config, name)

    monkeypatch.setattr(train_command, "load_as_set", load)
    monkeypatch.setattr(os, "cpu_count", lambda: 6)
    assert run(capsys, solo, "--output", tmp_path / "solo.memory").code == 0
    assert asked == [6]


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
    "no such profile": (
        ["solo.wav", "--profile", "quick"],
        "",
        r"no profile 'quick': name full_training or quick_test, or a TOML file",
    ),
    "no event": (["solo.wav", "--max-events", "0"], "", r"max_events is 0, needs at least 1"),
    "no such codebook": (
        ["solo.wav", "--codebook", "no"],
        "",
        r"There is no codebook at no: learn",
    ),
    "a memory the stage would refuse": (
        ["solo.wav"],
        "[listener]\nheard_ms = 26.0\n",
        r"config\.toml hears 26 ms .* but \[budget\] listen_ms is 12\.5: raise listen_ms or learn",
    ),
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

    def refuse(dir: Path) -> None:
        raise PermissionError

    monkeypatch.setattr("tempfile.TemporaryFile", refuse)
    ended = run(capsys, solo, "--output", tmp_path / "solo.memory")
    assert_refused(ended, "is not writable: choose another")


def test_a_full_disk_leaves_the_older_memory(
    solo: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Nothing is left beside it either, not even of what would have been kept."""
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


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ("oracle.material.hear", "Stopped: nothing was written."),
        ("oracle.learning.train_codebook", "Stopped: the same command goes on from here."),
        ("oracle.memory.write_tensors", "Stopped: the same command goes on from here."),
    ],
)
def test_stopped_it_keeps_what_it_has_made_and_goes_on_from_there(
    solo: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    where: str,
    said: str,
) -> None:
    """Ctrl-C while it hears, learns and writes; in the end there is the memory and nothing else."""

    def interrupt(*arguments: object, **settings: object) -> None:
        raise KeyboardInterrupt

    output = tmp_path / "solo.memory"
    with monkeypatch.context() as patched:
        patched.setattr(where, interrupt)
        ended = run(capsys, solo, "--output", output)
    assert ended.code == 130
    assert ended.err.splitlines()[-1] == said
    assert not output.exists()
    ended = run(capsys, solo, "--output", output)
    assert ended.code == 0
    assert ("An earlier training goes on" in ended.err) == ("goes on" in said)
    assert sorted(tmp_path.iterdir()) == [output, solo]


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
    """As Ctrl-C does it, once a long recording is being read; what is there says how to go on."""
    long = tmp_path / "long.wav"
    soundfile.write(long, np.tile(phrase(), 100), RATE_HZ)
    with started("oracle.train", long, "--output", "long.memory", folder=tmp_path) as process:
        wait_until_open(process, long)
        process.send_signal(signal.SIGINT)
        ended = wait_for(process)
    assert ended.code == 130
    assert re.fullmatch("Stopped: (nothing was written|the same command .*)[.]\n", ended.err)
    assert ("nothing" in ended.err) == ([*tmp_path.iterdir()] == [long])
    assert not (tmp_path / "long.memory").exists()


def wait_until_open(process: "subprocess.Popen[str]", path: Path) -> None:
    """Wait until a process reads a file."""
    folder = Path(f"/proc/{process.pid}/fd")
    if not folder.exists():
        pytest.skip("this system does not show what a process reads")
    is_open = False
    while not is_open and process.poll() is None:
        with contextlib.suppress(FileNotFoundError):  # what is closed again while we look
            is_open = any(os.readlink(link) == str(path) for link in folder.iterdir())


def test_weights_that_are_not_here_are_named_with_the_way_to_get_them(
    solo: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The command that fetches them, the switch that does without, and no silent substitute."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    ended = run(capsys, solo, "--output", tmp_path / "solo.memory", "--encoder", "mert")
    assert_refused(
        ended,
        r"them with `hf download m-a-p/MERT-v1-95M --revision \w+`, or .* `--encoder spectral`",
    )
    assert not (tmp_path / "solo.memory").exists()
