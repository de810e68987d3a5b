"""Opening: the input and the outlets that a command line asks for.

Main thread, before the first note. It falls back on the bundled take and on a MIDI file only where
nothing was named and the machine has nothing, and says so; what was named is had or refused.
"""

import argparse
import itertools
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from models.audio_file import SUFFIXES, AudioFile
from models.output_path import OutputPathError, require_writable
from oracle.event import Event
from oracle.memory import Memory
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
from realtime.improviser import LIVE_SOURCE, ImproviserConfig, Keep
from realtime.journal import Journal, replay
from realtime.journal_file import JournalUnwritableError
from realtime.keeper import KeptPort
from realtime.midi import NoteSink
from realtime.midi_file import MIDI_SUFFIXES, MidiFileSink
from realtime.midi_ports import CLIENT_NAME, VIRTUAL, MidiPortError, open_port
from realtime.returning_port import ReturningPort
from realtime.source import CaptureConfig
from realtime.supervised import Supervised

TAKE: Final = Path(__file__).resolve().parent.parent / "takes" / "calling_card.flac"
DEFAULT_MIDI_FILE: Final = Path("performance.mid")
NO_PORT: Final = "none"
REPORT_SUFFIXES: Final = (".json",)

_AGAIN_S: Final = 0.25
"""How often an input that is waited for is looked for."""

Tell = Callable[[str], None]
"""Tells the player something, in a line."""


def require_outputs(options: argparse.Namespace) -> None:
    """Refuse files that could not be written in the end, or would be written over what is read.

    Raises
    ------
    OutputPathError
        Naming the first.
    """
    sources = [TAKE, *map(Path, filter(None, (options.memory, options.input, options.config)))]
    for output, suffixes in ((options.midi_file, MIDI_SUFFIXES), (options.report, REPORT_SUFFIXES)):
        if output is not None:
            require_writable(output, suffixes, sources=sources)


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
                f"{error} {device} is a folder: name one recording in it."
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


@dataclass(frozen=True, kw_only=True)
class Outlets:
    """Where the notes go."""

    port: ReturningPort | KeptPort | None
    midi_file: MidiFileSink | None

    @property
    def sinks(self) -> list[NoteSink]:
        """All of them, the port first, since somebody hears it."""
        return [sink for sink in (self.port, self.midi_file) if sink is not None]

    @contextmanager
    def kept(self, tell: Tell) -> Iterator[None]:
        """Put the file of the performance within in place if it ends well.

        Raises
        ------
        MidiFileError
            It cannot be put there.
        """
        try:
            yield
        except BaseException:
            if self.midi_file is not None and self.midi_file.is_unfinished:
                tell(f"What was played until then is in {self.midi_file.unfinished}.")
            raise
        if self.midi_file is not None and not self.midi_file.keep():
            tell(f"No note was played, so {self.midi_file.name} was not written.")


def open_outlets(
    options: argparse.Namespace, *, is_take: bool, tell: Tell, supervised: Supervised
) -> Outlets:
    """Open where the notes go, and say where that is.

    A supervised performer's port is kept for it, and may not be there yet.

    Parameters
    ----------
    is_take
        Whether they answer the bundled take, which is for those who have no instrument at hand.

    Raises
    ------
    MidiPortError
        The port that was named cannot be had.
    OutputPathError
        The file is the report's, too.
    """
    port, midi_file, is_unheard = None, options.midi_file, is_take
    if options.midi_out not in (None, NO_PORT):
        port = _port(options.midi_out, supervised)
    elif options.midi_out is None and options.pace == "realtime":
        try:
            port = _port(VIRTUAL, supervised)
        except MidiPortError:
            is_unheard = True
    if is_unheard and midi_file is None:
        midi_file = _unused(DEFAULT_MIDI_FILE)
    if midi_file is not None and _is_same(midi_file, options.report):
        raise OutputPathError(
            f"{options.report} cannot be both the report and the MIDI file: choose another "
            "--report."
        )
    outlets = Outlets(port=port, midi_file=None if midi_file is None else MidiFileSink(midi_file))
    if port is not None:
        advice = "" if options.midi_out else ": connect your synthesiser to it"
        tell(f"Notes go to the MIDI port '{port.name}'{advice}.")
    if midi_file is not None:
        tell(f"Notes go to {midi_file}.")
    return outlets


@contextmanager
def keeping(
    options: argparse.Namespace, memory: Memory, config: ImproviserConfig, tell: Tell
) -> Iterator[Keep]:
    """Learn again what was learned on stage before, and keep what is learned meanwhile.

    Where nothing can be written beside the memory, that is said and nothing is kept.

    Raises
    ------
    JournalError
        What lies beside the memory does not belong to it, or is in use.
    """
    try:
        journal = Journal(options.memory, LIVE_SOURCE, is_afresh=options.afresh)
    except JournalUnwritableError as error:
        tell(str(error))
        yield forget
        return
    with journal:
        n_events = replay(memory, journal.payloads, config.max_events)
        journal.payloads.clear()  # learned; they would take their room for the whole performance
        if n_events:
            tell(f"Events learned on stage before: {n_events} (--afresh leaves them out).")
        yield journal.keep


def forget(event: Event) -> None:
    """Keep nothing."""


def _port(wanted: str, supervised: Supervised) -> ReturningPort | KeptPort:
    """Open a port that may go and come back; beside a supervisor there is one that is kept."""
    if supervised.port_fd is not None:
        return KeptPort(supervised.port_fd, CLIENT_NAME if wanted == VIRTUAL else wanted)
    port = ReturningPort(wanted, open_port(wanted))
    port.start()
    return port


def _unused(path: Path) -> Path:
    """Give the path, or where an earlier performance is there, the next one: NAME-2, NAME-3, …."""
    numbered = (path.with_stem(f"{path.stem}-{number}") for number in itertools.count(2))
    return next(free for free in itertools.chain([path], numbered) if not free.exists())


def _is_same(path: Path, other: Path | None) -> bool:
    """Say whether two paths, however they are written, lead to one file."""
    return other is not None and path.resolve() == other.resolve()


def _with_channel(file: AudioFile, config: CaptureConfig) -> AudioFile:
    """Refuse a recording that lacks the configured channel."""
    file.blocks(config.block_frames, config.channel)
    return file
