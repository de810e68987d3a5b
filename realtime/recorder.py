"""Recorder: a performance kept: what was heard, what was played, and every decision between.

A thread of its own reads the audio ring as an observer and takes what the loop has noted; the loop
only appends to a bounded queue. So nothing that plays ever waits for a disk: a recorder that falls
behind counts what it lost, and one whose disk is full stops, says so once, and lets the music go
on. A performance's folder is read back by `realtime.replay`.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from itertools import count
from pathlib import Path
from typing import IO, Any, Final

import numpy as np
import soundfile
import structlog

from models.output_path import OutputPathError
from oracle.errors import OracleError
from oracle.memory import Memory
from realtime.config import Config
from realtime.midi import Message, NoteSink
from realtime.midi_file import MidiFileSink
from realtime.responder import Record, nobody
from realtime.ring import Observer, Seen
from realtime.session_format import AUDIO, LINES, MIDI, REST, VERSION, line, memory_name, split
from realtime.source import AudioSource

BEAT_S: Final = 0.1
N_WAITING: Final = 16_384
"""Notes of a minute of the densest playing, while a disk sleeps."""
_CHUNK_FRAMES: Final = 8192
_JOIN_S: Final = 10.0

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Tap:
    """Where a performance is listened in on.

    Attributes
    ----------
    record
        What the responder tells its decisions to.
    sinks
        What the notes are sent to besides.
    """

    record: Record = nobody
    sinks: tuple[NoteSink, ...] = ()


class Recorder:
    """Writes one performance into a folder. `record`, `start` and `close` are the loop thread's.

    Parameters
    ----------
    folder
        Its own, empty.
    audio
        Observer of the audio ring.
    """

    name = "the recorder"

    def __init__(self, folder: Path, audio: Observer, rate_hz: int) -> None:
        self._folder = folder
        self._audio = audio
        self._rate_hz = rate_hz
        self._waiting: deque[tuple[str, dict[str, Any]]] = deque()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._guarded_run, name="recorder", daemon=True)
        self._messages: list[tuple[float, Message]] = []
        self._position = 0
        self.error: Exception | None = None
        self.n_lost_lines = 0
        self.n_lost_frames = 0

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def record(self, kind: str, **values: Any) -> None:
        """Note something; where too much waits already, count it as lost."""
        if self.error is None and len(self._waiting) < N_WAITING:
            self._waiting.append((kind, values))
        else:
            self.n_lost_lines += 1

    def send(self, message: Message, at_s: float) -> None:
        """Note a message, as a `NoteSink`."""
        self.record("midi", at_s=at_s, message=message)

    def close(self) -> None:
        """Let the thread go on by itself: more may come until `finish`."""

    def finish(self) -> None:
        """Write what is left and end; for when nothing more will come."""
        self._stop.set()
        self._thread.join(_JOIN_S)

    def _guarded_run(self) -> None:
        try:
            self._run()
        except Exception as error:  # whatever a disk or a library comes up with: the music goes on
            self.error = error
            self._waiting.clear()
            _log.error("recorder.stopped", folder=str(self._folder), reason=str(error))

    def _run(self) -> None:
        kind = {"format": "FLAC", "subtype": "PCM_24"}
        with (
            (self._folder / LINES).open("a", encoding="utf-8") as lines,
            soundfile.SoundFile(self._folder / AUDIO, "w", self._rate_hz, 1, **kind) as audio,
            soundfile.SoundFile(self._folder / REST, "w", self._rate_hz, 1, **kind) as rest,
        ):
            is_last = False
            while not is_last:
                is_last = self._stop.wait(BEAT_S)
                self._write_audio(audio, rest)
                self._write_lines(lines)
            if self.n_lost_lines or self.n_lost_frames:
                lost = {"n_lines": self.n_lost_lines, "n_frames": self.n_lost_frames}
                lines.write(line("lost", lost))
        self._write_midi()

    def _write_audio(self, *files: soundfile.SoundFile) -> None:
        """Write the frames that have come; those that were overwritten are written as silence."""
        newest = self._audio.newest
        while self._position < newest:
            frames = np.zeros(min(_CHUNK_FRAMES, newest - self._position), np.float32)
            if self._audio.read(self._position, frames) is not Seen.WHOLE:
                self.n_lost_frames += frames.size
                frames[:] = 0
            for file, steps in zip(files, split(frames), strict=True):
                file.write(steps << 8)  # libsndfile takes 24 bits in the upper three bytes
            self._position += frames.size
        for file in files:
            file.flush()

    def _write_lines(self, lines: IO[str]) -> None:
        """Write what was noted."""
        while self._waiting:
            kind, values = self._waiting.popleft()
            if kind == "midi":
                self._messages.append((values["at_s"], values["message"]))
            lines.write(line(kind, values))
        lines.flush()

    def _write_midi(self) -> None:
        """Write what was played as a MIDI file."""
        sink = MidiFileSink(self._folder / MIDI)
        for at_s, message in self._messages:
            sink.send(message, at_s)
        sink.close()
        sink.keep()


@contextmanager
def recorded(
    parent: Path | None,
    *,
    about: dict[str, Any],
    config: Config,
    memories: Sequence[Memory],
    seed: int,
    source: AudioSource,
    tell: Callable[[str], object],
) -> Iterator[Tap]:
    """Record the performance within into a new folder of `parent`, None for not at all.

    Raises
    ------
    OutputPathError
        The folder cannot be made, or the memories not be kept in it.
    """
    if parent is None:
        yield Tap()
        return
    folder = _new_folder(parent)
    head = {
        "version": VERSION,
        "rate_hz": source.rate_hz,
        "seed": seed,
        "n_memories": len(memories),
        "about": about,
        "config": asdict(config),
    }
    try:
        for place, memory in enumerate(memories):  # as they are now: they are going to learn
            memory.save(folder / memory_name(place))
        (folder / LINES).write_text(line("session", head), encoding="utf-8")
    except (OSError, OracleError) as error:
        raise OutputPathError(
            f"Nothing can be recorded in {folder} ({error}): free some space or choose another "
            "--record."
        ) from None
    recorder = Recorder(folder, Observer(source.audio.ring), source.rate_hz)
    recorder.start()
    try:
        yield Tap(record=recorder.record, sinks=(recorder,))
    finally:
        recorder.finish()
        tell(_outcome(recorder, folder))


def _outcome(recorder: Recorder, folder: Path) -> str:
    """Say what became of a recording."""
    if recorder.error is not None:
        return f"The recording in {folder} is not whole ({recorder.error}): free some space."
    if recorder.n_lost_lines or recorder.n_lost_frames:
        return (
            f"The recording in {folder} lacks {recorder.n_lost_lines} lines and "
            f"{recorder.n_lost_frames} frames: its disk was too slow."
        )
    return f"The performance is recorded in {folder}."


def _new_folder(parent: Path) -> Path:
    """Make a folder named after the date and time."""
    name = time.strftime("%Y-%m-%d_%H-%M-%S")
    try:
        parent.mkdir(parents=True, exist_ok=True)
        for number in count(1):
            folder = parent / (name if number == 1 else f"{name}_{number}")
            with suppress(FileExistsError):
                folder.mkdir()
                break
    except OSError as error:
        raise OutputPathError(
            f"No folder can be made in {parent} ({error.strerror}): choose another --record."
        ) from None
    return folder
