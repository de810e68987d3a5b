"""Train: ``python -m oracle.train``, from recordings to a memory.

Main thread. Recordings are heard exactly as the stage hears them, through the same listener,
windows, encoder and codebook. The memory appears whole or not at all.
"""

import argparse
import sys
import time
from pathlib import Path
from typing import Final

import numpy as np
from numba.core.event import TimingListener, install_listener
from rich.console import Console

from models.errors import ModelsError
from models.terminal import CommandLine, plain_console, run_command
from oracle.codebook_file import load_codebook
from oracle.errors import OracleError
from oracle.learning import learn, perplexity
from oracle.memory import Memory
from oracle.repeats import longest_repeats
from oracle.train_command import add_options, begun, say_of_recordings
from oracle.train_config import load_train_config

MEMORY_SUFFIXES: Final = (".memory",)
N_REPEATS: Final = 3
NOTABLE_S: Final = 1.0
"""Compiling that takes longer is said."""


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit code."""
    options = _parser().parse_args(arguments)
    console = plain_console(stderr=True)
    return run_command(lambda: train(options, console), (ModelsError, OracleError))


def train(options: argparse.Namespace, console: Console) -> int:
    """Learn as the command line says, say what, and return the exit code."""
    with install_listener("numba:compile", TimingListener()) as compiling:
        return _train(options, console, compiling)


def _train(options: argparse.Namespace, console: Console, compiling: TimingListener) -> int:
    """Learn; what is compiled meanwhile is timed."""
    started_s = time.monotonic()
    config = load_train_config(
        options.config, profile=options.profile, max_events=options.max_events
    )
    with begun(options, config, console, MEMORY_SUFFIXES) as (training, recordings):
        codebook = None
        if options.codebook is not None:
            codebook = load_codebook(options.codebook, training.encoder.spec)
        memory, learned = learn(recordings.files, training, codebook)
        is_replaced = options.output.exists()
        memory.save(options.output, scratch=training.checkpoint.folder)
        if is_replaced:
            training.tell(f"{options.output} was there already, and has been replaced")
    took_s = time.monotonic() - started_s
    compiling_s = compiling.duration if compiling.done else 0.0
    text = summary(memory, learned.material.duration_s, took_s - compiling_s, compiling_s)
    plain_console().print(f"{text}\nThe memory is {options.output}.")
    return say_of_recordings(recordings.refused, learned.material, console)


def summary(memory: Memory, heard_s: float, took_s: float, compiling_s: float) -> str:
    """Say what was learned, and how fast once all was compiled."""
    tokens = memory.tokens
    n_notes = sum(len(memory.notes(state)) for state in range(1, memory.n_events + 1))
    repeats = longest_repeats(memory.oracle, N_REPEATS)
    lengths = ", ".join(str(repeat.length) for repeat in repeats) or "none"
    return (
        f"{memory.n_events} events with {n_notes} notes, told apart as {len(np.unique(tokens))} of "
        f"{len(memory.centroids)} gestures (perplexity {perplexity(tokens):.1f}).\n"
        f"{np.count_nonzero(memory.oracle.suffix_links > 0)} events repeat earlier ones, closer to "
        f"them than {memory.oracle.threshold:.2f} of the spread of all; the longest repeats, in "
        f"events: {lengths}.\n"
        f"{heard_s:.0f} s of sound learned in {took_s:.1f} s, {_pace(heard_s, took_s)}."
        + (f" Compiling took {compiling_s:.0f} s more." if compiling_s >= NOTABLE_S else "")
    )


def _pace(heard_s: float, took_s: float) -> str:
    """Say how learning went beside playing."""
    if took_s > heard_s:
        return f"{took_s / heard_s:.1f} s of work for each second of sound"
    return f"{heard_s / max(took_s, 1e-3):.1f} times as fast as it plays"


def _parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = CommandLine(
        prog="python -m oracle.train",
        description="Learns recordings into a memory that realtime.perform plays from. They may be "
        "several, and as long as you like: learning goes much faster than playing. Stopped, the "
        "same command goes on from there.",
        epilog="example: python -m oracle.train solo.wav --output solo.memory",
    )
    add_options(parser)
    add = parser.add_argument
    add(
        "--max-events",
        type=int,
        metavar="N",
        help="learn the first N events only (default: [training] max_events in the settings)",
    )
    add(
        "--codebook",
        type=Path,
        metavar="FILE",
        help="gestures that several memories share, made with python -m oracle.train_codebook "
        "(default: the recordings' own)",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
