"""What is wrong with a machine is said, with what to do; what is right, too."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from realtime import examination, listen_input, machine
from realtime.devices import InputDevice
from realtime.doctor import main
from realtime.doorbell import Doorbell
from realtime.examination import FAILED, OK, WARNING, examine_midi
from realtime.machine import examine_disk, examine_power, examine_real_time
from realtime.midi_ports import MidiPortError
from realtime.source import CaptureConfig
from tests.commands import in_process
from tests.realtime.performing import BurstSource

RATE_HZ = 48_000


@pytest.fixture
def plug_in(monkeypatch: pytest.MonkeyPatch) -> Callable[[NDArray[np.float32], float], None]:
    """Give this machine an audio input that hears what it is told, and a MIDI system."""

    def plug_in(audio: NDArray[np.float32], latency_s: float) -> None:
        def device(config: CaptureConfig, doorbell: Doorbell) -> BurstSource:
            assert config.device == "guitar"
            source = BurstSource(audio, RATE_HZ, doorbell, is_endless=True)
            source.latency_s = latency_s
            return source

        for module in (examination, listen_input):
            monkeypatch.setattr(module, "AudioInput", device)
        devices = [InputDevice(0, "guitar", "ALSA", 2, RATE_HZ)]
        monkeypatch.setattr(examination, "input_devices", lambda: devices)
        monkeypatch.setattr(examination, "output_ports", lambda: ["Synth"])

    return plug_in


def tone() -> NDArray[np.float32]:
    """Give a second of sound."""
    audio: NDArray[np.float32] = (0.1 * np.sin(np.arange(RATE_HZ) * 0.06)).astype(np.float32)
    return audio


def examined(
    options: list[object], capsys: pytest.CaptureFixture[str]
) -> tuple[int, dict[str, list[dict[str, Any]]]]:
    """Run the doctor on the guitar, and give its exit code and its findings by name."""
    ended = in_process(main, ["--json", "--input", "guitar", *options], capsys)
    said = json.loads(ended.out)
    assert said["is_ok"] == (ended.code == 0)
    by_name: dict[str, list[dict[str, Any]]] = {}
    for finding in said["findings"]:
        by_name.setdefault(finding["name"], []).append(finding)
    return ended.code, by_name


def test_a_machine_that_can_play_is_ok(
    plug_in: Callable[[NDArray[np.float32], float], None],
    take_memory: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The input with what it implies, MIDI, the memory, its weights and their speed."""
    plug_in(tone(), 0.005)
    code, findings = examined(["--memory", take_memory], capsys)
    assert code == 0
    for name in ("audio inputs", "audio input", "sound", "MIDI", "memory", "weights", "encoder"):
        assert [finding["state"] for finding in findings[name]] == [OK], findings[name]
    assert "128 frames (2.7 ms); its driver states 5.0 ms" in findings["audio input"][0]["said"]
    assert "at -23 dBFS" in findings["sound"][0]["said"]
    assert "Synth" in findings["MIDI"][0]["said"]


def test_a_driver_that_states_no_latency_is_none_the_worse(
    plug_in: Callable[[NDArray[np.float32], float], None],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """It is said."""
    plug_in(tone(), 0.0)
    _, findings = examined(["--memory", tmp_path / "none.memory"], capsys)
    assert findings["audio input"][0]["state"] == OK
    assert "its driver states no latency" in findings["audio input"][0]["said"]


def test_a_player_reads_a_line_a_finding(
    plug_in: Callable[[NDArray[np.float32], float], None],
    take_memory: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Its state first; memories that share an encoder are told of one."""
    plug_in(tone(), 0.005)
    other = shutil.copy(take_memory, tmp_path / "other.memory")
    memories = ["--memory", take_memory, "--memory", other]
    ended = in_process(main, ["--input", "guitar", *memories], capsys)
    lines = ended.out.splitlines()
    assert [line.split()[1] for line in lines].count("memory") == 2
    assert [line.split()[1] for line in lines].count("encoder") == 1
    assert {line.split()[0] for line in lines} <= {OK, WARNING, FAILED}
    assert sum("0 'guitar' (ALSA): 2 channels" in line for line in lines) == 1


def test_what_is_slow_or_silent_is_a_warning(
    plug_in: Callable[[NDArray[np.float32], float], None],
    take_memory: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A driver's long buffer, an input that gives zeros, an encoder beyond its budget."""
    plug_in(np.zeros(RATE_HZ, np.float32), 0.1)
    settings = tmp_path / "slow.toml"
    settings.write_text("[budget]\ninference_ms = 0.001\n")
    code, findings = examined(["--memory", take_memory, "--config", settings], capsys)
    assert code == 0
    for name, todo in [
        ("audio input", "buffer smaller"),
        ("sound", "allow the terminal to use the microphone"),
    ]:
        assert findings[name][0]["state"] == WARNING
        assert todo in findings[name][0]["todo"]
    assert findings["encoder"][0]["state"] == WARNING
    assert "inference_ms" in findings["encoder"][0]["said"]


def test_what_is_missing_or_damaged_does_not_end_the_examination(
    plug_in: Callable[[NDArray[np.float32], float], None],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Settings and memory fail, the input is examined all the same."""
    plug_in(tone(), 0.005)
    (tmp_path / "bad.toml").write_text("[budget]\ntarget = 1\n")
    (tmp_path / "bad.memory").write_text("no memory")
    options = ["--memory", tmp_path / "bad.memory", "--config", tmp_path / "bad.toml"]
    code, findings = examined(list(options), capsys)
    assert code == 1
    assert findings["settings"][0]["state"] == findings["encoder"][0]["state"] == FAILED
    assert "has no key 'target'" in findings["settings"][0]["said"]
    assert findings["sound"][0]["state"] == OK
    _, findings = examined(["--memory", tmp_path / "none.memory"], capsys)
    assert findings["memory"][0]["state"] == WARNING
    assert "oracle.train" in findings["memory"][0]["todo"]


def test_a_machine_without_midi_is_warned(monkeypatch: pytest.MonkeyPatch) -> None:
    """It can still play into a file."""

    def refuse() -> list[str]:
        raise MidiPortError("This machine has no MIDI system.")

    monkeypatch.setattr(examination, "output_ports", refuse)
    assert [finding.state for finding in examine_midi()] == [WARNING]


@pytest.mark.parametrize(("free", "state"), [(10**12, OK), (10**8, WARNING), (10**6, FAILED)])
def test_a_disk_that_is_nearly_full_is_said(
    free: int, state: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And one that is full fails."""
    usage = SimpleNamespace(free=free)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage)
    (finding,) = (finding for finding in examine_disk(tmp_path) if finding.name == "disk")
    assert finding.state == state


def test_real_time_that_is_not_granted_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the group to join; macOS needs none."""
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setattr(machine, "_grants_real_time", lambda: False)
    (finding,) = examine_real_time()
    assert (finding.state, "rtprio" in finding.todo) == (WARNING, True)
    monkeypatch.setattr("sys.platform", "darwin")
    assert [finding.state for finding in examine_real_time()] == [OK]


@pytest.mark.parametrize(
    ("governor", "states"), [(None, []), ("performance", [OK]), ("powersave", [WARNING])]
)
def test_a_processor_that_saves_power_is_a_warning(
    governor: str | None, states: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the system says what it does."""
    if governor is not None:
        (tmp_path / "governor").write_text(governor + "\n")
    monkeypatch.setattr(machine, "GOVERNOR", tmp_path / "governor")
    assert [finding.state for finding in examine_power()] == states
