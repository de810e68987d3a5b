"""Modes: how to stand to the player: close behind, in a mirror, beside, against or ahead.

Loop thread only; pure decisions from what was heard and when. A mode is held for 15 to 45 s and
left where a phrase has ended, which a silence tells. It speaks to the memory in requests, most
important first, and may rest instead. Shadow, mirror and couple are Spire Muse's (NIME 2021), with
imitate, contrast and lead beside them.
"""

from collections import deque
from dataclasses import dataclass
from typing import Any, Final, Literal, get_args

import numpy as np

Mode = Literal["shadow", "imitate", "mirror", "couple", "contrast", "lead"]
MODES: Final[tuple[Mode, ...]] = get_args(Mode)
AUTO: Final = "auto"

MEANINGS: Final = {
    "shadow": "answers each note with what resembles it, close behind you",
    "imitate": "a canon: follows your line two to four notes behind",
    "mirror": "turns your phrase upside down, around its first note",
    "couple": "goes along with you, in thirds and sixths",
    "contrast": "is high where you are low and low where you are high, and rests often",
    "lead": "goes its own way through what it has learned, in your key",
    AUTO: "changes between them where a phrase of yours ends, every 15 to 45 s",
}
"""What a mode does, in a line for the player."""

HOLD_S: Final = (15.0, 45.0)
"""How long a mode is held; it changes at the first phrase after a time drawn from here."""

PHRASE_GAP_S: Final = 0.8
PHRASE_GAP_INTERVALS: Final = 2.5
"""A phrase has ended when no note came for so long, and for so many of the usual intervals."""

COMPANY: Final = (4, 3, 9, 8, 7)
"""Semitones above the player, the first of which that is in the key of the moment."""

RESTS: Final = {"contrast": 0.4, "lead": 0.1}
"""Share of the notes to which a mode says nothing; the others answer all they can."""

_N_RECENT: Final = 12
_CANON_NOTES: Final = (2, 4)
_MIRROR_SEMITONES: Final = 7  # the first note of a phrase is answered at the fifth
_FAR_SEMITONES: Final = 7
_MIDDLE_PITCH: Final = 60


@dataclass(frozen=True, slots=True)
class Heard:
    """One note of the player's: its pitch, None if it has none, and the gesture in use.

    `token_weight` says how much the gesture knows of the note, 0 to 1.
    """

    pitch: int | None
    token: int | None
    token_weight: float


@dataclass(frozen=True, slots=True)
class Turn:
    """A change of mode, and why it came."""

    mode: Mode
    why: str


class Modes:
    """The mode as it is now, and what it asks for.

    Parameters
    ----------
    wanted
        A mode to keep to, or "auto".
    seed
        Of the private generator: same seed and notes, same modes.
    """

    def __init__(self, wanted: Mode | Literal["auto"], *, seed: int) -> None:
        self._rng = np.random.default_rng([seed, len(MODES)])
        self._wanted = wanted
        self._mode: Mode | None = None
        self._since_s = 0.0
        self._hold_s = 0.0
        self._distance = 0
        self._recent: deque[Heard] = deque(maxlen=_N_RECENT)
        self._intervals_s: deque[float] = deque(maxlen=_N_RECENT)
        self._last_s: float | None = None
        self._first_pitch: int | None = None  # of this phrase

    def hear(self, heard: Heard, now_s: float) -> Turn | None:
        """Take a note of the player's that began at `now_s`, and change the mode if it is time."""
        gap_s = 0.0 if self._last_s is None else now_s - self._last_s
        is_new_phrase = self._last_s is None or gap_s > self._phrase_gap_s()
        if self._last_s is not None and not is_new_phrase:
            self._intervals_s.append(gap_s)
        self._last_s = now_s
        if is_new_phrase:
            self._first_pitch = None
        if self._first_pitch is None:
            self._first_pitch = heard.pitch
        self._recent.append(heard)
        return self._turn(now_s, gap_s, is_new_phrase=is_new_phrase)

    def request(self) -> dict[str, Any] | None:
        """Say what the answer to the newest note is to be like; None to rest."""
        if self._rng.random() < RESTS.get(self._mode or "", 0.0):
            return None
        heard = self._recent[-1]
        match self._mode:
            case "imitate":  # a canon: the answer follows some notes behind
                if len(self._recent) <= self._distance:
                    return None
                past = self._recent[-1 - self._distance]
                return _alike(past.token, past.token_weight, past.pitch)
            case "mirror" if heard.pitch is not None and self._first_pitch is not None:
                mirrored = 2 * self._first_pitch + _MIRROR_SEMITONES - heard.pitch
                return _alike(None, 0.0, mirrored)
            case "couple" if heard.pitch is not None:
                return _alike(None, 0.0, heard.pitch + self._company(heard.pitch))
            case "contrast" if heard.pitch is not None:
                is_low = heard.pitch < _MIDDLE_PITCH
                far = heard.pitch + (_FAR_SEMITONES if is_low else -_FAR_SEMITONES)
                return {"pitch": {"type": ">" if is_low else "<", "value": min(max(far, 0), 127)}}
            case "lead":  # its own way, as far as the key of the moment bears it
                return {"tonal_fit": {"type": "gradient", "shape": 1.0, "weight": 0.5}}
        return _alike(heard.token, heard.token_weight, heard.pitch)

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
        self._distance = int(self._rng.integers(*_CANON_NOTES, endpoint=True))
        return Turn(self._mode, why)

    def _phrase_gap_s(self) -> float:
        """Return after how long without a note a phrase has ended."""
        usual_s = float(np.median(self._intervals_s)) if self._intervals_s else 0.0
        return max(PHRASE_GAP_S, PHRASE_GAP_INTERVALS * usual_s)

    def _company(self, pitch: int) -> int:
        """Return the interval above a pitch that is made of what was lately heard."""
        known = {heard.pitch % 12 for heard in self._recent if heard.pitch is not None}
        fitting = (semitones for semitones in COMPANY if (pitch + semitones) % 12 in known)
        return next(fitting, COMPANY[-1])


def _alike(token: int | None, token_weight: float, pitch: int | None) -> dict[str, Any]:
    """Ask for a gesture and a pitch, as far as they are known."""
    request: dict[str, Any] = {}
    if token is not None:
        request["gesture_token"] = {"value": token, "weight": token_weight}
    if pitch is not None:
        request["pitch_class"] = pitch % 12
        request["register"] = min(max(pitch // 12 - 1, -1), 9)
    return request
