"""Train: ``python -m oracle.train``, from recordings to a memory.

One thread, no clock. Recordings are heard exactly as the stage hears them: the same listener,
windows, encoder and decision frames (`models.hearing`), and events are made by the same
`Transcriber`. The memory appears whole or not at all.
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from models.audio_file import SUFFIXES, TAIL_S, AudioFile
from models.codebook import Codebook, CodebookConfig, train_codebook
from models.encoder import Encoder, EncoderConfig
from models.errors import ModelsError
from models.hearing import Heard, hear
from models.listener import ListenerConfig
from models.loading import load_encoder
from models.output_path import require_writable
from models.settings import SettingsError, read_settings
from models.terminal import CommandLine, plain_console, preparing, say_error
from oracle.errors import OracleError
from oracle.event import DIM_INDEX, Event, event_metric
from oracle.memory import Memory, Provenance
from oracle.threshold import find_threshold
from oracle.transcriber import Transcriber

MEMORY_SUFFIXES: Final = (".memory",)
STAGE_TABLES: Final = ("capture", "improviser", "midi", "budget", "telemetry")
"""What `realtime.config` reads of the same settings file."""
BLOCK_FRAMES: Final = 4096
N_NAMED: Final = 3

Show = Callable[[str, float], None]
"""Shows what is being done, and how many seconds of sound that has taken further."""


class TrainingError(OracleError):
    """Raised when no memory can be learned from the recordings given."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainConfig:
    """What training reads of the settings; the tables are the stage's own."""

    listener: ListenerConfig = field(default_factory=ListenerConfig)
    encoder: EncoderConfig = field(default_factory=EncoderConfig)
    codebook: CodebookConfig = field(default_factory=CodebookConfig)


def learn(
    files: Sequence[AudioFile],
    encoder: Encoder,
    config: TrainConfig,
    show: Show = lambda doing, heard_s: None,
) -> tuple[Memory, list[str]]:
    """Learn recordings into one memory.

    Parameters
    ----------
    files
        Learned in this order; each is a source of the memory's provenance.

    Returns
    -------
    memory
        With one state per event heard.
    messages
        What the player should know, a sentence each, without its full stop.

    Raises
    ------
    TrainingError
        No event, or none with a pitch, was heard.
    AudioFileError
        A recording is damaged.
    """
    heard = [_hear(file, encoder, config.listener, show) for file in files]
    embeddings = np.array([item.embedding for items in heard for item in items], np.float32)
    if not len(embeddings):
        raise TrainingError(
            f"Nothing was heard in {_names(files)}: the sound is missing or quieter than "
            f"[listener] gate_dbfs = {config.listener.gate_dbfs:g}; raise its level."
        )
    show("finding gestures", 0.0)
    codebook, message = train_codebook(
        embeddings, n_tokens=config.codebook.n_tokens, seed=config.codebook.seed
    )
    events = list(_transcribe(heard, files, codebook))
    if not any(event.notes for event in events):
        raise TrainingError(
            f"No note was heard in {_names(files)}, only sounds without a pitch: there is nothing "
            "to answer with; choose a recording of a pitched instrument or a voice."
        )
    show("finding repeats", 0.0)
    frames = np.array([event.frame for event in events])
    search = find_threshold(frames, event_metric(frames, codebook.centroids))
    memory = Memory.from_events(
        events,
        centroids=codebook.centroids,
        threshold=search.threshold,
        provenance=Provenance(
            encoder=encoder.spec.to_json(),
            heard_ms=config.listener.heard_ms,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            program_version=version("musichal"),
            sources=tuple(file.path.name for file in files),
        ),
    )
    return memory, [said for said in (message, search.reason) if said]


def _hear(file: AudioFile, encoder: Encoder, config: ListenerConfig, show: Show) -> list[Heard]:
    """Hear one recording out."""

    def blocks() -> Iterator[NDArray[np.float32]]:
        for block in file.blocks(BLOCK_FRAMES, tail_s=TAIL_S):
            yield block
            show(file.path.name, len(block) / file.rate_hz)

    return list(hear(blocks(), file.rate_hz, config, encoder))


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
    files = []
    for path in paths:
        if not path.is_dir():
            files.append(AudioFile(path))
            continue
        found = sorted(filter(_is_recording, path.rglob("*")))
        if not found:
            raise TrainingError(f"There is no recording in {path}: name a file or another folder.")
        files.extend(map(AudioFile, found))
    return files


def _is_recording(path: Path) -> bool:
    """Say whether a file in a folder is one to learn; what is hidden (macOS's ._*) is not."""
    is_hidden = path.name.startswith(".")
    return path.suffix.lower() in SUFFIXES and not is_hidden and path.is_file()


def summary(memory: Memory, heard_s: float, took_s: float) -> str:
    """Say what was learned."""
    states = range(1, memory.n_events + 1)
    tokens = [memory.event(state).frame[DIM_INDEX["gesture_token"]] for state in states]
    _, counts = np.unique(tokens, return_counts=True)
    shares = counts / counts.sum()
    perplexity = float(np.exp(-(shares * np.log(shares)).sum()))
    n_notes = sum(len(memory.notes(state)) for state in states)
    return (
        f"{memory.n_events} events with {n_notes} notes, told apart as {len(counts)} of "
        f"{len(memory.centroids)} gestures (perplexity {perplexity:.1f}).\n"
        f"Events closer than {memory.oracle.threshold:.3f} repeat each other; the longest repeat "
        f"is {memory.oracle.lrs.max()} events.\n"
        f"{heard_s:.0f} s of sound learned in {took_s:.1f} s."
    )


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit code."""
    options = _parser().parse_args(arguments)
    console = plain_console(stderr=True)
    try:
        train(options, console)
    except (ModelsError, OracleError) as error:
        say_error(console, error)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def train(options: argparse.Namespace, console: Console) -> None:
    """Learn as the command line says, and say what."""
    started_s = time.monotonic()
    try:
        memory, messages, heard_s = _learn_and_save(options, console)
    except KeyboardInterrupt:
        console.print("Stopped: nothing was written.")
        raise
    for message in messages:
        console.print(f"Note: {message}.")
    text = summary(memory, heard_s, time.monotonic() - started_s)
    plain_console().print(f"{text}\nThe memory is {options.output}.")


def _learn_and_save(
    options: argparse.Namespace, console: Console
) -> tuple[Memory, list[str], float]:
    """Write the memory; return it, what the player should know, and the seconds heard."""
    config = read_settings(TrainConfig, options.config, others=STAGE_TABLES)
    files = find_recordings(options.recordings)
    require_writable(options.output, MEMORY_SUFFIXES, sources=[file.path for file in files])
    encoder = _load_encoder(config.encoder, options.encoder)
    if encoder.notice:
        console.print(encoder.notice)
    heard_s = sum(file.duration_s for file in files)
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TimeRemainingColumn())
    with (
        preparing(console.print) as ready,
        Progress(*columns, console=console, disable=not console.is_terminal) as progress,
    ):
        task = progress.add_task("", total=heard_s + len(files) * TAIL_S)

        def show(doing: str, heard_s: float) -> None:
            ready()
            progress.update(task, description=doing, advance=heard_s)

        memory, messages = learn(files, encoder, config, show)
    memory.save(options.output)
    return memory, messages, heard_s


def _load_encoder(config: EncoderConfig, name: str | None) -> Encoder:
    """Load the encoder that is asked for, with the settings of its table."""
    name = name or config.name
    try:
        return load_encoder(
            name,
            layer=config.layer,
            layer_weights=config.layer_weights,
            pooling=config.pooling,
            window_s=config.window_s,
            n_threads=config.n_threads,
            precision=config.precision,
            device=config.device,
        )
    except ValueError as error:
        raise SettingsError(f"[encoder] does not fit {name}: {error}.") from None


def _names(files: Sequence[AudioFile]) -> str:
    """Name the first recordings and count the others."""
    names = ", ".join(str(file.path) for file in files[:N_NAMED])
    n_others = len(files) - N_NAMED
    return names if n_others <= 0 else f"{names} and {n_others} more"


def _parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = CommandLine(
        prog="python -m oracle.train",
        description="Learns recordings into a memory that realtime.perform plays from. They may be "
        "several, and as long as you like: learning goes much faster than playing.",
        epilog="example: python -m oracle.train solo.wav --output solo.memory",
    )
    add = parser.add_argument
    add(
        "recordings",
        nargs="+",
        type=Path,
        metavar="RECORDING",
        help="a sound file (WAV, FLAC, Ogg, MP3, AIFF, …) or a folder of them",
    )
    add("--output", type=Path, required=True, metavar="FILE", help="where to put the memory")
    add(
        "--encoder",
        metavar="NAME",
        help="what tells sounds apart: 'spectral' (nothing to download), 'mert' (a model of music, "
        "once its weights are fetched), or a model's hub name or folder (default: [encoder] name "
        "in the settings)",
    )
    add(
        "--config",
        type=Path,
        metavar="FILE",
        help="settings (default: config.toml in this folder, if there is one)",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
