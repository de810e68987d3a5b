"""What the commands that learn share: their options, their beginning, their bars and their end.

Main thread. Whatever is wrong is said in one sentence. A training that is stopped keeps what it has
made, and is gone on with by the same command.
"""

import argparse
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from models.loading import load_as_set
from models.output_path import require_writable
from models.terminal import preparing
from oracle.checkpoint import Checkpoint
from oracle.material import Material
from oracle.recordings import Recordings, find_recordings
from oracle.train_config import TrainConfig
from oracle.training import Training

SOME_LEFT_OUT: Final = 3
"""Exit code where the output is there, but not all that was found could be learned."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that both commands have."""
    add = parser.add_argument
    add(
        "recordings",
        nargs="+",
        metavar="RECORDING",
        help="a sound file (WAV, FLAC, Ogg, MP3, AIFF, …), a folder of them, or a pattern such as "
        "'takes/**/*.flac'",
    )
    add("--output", type=Path, required=True, metavar="FILE", help="where to put it")
    add(
        "--encoder",
        "--feature-extractor",
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
    add(
        "--profile",
        metavar="NAME",
        help="settings that go before those: 'quick_test' (the first 500 events, coarsely), "
        "'full_training' (all of them), or a TOML file",
    )


@contextmanager
def begun(
    options: argparse.Namespace, config: TrainConfig, console: Console, suffixes: Sequence[str]
) -> Iterator[tuple[Training, Recordings]]:
    """Begin to learn; at the end the output is there, or what has been made for it is kept.

    Raises
    ------
    ModelsError, OracleError
        Something that was asked for is not there or does not fit.
    """
    folder: Path | None = None
    try:
        recordings = find_recordings(options.recordings)
        sources = [file.path for file in recordings.files]
        require_writable(options.output, suffixes, sources=sources)
        # nothing sounds meanwhile: no core need stay free
        on_all_cores = replace(config.encoder, n_threads=os.cpu_count() or 1)
        encoder = load_as_set(on_all_cores, options.encoder)
        if encoder.notice:
            console.print(encoder.notice)
        with Checkpoint.beside(options.output) as checkpoint, _bars(console) as show:
            folder = checkpoint.folder
            yield (
                Training(
                    encoder=encoder,
                    config=config,
                    checkpoint=checkpoint,
                    show=show,
                    tell=lambda message: console.print(f"Note: {message}."),
                ),
                recordings,
            )
    except KeyboardInterrupt:
        is_kept = folder is not None and folder.exists()
        went = "the same command goes on from here" if is_kept else "nothing was written"
        console.print(f"Stopped: {went}.")
        raise


def say_of_recordings(refused: Sequence[str], material: Material, console: Console) -> int:
    """Name the recordings that could not be learned or sound wrong, and give the exit code."""
    for heard in material.recordings:
        if heard.wrong:
            console.print(f"{heard.path}: {heard.wrong}")
    left_out = [*refused, *material.damaged]
    for why in left_out:
        console.print(f"Left out: {why}.")
    return SOME_LEFT_OUT if left_out else 0


@contextmanager
def _bars(console: Console) -> Iterator[Callable[[str, float, float], None]]:
    """Show a bar for each thing that is done, the last one below."""
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TimeRemainingColumn())
    tasks: dict[str, TaskID] = {}
    with (
        preparing(console.print) as ready,
        Progress(*columns, console=console, disable=not console.is_terminal) as progress,
    ):

        def show(doing: str, done: float, total: float) -> None:
            ready()
            if doing not in tasks:
                for task in tasks.values():
                    progress.update(task, total=1, completed=1)
                tasks[doing] = progress.add_task(doing, total=None)
            progress.update(tasks[doing], completed=done, total=total or None)

        yield show
