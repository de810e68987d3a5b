"""Devices: which audio inputs this machine has, and which one is meant.

Runs at start; never while a stream is open. What PortAudio refuses, or never answers, becomes a
sentence here.
"""

import atexit
import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, Literal

from models.limits import MAX_CHANNELS
from realtime.errors import (
    AudioInputError,
    DeviceFormatError,
    DeviceGoneError,
    DeviceNotFoundError,
    PortAudioMissingError,
)
from realtime.patience import call_within

ANSWER_S: Final = 10.0
"""Opening a device takes seconds at most; with a JACK server that hangs PortAudio waits minutes."""

_RESTART: Final = "restart the audio server, or play to a recording instead"
_is_abandoned = False
_COMMON_RATES_HZ: Final = (44_100, 48_000, 88_200, 96_000, 176_400, 192_000, 32_000, 16_000, 8_000)


@dataclass(frozen=True, slots=True)
class InputDevice:
    """An audio input as PortAudio lists it."""

    index: int
    name: str
    host_api: str
    n_channels: int
    default_rate_hz: int


def input_devices() -> list[InputDevice]:
    """List the audio inputs of this machine.

    Raises
    ------
    PortAudioMissingError
        There is no PortAudio library.
    AudioInputError
        The audio system does not answer.
    """
    with refusals(AudioInputError, "The audio inputs cannot be listed", _RESTART) as sounddevice:
        host_apis = sounddevice.query_hostapis()
        return [
            InputDevice(
                device["index"],
                device["name"],
                host_apis[device["hostapi"]]["name"],
                device["max_input_channels"],
                round(device["default_samplerate"]),
            )
            for device in sounddevice.query_devices()
            if device["max_input_channels"] > 0
        ]


def abandon_portaudio() -> None:
    """Leave PortAudio as it is, as closing it would block: not even at exit is it waited for."""
    global _is_abandoned
    _is_abandoned = True
    atexit.unregister(portaudio()._exit_handler)


def portaudio_is_abandoned() -> bool:
    """Say whether PortAudio was left as it was: to end it or start it anew may then block."""
    return _is_abandoned


def look_again() -> None:
    """Let PortAudio find out anew which devices there are; only while no stream is open.

    Raises
    ------
    DeviceGoneError
        It does not answer any more, and will not in this process.
    """
    with refusals(DeviceGoneError, "The audio inputs cannot be listed", _RESTART) as sounddevice:
        call_within(ANSWER_S, sounddevice._terminate)
        call_within(ANSWER_S, sounddevice._initialize)


def find_input(wanted: str | int) -> InputDevice:
    """Find the one input meant by an index, "default", a name, or a part of a name.

    Case does not matter, and a whole name goes before a part.

    Raises
    ------
    PortAudioMissingError
        There is no PortAudio library.
    DeviceNotFoundError
        No input, or more than one, is meant.
    """
    devices = input_devices()
    if not devices:
        raise DeviceNotFoundError(
            "This machine has no audio input: connect one, or play to a recording instead."
        )
    key = str(wanted).strip().lower()
    if key == "default":
        found = [device for device in devices if device.index == _default_index()] or devices[:1]
    elif key.isdecimal():
        found = [device for device in devices if device.index == int(key)]
    else:
        whole = [device for device in devices if device.name.lower() == key]
        found = whole or [device for device in devices if key in device.name.lower()]
    if not found:
        raise DeviceNotFoundError(
            f"There is no audio input {wanted!r}: choose one of {names(devices)}."
        )
    if len(found) > 1:
        raise DeviceNotFoundError(
            f"{wanted!r} means {len(found)} audio inputs: choose by index from {names(found)}."
        )
    return found[0]


def _default_index() -> int:
    return int(portaudio().default.device[0])


def names(devices: list[InputDevice]) -> str:
    """Say which devices these are, in a sentence's tail."""
    return ", ".join(f"{device.index} {device.name!r} ({device.host_api})" for device in devices)


def n_channels_for(device: InputDevice, channel: int | Literal["mix"]) -> int:
    """Return how many channels to open, so that the configured one is among them.

    Raises
    ------
    DeviceFormatError
        The device has no such channel.
    """
    if channel == "mix":
        return min(device.n_channels, MAX_CHANNELS)
    if channel > device.n_channels:
        raise DeviceFormatError(
            f"The input {device.name!r} has no channel {channel}: "
            f"choose from 1 to {device.n_channels}."
        )
    return channel


def supported_rate_hz(device: InputDevice, n_channels: int, rate_hz: int | None) -> int:
    """Return the configured rate, or the device's own, having asked whether it runs at it.

    Raises
    ------
    DeviceFormatError
        It does not.
    """
    if rate_hz is None:
        rate_hz = device.default_rate_hz
    if _takes(device, n_channels, rate_hz):
        return rate_hz
    others = [rate for rate in _COMMON_RATES_HZ if _takes(device, n_channels, rate)]
    raise DeviceFormatError(
        f"The input {device.name!r} does not run at {rate_hz} Hz: choose one of "
        f"{', '.join(map(str, others))}."
        if others
        else f"The input {device.name!r} runs neither at {rate_hz} Hz nor at any of "
        f"{', '.join(map(str, _COMMON_RATES_HZ))}: is it in use by another program?"
    )


def _takes(device: InputDevice, n_channels: int, rate_hz: int) -> bool:
    sounddevice = portaudio()
    try:
        sounddevice.check_input_settings(device.index, n_channels, "float32", None, rate_hz)
    except sounddevice.PortAudioError:
        return False
    return True


def portaudio() -> Any:
    """Import sounddevice, and so start PortAudio, only once somebody needs it.

    Raises
    ------
    PortAudioMissingError
        There is no PortAudio library.
    AudioInputError
        There is one, and it does not start.
    """
    try:
        if "sounddevice" in sys.modules:
            return importlib.import_module("sounddevice")
        return call_within(ANSWER_S, lambda: importlib.import_module("sounddevice"))
    except TimeoutError:
        sys.modules["sounddevice"] = None  # type: ignore[assignment]  # who asks again need not wait
        raise AudioInputError(f"The audio server does not answer: {_RESTART}.") from None
    except OSError:
        raise PortAudioMissingError(
            "PortAudio is not on this machine: install it (on Debian or Ubuntu: "
            "apt-get install libportaudio2), or play to a recording instead."
        ) from None
    except Exception as error:  # a PortAudioError: its class is gone with the failed import
        raise AudioInputError(f"PortAudio does not start ({error}): {_RESTART}.") from None


@contextmanager
def refusals(kind: type[AudioInputError], what: str, remedy: str) -> Iterator[Any]:
    """Give sounddevice, and turn what PortAudio refuses meanwhile into one sentence.

    Raises
    ------
    AudioInputError
        Of that kind, saying what failed, why, and what to do.
    DeviceGoneError
        A call within was not answered in time; PortAudio is left behind.
    PortAudioMissingError
        There is no PortAudio library.
    """
    sounddevice = portaudio()
    try:
        yield sounddevice
    except sounddevice.PortAudioError as error:
        raise kind(f"{what} ({error}): {remedy}.") from None
    except TimeoutError:
        abandon_portaudio()
        raise DeviceGoneError(f"{what} (no answer in {ANSWER_S:g} s): {remedy}.") from None
