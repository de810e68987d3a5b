"""Recorder: what was heard, what was played, and every decision between, written to files.

A thread of its own reads the audio ring as an observer and takes what the loop has noted; the loop
only appends to a bounded queue. So nothing that plays ever waits for a disk: a recorder that falls
behind counts what it lost, and one whose disk is full says so, waits, and goes on in a new part of
the recording once there is room.
"""

import errno
import shutil
import threading
import time
from collections import deque
from pathlib import Path
from typing import Any, Final

import numpy as np
import structlog

from realtime.backoff import Backoff
from realtime.midi import Message
from realtime.midi_file import MidiFileSink
from realtime.ring import Observer, Seen
from realtime.session_format import MIDI, line
from realtime.session_part import SessionPart

BEAT_S: Final = 0.1
N_WAITING: Final = 16_384
"""Notes of a minute of the densest playing, while a disk sleeps or is full."""
ROOM_BYTES: Final = 32 << 20
"""Some minutes; with less, a part would be over as soon as it began."""
FINISH_S: Final = 10.0
"""How long a disk has to take what is left at the end."""
_FULL: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_CHUNK_FRAMES: Final = 8192

_log = structlog.get_logger()


class Recorder:
    """Writes one performance into a folder. `record`, `start` and `close` are the loop thread's.

    Parameters
    ----------
    folder
        Its own, with nothing in it of the sound.
    audio
        Observer of the audio ring.

    Attributes
    ----------
    error
        What it could not write for, if it has stopped for now; None while it writes.
    midi_error
        What it could not write the notes' own file for; None if it could, or has not tried.
    n_parts
        How many parts it is in.
    n_lost_lines, n_lost_frames
        What is in no part, and what is silence in one.
    """

    name = "the recorder"

    def __init__(self, folder: Path, audio: Observer, rate_hz: int) -> None:
        self._folder = folder
        self._audio = audio
        self._rate_hz = rate_hz
        self._waiting: deque[tuple[str, dict[str, Any]]] = deque()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)
        self._messages: list[tuple[float, Message]] = []
        self._backoff = Backoff()
        self._position = 0
        self.error: Exception | None = None
        self.midi_error: Exception | None = None
        self.n_parts = 1
        self.n_lost_lines = 0
        self.n_lost_frames = 0

    @property
    def lost_s(self) -> float:
        """How much of the sound is in no part, or silence in one."""
        return self.n_lost_frames / self._rate_hz

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def record(self, kind: str, **values: Any) -> None:
        """Note something; where too much waits already, count it as lost."""
        if len(self._waiting) < N_WAITING:
            self._waiting.append((kind, values))
        else:
            self.n_lost_lines += 1

    def send(self, message: Message, at_s: float) -> None:
        """Note a message, as a `NoteSink`."""
        self.record("midi", at_s=at_s, message=message)

    def close(self) -> None:
        """Let the thread go on by itself: more may come until `finish`."""

    def finish(self) -> bool:
        """Write what is left, for when nothing more will come, and say whether that was in time."""
        self._stop.set()
        self._thread.join(FINISH_S)
        return not self._thread.is_alive()

    def _run(self) -> None:
        """Write part after part, until there is nothing more to come, and then the notes."""
        while not self._is_written():
            is_last = self._stop.is_set()
            self._wait_for_room()
            if is_last or not self._has_room():
                break
        try:
            self._write_midi()
        except Exception as error:  # as below; its notes are in the lines, too
            self.midi_error = error

    def _is_written(self) -> bool:
        """Write a part, and say whether that was the last."""
        try:
            self._write_part()
        except Exception as error:  # whatever a disk or a library comes up with
            self._pause(error)
            return False
        return True

    def _pause(self, error: Exception) -> None:
        """Give up the part, and leave the disk alone for a while."""
        if self.error is None:
            _log.error(
                "recorder.paused",
                folder=str(self._folder),
                notice=f"Nothing is recorded at the moment ({remedy(error)}). The music goes on.",
            )
        self.error = error
        self._backoff.fail(time.monotonic())

    def _wait_for_room(self) -> None:
        """Wait until it is worth another try, or nothing more will come."""
        while not (self._backoff.may_try(time.monotonic()) and self._has_room()):
            if self._stop.wait(BEAT_S):
                return

    def _has_room(self) -> bool:
        """Say whether there is room for some minutes."""
        try:
            return shutil.disk_usage(self._folder).free > ROOM_BYTES
        except OSError:
            return False

    def _write_part(self) -> None:
        """Write one part until the performance is over."""
        number = self.n_parts + (self.error is not None)
        with SessionPart(self._folder, number, self._rate_hz) as part:
            if number > self.n_parts:
                self._go_on(part, number)
            is_last = False
            while not is_last:
                is_last = self._stop.wait(BEAT_S)
                self._write_audio(part)
                self._write_lines(part)
            if self.n_lost_lines or self.n_lost_frames:
                lost = {"n_lines": self.n_lost_lines, "n_frames": self.n_lost_frames}
                part.write_lines(line("lost", lost))

    def _go_on(self, part: SessionPart, number: int) -> None:
        """Begin a part after a gap, with the sound of now; what was noted meanwhile follows."""
        first_frame = self._audio.newest
        part.write_lines(line("part", {"number": number, "first_frame": first_frame}))
        n_lost = first_frame - self._position
        self.n_lost_frames += n_lost
        self._position = first_frame
        self.n_parts, self.error = number, None
        _log.warning(
            "recorder.resumed",
            folder=str(self._folder),
            part=number,
            lost_s=round(n_lost / self._rate_hz, 1),
        )

    def _write_audio(self, part: SessionPart) -> None:
        """Write the frames that have come; those that were overwritten are written as silence."""
        newest = self._audio.newest
        while self._position < newest:
            frames = np.zeros(min(_CHUNK_FRAMES, newest - self._position), np.float32)
            if self._audio.read(self._position, frames) is not Seen.WHOLE:
                self.n_lost_frames += frames.size
                frames[:] = 0
            part.write_audio(frames)
            self._position += frames.size

    def _write_lines(self, part: SessionPart) -> None:
        """Write what was noted; what finds no room waits for the next part."""
        noted = [self._waiting[i] for i in range(len(self._waiting))]  # more may come meanwhile
        lines = [_line(kind, values) for kind, values in noted]
        part.write_lines("".join(lines))
        self.n_lost_lines += lines.count("")
        for kind, values in noted:
            self._waiting.popleft()
            if kind == "midi":
                self._messages.append((values["at_s"], values["message"]))

    def _write_midi(self) -> None:
        """Write what was played as a MIDI file."""
        sink = MidiFileSink(self._folder / MIDI, option="--record")
        for at_s, message in self._messages:
            sink.send(message, at_s)
        sink.close()
        sink.keep()


def remedy(error: Exception) -> str:
    """Say what keeps a recording from being written, and what to do if that is known."""
    if not isinstance(error, OSError):
        return f"{type(error).__name__}: {error}"
    reason = error.strerror or str(error)
    return f"{reason}: free some space" if error.errno in _FULL else reason


def _line(kind: str, values: dict[str, Any]) -> str:
    """Return what was noted as a line, or nothing if it cannot be one: the others shall be kept."""
    try:
        return line(kind, values)
    except (TypeError, ValueError) as error:
        _log.error("recorder.line_lost", kind=kind, reason=str(error))
        return ""
