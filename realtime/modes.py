"""Modes: which way to stand to the player now, until when, and when to speak unasked.

Loop thread only; pure decisions from what was heard and when. A mode is held for 15 to 45 s and
left where a phrase has ended, which a silence tells. What a mode wants is `realtime.stance`'s.
Shadow, mirror and couple are Spire Muse's (NIME 2021), with imitate, contrast and lead beside them.
"""

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from realtime.harmony import Harmony
from realtime.phrasing import Phrasing
from realtime.stance import MODES, Heard, Mode, Stance, Wish

AUTO: Final = "auto"

MEANINGS: Final = {
    "shadow": "answers each note with what resembles it, close behind you",
    "imitate": "a canon: follows your line two to four notes behind, and ends it after you",
    "mirror": "turns your line upside down, a note behind you, and goes on from it when you pause",
    "couple": "goes along with you, in thirds and sixths, and goes on when you pause",
    "contrast": "a line of its own, high where you are low, that rests for some of your notes",
    "lead": "plays phrases it has learned, in your key and tempo, and meets your notes on its way",
    AUTO: "changes between them where a phrase of yours ends, every 15 to 45 s",
}
"""What a mode does, in a line for the player."""

HOLD_S: Final = (15.0, 45.0)
"""How long a mode is held; it changes at the first phrase after a time drawn from here."""
BREATH_S: Final = (1.0, 3.0)
"""Who leads breathes between phrases."""
PATIENCE_S: Final = 10.0
"""After so long without a note of the player's nobody is led any more."""


@dataclass(frozen=True, slots=True)
class Turn:
    """A change of mode, and why it came."""

    mode: Mode
    why: str


class Modes:
    """The mode as it is now, and what it wants.

    Parameters
    ----------
    wanted
        A mode to keep to, or "auto".
    harmony
        What sounds, which the wishes go with.
    seed
        Of the private generator: same seed and notes, same modes.
    """

    def __init__(self, wanted: Mode | Literal["auto"], harmony: Harmony, *, seed: int) -> None:
        self._rng = np.random.default_rng([seed, len(MODES)])
        self._stance = Stance(harmony, self._rng)
        self._wanted = wanted
        self._mode: Mode | None = None
        self._since_s = 0.0
        self._hold_s = 0.0
        self._phrasing = Phrasing()
        self._last_s: float | None = None

    @property
    def leads(self) -> bool:
        """Whether it plays its own phrases instead of answering notes."""
        return self._mode == "lead"

    @property
    def usual_interval_s(self) -> float | None:
        """From note to note of the player's, None before there was one."""
        return self._phrasing.usual_s

    def hear(self, heard: Heard, now_s: float) -> Turn | None:
        """Take a note of the player's that began at `now_s`, and change the mode if it is time."""
        gap_s = 0.0 if self._last_s is None else now_s - self._last_s
        is_new_phrase = self._last_s is None or not self._phrasing.goes_on(gap_s)
        self._last_s = now_s
        turn = self._turn(now_s, gap_s, is_new_phrase=is_new_phrase)
        if turn is not None:
            self._stance.turn()
        self._stance.hear(heard, is_new_phrase=is_new_phrase)
        return turn

    def put_right(self, pitch: int, onset_s: float) -> None:
        """Take the pitch of a note, known for certain now that it is over, if it is the newest."""
        if onset_s == self._last_s:
            self._stance.put_right(pitch)

    def wish(self) -> Wish | None:
        """Say what the answer to the newest note is to be like; None to rest."""
        assert self._mode is not None
        assert self._last_s is not None
        return self._stance.wish(self._mode, self._last_s)

    def phrase_wish(self, now_s: float) -> Wish | None:
        """Say what a note of our own phrase is to be like; None where the phrase is over."""
        assert self._mode is not None
        return self._stance.phrase_wish(self._mode, now_s)

    def speaks_s(self) -> float | None:
        """Say when to begin a phrase of our own if the player's newest note was the last of theirs.

        None if they are to be left alone: a shadow is silent when nobody moves.
        """
        if self._mode == "shadow" or self._last_s is None:
            return None
        return self._last_s + self._phrasing.gap_s

    def speaks_again_s(self, now_s: float) -> float | None:
        """Say when to begin another phrase after one of our own has ended; None for not at all."""
        if not self.leads or self._last_s is None or now_s > self._last_s + PATIENCE_S:
            return None
        return now_s + float(self._rng.uniform(*BREATH_S))

    def _turn(self, now_s: float, gap_s: float, *, is_new_phrase: bool) -> Turn | None:
        """Change the mode where a phrase has ended, or where it has been held too long."""
        held_s = now_s - self._since_s
        if self._mode is not None:
            is_due = is_new_phrase and held_s >= self._hold_s
            if self._wanted != "auto" or not (is_due or held_s >= HOLD_S[1]):
                return None
        why = f"held for {held_s:.1f} s" if self._mode else "the first note"
        if self._mode and is_new_phrase:
            why += f", and a phrase ended {gap_s:.1f} s ago"
        others = [mode for mode in MODES if mode != self._mode]
        self._mode = others[self._rng.integers(len(others))]
        if self._wanted != "auto":
            self._mode, why = self._wanted, "asked for"
        self._since_s = now_s
        self._hold_s = float(self._rng.uniform(*HOLD_S))
        return Turn(self._mode, why)
