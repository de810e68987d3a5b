"""Stance: what each mode wants of the memory, for an answer and for a phrase of its own.

Loop thread only; pure decisions from what was heard. It speaks to the memory in requests, most
important first, says where the answer is to lie, or rests. What it wants goes with what sounds: a
mode names a pitch, and `realtime.harmony` the nearest that fits.
"""

from collections import deque
from dataclasses import dataclass, field
from typing import Any, Final, Literal, get_args

import numpy as np

from realtime.harmony import ENOUGH, Harmony

Mode = Literal["shadow", "imitate", "mirror", "couple", "contrast", "lead"]
MODES: Final[tuple[Mode, ...]] = get_args(Mode)

COMPANY: Final = (4, 3, 9, 8)
"""Semitones above the player, the first of which that goes with what sounds."""
ABOVE: Final = (*COMPANY, 5, 7, 6, 10, 2, 11, 1, 12)
"""Semitones above the player's last pitch, where what is company to the next one may lie."""

SPEAKS_NOTES: Final = (3, 6)
RESTS_NOTES: Final = (2, 4)
"""A contrast answers so many notes of the player's, is silent for so many, and so on."""
AWAY_SEMITONES: Final = 16
"""So far from the player's register a contrast has its own."""
MIDDLE_PITCH: Final = 60

_N_RECENT: Final = 12
_CANON_NOTES: Final = (2, 4)
_MIRROR_SEMITONES: Final = 7  # the first note of a phrase is answered at the fifth


@dataclass(slots=True)
class Heard:
    """One note of the player's: its pitch, None if it has none, and the gesture in use.

    `token_weight` says how much the gesture knows of the note, 0 to 1. The pitch is what was heard
    at once, and put right when the note is over: then it is the highest, where melodies are.
    """

    pitch: int | None
    token: int | None
    token_weight: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What is wanted of the next state, and how it is to sound.

    Attributes
    ----------
    request
        Asked of the memory.
    pitch
        Where the note is to lie; None where the memory has it.
    register
        About where a line is to lie; None for where the memory has it.
    is_line
        Whether it belongs to a line that is moved as a whole.
    may_double
        Whether it may be the very note that the player plays.
    """

    request: dict[str, Any] = field(default_factory=dict)
    pitch: int | None = None
    register: int | None = None
    is_line: bool = False
    may_double: bool = False


class Stance:
    """What was lately heard, and what is wanted beside it.

    Parameters
    ----------
    rng
        Whose chance decides how far behind a canon follows, and how long a contrast rests.
    """

    def __init__(self, harmony: Harmony, rng: np.random.Generator) -> None:
        self._harmony = harmony
        self._rng = rng
        self._recent: deque[Heard] = deque(maxlen=_N_RECENT)
        self._first: Heard | None = None  # of this phrase that has a pitch
        self._distance = 0  # by which a canon follows
        self._n_in_phrase = 0
        self._n_owed = 0  # notes that a canon has not followed yet
        self._n_speaks = self._n_rests = 0  # notes to come of a contrast, and of its rest

    def turn(self) -> None:
        """Begin anew, with another canon."""
        self._distance = int(self._rng.integers(*_CANON_NOTES, endpoint=True))

    def hear(self, heard: Heard, *, is_new_phrase: bool) -> None:
        """Take a note of the player's that has begun."""
        if is_new_phrase:
            self._first, self._n_in_phrase = None, 0
        if self._first is None and heard.pitch is not None:
            self._first = heard
        self._recent.append(heard)
        self._n_in_phrase += 1
        self._n_owed = min(self._distance, self._n_in_phrase)

    def put_right(self, pitch: int) -> None:
        """Take the pitch of the newest note as it is known now that it is over."""
        self._recent[-1].pitch = pitch

    def wish(self, mode: Mode, at_s: float) -> Wish | None:
        """Say what the answer to the newest note is to be like; None to rest."""
        heard = self._recent[-1]
        match mode:
            case "contrast":
                return None if self._is_resting() else self._far()
            case "lead":
                return Wish(is_line=True)
            case "imitate":  # a canon: the answer follows some notes behind
                if self._n_in_phrase <= self._distance:
                    return None
                return self._again(self._recent[-1 - self._distance], at_s)
            case "mirror":  # by then it is known what was played
                return self._mirrored(self._recent[-2 if self._n_in_phrase > 1 else -1], at_s)
            case "couple":
                return self._beside(at_s)
        request = {**_gesture(heard), **_place(heard.pitch)}
        return Wish(request=request, register=self._last_pitch, may_double=True)

    def phrase_wish(self, mode: Mode, at_s: float) -> Wish | None:
        """Say what a note of our own phrase is to be like; None where the phrase is over."""
        if mode == "mirror" and self._n_owed:
            self._n_owed = 0
            return self._mirrored(self._recent[-1], at_s)
        if mode == "imitate":
            if not self._n_owed:
                return None
            owed = self._recent[-self._n_owed]
            self._n_owed -= 1
            return self._again(owed, at_s)
        return self._far() if mode == "contrast" else Wish(is_line=True)

    def _again(self, heard: Heard, at_s: float) -> Wish:
        """Repeat a note, bent where it would clash with what sounds by now."""
        if heard.pitch is None:
            return Wish(request=_gesture(heard))
        pitch = self._harmony.nearest(heard.pitch, at_s)
        return Wish(request={**_gesture(heard), **_place(pitch)}, pitch=pitch)

    def _mirrored(self, heard: Heard, at_s: float) -> Wish:
        """Turn a note upside down, about the first of the phrase and a fifth above."""
        if heard.pitch is None or self._first is None or self._first.pitch is None:
            return Wish(register=self._last_pitch, is_line=True)
        mirrored = 2 * self._first.pitch + _MIRROR_SEMITONES - heard.pitch
        return _at(self._harmony.nearest(mirrored, at_s))

    @property
    def _last_pitch(self) -> int | None:
        """The newest pitch there is: a note's own is not always known when it is answered."""
        return next((h.pitch for h in reversed(self._recent) if h.pitch is not None), None)

    def _far(self) -> Wish:
        """Go on far from the player: high where they are low."""
        known = [heard.pitch for heard in self._recent if heard.pitch is not None]
        if not known:
            return Wish(is_line=True)
        usual = round(float(np.median(known)))
        away = AWAY_SEMITONES if usual < MIDDLE_PITCH else -AWAY_SEMITONES
        return Wish(register=usual + away, is_line=True)

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

    def _beside(self, at_s: float) -> Wish:
        """Go along above the player, or above where they are likely to be by now.

        What is most probably a third or a sixth; of several, what goes best with what sounds.
        """
        pitch, last = self._recent[-1].pitch, self._last_pitch
        if last is None:
            return Wish(is_line=True)
        likely = self._harmony.likely if pitch is None else np.eye(12)[pitch % 12]
        company = np.sum([np.roll(likely, semitones) for semitones in COMPANY], 0)
        fit = np.minimum(self._harmony.fit(at_s), ENOUGH)
        return _at(max((last + up for up in ABOVE), key=lambda p: (company[p % 12], fit[p % 12])))


def _at(pitch: int) -> Wish:
    """Ask for a pitch, and have it where it was asked for."""
    return Wish(request=_place(pitch), pitch=pitch)


def _gesture(heard: Heard) -> dict[str, Any]:
    """Ask for a gesture, as far as it is known."""
    if heard.token is None:
        return {}
    return {"gesture_token": {"value": heard.token, "weight": heard.token_weight}}


def _place(pitch: int | None) -> dict[str, Any]:
    """Ask for a pitch by its class and register, if it is known."""
    if pitch is None:
        return {}
    return {"pitch_class": pitch % 12, "register": min(max(pitch // 12 - 1, -1), 9)}
