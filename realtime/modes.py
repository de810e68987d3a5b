"""Modes: how to stand to the player: close behind, in a mirror, beside, against or ahead.

Loop thread only; pure decisions from what was heard and when. A mode is held for 15 to 45 s and
left where a phrase has ended, which a silence tells. It speaks to the memory in requests, most
important first, may rest instead, and says when to play on without being asked. Shadow, mirror and
couple are Spire Muse's (NIME 2021), with imitate, contrast and lead beside them.
"""

from collections import deque
from dataclasses import dataclass
from typing import Any, Final, Literal, get_args

import numpy as np

from realtime.phrasing import Phrasing

Mode = Literal["shadow", "imitate", "mirror", "couple", "contrast", "lead"]
MODES: Final[tuple[Mode, ...]] = get_args(Mode)
AUTO: Final = "auto"

MEANINGS: Final = {
    "shadow": "answers each note with what resembles it, close behind you",
    "imitate": "a canon: follows your line two to four notes behind, and ends it after you",
    "mirror": "turns your phrase upside down in your key, and goes on from it when you pause",
    "couple": "goes along with you, in thirds and sixths, and goes on when you pause",
    "contrast": "is high where you are low, rests while you play, and speaks when you pause",
    "lead": "plays phrases it has learned, in its own rhythm, in your key and tempo",
    AUTO: "changes between them where a phrase of yours ends, every 15 to 45 s",
}
"""What a mode does, in a line for the player."""

HOLD_S: Final = (15.0, 45.0)
"""How long a mode is held; it changes at the first phrase after a time drawn from here."""

COMPANY: Final = (4, 3, 9, 8, 7)
"""Semitones above the player, the first of which that is in the key of the moment."""

SPEAKS_NOTES: Final = (3, 6)
RESTS_NOTES: Final = (2, 4)
"""A contrast answers so many notes of the player's, is silent for so many, and so on."""

BREATH_S: Final = (1.0, 3.0)
"""Who leads breathes between phrases."""
PATIENCE_S: Final = 10.0
"""After so long without a note of the player's nobody is led any more."""

_N_RECENT: Final = 12
_CANON_NOTES: Final = (2, 4)
_MIRROR_SEMITONES: Final = 7  # the first note of a phrase is answered at the fifth
_FAR_SEMITONES: Final = 7
_MIDDLE_PITCH: Final = 60
_PHRASE_WEIGHT: Final = 0.5


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
        self._phrasing = Phrasing()
        self._last_s: float | None = None
        self._first_pitch: int | None = None  # of this phrase
        self._n_owed = 0  # of the notes of a canon
        self._n_speaks = self._n_rests = 0  # notes to come of a contrast, and of its rest

    @property
    def leads(self) -> bool:
        """Whether it plays its own phrases instead of answering notes."""
        return self._mode == "lead"

    def hear(self, heard: Heard, now_s: float) -> Turn | None:
        """Take a note of the player's that began at `now_s`, and change the mode if it is time."""
        gap_s = 0.0 if self._last_s is None else now_s - self._last_s
        is_new_phrase = self._last_s is None or not self._phrasing.goes_on(gap_s)
        self._last_s = now_s
        if is_new_phrase:
            self._first_pitch = None
        if self._first_pitch is None:
            self._first_pitch = heard.pitch
        self._recent.append(heard)
        turn = self._turn(now_s, gap_s, is_new_phrase=is_new_phrase)
        self._n_owed = min(self._distance, len(self._recent))
        return turn

    def request(self) -> dict[str, Any] | None:
        """Say what the answer to the newest note is to be like; None to rest."""
        if self._mode == "contrast" and self._is_resting():
            return None
        heard, pitch = self._recent[-1], self._last_pitch
        match self._mode:
            case "mirror" | "couple" if heard.pitch is None:
                return {}  # what follows in the memory goes with what is not known
            case "imitate":  # a canon: the answer follows some notes behind
                if len(self._recent) <= self._distance:
                    return None
                past = self._recent[-1 - self._distance]
                return _alike(past.token, past.token_weight, past.pitch)
            case "mirror" if heard.pitch is not None and self._first_pitch is not None:
                mirrored = 2 * self._first_pitch + _MIRROR_SEMITONES - heard.pitch
                return _alike(None, 0.0, self._in_key(mirrored))
            case "couple" if heard.pitch is not None:
                return _alike(None, 0.0, heard.pitch + self._company(heard.pitch))
            case "contrast" if pitch is not None:
                return {"pitch": _far_from(pitch)}
            case "lead":
                return {}
        return _alike(heard.token, heard.token_weight, heard.pitch)

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

    def phrase_request(self) -> dict[str, Any] | None:
        """Say what a note of our own phrase is to be like; None where the phrase is over."""
        if self._mode == "imitate":
            if not self._n_owed:
                return None
            owed = self._recent[-self._n_owed]
            self._n_owed -= 1
            return _alike(owed.token, owed.token_weight, owed.pitch)
        if self._mode == "contrast" and self._last_pitch is not None:
            return {"pitch": {**_far_from(self._last_pitch), "weight": _PHRASE_WEIGHT}}
        return {}

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

    @property
    def _last_pitch(self) -> int | None:
        """The newest pitch there is: a note's own is not always known when it is answered."""
        return next((h.pitch for h in reversed(self._recent) if h.pitch is not None), None)

    def _is_resting(self) -> bool:
        """Count the notes of a contrast, and say whether it rests for this one."""
        if self._n_speaks == self._n_rests == 0:
            self._n_speaks = int(self._rng.integers(*SPEAKS_NOTES, endpoint=True))
            self._n_rests = int(self._rng.integers(*RESTS_NOTES, endpoint=True))
        if self._n_speaks:
            self._n_speaks -= 1
            return False
        self._n_rests -= 1
        return True

    @property
    def _known(self) -> set[int]:
        """The pitch classes that were lately heard."""
        return {heard.pitch % 12 for heard in self._recent if heard.pitch is not None}

    def _in_key(self, pitch: int) -> int:
        """Return a pitch, or its neighbour if that was lately heard and the pitch was not."""
        near = (pitch, pitch - 1, pitch + 1)
        return next((other for other in near if other % 12 in self._known), pitch)

    def _company(self, pitch: int) -> int:
        """Return the interval above a pitch that is made of what was lately heard."""
        known = self._known
        fitting = (semitones for semitones in COMPANY if (pitch + semitones) % 12 in known)
        return next(fitting, COMPANY[-1])


def _far_from(pitch: int) -> dict[str, Any]:
    """Ask for the other side of the middle, a fifth away at least."""
    is_low = pitch < _MIDDLE_PITCH
    far = pitch + (_FAR_SEMITONES if is_low else -_FAR_SEMITONES)
    return {"type": ">" if is_low else "<", "value": min(max(far, 0), 127)}


def _alike(token: int | None, token_weight: float, pitch: int | None) -> dict[str, Any]:
    """Ask for a gesture and a pitch, as far as they are known."""
    request: dict[str, Any] = {}
    if token is not None:
        request["gesture_token"] = {"value": token, "weight": token_weight}
    if pitch is not None:
        request["pitch_class"] = pitch % 12
        request["register"] = min(max(pitch // 12 - 1, -1), 9)
    return request
