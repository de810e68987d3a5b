"""MIDI file: a note sink that keeps a performance as a Standard MIDI File.

Loop thread only, but for `MidiFileSink.keep`. Messages are kept in memory, some hundred bytes a
note. At the close they are written beside the path asked for, and moved there once the performance
is known to have ended well: one that failed, or in which no note began, overwrites nothing. The
same messages give the same bytes.
"""

import contextlib
import os
from pathlib import Path
from typing import Final

import mido

from models.output_path import require_writable
from realtime.midi import NOTE_ON, Message, MidiError

MIDI_SUFFIXES: Final = (".mid", ".midi")
TICKS_PER_BEAT: Final = 960
BEATS_PER_MINUTE: Final = 120
TICKS_PER_S: Final = TICKS_PER_BEAT * BEATS_PER_MINUTE // 60  # 0.52 ms each


class MidiFileError(MidiError):
    """Raised when a performance cannot be written to the file asked for."""


class MidiFileSink:
    """Keep messages, write them at the end, and put them in place when told to.

    Parameters
    ----------
    option
        Which one names another path.

    Attributes
    ----------
    unfinished : Path
        Where `close` writes, and what it writes stays until `keep`.
    is_unfinished : bool
        Whether something has been written there that `keep` has not moved.

    Raises
    ------
    OutputPathError
        `path` is no file that could be replaced, or its folder is missing or not writable.
    """

    def __init__(self, path: Path, option: str = "--midi-file") -> None:
        require_writable(path, MIDI_SUFFIXES)
        self._path = path
        self._option = option
        self._messages: list[tuple[int, Message]] = []
        self._is_closed = False
        self.unfinished = path.with_name(f"{path.stem}.unfinished{path.suffix}")
        self.is_unfinished = False

    @property
    def name(self) -> str:
        """The file's path."""
        return str(self._path)

    def send(self, message: Message, at_s: float) -> None:
        """Keep a message sent `at_s` seconds after the stream's start, on the nearest tick."""
        self._messages.append((round(at_s * TICKS_PER_S), message))

    def close(self) -> None:
        """Write what was sent, whole, if a note began; twice is once.

        Raises
        ------
        MidiFileError
            It could not be written; a file at the path is as it was.
        """
        if self._is_closed:
            return
        self._is_closed = True
        if not any(status & 0xF0 == NOTE_ON for _, (status, _, _) in self._messages):
            return
        try:
            with self.unfinished.open("wb") as file:
                self._midi_file().save(file=file)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            with contextlib.suppress(OSError):
                self.unfinished.unlink(missing_ok=True)
            raise MidiFileError(
                f"The performance could not be written to {self.unfinished} ({error.strerror}): "
                f"free some space or choose another {self._option}."
            ) from None
        self.is_unfinished = True

    def keep(self) -> bool:
        """Put what was written in place of an older file; say whether there was anything.

        Raises
        ------
        MidiFileError
            It could not be moved, and stays where it is.
        """
        if not self.is_unfinished:
            return False
        try:
            self.unfinished.replace(self._path)
        except OSError as error:
            raise MidiFileError(
                f"The performance could not be moved to {self._path} ({error.strerror}): it is in "
                f"{self.unfinished}."
            ) from None
        self.is_unfinished = False
        return True

    def _midi_file(self) -> mido.MidiFile:
        tempo = mido.bpm2tempo(BEATS_PER_MINUTE)
        track = mido.MidiTrack([mido.MetaMessage("set_tempo", tempo=tempo)])
        last = 0
        for tick, message in self._messages:
            track.append(mido.Message.from_bytes(message, time=tick - last))
            last = tick
        track.append(mido.MetaMessage("end_of_track"))
        return mido.MidiFile(type=0, ticks_per_beat=TICKS_PER_BEAT, tracks=[track])
