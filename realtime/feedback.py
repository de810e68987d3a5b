"""Feedback: whether our own notes come back through the input, and are answered as the player's.

Pure. A microphone that hears the synthesiser hears each of our notes at its pitch, always as long
after it was sent; a player who happens to play the same pitch does not.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

LATEST_S: Final = 0.15
"""So late a note of ours comes back at most, a synthesiser's and a room's latency included."""
LEAST_NOTES: Final = 5
LEAST_SHARE: Final = 0.5
SPREAD_S: Final = 0.01
"""The delays of an echo differ by less than this, half of them from their median."""


class Sounded(NamedTuple):
    """A note sent, or an event heard, at a time and a MIDI pitch."""

    at_s: float
    pitch: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Echo:
    """Our notes that came back."""

    n_heard: int
    n_sent: int
    delay_s: float

    def __str__(self) -> str:
        return (
            f"Our own notes come back: {self.n_heard} of {self.n_sent} were heard "
            f"{self.delay_s * 1e3:.0f} ms after they were sent, and answered as yours; turn the "
            "synthesiser away or down, or use headphones or a line input."
        )


def echo(sent: Sequence[Sounded], heard: Sequence[Sounded]) -> Echo | None:
    """Find our notes among what was heard; None where they are not.

    Parameters
    ----------
    sent
        Notes that began; those before the first event are left out.
    heard
        Events, each once for each of its pitches, in order of time.
    """
    sent = [note for note in sent if heard and note.at_s >= heard[0].at_s - LATEST_S]
    delays_s = []
    for note in sent:
        since_s = (event.at_s - note.at_s for event in heard if event.pitch == note.pitch)
        delay_s = min((s for s in since_s if 0 < s <= LATEST_S), default=None)
        if delay_s is not None:
            delays_s.append(delay_s)
    if len(delays_s) < max(LEAST_NOTES, LEAST_SHARE * len(sent)):
        return None
    median_s = float(np.median(delays_s))
    spread_s = float(np.median(np.abs(np.array(delays_s) - median_s)))
    if spread_s > SPREAD_S:
        return None
    return Echo(n_heard=len(delays_s), n_sent=len(sent), delay_s=median_s)
