"""Train: ``python -m oracle.train``, from recordings to a memory.

One thread, no clock. Recordings are heard exactly as the stage hears them: the same listener,
windows, encoder and decision frames (`models.hearing`), and events are made by the same
`Transcriber`. The memory appears whole or not at all.
"""

import argparse
import os
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Final

import numpy as np
import soundfile
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from models.audio_file import TAIL_S, AudioFile
from models.codebook import Codebook, CodebookConfig, train_codebook
from models.encoder import Encoder, EncoderConfig, load_encoder
from models.errors import ModelsError
from models.hearing import Heard, hear
from models.listener import ListenerConfig
from models.settings import SettingsError, read_tables, settings_from_table
from oracle.errors import OracleError
from oracle.event import Event, event_metric
from oracle.memory import Memory, Provenance
from oracle.threshold import find_threshold
from oracle.transcriber import Transcriber

DEFAULT_CONFIG: Final = Path("config.toml")
BLOCK_FRAMES: Final = 4096


class TrainingError(OracleError):
    """Raised when no memory can be learned from the recordings given."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainConfig:
    """What training reads of the settings; the tables are the stage's own."""

    listener: ListenerConfig = field(default_factory=ListenerConfig)
    encoder: EncoderConfig = field(default_factory=EncoderConfig)
    codebook: CodebookConfig = field(default_factory=CodebookConfig)


def learn(
    files: Sequence[AudioFile], encoder: Encoder, config: TrainConfig, progress: Progress
) -> tuple[Memory, list[str]]:
    """Learn recordings into one memory.

    Parameters
    ----------
    files
        Learned in this order; each is a source of the memory's provenance.
    progress
        Shows how far hearing has come.

    Returns
    -------
    memory
        With one state per event heard.
    messages
        What the player should know, a sentence each.

    Raises
    ------
    TrainingError
        No event, or none with a pitch, was heard.
    AudioFileError
        A recording is damaged.
    """
    heard = [_hear(file, encoder, config, progress) for file in files]
    embeddings = np.array([item.embedding for items in heard for item in items], np.float32)
    if not len(embeddings):
        raise TrainingError(
            f"Nothing was heard in {_names(files)}: the sound is missing or quieter than "
            f"[listener] gate_dbfs = {config.listener.gate_dbfs:g}; raise its level."
        )
    codebook, message = train_codebook(
        embeddings, n_tokens=config.codebook.n_tokens, seed=config.codebook.seed
    )
    events = list(_transcribe(heard, files, codebook))
    if not any(event.notes for event in events):
        raise TrainingError(
            f"No note was heard in {_names(files)}, only sounds without a pitch: there is nothing "
            "to answer with; choose a recording of a pitched instrument or a voice."
        )
    frames = np.array([event.frame for event in events])
    threshold, _ = find_threshold(frames, event_metric(frames, codebook.centroids))
    memory = Memory.from_events(
        events,
        centroids=codebook.centroids,
        threshold=threshold,
        provenance=Provenance(
            encoder=encoder.spec.to_json(),
            heard_ms=config.listener.heard_ms,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            program_version=version("musichal"),
            sources=tuple(file.path.name for file in files),
        ),
    )
    return memory, [message] if message else []


def _hear(
    file: AudioFile, encoder: Encoder, config: TrainConfig, progress: Progress
) -> list[Heard]:
    """Hear one recording out."""
    task = progress.add_task(file.path.name, total=file.duration_s + TAIL_S)

    def blocks() -> Iterator[NDArray[np.float32]]:
        for block in file.blocks(BLOCK_FRAMES, tail_s=TAIL_S):
            yield block
            progress.advance(task, len(block) / file.rate_hz)

    return list(hear(blocks(), file.rate_hz, config.listener, encoder))


def _transcribe(
    heard: Sequence[Sequence[Heard]], files: Sequence[AudioFile], codebook: Codebook
) -> Iterator[Event]:
    """Make the events of all recordings, in order."""
    for source, (items, file) in enumerate(zip(heard, files, strict=True)):
        transcriber = Transcriber(file.rate_hz, source)
        for item in items:
            token, _ = codebook.lookup(item.embedding)
            yield transcriber.transcribe(item.attack, item.body, token)


def find_recordings(paths: Iterable[Path]) -> list[AudioFile]:
    """Open the recordings named, and all those in the folders named, in order of their names.

    Raises
    ------
    AudioFileError
        One cannot be opened.
    TrainingError
        A folder holds none.
    """
    suffixes = {f".{name.lower()}" for name in soundfile.available_formats()} | {".aif", ".oga"}
    files = []
    for path in paths:
        if not path.is_dir():
            files.append(AudioFile(path))
            continue
        found = sorted(p for p in path.rglob("*") if p.is_file() and p.suffix.lower() in suffixes)
        if not found:
            raise TrainingError(f"There is no recording in {path}: name a file or another folder.")
        files.extend(map(AudioFile, found))
    return files


def load_train_config(path: Path | None) -> TrainConfig:
    """Read what training needs of the settings.

    Parameters
    ----------
    path
        None for ``config.toml`` in the current folder, or the defaults where there is none.

    Raises
    ------
    SettingsError
        The file cannot be read or a value does not fit.
    """
    if path is None and not DEFAULT_CONFIG.exists():
        return TrainConfig()
    path = path or DEFAULT_CONFIG
    tables = read_tables(path)
    return TrainConfig(
        listener=settings_from_table(
            ListenerConfig, tables.get("listener", {}), f"{path} [listener]"
        ),
        encoder=settings_from_table(EncoderConfig, tables.get("encoder", {}), f"{path} [encoder]"),
        codebook=settings_from_table(
            CodebookConfig, tables.get("codebook", {}), f"{path} [codebook]"
        ),
    )


def summary(memory: Memory, heard_s: float, took_s: float) -> str:
    """Say what was learned."""
    frames = np.array([memory.event(state).frame[0] for state in range(1, memory.n_events + 1)])
    counts = np.bincount(frames.astype(np.int64), minlength=len(memory.centroids))
    shares = counts[counts > 0] / counts.sum()
    perplexity = float(np.exp(-(shares * np.log(shares)).sum()))
    n_notes = sum(len(memory.notes(state)) for state in range(1, memory.n_events + 1))
    return (
        f"{memory.n_events} events with {n_notes} notes; {len(shares)} of {len(memory.centroids)} "
        f"gesture tokens in use, as many as {perplexity:.1f} equally frequent ones.\n"
        f"Events closer than {memory.oracle.threshold:.3f} repeat each other; the longest repeat "
        f"is {memory.oracle.lrs.max()} events.\n"
        f"{heard_s:.0f} s of sound learned in {took_s:.1f} s."
    )


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit code."""
    options = _parser().parse_args(arguments)
    console = Console(stderr=True)
    try:
        train(options, console)
    except (SettingsError, ModelsError, OracleError) as error:
        console.print(f"[red]Error:[/] {error}", highlight=False, soft_wrap=True)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def train(options: argparse.Namespace, console: Console) -> None:
    """Learn as the command line says."""
    config = load_train_config(options.config)
    if options.encoder is not None:
        config = replace(config, encoder=replace(config.encoder, name=options.encoder))
    if options.output.is_dir() or not os.access(options.output.parent, os.W_OK):
        raise TrainingError(f"{options.output} cannot be written: choose another --output.")
    files = find_recordings(options.recordings)
    encoder = load_encoder(
        config.encoder.name,
        layer=config.encoder.layer,
        pooling=config.encoder.pooling,
        window_s=config.encoder.window_s,
        n_threads=config.encoder.n_threads,
    )
    if encoder.notice:
        console.print(encoder.notice, highlight=False)
    started_s = time.monotonic()
    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        memory, messages = learn(files, encoder, config, progress)
    memory.save(options.output)
    for message in messages:
        console.print(message, highlight=False)
    heard_s = sum(file.duration_s for file in files)
    text = summary(memory, heard_s, time.monotonic() - started_s)
    Console().print(f"{text}\nThe memory is {options.output}.", highlight=False)


def _names(files: Sequence[AudioFile]) -> str:
    return ", ".join(str(file.path) for file in files)


def _parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m oracle.train",
        description="Learns recordings into a memory that realtime.perform plays from.",
    )
    add = parser.add_argument
    add("recordings", nargs="+", type=Path, metavar="RECORDING",
        help="a sound file (WAV, FLAC, Ogg, MP3, AIFF, …) or a folder of them")  # fmt: skip
    add("--output", type=Path, required=True, metavar="FILE", help="where to put the memory")
    add("--encoder", metavar="NAME",
        help="'spectral' (no download), 'mert', a hub name, or a folder in the hub's layout "
        "(default: the settings')")  # fmt: skip
    add("--config", type=Path, metavar="FILE",
        help="settings (default: config.toml in this folder, if there is one)")  # fmt: skip
    return parser


if __name__ == "__main__":
    sys.exit(main())
