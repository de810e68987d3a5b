"""Learned: a memory put to use, with its events' way of hearing and its encoder.

Runs at start only. Whoever looks things up in a memory must hear as it was learned; what cannot be
heard so is refused in a sentence that names the file.
"""

from dataclasses import replace
from pathlib import Path

from models.encoder import DEFAULT_ENCODER, Encoder, EncoderConfig, EncoderSpec
from models.errors import EncoderError
from models.hearing import require_time_to_hear
from models.loading import restore_encoder
from oracle.memory import Memory
from oracle.memory_file import damaged
from realtime.config import Config


def as_learned(config: Config, memory: Memory, path: Path) -> Config:
    """Hear events as the memory's were heard.

    Raises
    ------
    SettingsError
        The budget leaves no time to hear so much of a note.
    MemoryFileError
        No listener can hear so.
    """
    learned = memory.provenance
    require_time_to_hear(learned.heard_ms, config.budget.listen_ms, str(path))
    try:
        return replace(config, listener=replace(config.listener, **learned.listener))
    except (TypeError, ValueError) as error:
        raise damaged(path, str(error)) from None


def spec_of(memory: Memory, path: Path) -> EncoderSpec:
    """Say which encoder a memory was learned with.

    Raises
    ------
    MemoryFileError
        The memory holds no event, or does not say its encoder.
    """
    try:
        spec = EncoderSpec.from_json(memory.provenance.encoder)
        if memory.centroids.shape[1] != spec.dim:
            raise ValueError(f"its codebook has {memory.centroids.shape[1]} values, not {spec.dim}")
        if not memory.n_events:
            raise ValueError("it holds no event")
    except ValueError as error:
        raise damaged(path, str(error)) from None
    return spec


def encoder_of(memory: Memory, path: Path, where: str | None, config: EncoderConfig) -> Encoder:
    """Build the encoder that the memory was learned with.

    Parameters
    ----------
    where
        Where it is to be found now; None for where it was.
    config
        How it runs here.

    Raises
    ------
    MemoryFileError
        The memory holds no event, or does not say its encoder.
    EncoderError
        It is not there, or is another one.
    """
    spec = spec_of(memory, path)
    if spec.name == DEFAULT_ENCODER and where not in (None, DEFAULT_ENCODER):
        raise EncoderError(
            f"{path} was learned with the {spec.name} encoder, which is nowhere but here: leave "
            f"--encoder {where} out, or choose a memory that was learned with it."
        )
    try:
        return restore_encoder(spec, where, config)
    except ValueError as error:
        raise EncoderError(
            f"{path} was learned with {spec}, which {where} is not ({error}): "
            "choose the encoder it was learned with, or learn it again."
        ) from None
