"""Doubles and checks for tests of what lies between the listener's records and the notes."""

import math
from collections import Counter
from collections.abc import Callable

import numpy as np

from models.listener import ATTACK, BODY, EVENT_DTYPE
from oracle.event import EVENT_DIMS, Note
from oracle.transcriber import Attended
from realtime.answer import NO_STATE, Answer
from realtime.improviser import Improviser
from realtime.midi import NOTE_ON, Message
from realtime.panic import NOTE_OFF

RATE_HZ = 48_000
HEARD_MS = 25


def ms(duration_ms: float) -> int:
    """Convert milliseconds to frames."""
    return round(duration_ms * RATE_HZ / 1000)


def attack(
    index: int = 0,
    onset_frame: int = 0,
    *,
    heard_frames: int = ms(HEARD_MS),
    pitch: float = 60.0,
    published_ns: int = 0,
) -> np.void:
    """Make an ATTACK record, heard and published in no time unless said otherwise."""
    record = np.zeros(1, EVENT_DTYPE)
    record["index"] = index
    record["kind"] = ATTACK
    record["onset_frame"] = onset_frame
    record["decision_frame"] = onset_frame + heard_frames
    record["pitch"] = pitch
    if math.isfinite(pitch):
        record["n_notes"] = 1
        record["note_pitch"][0, 0] = round(pitch)
    record["velocity"] = 64.0
    record["level_db"] = -20.0
    record["popped_ns"] = record["published_ns"] = published_ns
    made: np.void = record[0]
    return made


def body(
    index: int = 0,
    notes: tuple[tuple[int, int], ...] = ((60, 64),),
    duration_s: float = 0.5,
    roughness: float = math.nan,
) -> np.void:
    """Make the BODY record of an event: what (pitch, velocity) it was, how long and how rough."""
    record = np.zeros(1, EVENT_DTYPE)
    record["index"] = index
    record["kind"] = BODY
    record["duration_frames"] = round(duration_s * RATE_HZ)
    record["n_notes"] = len(notes)
    record["roughness"] = roughness
    for i, (pitch, velocity) in enumerate(notes):
        record["note_pitch"][0, i] = pitch
        record["note_velocity"][0, i] = velocity
    made: np.void = record[0]
    return made


class FakeImproviser(Improviser):
    """Answers middle C unless told to be silent, and remembers what it was asked and taught."""

    def __init__(self) -> None:
        self.attended: list[int] = []
        self.asked: list[tuple[int, int | None, bool]] = []
        self.taught: list[tuple[int, int | None]] = []
        self.is_silent = False
        self.is_learning = True
        self.relaxed: tuple[str, ...] = ()
        self.while_deciding: Callable[[], object] = lambda: None
        self.next_s = None
        self.n_forgotten = 0
        self.n_played_on = 0
        self.plays_on_s: list[float | None] = []

    @property
    def next_s(self) -> float | None:
        """When it wants to play on, as a test says."""
        return self._next_s

    @next_s.setter
    def next_s(self, next_s: float | None) -> None:
        self._next_s = next_s

    def fall_silent(self) -> None:
        """Play on no more."""
        self.next_s = None

    def attend(self, attack: np.void) -> Attended:
        """Attend to no more than that there is an event."""
        attended = Attended(attack, np.full(len(EVENT_DIMS), np.nan, np.float32), None)
        self.follow(attended)
        return attended

    def follow(self, attended: Attended) -> None:
        """Note which event it was."""
        self.attended.append(int(attended.attack["index"]))

    def answer(self, attended: Attended, *, token: int | None, is_considered: bool) -> Answer:
        """Answer after `while_deciding`."""
        self.asked.append((int(attended.attack["index"]), token, is_considered))
        self.while_deciding()
        if self.is_silent:
            return Answer(notes=(), state=None, relaxed=self.relaxed, why=NO_STATE)
        note = Note(pitch=60, velocity=64, duration_s=0.1)
        return Answer(notes=(note,), state=1, relaxed=self.relaxed, why="look_up")

    def play_on(self) -> Answer:
        """Play the E above, and go on as `plays_on_s` says."""
        self.n_played_on += 1
        self.next_s = self.plays_on_s.pop(0) if self.plays_on_s else None
        note = Note(pitch=64, velocity=64, duration_s=0.1)
        return Answer(notes=(note,), state=2, relaxed=(), why="continuation")

    def learn(self, attended: Attended, body: np.void, token: int | None) -> bool:
        """Learn, unless told not to."""
        self.taught.append((int(attended.attack["index"]), token))
        return self.is_learning


def hanging_pitches(messages: list[Message]) -> list[int]:
    """Give the pitches that were begun more often than ended, or ended before they were begun."""
    sounding: Counter[int] = Counter()
    never_begun = []
    for status, pitch, velocity in messages:
        if status & 0xF0 == NOTE_ON and velocity > 0:
            sounding[pitch] += 1
        elif status & 0xF0 in (NOTE_OFF, NOTE_ON):
            if not sounding[pitch]:
                never_begun.append(pitch)
            sounding[pitch] -= 1
    return never_begun + [pitch for pitch, count in sounding.items() if count > 0]
