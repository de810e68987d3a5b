"""From a musician's sound to the notes of a port: the program itself, on real music."""

import contextlib
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import mido
import numpy as np
import pytest
import soundfile
import soxr

from benchmarks._jack import ended
from models.audio_file import TAIL_S, AudioFile
from models.listener import ATTACK, Listener, ListenerConfig
from oracle import train
from oracle.memory import Memory
from realtime import perform
from realtime.midi import NOTE_ON, Message
from realtime.opening import TAKE
from tests.commands import read_until, started, wait_for
from tests.conftest import REPOSITORY
from tests.realtime.conftest import JACK_RATE_HZ
from tests.realtime.stage_doubles import hanging_pitches

EXCERPT_S = 6.0
PORTAUDIO_INPUTS = "PortAudio:.*"


def n_onsets(file: AudioFile, heard_ms: float, *, tail_s: float) -> int:
    """Count what the listener finds in a recording, offline."""
    listener = Listener(file.rate_hz, ListenerConfig(heard_ms=heard_ms))
    records = listener.hear(np.concatenate([*file.blocks(4096, tail_s=tail_s)]))
    return int((records["kind"] == ATTACK).sum())


def messages_of(path: Path) -> list[Message]:
    """Read the channel messages of a MIDI file."""
    messages = [
        tuple(m.bytes()) for track in mido.MidiFile(path).tracks for m in track if not m.is_meta
    ]
    return [(status, first, second) for status, first, second in messages]


def note_ons(messages: list[Message]) -> list[Message]:
    """Give those that begin a note."""
    return [message for message in messages if message[0] == NOTE_ON]


def assert_accounted_for(report: dict[str, Any]) -> None:
    """Every event has one answer or one reason."""
    assert report["n_events"] == report["n_answers"] + sum(report["unanswered"].values())
    assert report["refused_records"] == report["dropped_blocks"] == 0


@pytest.fixture
def excerpt(tmp_path: Path) -> Path:
    """Cut some seconds of piano, or of the bundled take, at the JACK server's rate."""
    piano = REPOSITORY.parent / "shared" / "data" / "piano" / "mozart_k265_var1.mp3"
    file = AudioFile(piano if piano.exists() else TAKE)
    audio = np.concatenate([*file.blocks(4096)])[: round(EXCERPT_S * file.rate_hz)]
    path = tmp_path / "excerpt.wav"
    audio = np.pad(soxr.resample(audio, file.rate_hz, JACK_RATE_HZ), (0, JACK_RATE_HZ))
    soundfile.write(path, audio, JACK_RATE_HZ, subtype="FLOAT")
    return path


@contextlib.contextmanager
def helper(name: str, *arguments: object) -> Iterator[IO[str]]:
    """Run one of the helpers beside this file, and give its output."""
    command = [sys.executable, "-m", f"tests.realtime.{name}", *map(str, arguments)]
    with subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout
        finally:
            process.terminate()
            ended(process)


@pytest.mark.jack
@pytest.mark.slow
@pytest.mark.usefixtures("patient_jack_server")
def test_a_musician_at_the_capture_port_is_answered_at_a_midi_port(
    take_memory: Path, excerpt: Path, tmp_path: Path
) -> None:
    """Through JACK on both sides; after SIGTERM every note has ended and all is reported."""
    outputs = ["--midi-file", "out.mid", "--report", "report.json", "--headless"]
    with helper("jack_ear") as ear:
        assert ear.readline() == "ready\n"
        with started(
            "realtime.perform",
            *("--memory", take_memory, "--input", "default", "--midi-out", "ear", *outputs),
            folder=tmp_path,
        ) as process:
            said = read_until(process, "engine.heartbeat")
            with helper("jack_player", excerpt, PORTAUDIO_INPUTS) as player:
                assert player.readline() == "over\n"
            process.send_signal(signal.SIGTERM)
            performed = wait_for(process, said)
        written = messages_of(tmp_path / "out.mid")
        heard = [tuple(bytes.fromhex(ear.readline())) for _ in written]
    assert performed.code == 0, performed.err
    assert heard == written
    assert hanging_pitches(written) == []
    report = json.loads((tmp_path / "report.json").read_text())
    assert_accounted_for(report)
    assert report["n_notes"] == len(note_ons(written)) > 0
    heard_ms = Memory.load(take_memory).provenance.heard_ms
    assert report["n_events"] >= 0.8 * n_onsets(AudioFile(excerpt), heard_ms, tail_s=0.0) > 0


@pytest.mark.slow
def test_mozart_is_answered_from_the_memory_of_a_band(
    shared_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every onset found gets an answer or a counted reason, and no note hangs."""
    monkeypatch.chdir(tmp_path)
    band = shared_data / "ensemble" / "vibe_ace.ogg"
    piano = shared_data / "piano" / "mozart_k265_var1.mp3"
    assert train.main([str(band), "--output", "v.memory"]) == 0
    options = ["--memory", "v.memory", "--input", str(piano), "--pace", "free"]
    outputs = ["--midi-out", "none", "--midi-file", "out.mid", "--report", "r.json", "--headless"]
    assert perform.main([*options, *outputs]) == 0
    report = json.loads(Path("r.json").read_text())
    assert_accounted_for(report)
    heard_ms = Memory.load("v.memory").provenance.heard_ms
    assert report["n_events"] == n_onsets(AudioFile(piano), heard_ms, tail_s=TAIL_S) > 0
    messages = messages_of(Path("out.mid"))
    assert report["n_notes"] == len(note_ons(messages)) >= report["n_answers"] > 0
    assert hanging_pitches(messages) == []
