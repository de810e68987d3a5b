"""Duets: recordings whose notes are known, played to a memory in virtual time, with every answer.

What sounds is told by the truth beside the recording, never by what the program heard of it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import mido
import numpy as np
from numpy.typing import NDArray

from benchmarks._run import REPOSITORY, NotMeasuredError
from models.audio_file import AudioFile
from models.codebook import Codebook
from models.listener import Listener, ListenerConfig
from models.spectral import SpectralEncoder
from oracle.memory import Memory
from oracle.transcriber import Attended
from realtime.answer import Answer
from realtime.budget import BudgetConfig
from realtime.ensemble import Ensemble
from realtime.improviser import Improviser, ImproviserConfig
from realtime.midi import NotePlayer
from realtime.recogniser import Recogniser
from realtime.rehearsal import Rehearsal
from realtime.report import Performance
from realtime.stance import Mode

DATA: Final = REPOSITORY.parent / "shared" / "data"
TAKE: Final = REPOSITORY / "takes" / "calling_card.flac"
STRUCK_S: Final = 0.05
"""A note whose beginning is so near an onset is what began there."""
HEARD_S: Final = 0.03
"""What sounds so long after an answer began sounds together with it."""
PAUSE_S: Final = 1.0
"""So long without a note of the player's is a pause."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Player:
    """Who plays: a recording and its true notes, by their beginnings."""

    name: str
    path: Path
    start_s: NDArray[np.float64]
    end_s: NDArray[np.float64]
    pitch: NDArray[np.int64]

    def sounding(self, at_s: float) -> NDArray[np.int64]:
        """Return the pitches that sound together with an answer given at that time."""
        until_s = at_s + HEARD_S
        return self.pitch[(self.start_s <= until_s) & (self.end_s > until_s)]

    def struck(self, onset_s: float) -> int | None:
        """Return the highest pitch struck at an onset, None if there was none."""
        struck = self.pitch[np.abs(self.start_s - onset_s) < STRUCK_S]
        return int(struck.max()) if struck.size else None

    def pauses(self) -> Iterator[tuple[float, float]]:
        """Give the beginning and end of each pause between two notes."""
        ends_s = np.maximum.accumulate(self.end_s)
        for begin_s, end_s in zip(ends_s[:-1], self.start_s[1:], strict=True):
            if end_s - begin_s >= PAUSE_S:
                yield float(begin_s), float(end_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """One answer, or one note of a phrase.

    Attributes
    ----------
    at_s
        When it began, in seconds since the recording's beginning.
    onset_s
        Of the event it answers; None if it was played unasked.
    """

    at_s: float
    onset_s: float | None
    answer: Answer

    @property
    def pitches(self) -> list[int]:
        """What it sounded like, the note of its line first."""
        return [note.pitch for note in self.answer.notes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Duet:
    """What was played to one player, in order; answers without notes included."""

    player: Player
    played: list[Played] = field(default_factory=list)

    @property
    def answers(self) -> list[Played]:
        """What answered an event, or kept silent."""
        return [played for played in self.played if played.onset_s is not None]

    @property
    def sounded(self) -> list[Played]:
        """What could be heard."""
        return [played for played in self.played if played.answer.notes]


class _Witness(Ensemble):
    """An ensemble of one that writes down what it plays."""

    def __init__(self, improviser: Improviser, rate_hz: float, duet: Duet) -> None:
        super().__init__([improviser], rate_hz)
        self._frames_per_s = rate_hz
        self._duet = duet

    def answer(
        self, attended: Attended, *, turn: int, token: int | None, is_considered: bool
    ) -> Answer:
        """Answer, and note it."""
        answer = super().answer(attended, turn=turn, token=token, is_considered=is_considered)
        decided_s = float(attended.attack["decision_frame"]) / self._frames_per_s
        onset_s = float(attended.attack["onset_frame"]) / self._frames_per_s
        self._duet.played.append(Played(at_s=decided_s, onset_s=onset_s, answer=answer))
        return answer

    def play_on(self) -> Answer:
        """Play on, and note it."""
        at_s = self.next_s
        assert at_s is not None
        answer = super().play_on()
        self._duet.played.append(Played(at_s=at_s, onset_s=None, answer=answer))
        return answer


def play_duet(player: Player, memory_path: Path, mode: Mode, seed: int) -> Duet:
    """Play a recording to a memory, which learns from it as on stage."""
    memory, file = Memory.load(memory_path), AudioFile(player.path)
    duet = Duet(player=player)
    improviser = Improviser(memory, file.rate_hz, ImproviserConfig(mode=mode), seed=seed)
    Rehearsal(
        file=file,
        channel="mix",
        block_frames=1024,
        listener=Listener(file.rate_hz, ListenerConfig(heard_ms=memory.provenance.heard_ms)),
        recognisers=[Recogniser(SpectralEncoder(), {0: Codebook(memory.centroids)})],
        ensemble=_Witness(improviser, file.rate_hz, duet),
        make_player=lambda scheduler: NotePlayer([], scheduler),
        budget=BudgetConfig(),
        performance=Performance(),
    ).run()
    return duet


def read_players(data: Path = DATA) -> dict[str, Player]:
    """Return a pianist, a singer and the guitarist of the bundled take.

    Raises
    ------
    NotMeasuredError
        The recordings are not there.
    """
    piano, voice = data / "piano" / "mozart_k265_var1.mp3", data / "voice" / "vocadito_1.flac"
    if not (piano.exists() and voice.exists()):
        raise NotMeasuredError(f"The recordings are not at {data}.")
    sung = np.loadtxt(voice.with_name("vocadito_1_notesA1.csv"), delimiter=",")
    pitch = np.round(69 + 12 * np.log2(sung[:, 1] / 440)).astype(np.int64)
    return {
        "piano": _player("piano", piano, *_midi_notes(piano.with_suffix(".mid"))),
        "voice": _player("voice", voice, sung[:, 0], sung[:, 0] + sung[:, 2], pitch),
        "guitar": _player("guitar", TAKE, *_midi_notes(TAKE.with_suffix(".mid"))),
    }


def _player(
    name: str,
    path: Path,
    start_s: NDArray[np.float64],
    end_s: NDArray[np.float64],
    pitch: NDArray[np.int64],
) -> Player:
    order = np.argsort(start_s, kind="stable")
    return Player(
        name=name, path=path, start_s=start_s[order], end_s=end_s[order], pitch=pitch[order]
    )


def _midi_notes(
    path: Path,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
    """Return beginnings, ends and pitches of the notes of a MIDI file."""
    notes: list[tuple[float, float, int]] = []
    begun: dict[int, float] = {}
    now_s = 0.0
    for message in mido.MidiFile(path):
        now_s += message.time
        if message.type not in ("note_on", "note_off"):
            continue
        if message.note in begun:
            notes.append((begun.pop(message.note), now_s, message.note))
        if message.type == "note_on" and message.velocity > 0:
            begun[message.note] = now_s
    start_s, end_s, pitch = np.array(notes).T
    return start_s, end_s, pitch.astype(np.int64)


def moves(pitches: Sequence[int | None]) -> NDArray[np.float64]:
    """Return whether each next pitch is higher, lower (1, −1) or the same, NaN where unknown."""
    line = np.array([np.nan if pitch is None else pitch for pitch in pitches], np.float64)
    return np.sign(np.diff(line))
