"""Explain: ``python -m oracle.explain``, what a memory's gesture tokens stand for.

One thread. It reads a memory and, for the page, the recordings it was learned from where they are
still there; it changes nothing.
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.errors import AudioFileError, ModelsError
from models.output_path import require_writable
from models.terminal import CommandLine, plain_console, run_command
from oracle.errors import OracleError
from oracle.exemplars import Span, cut, locate, span_of
from oracle.export import open_memory
from oracle.gesture import Gesture, Gestures, clock
from oracle.gesture_page import page
from oracle.graph_file import PITCH_CLASSES, note_names
from oracle.memory_file import write_whole

PAGE_SUFFIXES: Final = (".html", ".htm")
N_SOUNDING: Final = 48
"""The tokens used most are heard on the page: some 3 MB of sound at most."""
NAME_WIDTH: Final = 17


class NoSuchTokenError(OracleError):
    """Raised when a token is asked for that the memory's codebook does not have."""


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit code."""
    options = _parser().parse_args(arguments)
    return run_command(lambda: explain(options), (ModelsError, OracleError))


def explain(options: argparse.Namespace) -> None:
    """Explain what the command line asks for."""
    if options.html is not None:
        require_writable(options.html, PAGE_SUFFIXES, sources=(options.memory,))
    memory = open_memory(options.memory)
    gestures = Gestures(memory)
    console = plain_console()
    if options.token is not None:
        try:
            gesture = gestures.gesture(options.token)
        except ValueError as error:
            raise NoSuchTokenError(f"{options.memory} has no such gesture: {error}.") from None
        for name, said in figures(gestures, gesture):
            console.print(f"{name:<{NAME_WIDTH}}{said}")
    elif options.html is None:
        for token in gestures.used:
            console.print(summary(gestures, gestures.gesture(token)))
    if options.html is not None:
        places = options.recordings or [options.memory.parent]
        clips, missing = _clips(gestures, places)
        write_whole(options.html, [page(gestures, options.memory.name, clips, missing).encode()])
        for name in missing:
            console.print(
                f"Without sound: {name} as it was learned is not in "
                f"{', '.join(map(str, places))}: say where it is with --recordings FOLDER."
            )
        console.print(f"The page is {options.html}.")


def figures(gestures: Gestures, gesture: Gesture) -> Iterator[tuple[str, str]]:
    """Give what there is to say of a token: the name of each figure, and it."""
    yield "token", f"{gesture.token}: {_share(gestures, gesture)}"
    yield "pitch classes", pitch_classes(gesture) or "none"
    yield "level", _spread(gesture.levels_db, ".0f", "dBFS")
    yield "since last note", _spread(gesture.intervals_s, ".2f", "s")
    for near in gesture.neighbours:
        yield "sounds like", f"token {near.token}, {near.n_events} events, {near.distance:.3g} away"
    for state in gesture.exemplars:
        yield "exemplar", _moment(gestures, state)
    for state in gesture.states:
        yield "occurs", _moment(gestures, state)


def summary(gestures: Gestures, gesture: Gesture) -> str:
    """Say in a line what a token stands for."""
    level = _spread(gesture.levels_db, ".0f", "dBFS")
    told = f"token {gesture.token:<5} {_share(gestures, gesture):<28} {level:<32}"
    return f"{told} {pitch_classes(gesture) or 'no pitch'}"


def pitch_classes(gesture: Gesture) -> str:
    """Name a token's pitch classes, the most frequent first, with how often each occurs."""
    counts = gesture.pitch_classes
    order = [int(i) for i in np.argsort(-counts, kind="stable") if counts[i]]
    return ", ".join(f"{PITCH_CLASSES[i]} {counts[i]}" for i in order)


def _share(gestures: Gestures, gesture: Gesture) -> str:
    n_events = len(gestures.events)
    share = len(gesture.states) / max(1, n_events)
    return f"{len(gesture.states)} of {n_events} events ({share:.1%})"


def _spread(values: NDArray[np.float64], form: str, unit: str) -> str:
    """Say from where to where values go, and their median."""
    if not values.size:
        return "unknown"
    low, middle, high = np.quantile(values, (0, 0.5, 1))
    return f"{low:{form}} to {high:{form}} {unit}, median {middle:{form}}"


def _moment(gestures: Gestures, state: int) -> str:
    """Say where a state was played, and what."""
    event = gestures.events[state - 1]
    source = gestures.memory.provenance.sources[event.source]
    end_s = event.onset_s + event.duration_s
    notes = note_names(gestures.memory, state) or "no pitch"
    return f"{clock(event.onset_s)} to {clock(end_s)} of {source}: {notes}"


def _clips(gestures: Gestures, places: list[Path]) -> tuple[dict[int, bytes], list[str]]:
    """Cut the exemplars of the most used tokens; name the recordings that are not there."""
    wanted: dict[int, dict[int, Span]] = {}
    for token in gestures.used[:N_SOUNDING]:
        for state in gestures.gesture(token).exemplars:
            event = gestures.events[state - 1]
            wanted.setdefault(event.source, {})[state] = span_of(event.onset_s, event.duration_s)
    sources = gestures.memory.provenance.sources
    lasts_s: dict[int, float] = {}
    for event in gestures.events:
        lasts_s[event.source] = max(lasts_s.get(event.source, 0.0), event.onset_s)
    files = locate(gestures.memory.provenance, places, lasts_s)
    clips: dict[int, bytes] = {}
    silent = wanted.keys() - files.keys()
    for source in wanted.keys() & files.keys():
        try:
            cuts = cut(files[source], wanted[source].values())
        except AudioFileError:  # of the right name and length, but damaged
            silent |= {source}
            continue
        clips |= {state: cuts[span] for state, span in wanted[source].items() if span in cuts}
    return clips, [sources[source] for source in sorted(silent)]


def _parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = CommandLine(
        prog="python -m oracle.explain",
        description="Says what a memory's gesture tokens stand for: where one occurs, its pitch "
        "classes, levels, intervals, neighbours and exemplars. Without options: all, a line each.",
        epilog="example: python -m oracle.explain solo.memory --html gestures.html",
    )
    add = parser.add_argument
    add("memory", type=Path, metavar="MEMORY", help="a memory, or one that was exported as .json")
    add("--token", type=int, metavar="N", help="explain this one")
    add("--html", type=Path, metavar="FILE", help="write a page of all of them, to see and hear")
    add(
        "--recordings",
        type=Path,
        nargs="+",
        metavar="PATH",
        help="where the recordings it was learned from are (default: the memory's folder)",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
