"""Panic: the MIDI messages that end every note, and how to send them for one who died.

Used by the performer's loop, and for the supervisor in a process of its own, as a MIDI system that
hangs would keep it for ever: ``python -m realtime.panic``.
Controllers 123 (all notes off) and 120 (all sound off) come first, then each pitch for
synthesisers that know neither: 390 bytes, 0.12 s of a MIDI cable.

A JACK server that has just lost a client lets nobody in for a second (1.1 s here), nor does it wake
those who heard the lost one until then. A port kept connected beforehand would not be heard any
sooner, and costs notes: where two ports meet, JACK drops both whenever one was not in time.
"""

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

ALL_NOTES_OFF: Final = 123
ALL_SOUND_OFF: Final = 120
NOTE_OFF: Final = 0x80
CONTROL_CHANGE: Final = 0xB0
N_PITCHES: Final = 128

_CLIENT: Final = "MusicHal panic"
_DRAIN_S: Final = 0.05
_LIMIT_S: Final = 4.0


def panic_messages(channels: Iterable[int]) -> Iterator[tuple[int, int, int]]:
    """Give what ends every note on these channels, counted from 0."""
    for channel in channels:
        for controller in (ALL_NOTES_OFF, ALL_SOUND_OFF):
            yield (CONTROL_CHANGE | channel, controller, 0)
        for pitch in range(N_PITCHES):
            yield (NOTE_OFF | channel, pitch, 0)


def end_all_notes(
    system: int | None, receivers: Sequence[str], channels: Sequence[int]
) -> list[str]:
    """End every note at these ports from a process that has none open, and name those told.

    Parameters
    ----------
    system
        RtMidi's number of the MIDI system the receivers are in, None if there is none.
    """
    if system is None or not channels:
        return []
    import rtmidi

    told = []
    with contextlib.ExitStack() as way_out:
        for name in receivers:
            with contextlib.suppress(rtmidi.RtMidiError, ValueError):  # that port is gone, too
                port = rtmidi.MidiOut(system, name=_CLIENT)
                way_out.callback(port.delete)
                way_out.callback(port.close_port)
                port.open_port(port.get_ports().index(name), _CLIENT)
                for message in panic_messages(channels):
                    port.send_message(message)
                told.append(name)
        if told:
            time.sleep(_DRAIN_S)
    return told


def end_all_notes_apart(
    system: int | None, receivers: Sequence[str], channels: Sequence[int]
) -> list[str]:
    """Do so in a process of its own, which is given up if it hangs, and name those told."""
    whom = json.dumps([system, receivers, channels])
    try:
        done = subprocess.run(
            [sys.executable, "-m", __name__, whom],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=_LIMIT_S,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return []
    told: list[str] = json.loads(done.stdout)
    return told


if __name__ == "__main__":
    sys.stdout.write(json.dumps(end_all_notes(*json.loads(sys.argv[1]))))
