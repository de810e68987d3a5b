"""MIDI file: a note sink that keeps a performance as a Standard MIDI File.

Loop thread only. Messages are kept in memory, some hundred bytes a note, and the file appears whole
at `MidiFileSink.close` or not at all: it never overwrites a file with half a performance. The same
messages give the same bytes.
"""

import contextlib
import os
from pathlib import Path
from typing import Final

import mido

from realtime.midi import Message, MidiError

TICKS_PER_BEAT: Final = 960
BEATS_PER_MINUTE: Final = 120
TICKS_PER_S: Final = TICKS_PER_BEAT * BEATS_PER_MINUTE // 60  # 0.52 ms each


class MidiFileError(MidiError):
    """Raised when a performance cannot be written to the file asked for."""


class MidiFileSink:
    """Keep messages and write them at the end.

    Raises
    ------
    MidiFileError
        `path` is a folder, or its own folder is missing or not writable.
    """

    def __init__(self, path: Path) -> None:
        if path.is_dir():
            raise MidiFileError(f"{path} is a folder: give the name of a MIDI file.")
        if not path.parent.is_dir():
            raise MidiFileError(f"There is no folder {path.parent}: create it or choose another.")
        if not os.access(path.parent, os.W_OK):
            raise MidiFileError(f"The folder {path.parent} is not writable: choose another.")
        self._path = path
        self._messages: list[tuple[int, Message]] = []
        self._is_closed = False

    @property
    def name(self) -> str:
        """The file's path."""
        return str(self._path)

    def send(self, message: Message, at_s: float) -> None:
        """Keep a message sent `at_s` seconds after the stream's start, on the nearest tick."""
        self._messages.append((round(at_s * TICKS_PER_S), message))

    def close(self) -> None:
        """Write the file whole, in place of an older one; twice is once.

        Raises
        ------
        MidiFileError
            The file could not be written; an older one is as it was.
        """
        if self._is_closed:
            return
        self._is_closed = True
        partial = self._path.with_name(f".{self._path.name}.{os.getpid()}.partial")
        try:
            with partial.open("wb") as file:
                self._midi_file().save(file=file)
                file.flush()
                os.fsync(file.fileno())
            os.replace(partial, self._path)
        except OSError as error:
            with contextlib.suppress(OSError):
                partial.unlink(missing_ok=True)
            raise MidiFileError(
                f"The performance could not be written to {self._path} ({error.strerror}): "
                "free some space or choose another --midi-file."
            ) from None

    def _midi_file(self) -> mido.MidiFile:
        tempo = mido.bpm2tempo(BEATS_PER_MINUTE)
        track = mido.MidiTrack([mido.MetaMessage("set_tempo", tempo=tempo)])
        last = 0
        for tick, message in self._messages:
            track.append(mido.Message.from_bytes(message, time=tick - last))
            last = tick
        track.append(mido.MetaMessage("end_of_track"))
        return mido.MidiFile(type=0, ticks_per_beat=TICKS_PER_BEAT, tracks=[track])
