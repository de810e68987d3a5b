import dataclasses
import errno
import json
import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import mido
import numpy as np
import pytest
import soundfile
import structlog
from numpy.typing import NDArray

from models.spectral import SpectralEncoder
from oracle import train
from oracle.memory import Memory
from realtime import opening, perform
from realtime.errors import DeviceFormatError, DeviceNotFoundError
from realtime.modes import MEANINGS
from realtime.source import CaptureConfig
from tests.commands import (
    N_NOTES,
    RATE_HZ,
    Ended,
    as_process,
    assert_refused,
    in_process,
    phrase,
    read_until,
    started,
    wait_for,
)

pytestmark = pytest.mark.timeout(300)  # without a cache, compiling takes a minute

ANSWER = ("--memory", "solo.memory", "--mode", "shadow")
"""Answers, and nothing unasked."""
REHEARSE = (*ANSWER, "--input", "solo.wav", "--pace", "free")
NOTHING_HERE = {"JACK_DEFAULT_SERVER": "none", "JACK_NO_START_SERVER": "1"}
"""No JACK server, so that what runs beside a test does not turn up in it."""


@pytest.fixture(scope="session")
def solo_memory(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Give what was learned from the phrase."""
    folder = tmp_path_factory.mktemp("solo")
    soundfile.write(folder / "solo.wav", phrase(), RATE_HZ)
    assert train.main([str(folder / "solo.wav"), "--output", str(folder / "solo.memory")]) == 0
    return (folder / "solo.memory").read_bytes()


@pytest.fixture
def folder(tmp_path: Path, solo_memory: bytes, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Give a player's folder, with a recording and its memory, and be in it."""
    monkeypatch.chdir(tmp_path)
    soundfile.write("solo.wav", phrase(), RATE_HZ)
    Path("solo.memory").write_bytes(solo_memory)
    yield tmp_path
    structlog.reset_defaults()


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> Ended:
    """Run the command in this process."""
    return in_process(perform.main, arguments, capsys)


def sounding_at_the_end(path: Path) -> set[int]:
    """Give the pitches that a MIDI file never ends."""
    sounding: set[int] = set()
    for message in mido.MidiFile(path):
        if message.type == "note_on":
            sounding.add(message.note)
        elif message.type == "note_off":
            sounding.discard(message.note)
    return sounding


def n_notes(path: Path) -> int:
    """Count the notes of a MIDI file."""
    return sum(message.type == "note_on" for message in mido.MidiFile(path))


# as fast as the machine can


def test_the_same_recording_and_seed_give_the_same_file(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Byte for byte; every event is answered, and every note ends."""
    for name in ("a.mid", "b.mid"):
        assert run(capsys, *REHEARSE, "--seed", 3, "--midi-file", name).code == 0
    assert Path("a.mid").read_bytes() == Path("b.mid").read_bytes()
    assert n_notes(folder / "a.mid") == N_NOTES
    assert sounding_at_the_end(folder / "a.mid") == set()


def test_two_memories_take_turns_and_the_report_says_how_often(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the phrase twice, a pause between: each has one of them."""
    shutil.copy("solo.memory", "other.memory")
    soundfile.write("twice.wav", [*phrase(), *np.zeros(RATE_HZ), *phrase()], RATE_HZ)
    memories = ("--memory", "solo.memory", "--memory", "other.memory", "--mode", "shadow")
    ended = run(capsys, *memories, "--input", "twice.wav", "--pace", "free", "--report", "r.json")
    assert ended.code == 0
    said = " ".join(ended.out.split())
    assert f"answers: {N_NOTES} by solo.memory, {N_NOTES} by other.memory" in said
    report = json.loads(Path("r.json").read_text())
    assert report["answers_by"] == {"1": N_NOTES, "2": N_NOTES}
    assert report["n_learned"] == 2 * N_NOTES


def test_the_report_says_what_the_table_says(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every number that the issue names is in it."""
    ended = run(capsys, *REHEARSE, "--midi-out", "none", "--report", "r.json")
    report = json.loads(Path("r.json").read_text())
    assert ended.code == 0
    assert "event latency" in ended.out
    assert ended.err == ""
    assert report["event_latency_ms"].keys() >= {"p50", "p95", "p99", "max"}
    assert report["stages"].keys() == {"capture", "listen", "inference", "oracle", "midi"}
    assert report["n_events"] == report["n_notes"] == N_NOTES
    assert report["considered_share"] == 1.0
    assert report["input"] == "solo.wav"
    assert [
        report[name] for name in ("xruns", "dropped_blocks", "skipped_windows", "late_notes")
    ] == [0, 0, 0, 0]


def test_it_stops_after_the_seconds_it_is_given(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two notes begin within 0.9 s, and both end."""
    assert run(capsys, *REHEARSE, "--seconds", 0.9, "--midi-file", "a.mid").code == 0
    assert n_notes(folder / "a.mid") == 2
    assert sounding_at_the_end(folder / "a.mid") == set()


@pytest.mark.parametrize("rate_hz", [8_000, 192_000])
def test_any_rate_can_be_played_to(
    folder: Path, capsys: pytest.CaptureFixture[str], rate_hz: int
) -> None:
    """The memory was learned at another one, and every note is heard all the same."""
    soundfile.write("other.wav", phrase(rate_hz), rate_hz)
    ended = run(capsys, *REHEARSE, "--input", "other.wav", "--midi-file", "a.mid")
    assert ended.code == 0
    assert n_notes(folder / "a.mid") == N_NOTES


def test_32_channels_can_be_played_to(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """They are mixed, unless the settings name one."""
    soundfile.write("wide.wav", np.repeat(phrase()[:, None], 32, axis=1), RATE_HZ)
    Path("config.toml").write_text("[capture]\nchannel = 32\n")
    ended = run(capsys, *REHEARSE, "--input", "wide.wav", "--midi-file", "a.mid")
    assert ended.code == 0
    assert n_notes(folder / "a.mid") == N_NOTES


def test_without_an_input_the_bundled_take_is_answered(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its answer is kept where one finds it, and a line says so."""
    ended = run(capsys, "--memory", "solo.memory", "--pace", "free", "--seconds", 5)
    assert (ended.code, ended.err) == (0, "Notes go to performance.mid.\n")
    assert n_notes(folder / "performance.mid") > 0


def test_an_earlier_performance_is_not_written_over(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where the player named no file, the next number is taken, and said."""
    Path("performance.mid").write_bytes(b"an earlier one")
    Path("performance-2.mid").write_bytes(b"another")
    ended = run(capsys, "--memory", "solo.memory", "--pace", "free", "--seconds", 1)
    assert (ended.code, ended.err) == (0, "Notes go to performance-3.mid.\n")
    assert n_notes(folder / "performance-3.mid") > 0
    assert Path("performance.mid").read_bytes() == b"an earlier one"


def test_the_mode_can_be_named(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever the settings say."""
    Path("config.toml").write_text('[improviser]\nmode = "lead"\n')
    ended = run(capsys, *REHEARSE, "--mode", "couple", "--report", "r.json")
    assert ended.code == 0
    assert json.loads(Path("r.json").read_text())["modes"] == ["couple"]


def test_the_report_never_takes_the_place_of_the_default_midi_file(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nobody named that file, and still it is the performance."""
    arguments = ("--memory", "solo.memory", "--pace", "free", "--report", "performance.mid")
    assert_refused(run(capsys, *arguments), r"performance\.mid cannot be both the report and")
    assert not Path("performance.mid").exists()


def test_info_says_what_would_play_and_plays_nothing(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The memory's encoder, its cost, and the budget's verdict."""
    ended = run(capsys, *REHEARSE, "--info", "--midi-file", "a.mid")
    assert ended.code == 0
    assert ended.out.startswith("encoder    spectral")
    assert " [budget] inference_ms = 24\n" in ended.out
    assert not Path("a.mid").exists()


def test_headless_it_speaks_json_only(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every line on stderr is an object, the last with the report, and stdout is empty."""
    ended = run(capsys, *REHEARSE, "--headless", "--midi-file", "a.mid")
    lines = [json.loads(line) for line in ended.err.splitlines()]
    assert (ended.code, ended.out) == (0, "")
    assert lines[0]["notice"] == "Notes go to a.mid."
    assert lines[-1]["event"] == "perform.ended"
    assert lines[-1]["n_events"] == N_NOTES


def test_the_level_counts_headless_too(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Whoever wants to hear of failures only hears of nothing else."""
    Path("config.toml").write_text('[telemetry]\nlevel = "error"\n')
    ended = run(capsys, *REHEARSE, "--headless", "--midi-file", "a.mid")
    assert (ended.code, ended.out, ended.err) == (0, "", "")


def test_blocks_that_cannot_be_in_time_are_refused(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Once the rate is known, and only where time passes."""
    Path("config.toml").write_text("[capture]\nblock_frames = 8192\n")
    outputs = ("--midi-out", "none", "--midi-file", "a.mid")
    ended = run(capsys, "--memory", "solo.memory", "--input", "solo.wav", *outputs)
    assert_refused(
        ended, r"8192 frames lasts 371\.5 ms at 22050 Hz, but \[budget\] capture_ms is 8"
    )
    assert not Path("a.mid").exists()
    assert run(capsys, *REHEARSE, *outputs).code == 0


def test_help_is_for_a_musician(capsys: pytest.CaptureFixture[str]) -> None:
    """Every option is explained under a heading, and there is an example."""
    ended = run(capsys, "--help")
    assert ended.code == 0
    assert "what it hears and plays:" in ended.out
    assert "example: python -m realtime.perform --memory solo.memory" in ended.out
    assert all(f"  {mode:<10}{meaning}\n" in ended.out for mode, meaning in MEANINGS.items())


# what is refused, before a note is played


def other_encoder() -> None:
    """Write a memory that another revision of the encoder has learned."""
    memory = Memory.load("solo.memory")
    spec = dataclasses.replace(SpectralEncoder().spec, revision="another")
    rewrite(memory, encoder=spec.to_json())


def other_size() -> None:
    """Write a memory whose codebook is not of its encoder."""
    memory = Memory.load("solo.memory")
    spec = dataclasses.replace(SpectralEncoder().spec, dim=3)
    rewrite(memory, encoder=spec.to_json())


def rewrite(memory: Memory, **changes: object) -> None:
    """Write the memory with another provenance."""
    memory.provenance = dataclasses.replace(memory.provenance, **changes)  # type: ignore[arg-type]
    memory.save("solo.memory")


def tampered() -> None:
    """Change one byte of the memory."""
    content = bytearray(Path("solo.memory").read_bytes())
    content[-100] ^= 1
    Path("solo.memory").write_bytes(content)


def truncated() -> None:
    """Lose the second half of the memory."""
    content = Path("solo.memory").read_bytes()
    Path("solo.memory").write_bytes(content[: len(content) // 2])


def emptied() -> None:
    """Forget everything that was learned."""
    Memory.load("solo.memory").emptied().save("solo.memory")


def audio(samples: NDArray[np.float64], rate_hz: int = RATE_HZ) -> Callable[[], object]:
    """Give a step that writes other audio."""
    return lambda: soundfile.write("solo.wav", samples, rate_hz, subtype="FLOAT")


def channelless() -> None:
    """Claim in the header that there is no channel."""
    content = bytearray(Path("solo.wav").read_bytes())
    content[22:24] = bytes(2)
    Path("solo.wav").write_bytes(content)


def settings(text: str) -> Callable[[], object]:
    """Give a step that writes settings."""
    return lambda: Path("config.toml").write_text(text)


def nothing() -> None:
    """Leave everything as it is."""


REFUSED: dict[str, tuple[Callable[[], object], list[object], str]] = {
    "no recording": (nothing, ["--input", "none.wav"], r"none\.wav is not a file: check the name"),
    "a folder": (nothing, ["--input", "."], r"and \. is no recording: give one to --input"),
    "text": (
        lambda: Path("solo.wav").write_text("la la la"),
        [],
        r"solo\.wav cannot be read as audio: convert it",
    ),
    "a low rate": (audio(np.zeros(4000), 4000), [], r"a rate of 4000 Hz: convert it to one from"),
    "no channel": (channelless, [], r"solo\.wav .*: (convert|mix)"),
    "33 channels": (audio(np.zeros((RATE_HZ, 33))), [], r"has 33 channels: mix it down"),
    "a channel it lacks": (settings("[capture]\nchannel = 2\n"), [], r"has no channel 2: choose"),
    "no memory": (nothing, ["--memory", "none"], r"no memory at none: learn one with `python -m"),
    "a folder as memory": (
        nothing,
        ["--memory", "."],
        r"\. is a folder: give the name of a memory",
    ),
    "a recording as memory": (nothing, ["--memory", "solo.wav"], r"solo\.wav is .*no memory: "),
    "a truncated memory": (
        truncated,
        [],
        r"solo\.memory is cut short or no memory: restore it from a copy",
    ),
    "a tampered memory": (tampered, [], r"solo\.memory is damaged .*: restore it from a copy"),
    "an empty memory": (emptied, [], r"solo\.memory is damaged \(it holds no event\)"),
    "a memory from another encoder": (other_encoder, [], r"was learned with spectral \(another\)"),
    "a codebook of another encoder": (other_size, [], r"its codebook has \d+ values, not 3"),
    "an encoder that is none": (
        lambda: rewrite(Memory.load("solo.memory"), encoder="{}"),
        [],
        r"solo\.memory is damaged \(encoder spec is '{}', needs the keys name",
    ),
    "heard beyond the budget": (
        lambda: rewrite(Memory.load("solo.memory"), listener={"heard_ms": 30.0}),
        [],
        r"solo\.memory hears 30 ms .* but \[budget\] listen_ms is 12\.5: raise listen_ms or learn",
    ),
    "heard too little": (
        lambda: rewrite(Memory.load("solo.memory"), listener={"heard_ms": 0.5}),
        [],
        r"solo\.memory is damaged \(heard_ms must be within 1…100, got 0\.5\)",
    ),
    "a listener that is none": (
        lambda: rewrite(Memory.load("solo.memory"), listener={"heard_ms": 12.0, "mood": 1.0}),
        [],
        r"solo\.memory is damaged \(.*mood",
    ),
    "no such encoder": (
        nothing,
        ["--encoder", "nought"],
        r"spectral encoder.* leave --encoder nought out",
    ),
    "an unknown key": (settings("[midi]\nchanel = 1\n"), [], r"no key 'chanel': did you mean"),
    "an unknown table": (settings("[mdi]\n"), [], r"no table 'mdi': did you mean 'midi'"),
    "budgets that don't add up": (
        settings("[budget]\noracle_ms = 30.0\n"),
        [],
        r"\[budget\]: the stages add up to 76.5 ms but target_ms is 50: lower one",
    ),
    "no settings": (nothing, ["--config", "none.toml"], r"no settings file at none\.toml"),
    "a report without a folder": (
        nothing,
        ["--report", "nowhere/r.json"],
        r"no folder nowhere: create it",
    ),
    "a report in place of a folder": (nothing, ["--report", "."], r"\. is a folder: give the name"),
    "a MIDI file without a folder": (
        nothing,
        ["--midi-file", "nowhere/a.mid"],
        r"no folder nowhere: create it",
    ),
    "a MIDI file in place of the recording": (
        nothing,
        ["--midi-file", "solo.wav"],
        r"solo\.wav is read as well as written: choose another name",
    ),
    "a report in place of the memory": (
        nothing,
        ["--report", "solo.memory"],
        r"solo\.memory is read as well as written",
    ),
    "a report in place of the MIDI file": (
        nothing,
        ["--report", "out.mid"],
        r"out\.mid is there already, and is no \.json file: choose another name",
    ),
    "a report in place of the MIDI file, by another way": (
        lambda: Path("way.mid").symlink_to("out.mid"),
        ["--report", "way.mid"],
        r"way\.mid is there already, and is no \.json file",
    ),
    "a report in place of a new MIDI file": (
        nothing,
        ["--midi-file", "new.mid", "--report", "new.mid"],
        r"new\.mid cannot be both the report and the MIDI file: choose another --report",
    ),
    "a recording in place of the MIDI file": (
        lambda: Path("song.flac").write_text("mine"),
        ["--midi-file", "song.flac"],
        r"song\.flac is there already, and is no \.mid or \.midi file",
    ),
    "a live input at a free pace": (
        nothing,
        ["--input", "default"],
        r"--pace free is for recordings and cannot hurry a live input",
    ),
    "no seconds": (nothing, ["--seconds", 0], r"--seconds: must be a number above 0 .*, got 0"),
    "less than no seconds": (nothing, ["--seconds", -1], r"must be a number above 0 .*, got -1"),
    "seconds that are no number": (
        nothing,
        ["--seconds", "nan"],
        r"above 0 .*, got nan; see --help",
    ),
    "a memory twice": (
        nothing,
        ["--memory", "solo.memory", "--memory", "./solo.memory"],
        r"--memory solo.memory is given twice: each memory plays once",
    ),
    "no such mode": (nothing, ["--mode", "loud"], r"--mode: invalid choice: 'loud'"),
    "a MIDI file where none can be": (
        nothing,
        ["--midi-file", "/proc/x.mid"],
        r"The folder /proc is not writable",
    ),
    "a minute in words": (nothing, ["--seconds", "1min"], r"above 0 .*, got 1min"),
    "endless seconds": (nothing, ["--seconds", "inf"], r"at most 604800 \(a week\), got inf"),
    "aeons": (nothing, ["--seconds", "1e305"], r"at most 604800 \(a week\), got 1e305"),
    "a seed below 0": (nothing, ["--seed", -1], r"must be a whole number from 0, got -1"),
    "a pace there is not": (nothing, ["--pace", "allegro"], r"--pace: invalid choice: 'allegro'"),
    "an option there is not": (nothing, ["--loud"], r"unrecognized arguments: --loud"),
}


@pytest.mark.parametrize(("prepare", "arguments", "message"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_played_is_refused_in_a_sentence(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    prepare: Callable[[], object],
    arguments: list[object],
    message: str,
) -> None:
    """It exits with a code before a note is played; nothing is written, and no file changes."""
    monkeypatch.setattr(perform, "rehearse", None)
    prepare()
    for name in ("out.mid", "out.json"):
        Path(name).write_text("an older one")
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    outputs = ("--midi-file", "out.mid", "--report", "out.json")
    usual = REHEARSE[2:] if "--memory" in arguments else REHEARSE
    ended = run(capsys, *usual, *outputs, *arguments)
    assert_refused(ended, message)
    said = [line for line in ended.err.splitlines() if not line.startswith("Preparing")]  # if slow
    assert len(said) == 1
    assert ended.out == ""
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


@pytest.mark.parametrize("subtype", ["at the start", "in the middle", "silence"])
def test_audio_that_turns_out_to_be_none_overwrites_nothing(
    folder: Path, capsys: pytest.CaptureFixture[str], subtype: str
) -> None:
    """NaN is met when it is heard; what was played before it stays beside the older file."""
    samples = phrase()
    samples[{"at the start": 0, "in the middle": 60_000}.get(subtype, -1)] = np.nan
    audio(np.zeros(RATE_HZ) if subtype == "silence" else samples)()
    for name in ("out.mid", "out.json"):
        Path(name).write_text("an older one")
    ended = run(capsys, *REHEARSE, "--midi-file", "out.mid", "--report", "out.json")
    if subtype == "silence":
        assert_refused(ended, r"Nothing was heard in solo\.wav: .* \[listener\] gate_dbfs = -85")
    else:
        assert_refused(ended, r"solo\.wav holds values at \d\.\d s that are no audio: export it")
    assert Path("out.mid").read_text() == Path("out.json").read_text() == "an older one"
    is_kept_beside = subtype == "in the middle"
    assert Path("out.unfinished.mid").exists() == is_kept_beside
    assert ("What was played until then is in out.unfinished.mid." in ended.err) == is_kept_beside


def test_a_performance_that_fails_shows_how_it_went_so_far(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A rig that failed needs the numbers most; an older report stays."""
    samples = phrase()
    samples[-RATE_HZ // 2 :] = np.nan
    audio(samples)()
    Path("out.json").write_text("an older one")
    outputs = ("--midi-out", "none", "--report", "out.json")
    ended = run(capsys, "--memory", "solo.memory", "--input", "solo.wav", *outputs)
    assert_refused(ended, "that are no audio")
    assert "event latency" in ended.out
    assert Path("out.json").read_text() == "an older one"


def test_a_report_that_cannot_be_written_in_the_end_is_said(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The performance itself is kept."""

    def refuse(path: Path, text: str, encoding: str) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_text", refuse)
    ended = run(capsys, *REHEARSE, "--midi-file", "a.mid", "--report", "r.json")
    assert_refused(ended, r"could not be written to r\.json \(No space left on device\)")
    assert n_notes(folder / "a.mid") == N_NOTES


@pytest.mark.parametrize("model", ["model", "mert"])
def test_a_model_in_place_of_the_spectral_encoder_is_refused_before_it_is_looked_for(
    folder: Path, capsys: pytest.CaptureFixture[str], model: str
) -> None:
    """A memory knows what it was learned with; nobody has to download what it does not need."""
    ended = run(capsys, *REHEARSE, "--encoder", model, "--midi-file", "a.mid")
    assert_refused(ended, f"learned with the spectral encoder.* leave --encoder {model} out")
    assert not Path("a.mid").exists()


# as time passes


def test_a_machine_without_audio_and_midi_says_so_in_a_line_each(folder: Path) -> None:
    """No library has anything to add; the take is answered and its answer kept."""
    ended = as_process(
        "realtime.perform",
        *("--memory", "solo.memory", "--seconds", 2),
        folder=folder,
        **NOTHING_HERE,
    )
    if Path("/dev/snd").exists():
        pytest.skip("this machine may have audio")
    no_input, notes, *_, playing = ended.err.splitlines()  # between them it may be compiling
    assert ended.code == 0
    assert no_input.endswith(" Playing to the bundled take.")
    assert notes == "Notes go to performance.mid."
    assert playing == "Playing to calling_card.flac (44100 Hz). Ctrl-C ends it."
    assert "event latency" in ended.out
    assert sounding_at_the_end(folder / "performance.mid") == set()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_stopping_it_keeps_what_was_played(folder: Path, number: signal.Signals) -> None:
    """Ctrl-C, a polite kill and a lost line end every note, write the file, show the table."""
    soundfile.write("long.wav", np.tile(phrase(), 20), RATE_HZ)
    arguments = ("--memory", "solo.memory", "--input", "long.wav", "--midi-file", "a.mid")
    Path("config.toml").write_text('[telemetry]\nlevel = "info"\n')
    with started("realtime.perform", *arguments, folder=folder, **NOTHING_HERE) as process:
        said = read_until(process, '"n_notes": 2')
        process.send_signal(number)
        ended = wait_for(process, said)
    assert ended.code == 0
    assert "Traceback" not in ended.err
    assert "event latency" in ended.out
    assert n_notes(folder / "a.mid") >= 2
    assert sounding_at_the_end(folder / "a.mid") == set()


def test_ctrl_c_while_it_prepares_ends_it_at_once(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Compiling takes a minute, which nobody should have to wait for."""
    has_gone_on = False

    def warm_up(engine: object) -> int:
        nonlocal has_gone_on
        signal.raise_signal(signal.SIGINT)
        has_gone_on = True
        return 0

    monkeypatch.setattr("realtime.engine.Engine.warm_up", warm_up)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a loop before may have taken it
    arguments = ("--memory", "solo.memory", "--input", "solo.wav", "--midi-out", "none")
    ended = run(capsys, *arguments)
    assert not has_gone_on
    assert (ended.code, ended.out) == (130, "")
    assert "Traceback" not in ended.err


def test_whoever_closes_the_pipe_still_gets_the_report(folder: Path) -> None:
    """The file is written first, and a table that nobody reads is no failure."""
    arguments = (*REHEARSE, "--midi-out", "none", "--report", "r.json")
    with started("realtime.perform", *arguments, folder=folder) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        said = process.stderr.read()
        assert process.wait() == 0
    assert "Error" not in said
    assert json.loads(Path("r.json").read_text())["n_events"] == N_NOTES


def test_stopping_it_before_the_first_note_writes_nothing(folder: Path) -> None:
    """That is no failure of the recording's, and an older performance stays."""
    silence_first = np.concatenate([np.zeros(60 * RATE_HZ), phrase()])
    soundfile.write("late.wav", silence_first, RATE_HZ)
    Path("a.mid").write_text("an older one")
    arguments = ("--memory", "solo.memory", "--input", "late.wav", "--midi-file", "a.mid")
    with started("realtime.perform", *arguments, folder=folder, **NOTHING_HERE) as process:
        said = read_until(process, "Playing to late.wav")
        process.send_signal(signal.SIGINT)
        ended = wait_for(process, said)
    assert ended.code == 0
    assert ended.err.splitlines()[-1] == "No note was played, so a.mid was not written."
    assert Path("a.mid").read_text() == "an older one"


def test_an_input_that_was_named_is_never_replaced(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Neither the one on the command line nor the one in the settings."""

    def refuse(config: object, doorbell: object) -> None:
        raise DeviceNotFoundError("There is no audio input 'Scarlett': choose one of 0 'Mic'.")

    monkeypatch.setattr(opening, "AudioInput", refuse)
    ended = run(capsys, "--memory", "solo.memory", "--input", "Scarlett")
    assert_refused(ended, "There is no audio input 'Scarlett': choose one of")
    Path("config.toml").write_text('[capture]\ndevice = "Scarlett"\n')
    assert_refused(run(capsys, "--memory", "solo.memory"), "There is no audio input 'Scarlett'")


def test_a_folder_hides_no_input_of_its_name(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is no file is asked of the machine; only where it has none is the folder named."""

    def refuse(config: CaptureConfig, doorbell: object) -> None:
        raise DeviceNotFoundError(f"{config.device} was asked for.")

    monkeypatch.setattr(opening, "AudioInput", refuse)
    Path("USB").mkdir()
    ended = run(capsys, "--memory", "solo.memory", "--input", "USB")
    assert_refused(ended, "USB is a folder: name one recording in it. USB was asked for.")


def test_an_input_that_is_there_but_does_not_fit_is_not_replaced(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Only a machine without an input gets the bundled take."""

    def refuse(config: object, doorbell: object) -> None:
        raise DeviceFormatError("The input 'Mic' has no channel 2: choose from 1 to 1.")

    monkeypatch.setattr(opening, "AudioInput", refuse)
    ended = run(capsys, "--memory", "solo.memory")
    assert_refused(ended, "has no channel 2: choose from 1 to 1")


def test_a_port_of_no_such_name_is_refused(folder: Path) -> None:
    """Without MIDI the sentence says how to do without."""
    ended = as_process(
        "realtime.perform",
        *(*REHEARSE, "--midi-out", "Moog", "--midi-file", "a.mid"),
        folder=folder,
        **NOTHING_HERE,
    )
    assert_refused(ended, "no MIDI system .* --midi-out none|No MIDI port has 'Moog' in its name")
    assert not Path("a.mid").exists()


@pytest.mark.jack
def test_a_port_of_no_such_name_is_refused_with_those_there_are(
    folder: Path, musician: str
) -> None:
    """One line, and nothing of JACK's own."""
    ended = as_process("realtime.perform", *REHEARSE, "--midi-out", "Moog", folder=folder)
    assert_refused(ended, "No MIDI port has 'Moog' in its name")
    assert ended.err.count("\n") == 1


@pytest.mark.jack
def test_an_input_that_goes_ends_it_with_a_sentence(
    folder: Path, jack_server: "subprocess.Popen[bytes]", musician: str
) -> None:
    """The server dies; the program does not hang, and an older performance stays."""
    Path("a.mid").write_text("an older one")
    Path("config.toml").write_text('[telemetry]\nlevel = "info"\n')
    arguments = ("--memory", "solo.memory", "--input", musician, "--midi-out", "none")
    outputs = ("--midi-file", "a.mid", "--report", "r.json")
    with started("realtime.perform", *arguments, *outputs, folder=folder) as process:
        said = read_until(process, "engine.heartbeat")
        jack_server.send_signal(signal.SIGKILL)
        ended = wait_for(process, said)
    assert_refused(ended, "has stopped: reconnect it, or restart its audio server")
    assert Path("a.mid").read_text() == "an older one"
    assert not Path("r.json").exists()
