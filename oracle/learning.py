"""Learning: from recordings to a memory, stage by stage.

Runs on the thread that learns. Gestures are found or given, events made by the stage's own
`Transcriber`, and the threshold searched for that makes the most telling oracle. Whatever takes
long is kept in the checkpoint as soon as it is made.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from models.audio_file import AudioFile
from models.codebook import Codebook, train_codebook
from oracle.checkpoint import Tensors, as_bytes, as_text
from oracle.errors import TrainingError
from oracle.event import Event
from oracle.event_metric import event_metric
from oracle.material import Material, facts_of, hear_recordings
from oracle.memory import Memory
from oracle.provenance import Provenance, codebook_sha256, iso_date
from oracle.threshold import find_threshold
from oracle.training import Training
from oracle.transcriber import Transcriber

ALIKE_AT_MOST: Final = 1.0
"""Events that repeat each other are closer than the spread of all events, the metric's unit.

Without it, half a minute of music (56 events of the bundled take) was learned as three clusters,
one of them 86 % of it: six pairs in ten were "repeats", one of them 35 events long.
"""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Learned:
    """What came of learning.

    Attributes
    ----------
    codebook
        The gestures it tells apart.
    material
        What was heard.
    provenance
        How it came to be.
    """

    codebook: Codebook
    material: Material
    provenance: Provenance


def learn_codebook(files: Sequence[AudioFile], training: Training) -> Learned:
    """Find the gestures in recordings.

    Raises
    ------
    AudioFileError
        No recording can be heard.
    TrainingError
        No event was heard.
    MemoryFileError
        The checkpoint cannot be written.
    """
    return _learn(files, training, None)


def learn(
    files: Sequence[AudioFile], training: Training, codebook: Codebook | None = None
) -> tuple[Memory, Learned]:
    """Learn recordings into one memory.

    Parameters
    ----------
    files
        Learned in this order; each is a source of the memory's provenance.
    codebook
        The gestures to tell apart; found in the recordings themselves if None.

    Returns
    -------
    memory
        With one state per event heard.
    learned
        What it was made of.

    Raises
    ------
    AudioFileError
        No recording can be heard.
    TrainingError
        No event, or none with a pitch, was heard.
    MemoryFileError
        The checkpoint cannot be written.
    """
    learned = _learn(files, training, codebook)
    training.show("making events", 0, 0)
    events = list(_transcribe(learned.material, learned.codebook))
    if not any(event.notes for event in events):
        raise TrainingError(
            f"No note was heard in {learned.material.names}, only sounds without a pitch: there is "
            "nothing to answer with; choose a recording of a pitched instrument or a voice."
        )
    training.show("finding repeats", 0, 0)
    memory = Memory.from_events(
        events,
        centroids=learned.codebook.centroids,
        threshold=_find_threshold(events, learned.codebook, training),
        provenance=learned.provenance,
    )
    return memory, learned


def perplexity(tokens: ArrayLike) -> float:
    """Say of how many gestures, were they equally frequent, it would be as hard to guess the next.

    Parameters
    ----------
    tokens
        [shape=(n,)], n ≥ 1.
    """
    _, counts = np.unique(tokens, return_counts=True)
    shares = counts / counts.sum()
    return float(np.exp(-(shares * np.log(shares)).sum()))


def _learn(files: Sequence[AudioFile], training: Training, codebook: Codebook | None) -> Learned:
    """Hear recordings, and find their gestures unless these are given."""
    facts = [facts_of(file, training) for file in files]
    shared = None if codebook is None else codebook_sha256(codebook.centroids)
    config, encoder = training.config, training.encoder
    begun_s = training.checkpoint.begun_s({"files": facts, "codebook": shared, **asdict(config)})
    material = hear_recordings(files, facts, training)
    return Learned(
        codebook=codebook or _find_gestures(material, training),
        material=material,
        provenance=Provenance(
            encoder=encoder.spec.to_json(),
            listener=asdict(config.listener),
            created=iso_date(begun_s),
            program_version=version("musichal"),
            sources=tuple(recording.path.name for recording in material.recordings),
            source_sha256=tuple(recording.sha256 for recording in material.recordings),
        ),
    )


def _find_gestures(material: Material, training: Training) -> Codebook:
    """Find the gestures in what was heard, and tell the player if they are few."""
    training.show("finding gestures", 0, 0)
    config = training.config.codebook

    def make() -> Tensors:
        codebook, message = train_codebook(
            material.embeddings, n_tokens=config.n_tokens, seed=config.seed
        )
        return {"centroids": codebook.centroids, "message": as_bytes(message)}

    made_from = {**material.made_from, **asdict(config)}
    made = training.checkpoint.keep("codebook", made_from, make)
    _tell(made, training)
    return Codebook(made["centroids"])


def _transcribe(material: Material, codebook: Codebook) -> Iterator[Event]:
    """Make the events of all recordings, in order."""
    for source, heard in enumerate(material.recordings):
        transcriber = Transcriber(heard.rate_hz, source)
        tokens = codebook.lookup_batch(heard.embeddings)[0].tolist() if len(heard) else []
        for attack, body, token in zip(heard.attacks, heard.bodies, tokens, strict=True):
            yield transcriber.transcribe(attack, body, token)


def _find_threshold(events: Sequence[Event], codebook: Codebook, training: Training) -> float:
    """Find the threshold of the most telling oracle, and tell the player if there is none."""
    frames = np.array([event.frame for event in events])

    def make() -> Tensors:
        metric = event_metric(frames, codebook.centroids)
        search = find_threshold(frames, metric, at_most=ALIKE_AT_MOST)
        message = f"No passage of these {len(events)} events repeats another; more music would"
        return {
            "threshold": np.array([search.threshold]),
            "message": as_bytes(message if search.reason else ""),
        }

    made_from = {
        "frames": hashlib.sha256(frames.tobytes()).hexdigest(),
        "codebook": codebook_sha256(codebook.centroids),
    }
    made = training.checkpoint.keep("threshold", made_from, make)
    _tell(made, training)
    return float(made["threshold"][0])


def _tell(made: Tensors, training: Training) -> None:
    """Tell the player what a stage had to say, whether it said it now or before."""
    if message := as_text(made["message"]):
        training.tell(message)
