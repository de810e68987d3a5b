"""Opening: what is listened to, as a command line asks for it.

Main thread, before the first note. It falls back on the bundled take only where nothing was named
and the machine has no input, and says so; what was named is had or refused.
"""

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final

from models.audio_file import SUFFIXES, AudioFile
from realtime.capture import AudioInput
from realtime.devices import look_again
from realtime.doorbell import Doorbell
from realtime.errors import (
    AudioInputError,
    DeviceNotFoundError,
    PortAudioMissingError,
    SupervisorGoneError,
)
from realtime.file_source import FileSource
from realtime.source import CaptureConfig
from realtime.supervised import Supervised

TAKE: Final = Path(__file__).resolve().parent.parent / "takes" / "calling_card.flac"

_AGAIN_S: Final = 0.25
"""How often an input that is waited for is looked for."""

Tell = Callable[[str], None]
"""Tells the player something, in a line."""


def open_recording(what: str | None, config: CaptureConfig) -> AudioFile | None:
    """Open the recording that is meant, if it is one: a file, or a name that ends like one.

    Raises
    ------
    AudioFileError
        It cannot be played to.
    """
    if what is None:
        return None
    path = Path(what)
    if path.suffix.lower() not in SUFFIXES and not path.is_file():
        return None
    return _with_channel(AudioFile(path), config)


def open_take(config: CaptureConfig) -> AudioFile:
    """Open the bundled take."""
    return _with_channel(AudioFile(TAKE), config)


def open_source(
    recording: AudioFile | None,
    device: str | None,
    config: CaptureConfig,
    frames_ready: Doorbell,
    tell: Tell,
    supervised: Supervised,
) -> AudioInput | FileSource:
    """Open what is listened to in real time.

    A supervised performer waits for an input that is not there (yet, or any more).

    Parameters
    ----------
    device
        The input that was named; where there is none, the bundled take is played to instead of an
        input that this machine does not have.

    Raises
    ------
    AudioInputError
        The input cannot be had.
    """
    if recording is not None:
        return FileSource(recording, config, frames_ready)
    is_named = device is not None or config.device != CaptureConfig().device
    config = replace(config, device=device or config.device)
    if supervised:
        if supervised.input is not None and not is_named:
            config = replace(config, device=supervised.input)
        return _awaited_input(config, frames_ready, tell, supervised)
    try:
        return AudioInput(config, frames_ready)
    except (PortAudioMissingError, DeviceNotFoundError) as error:
        if device is not None and Path(device).is_dir():
            raise AudioInputError(
                f"{device} is a folder: name one recording in it. {error}"
            ) from None
        if is_named:
            raise
        tell(f"{error} Playing to the bundled take.")
    return FileSource(open_take(config), config, frames_ready)


def _awaited_input(
    config: CaptureConfig, frames_ready: Doorbell, tell: Tell, supervised: Supervised
) -> AudioInput:
    """Open an audio input as soon as it is there."""
    is_said = False
    while True:
        try:
            return AudioInput(config, frames_ready)
        except PortAudioMissingError:
            raise
        except AudioInputError as error:
            if not is_said:
                tell(f"{error} Waiting for it.")
                is_said = True
        if not supervised.beat():
            raise SupervisorGoneError("The supervisor has ended, and so does what it started.")
        time.sleep(_AGAIN_S)
        look_again()


def _with_channel(file: AudioFile, config: CaptureConfig) -> AudioFile:
    """Refuse a recording that lacks the configured channel."""
    file.blocks(config.block_frames, config.channel)
    return file
