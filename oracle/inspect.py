"""Inspect: ``python -m oracle.inspect``, what a memory holds, in figures and as a drawing.

One thread. It reads a memory, or one that was exported as JSON, and changes nothing.
"""

import argparse
import json
import sys
from collections import Counter
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
N_HASH: Final = 12
NAME_WIDTH: Final = 18


def figures(memory: Memory) -> Iterator[tuple[str, str]]:
    """Give what there is to say of a memory: the name of each figure, and it."""
    oracle, provenance = memory.oracle, memory.provenance
    states = range(1, memory.n_events + 1)
    n_notes = [len(memory.notes(state)) for state in states]
    yield "events", f"{memory.n_events}, {np.count_nonzero(n_notes)} of them with notes"
    yield "notes", f"{sum(n_notes)}"
    yield "gestures", _tokens(memory)
    yield "threshold", f"{oracle.threshold:.4g} of the spread of all events: what is closer repeats"
    yield "kinds", f"{oracle.clusters.max() + 1} clusters of events that repeat each other"
    yield (
        "links",
        f"{oracle.in_degrees.sum()} transitions to what may come next, "
        f"{np.count_nonzero(oracle.suffix_links > 0)} suffix links to what an event repeats",
    )
    rate = oracle.information_rate()
    n_words = len(oracle.compression())
    mean = rate.mean() if rate.size else 0
    yield "information rate", f"{mean:.3f} bits of an event are told by what came before"
    yield (
        "code words",
        f"{n_words} passages, new or repeated, make it up, of "
        f"{memory.n_events / max(1, n_words):.1f} events each",
    )
    for repeat in longest_repeats(oracle, N_REPEATS):
        yield "repeat", _repeat(memory, repeat)
    yield "encoder", _encoder(provenance.encoder)
    yield "heard", f"{provenance.heard_ms:g} ms of a note before it is answered"
    n_from = Counter(memory.event(state).source for state in states)
    origins = zip(provenance.sources, provenance.source_sha256, strict=True)
    for source, (name, sha256) in enumerate(origins):
        known_by = f"sha256 {sha256[:N_HASH]}…" if sha256 else "known by its name only"
        yield "source", f"{name}, {n_from[source]} events, {known_by}"
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


def _encoder(spec: str) -> str:
    """Say what told the sounds apart: its name, and what else is known of it."""
    known = json.loads(spec)
    name = known.pop("name", "unknown")
    settings = [f"{key} {value}" for key, value in known.items() if value not in (None, [], "")]
    return f"{name} ({', '.join(settings)})" if settings else str(name)


def _tokens(memory: Memory) -> str:
    """Say how many of the codebook's gestures occur, and how many events have none."""
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
