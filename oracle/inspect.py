"""Inspect: ``python -m oracle.inspect``, what a memory holds, in figures and as a drawing.

One thread. It reads a memory, or one that was exported as JSON, and changes nothing.
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np

from models.errors import ModelsError
from models.terminal import CommandLine, plain_console, run_command
from oracle.drawing import FORMS, draw, require_form
from oracle.errors import OracleError
from oracle.export import either, open_memory
from oracle.gesture import clock
from oracle.memory import Memory
from oracle.repeats import Repeat, longest_repeats

N_REPEATS: Final = 5
NAME_WIDTH: Final = 18


def figures(memory: Memory) -> Iterator[tuple[str, str]]:
    """Give what there is to say of a memory: the name of each figure, and it."""
    oracle, provenance = memory.oracle, memory.provenance
    states = range(1, memory.n_events + 1)
    n_notes = [len(memory.notes(state)) for state in states]
    yield "events", f"{memory.n_events}, {np.count_nonzero(n_notes)} of them with notes"
    yield "notes", f"{sum(n_notes)}"
    yield "tokens", _tokens(memory)
    yield "threshold", f"{oracle.threshold:.4g}"
    yield "states", f"{oracle.n_states} in {oracle.clusters.max() + 1} clusters"
    yield (
        "links",
        f"{oracle.in_degrees.sum()} transitions, "
        f"{np.count_nonzero(oracle.suffix_links > 0)} suffix links to earlier states",
    )
    rate = oracle.information_rate()
    n_words = len(oracle.compression())
    yield "information rate", f"{rate.mean() if rate.size else 0:.3f} bits an event"
    yield "code words", f"{n_words}, {memory.n_events / max(1, n_words):.1f} events each"
    for repeat in longest_repeats(oracle, N_REPEATS):
        yield "repeat", _repeat(memory, repeat)
    yield "encoder", provenance.encoder
    yield "heard", f"{provenance.heard_ms:g} ms of a note before it is keyed"
    origins = zip(provenance.sources, provenance.source_sha256, strict=True)
    for source, (name, sha256) in enumerate(origins):
        known_by = f"sha256 {sha256}" if sha256 else "known by its name only"
        yield "source", f"{name}, {_from_source(memory, source)} events, {known_by}"
    yield "learned", provenance.created or "at an unknown date"
    yield "by version", provenance.program_version or "unknown"


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit code."""
    options = _parser().parse_args(arguments)
    return run_command(lambda: inspect(options), (ModelsError, OracleError))


def inspect(options: argparse.Namespace) -> None:
    """Print and draw as the command line says."""
    if options.plot is not None:
        require_form(options.plot, sources=(options.memory,))
    memory = open_memory(options.memory)
    console = plain_console()
    for name, said in figures(memory):
        console.print(f"{name:<{NAME_WIDTH}}{said}")
    if options.plot is not None:
        draw(memory, options.plot)
        console.print(f"The drawing is {options.plot}.")


def _tokens(memory: Memory) -> str:
    """Say how many of the codebook's tokens occur, and how many events have none."""
    is_missing = np.isnan(memory.tokens)
    n_used = len(np.unique(memory.tokens[~is_missing]))
    n_missing = np.count_nonzero(is_missing)
    lacking = f", {n_missing} events without one" if n_missing else ""
    return f"{n_used} used of {len(memory.centroids)}{lacking}"


def _repeat(memory: Memory, repeat: Repeat) -> str:
    """Say when a passage repeats which."""
    return (
        f"{repeat.length} events at {_when(memory, repeat.first)} as at "
        f"{_when(memory, repeat.earlier)}"
    )


def _when(memory: Memory, state: int) -> str:
    """Say when a state's event began, and in what where there are several sources."""
    event, sources = memory.event(state), memory.provenance.sources
    where = f" of {sources[event.source]}" if len(sources) > 1 else ""
    return f"{clock(event.onset_s)}{where}"


def _from_source(memory: Memory, source: int) -> int:
    """Count the events of a source."""
    return sum(memory.event(state).source == source for state in range(1, memory.n_events + 1))


def _parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = CommandLine(
        prog="python -m oracle.inspect",
        description="Prints what a memory holds, and draws its oracle.",
        epilog="example: python -m oracle.inspect solo.memory --plot solo.png",
    )
    parser.add_argument(
        "memory", type=Path, metavar="FILE", help="a memory, or one that was exported as .json"
    )
    parser.add_argument(
        "--plot", type=Path, metavar="FILE", help=f"draw it there, ending in {either(FORMS)}"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
