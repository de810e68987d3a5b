"""Sounding: which notes an audience has heard begin, when each ended, and which of them hang.

A note is ended by its note-off, or by controller 120 or 123 on its channel. One that is struck
again before it was ended hangs: a synthesiser counts both, and waits for two ends.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from realtime.midi import NOTE_ON
from realtime.panic import ALL_NOTES_OFF, ALL_SOUND_OFF, CONTROL_CHANGE, NOTE_OFF

Heard = tuple[float, bytes]
"""When a message was heard, by the monotonic clock, and its three bytes."""

_ENDING_CONTROLLERS: Final = (ALL_NOTES_OFF, ALL_SOUND_OFF)


@dataclass(slots=True, kw_only=True)
class SoundingNote:
    """A note as the audience hears it.

    Attributes
    ----------
    end_s
        When it was ended or struck again; infinite while it sounds.
    """

    pitch: int
    begin_s: float
    end_s: float = math.inf
    is_struck_again: bool = False

    def sounds_at(self, at_s: float) -> bool:
        """Say whether it sounds at a moment."""
        return self.begin_s <= at_s < self.end_s


def sounding_notes(heard: Iterable[Heard]) -> list[SoundingNote]:
    """Give every note of what was heard, in the order of their begins."""
    notes: list[SoundingNote] = []
    sounding: dict[tuple[int, int], SoundingNote] = {}
    for at_s, (status, first, second) in heard:
        kind, channel = status & 0xF0, status & 0x0F
        ended = []
        if kind in (NOTE_ON, NOTE_OFF):
            ended = [(channel, first)]
        elif kind == CONTROL_CHANGE and first in _ENDING_CONTROLLERS:
            ended = [key for key in sounding if key[0] == channel]
        is_begin = kind == NOTE_ON and second > 0
        for key in ended:
            if note := sounding.pop(key, None):
                note.end_s = at_s
                note.is_struck_again = is_begin
        if is_begin:
            sounding[channel, first] = note = SoundingNote(pitch=first, begin_s=at_s)
            notes.append(note)
    return notes


def hanging_notes(heard: Iterable[Heard], since_s: float, until_s: float) -> list[SoundingNote]:
    """Give the notes that have sounded since a moment and were never ended as they should be.

    Those begun after `until_s` may sound on, as the music does, but not be struck again.
    """
    return [
        note
        for note in sounding_notes(heard)
        if note.end_s > since_s
        and (note.is_struck_again or (note.end_s == math.inf and note.begin_s <= until_s))
    ]


def ended_s(heard: Iterable[Heard], since_s: float) -> float:
    """Give how long those sounded on that sounded at a moment and have been ended."""
    ends = [
        note.end_s
        for note in sounding_notes(heard)
        if note.sounds_at(since_s) and note.end_s < math.inf
    ]
    return max(ends, default=since_s) - since_s
