"""Input level: how loud the input is now, and a word where it gives nothing to hear.

Loop thread, once a second and off the way of a note: it observes the audio ring, and while there is
sound it looks for one peak only. A silence is said once, with what to check, and so is its end;
whoever rests often is told less and less.
"""

import math
from collections.abc import Callable
from typing import Final

import numpy as np

from models.meter import Meter, findings
from realtime.ring import Observer, Seen

ZEROS_DBFS: Final = -999
"""Stands for −∞ where a level is a whole number."""
PATIENCE_S: Final = 10
"""A second is one call of `follow`; twice as many after each silence that was said."""


def nobody(notice: str) -> None:
    """Tell nobody."""


class InputLevel:
    """Follows the level of one input. Loop thread only.

    Parameters
    ----------
    audio
        Of the ring that the input fills, which holds a second at least.
    gate_dbfs
        Of the listener: what is softer is silence.
    tell
        Takes a sentence for the player.
    """

    def __init__(
        self,
        audio: Observer,
        rate_hz: int,
        gate_dbfs: float,
        tell: Callable[[str], None] = nobody,
    ) -> None:
        self._audio = audio
        self._second = np.zeros(rate_hz, np.float32)
        self._gate_dbfs = gate_dbfs
        self._tell = tell
        self._silence = Meter()
        self._n_silent_s = 0
        self._patience_s = PATIENCE_S
        self._is_said = False

    def follow(self) -> int:
        """Look at the last second, and give its peak in dBFS, `ZEROS_DBFS` where there is none."""
        newest = self._audio.newest
        frames = self._second[: min(newest, self._second.size)]
        if not frames.size or self._audio.read(newest - frames.size, frames) is not Seen.WHOLE:
            return ZEROS_DBFS
        peak = max(float(frames.max()), -float(frames.min()))
        peak_dbfs = 20 * math.log10(peak) if peak > 0 else -math.inf
        if peak_dbfs < self._gate_dbfs:
            self._silence.take(frames)
            self._n_silent_s += 1
            self._say_silence()
        else:
            self._say_sound(peak_dbfs)
        return round(max(ZEROS_DBFS, peak_dbfs))

    def _say_silence(self) -> None:
        if self._is_said or self._n_silent_s < self._patience_s:
            return
        self._is_said = True
        why = " ".join(findings(self._silence, 0, self._gate_dbfs))
        self._tell(
            f"No sound from the input for {self._n_silent_s} s. {why} "
            "python -m realtime.listen says more."
        )

    def _say_sound(self, peak_dbfs: float) -> None:
        if self._is_said:
            self._tell(f"There is sound now, at {peak_dbfs:.0f} dBFS.")
            self._patience_s *= 2
        self._is_said = False
        self._n_silent_s = 0
        self._silence = Meter()
