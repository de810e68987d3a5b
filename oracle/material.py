"""Material: all that was heard of some recordings, one after the other, whatever is made of it.

Runs on the thread that learns, with one more that listens ahead of the encoder. A recording is
heard exactly as the stage hears it (`models.hearing`); it is kept in the checkpoint as soon as it
has been heard to its end. One that turns out to be damaged is left out whole.
"""

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from models.audio_file import TAIL_S, AudioFile
from models.errors import AudioFileError
from models.hearing import hear
from models.listener import EVENT_DTYPE
from models.meter import Meter, findings
from oracle.ahead import ahead
from oracle.checkpoint import Tensors, as_bytes, as_text
from oracle.errors import TrainingError
from oracle.recordings import content_sha256
from oracle.training import Training

BLOCK_FRAMES: Final = 1 << 16
"""A second or so: between blocks the two threads wait for each other's interpreter."""
N_AHEAD: Final = 16
"""Blocks that wait for the encoder, with the events in them."""
N_NAMED: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class HeardRecording:
    """One recording's events.

    Attributes
    ----------
    attacks, bodies
        [shape=(n,), EVENT_DTYPE].
    embeddings
        [shape=(n, dim), float32].
    wrong
        What is wrong with its sound, in sentences, or nothing.
    made_from
        All that decided what was heard.
    """

    path: Path
    rate_hz: int
    duration_s: float
    attacks: NDArray[np.void]
    bodies: NDArray[np.void]
    embeddings: NDArray[np.float32]
    wrong: str
    made_from: Mapping[str, Any]

    def __len__(self) -> int:
        return len(self.attacks)

    @property
    def sha256(self) -> str:
        """Of the file's content, hexadecimal."""
        return str(self.made_from["recording"])

    def first(self, n: int) -> "HeardRecording":
        """Give the first events alone."""
        return replace(
            self,
            attacks=self.attacks[:n],
            bodies=self.bodies[:n],
            embeddings=self.embeddings[:n],
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Material:
    """What was heard of several recordings.

    Attributes
    ----------
    recordings
        Those that were heard, in order.
    damaged
        Why others could not be, a sentence each.
    """

    recordings: Sequence[HeardRecording]
    damaged: Sequence[str]

    def __len__(self) -> int:
        return sum(map(len, self.recordings))

    @property
    def embeddings(self) -> NDArray[np.float32]:
        """[shape=(n, dim), float32] Of all events."""
        return np.concatenate([recording.embeddings for recording in self.recordings])

    @property
    def duration_s(self) -> float:
        """How much sound was heard."""
        return sum(recording.duration_s for recording in self.recordings)

    @property
    def made_from(self) -> dict[str, Any]:
        """What a checkpoint knows it by."""
        return {"n": len(self), "heard": [recording.made_from for recording in self.recordings]}

    @property
    def names(self) -> str:
        """The first recordings' names, and how many others there are."""
        return names(self.recordings)


def facts_of(file: AudioFile, training: Training) -> dict[str, Any]:
    """Say all that decides what is heard of a recording.

    Raises
    ------
    AudioFileError
        It cannot be read any more.
    """
    config = training.config
    return {
        "recording": content_sha256(file.path),
        "listener": asdict(config.listener),
        "encoder": [training.encoder.spec.to_json(), asdict(config.encoder)],
        "max_events": config.training.max_events,
    }


def hear_recordings(
    files: Sequence[AudioFile], made_from: Sequence[Mapping[str, Any]], training: Training
) -> Material:
    """Hear recordings, in order, until there are as many events as are wanted.

    Parameters
    ----------
    made_from
        What `facts_of` says of each.

    Raises
    ------
    AudioFileError
        None of them can be heard.
    TrainingError
        No event was heard.
    MemoryFileError
        The checkpoint cannot be written.
    """
    n_found = sum(training.checkpoint.has("heard", facts) for facts in made_from)
    if n_found:
        training.tell(
            f"An earlier training goes on: it had heard {n_found} of {len(files)} recordings"
        )
    n_left = training.config.training.max_events or np.iinfo(np.int64).max
    heard: list[HeardRecording] = []
    damaged: list[str] = []
    for n_done, (file, facts) in enumerate(zip(files, made_from, strict=True)):
        if not n_left:
            training.tell(
                f"{training.config.training.max_events} events were wanted: {len(files) - n_done} "
                f"of {len(files)} recordings were not heard"
            )
            break
        doing = f"hearing {file.path.name} ({n_done + 1} of {len(files)})"
        make = partial(_hear, file, facts["recording"], training, doing)
        try:
            tensors = training.checkpoint.keep("heard", facts, make)
        except AudioFileError as error:
            damaged.append(str(error))
            continue
        heard.append(_restored(file, facts, tensors).first(n_left))
        n_left -= len(heard[-1])
    if not heard:
        raise AudioFileError(damaged[0])
    silent = [recording for recording in heard if not len(recording)]
    if len(silent) == len(heard):
        raise TrainingError(
            f"Nothing was heard in {names(silent)}: the sound is missing or quieter than "
            f"[listener] gate_dbfs = {training.config.listener.gate_dbfs:g}; raise its level."
        )
    return Material(recordings=heard, damaged=damaged)


def names(recordings: Sequence[HeardRecording]) -> str:
    """Name the first recordings and count the others."""
    told = ", ".join(str(recording.path) for recording in recordings[:N_NAMED])
    n_others = len(recordings) - N_NAMED
    return told if n_others <= 0 else f"{told} and {n_others} more"


def _hear(file: AudioFile, sha256: str, training: Training, doing: str) -> Tensors:
    """Hear one recording out, or as many of its events as can be wanted.

    Raises
    ------
    AudioFileError
        It is damaged, or no longer what its hash was taken of.
    """
    meter = Meter()

    def blocks() -> Iterator[NDArray[np.float32]]:
        heard_s = 0.0
        n_own = sys.maxsize if file.is_length_estimated else file.n_frames
        for block in file.blocks(BLOCK_FRAMES, tail_s=TAIL_S):
            if n_own:  # not the tail
                meter.take(block[:n_own])
                n_own -= min(n_own, len(block))
            yield block
            heard_s += len(block) / file.rate_hz
            training.show(doing, heard_s, file.duration_s + TAIL_S)

    encoder, config = training.encoder, training.config
    ahead_of_it = partial(ahead, n_at_most=N_AHEAD)
    attacks, bodies = [], []
    embeddings: list[NDArray[np.float32]] = []
    for event in hear(blocks(), file.rate_hz, config.listener, encoder, ahead=ahead_of_it):
        attacks.append(event.attack)
        bodies.append(event.body)
        embeddings.append(event.embedding)
        if len(attacks) == config.training.max_events:
            break
    if content_sha256(file.path) != sha256:
        raise AudioFileError(f"{file.path} changed while it was heard: learn it once more")
    gate_dbfs = config.listener.gate_dbfs
    return {
        "wrong": as_bytes(" ".join(findings(meter, len(attacks), gate_dbfs, is_live=False))),
        "attacks": np.array(attacks, EVENT_DTYPE).view(np.uint8),
        "bodies": np.array(bodies, EVENT_DTYPE).view(np.uint8),
        "embeddings": np.array(embeddings, np.float32).reshape(-1, encoder.spec.dim),
    }


def _restored(file: AudioFile, facts: Mapping[str, Any], tensors: Tensors) -> HeardRecording:
    """Give what a checkpoint keeps as bytes its types back."""
    return HeardRecording(
        path=file.path,
        rate_hz=file.rate_hz,
        duration_s=file.duration_s,
        attacks=tensors["attacks"].view(EVENT_DTYPE),
        bodies=tensors["bodies"].view(EVENT_DTYPE),
        embeddings=tensors["embeddings"],
        wrong=as_text(tensors["wrong"]),
        made_from=facts,
    )
