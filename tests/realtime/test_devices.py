"""Which input is meant, on machines that have other devices than this one."""

import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

from realtime import devices
from realtime.devices import InputDevice, find_input, n_channels_for, supported_rate_hz
from realtime.errors import (
    AudioInputError,
    DeviceFormatError,
    DeviceNotFoundError,
    PortAudioMissingError,
)

INPUTS = [
    InputDevice(0, "Built-in Microphone", "Core Audio", 1, 48_000),
    InputDevice(2, "Scarlett 2i2 USB", "Core Audio", 2, 44_100),
    InputDevice(5, "Scarlett 2i2 USB Loopback", "Core Audio", 64, 48_000),
]

may_import = threading.Event()


@pytest.fixture
def studio(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pretend to have a microphone and an interface, which is the default."""
    monkeypatch.setattr(devices, "input_devices", lambda: INPUTS)
    monkeypatch.setattr(devices, "_default_index", lambda: 2)


@pytest.mark.usefixtures("studio")
@pytest.mark.parametrize(
    ("wanted", "index"),
    [
        (5, 5),
        ("5", 5),
        ("built-in", 0),
        ("  LOOPBACK ", 5),
        ("Scarlett 2i2 USB", 2),
        ("default", 2),
    ],
)
def test_an_input_is_found_by_index_name_or_part(wanted: str | int, index: int) -> None:
    """A whole name goes before a part; case does not matter."""
    assert find_input(wanted).index == index


@pytest.mark.usefixtures("studio")
def test_without_a_default_the_first_input_is_meant(monkeypatch: pytest.MonkeyPatch) -> None:
    """PortAudio says -1 where a host API has no default."""
    monkeypatch.setattr(devices, "_default_index", lambda: -1)
    assert find_input("default").index == 0


@pytest.mark.usefixtures("studio")
@pytest.mark.parametrize("wanted", ["theremin", 1, "7", ""])
def test_an_input_that_is_not_there_is_refused_with_those_that_are(wanted: str | int) -> None:
    """The sentence lists index and name of each."""
    choice = r"choose .*5 'Scarlett 2i2 USB Loopback'"
    with pytest.raises(DeviceNotFoundError, match=choice):
        find_input(wanted)


@pytest.mark.usefixtures("studio")
def test_a_name_that_fits_two_is_refused_with_both() -> None:
    """Guessing would be worse."""
    with pytest.raises(DeviceNotFoundError, match="'scarlett' means 2 audio inputs"):
        find_input("scarlett")


def test_a_machine_without_inputs_is_told_what_else_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is still the file."""
    monkeypatch.setattr(devices, "input_devices", list)
    with pytest.raises(DeviceNotFoundError, match="no audio input: connect one, or play to a"):
        find_input("default")


def test_no_more_channels_are_opened_than_needed() -> None:
    """All for a mix, up to 32; as many as the chosen one needs otherwise."""
    assert n_channels_for(INPUTS[1], "mix") == 2
    assert n_channels_for(INPUTS[2], "mix") == 32
    assert n_channels_for(INPUTS[2], 7) == 7
    with pytest.raises(DeviceFormatError, match="no channel 3: choose from 1 to 2"):
        n_channels_for(INPUTS[1], 3)


def test_the_devices_own_rate_is_taken_if_none_is_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """And a rate it refuses is answered with those it takes."""

    def takes(device: InputDevice, n_channels: int, rate_hz: int) -> bool:
        return rate_hz in (44_100, 96_000)

    monkeypatch.setattr(devices, "_takes", takes)
    assert supported_rate_hz(INPUTS[1], 1, None) == 44_100
    assert supported_rate_hz(INPUTS[1], 1, 96_000) == 96_000
    with pytest.raises(DeviceFormatError, match="at 22050 Hz: choose one of 44100, 96000"):
        supported_rate_hz(INPUTS[1], 1, 22_050)


def test_an_input_that_takes_no_rate_may_be_in_use(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sentence names the rates that were tried."""
    monkeypatch.setattr(devices, "_takes", lambda *_: False)
    with pytest.raises(DeviceFormatError, match=r"44100, .*8000: is it in use by another program"):
        supported_rate_hz(INPUTS[1], 1, 22_050)


def test_a_missing_portaudio_is_said_with_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Importing sounddevice fails with an OSError then."""
    monkeypatch.delitem(sys.modules, "sounddevice", raising=False)
    monkeypatch.setattr("ctypes.util.find_library", lambda name: None)
    with pytest.raises(PortAudioMissingError, match="apt-get install libportaudio2"):
        devices.portaudio()


def test_a_portaudio_that_does_not_start_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Importing sounddevice starts it, and fails with an error whose class it takes with it."""
    failing = "class PortAudioError(Exception): pass\nraise PortAudioError('host error -9999')"
    (tmp_path / "sounddevice.py").write_text(failing)
    monkeypatch.delitem(sys.modules, "sounddevice", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(AudioInputError, match=r"does not start \(host error -9999\): restart"):
        find_input("default")


def test_an_audio_server_that_hangs_is_asked_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever asks again is refused at once."""
    hanging = "import tests.realtime.test_devices as t; t.may_import.wait(30.0)"
    (tmp_path / "sounddevice.py").write_text(hanging)
    monkeypatch.setitem(sys.modules, "sounddevice", None)  # to be as it was afterwards
    del sys.modules["sounddevice"]
    monkeypatch.setattr(devices, "ANSWER_S", 0.0)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(AudioInputError, match="server does not answer: restart the audio server"):
        find_input("default")
    with pytest.raises(AudioInputError, match=r"does not start .*: restart the audio server"):
        find_input("default")
    may_import.set()
    for thread in threading.enumerate():
        if thread.name == "patience":
            thread.join(30.0)


def test_devices_that_cannot_be_listed_are_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    """The audio server may end between two questions."""

    class RefusedError(Exception):
        """As PortAudio's."""

    def refuse() -> None:
        raise RefusedError("server gone")

    fake = SimpleNamespace(PortAudioError=RefusedError, query_hostapis=refuse)
    monkeypatch.setitem(sys.modules, "sounddevice", fake)
    with pytest.raises(AudioInputError, match=r"be listed \(server gone\): restart the audio"):
        find_input("default")


def test_importing_the_live_path_does_not_start_portaudio() -> None:
    """Who plays to a file needs no sound system."""
    code = "import sys, realtime.capture; assert 'sounddevice' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
