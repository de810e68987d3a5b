"""Listen's input: a recording, a device or a kept performance as one stream of blocks.

Main thread. A device is read through the stage's own callback and ring; a recording as fast as it
is asked for. Its channels are looked at only when nothing was heard in the chosen one. Which notes
were ours is known of a kept performance, and of one that plays now in another process.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.audio_file import TAIL_S, AudioFile
from models.errors import AudioFileError
from models.limits import MAX_CHANNELS
from models.meter import level_dbfs
from realtime.board import board_folder, read_boards
from realtime.capture import AudioInput
from realtime.clock import StreamClock
from realtime.devices import find_input, refusals
from realtime.doorbell import Doorbell
from realtime.errors import AudioInputError
from realtime.feedback import Sounded
from realtime.midi import NOTE_ON
from realtime.monotonic import NS_PER_S
from realtime.opening import open_recording
from realtime.session import Session, newest_session, read_session
from realtime.source import CaptureConfig

BLOCK_FRAMES: Final = 1024
PROBE_S: Final = 1.0
PROBED_S: Final = 60.0
_CHECK_S: Final = 1.0

Blocks = Iterator[NDArray[np.float32]]


@dataclass(frozen=True, kw_only=True)
class Input:
    """What is listened to.

    Attributes
    ----------
    blocks
        Mono frames in order, each [shape=(n,), float32].
    channels_dbfs
        Measures each of its channels; empty where that cannot be done.
    our_notes
        Gives the notes the program sent meanwhile, in seconds of this stream.
    is_live
        Whether its end has to be waited for.
    """

    name: str
    rate_hz: int
    blocks: Blocks
    channels_dbfs: Callable[[], Sequence[float]]
    our_notes: Callable[[], Sequence[Sounded]]
    is_live: bool


@contextmanager
def opened(what: str, config: CaptureConfig, seconds: float | None) -> Iterator[Input]:
    """Open a recording, or an audio input by name, and let it go in the end.

    Parameters
    ----------
    seconds
        Where its blocks end; None for where it does.

    Raises
    ------
    AudioFileError, AudioInputError, SessionError
        It cannot be had.
    """
    if newest_session(Path(what)) is not None:
        session = read_session(Path(what))
        yield Input(
            name=session.folder.name,
            rate_hz=session.rate_hz,
            blocks=_first(session.blocks(), seconds, session.rate_hz),
            channels_dbfs=list,
            our_notes=lambda: _notes_of_session(session),
            is_live=False,
        )
        return
    if Path(what).is_dir():
        raise AudioFileError(f"{what} is a folder: name one recording in it")
    file = open_recording(what, config)
    if file is not None:
        yield Input(
            name=file.path.name,
            rate_hz=file.rate_hz,
            blocks=_first(
                file.blocks(BLOCK_FRAMES, config.channel, tail_s=TAIL_S), seconds, file.rate_hz
            ),
            channels_dbfs=lambda: _channels_of_file(file, min(seconds or PROBED_S, PROBED_S)),
            our_notes=list,
            is_live=False,
        )
        return
    doorbell = Doorbell()
    source = AudioInput(replace(config, device=what), doorbell)
    clock = StreamClock(source.rate_hz, latency_s=source.latency_s)
    try:
        source.start()
        yield Input(
            name=source.name,
            rate_hz=source.rate_hz,
            blocks=_first(_heard(source, doorbell, clock), seconds, source.rate_hz),
            channels_dbfs=lambda: _channels_of_device(what, source.rate_hz),
            our_notes=lambda: notes_of_boards(board_folder(), clock.monotonic_ns(0)),
            is_live=True,
        )
    finally:
        if source.stop():
            doorbell.close()


def _first(blocks: Blocks, seconds: float | None, rate_hz: int) -> Blocks:
    """Pass on the first seconds."""
    n_left = None if seconds is None else round(seconds * rate_hz)
    for block in blocks:
        if n_left is not None:
            block = block[:n_left]
            n_left -= block.size
        yield block
        if n_left == 0:
            return


def _heard(source: AudioInput, doorbell: Doorbell, clock: StreamClock) -> Blocks:
    """Give what an input hears, for ever."""
    while True:
        doorbell.wait(_CHECK_S)
        source.check()
        views = source.audio.readable()
        n_frames = sum(view.size for view in views)
        if n_frames >= BLOCK_FRAMES:
            clock.follow(source.stamps.pop_nowait())
            block = np.concatenate(views)
            source.audio.release(n_frames)
            yield block


def _notes_of_session(session: Session) -> list[Sounded]:
    """Give the notes of a kept performance."""
    return [
        Sounded(line["at_s"], line["message"][1])
        for line in session.of_kind("midi")
        if line["message"][0] & 0xF0 == NOTE_ON
    ]


def notes_of_boards(folder: Path, start_ns: int) -> list[Sounded]:
    """Give the notes that performances in other processes sent since a stream's start."""
    return [
        Sounded((int(note["sent_ns"]) - start_ns) / NS_PER_S, int(note["pitch"]))
        for reading in read_boards(folder)
        for note in reading.notes
        if reading.is_running and note["sent_ns"] >= start_ns
    ]


def _channels_of_file(file: AudioFile, seconds: float) -> list[float]:
    """Measure the loudest block of each of several channels, in a recording's first seconds."""
    if file.n_channels == 1:
        return []
    return [
        max(
            level_dbfs(block)
            for block in _first(file.blocks(BLOCK_FRAMES, channel), seconds, file.rate_hz)
        )
        for channel in range(1, file.n_channels + 1)
    ]


def _channels_of_device(what: str, rate_hz: int) -> list[float]:
    """Measure each channel of an input for a moment; none where it cannot be opened twice."""
    try:
        device = find_input(what)
        n_channels = min(device.n_channels, MAX_CHANNELS)
        with refusals(AudioInputError, "The channels cannot be compared", "") as sounddevice:
            heard = sounddevice.rec(
                round(PROBE_S * rate_hz),
                samplerate=rate_hz,
                channels=n_channels,
                dtype="float32",
                device=device.index,
                blocking=True,
            )
    except AudioInputError:
        return []
    return [level_dbfs(heard[:, channel]) for channel in range(n_channels)]
