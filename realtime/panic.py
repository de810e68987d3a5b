"""Panic: the MIDI messages that end every note, for whoever may have left some.

Controllers 123 (all notes off) and 120 (all sound off) come first, then each pitch for
synthesisers that know neither: 390 bytes a channel, 0.12 s of a MIDI cable.
"""

from collections.abc import Iterable, Iterator
from typing import Final

ALL_NOTES_OFF: Final = 123
ALL_SOUND_OFF: Final = 120
NOTE_OFF: Final = 0x80
CONTROL_CHANGE: Final = 0xB0
N_PITCHES: Final = 128


def panic_messages(channels: Iterable[int]) -> Iterator[tuple[int, int, int]]:
    """Give what ends every note on these channels, counted from 0."""
    for channel in channels:
        for controller in (ALL_NOTES_OFF, ALL_SOUND_OFF):
            yield (CONTROL_CHANGE | channel, controller, 0)
        for pitch in range(N_PITCHES):
            yield (NOTE_OFF | channel, pitch, 0)
