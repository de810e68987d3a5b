"""Command line: what a musician can ask of ``python -m realtime.perform``.

Runs at start only. It refuses what cannot be read as asked, and decides nothing.
"""

import argparse
import math
import textwrap
from pathlib import Path
from typing import Any, Final

from models.terminal import CommandLine
from realtime.modes import MEANINGS

DEFAULT_MEMORY: Final = Path("calling_card.memory")
LONGEST_S: Final = 7 * 24 * 3600


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """Read a command line, by default the process's own.

    Raises
    ------
    SystemExit
        It asks for help, or for what there is not.
    """
    parser = CommandLine(
        prog="python -m realtime.perform",
        usage="%(prog)s [options]",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description=textwrap.fill(
            "Listens to a musician, or to a recording, and answers with MIDI notes from a memory "
            "of music it has learned. Without any option it listens to this machine's audio input."
        ),
        epilog="modes:\n"
        + "".join(f"  {mode:<10}{meaning}\n" for mode, meaning in MEANINGS.items())
        + "\nexample: python -m realtime.perform --memory solo.memory --input solo.wav "
        "--midi-file answer.mid",
    )
    _add_sound(parser.add_argument_group("what it hears and plays"))
    _add_manner(parser.add_argument_group("how it plays"))
    _add_setup(parser.add_argument_group("setting up and measuring"))
    return parser.parse_args(arguments)


def _add_sound(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add(
        "--memory",
        action=Memories,
        type=Path,
        default=[DEFAULT_MEMORY],
        metavar="FILE",
        help="the music it has learned, made with python -m oracle.train; several take turns with "
        f"your phrases: --memory a.memory --memory b.memory (default: {DEFAULT_MEMORY})",
    )
    add(
        "--afresh",
        action="store_true",
        help="leave out what was learned in earlier performances: it is set aside in "
        "MEMORY.journal.old (.old.2, ...), and what is learned now begins a new MEMORY.journal",
    )
    add(
        "--input",
        metavar="WHAT",
        help="a recording to play to, or 'default' or part of the name of an audio input "
        "(default: the machine's audio input, or the bundled take where there is none)",
    )
    add(
        "--midi-out",
        metavar="PORT",
        help="part of a MIDI port's name, 'virtual' for a port of its own that other programs can "
        "connect to, or 'none' (default: virtual, where the machine has MIDI)",
    )
    add(
        "--midi-file",
        type=Path,
        metavar="FILE",
        help="also keep what it plays in this MIDI file (default: performance.mid where nobody "
        "else would hear it)",
    )


def _add_manner(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add(
        "--mode",
        choices=tuple(MEANINGS),
        help="how it stands to you, see below (default: [improviser] mode in the settings)",
    )
    add("--seconds", type=duration_s, metavar="N", help="stop after this many seconds")
    add(
        "--pace",
        choices=("realtime", "free"),
        default="realtime",
        help="play to a recording as it sounds, or as fast as the machine can (default: "
        "%(default)s)",
    )
    add(
        "--seed",
        type=whole,
        default=0,
        metavar="N",
        help="another number, other answers; with --pace free the same number gives the same "
        "notes (default: %(default)s)",
    )


def _add_setup(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add(
        "--config",
        type=Path,
        metavar="FILE",
        help="settings (default: config.toml in this folder, if there is one)",
    )
    add(
        "--encoder",
        metavar="WHERE",
        help="where to find the model that the memory was learned with, if it has moved: a hub "
        "name or a folder",
    )
    add(
        "--record",
        type=Path,
        metavar="DIR",
        help="keep sound, notes and every decision in a new folder there, for "
        "python -m realtime.replay",
    )
    add(
        "--info",
        action="store_true",
        help="say which encoder each memory needs, what it costs on this machine and whether the "
        "budget allows it, and play nothing",
    )
    add("--report", type=Path, metavar="FILE", help="write what was measured to this JSON file")
    add(
        "--headless",
        action="store_true",
        help="for a machine without a screen: JSON log lines on stderr, no table",
    )


class Memories(argparse.Action):
    """Takes one memory after the other, and none twice."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        """Take the next."""
        given = getattr(namespace, self.dest)
        given = [] if given is self.default else given
        if any(path.resolve() == values.resolve() for path in given):
            parser.error(f"--memory {values} is given twice: each memory plays once")
        setattr(namespace, self.dest, [*given, values])


def duration_s(text: str) -> float:
    """Read how long to play; beyond a week it is a slip, and no clock need count so far."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value <= LONGEST_S:
        raise argparse.ArgumentTypeError(
            f"must be a number above 0 and at most {LONGEST_S} (a week), got {text}"
        )
    return value


def whole(text: str) -> int:
    """Read a whole number from 0."""
    if not (text.isascii() and text.isdecimal()):
        raise argparse.ArgumentTypeError(f"must be a whole number from 0, got {text}")
    return int(text)
