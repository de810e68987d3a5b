"""Export: ``python -m oracle.export``, a memory in a form to read, to look at or to compute with.

One thread. The name's ending says what is read and written: ``.memory`` and ``.json`` hold all of
a memory and are read back the same; ``.dot`` and ``.graphml`` are for looking. A file appears whole
or not at all.
"""

import argparse
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

from models.errors import ModelsError
from models.output_path import require_writable
from models.terminal import CommandLine, plain_console, run_command
from oracle.errors import OracleError
from oracle.graph_file import write_dot, write_graphml
from oracle.memory import Memory
from oracle.memory_file import MemoryFileError
from oracle.memory_json import read_json, write_json

READERS: Final[dict[str, Callable[[Path], Memory]]] = {".memory": Memory.load, ".json": read_json}
WRITERS: Final[dict[str, Callable[[Memory, Path], None]]] = {
    ".memory": Memory.save,
    ".json": write_json,
    ".dot": write_dot,
    ".graphml": write_graphml,
}


def open_memory(path: Path) -> Memory:
    """Read a memory, as JSON where its name says so.

    Raises
    ------
    MemoryFileError
        There is none, or it is damaged.
    """
    return READERS.get(path.suffix.lower(), Memory.load)(path)


def export(source: Path, output: Path) -> Memory:
    """Read a memory from one file and write it to another, and return it.

    Raises
    ------
    MemoryFileError
        The output's name has an ending that is none of `WRITERS`, the source is no memory, or the
        output cannot be written.
    """
    write = WRITERS.get(output.suffix.lower())
    if write is None:
        raise MemoryFileError(
            f"{output} says by its ending no form that a memory has: end it in {either(WRITERS)}."
        )
    memory = open_memory(source)
    write(memory, output)
    return memory


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit code."""
    options = _parser().parse_args(arguments)
    return run_command(
        lambda: export_as_asked(options),
        (ModelsError, OracleError),
        if_stopped="Stopped: nothing was written.",
    )


def export_as_asked(options: argparse.Namespace) -> None:
    """Write the memory that was named, and say how large it is."""
    require_writable(options.output, (options.output.suffix.lower(),), sources=(options.memory,))
    memory = export(options.memory, options.output)
    plain_console().print(f"{memory.n_events} events are in {options.output}.")


def either(names: Iterable[str]) -> str:
    """Say names, two or more, as in a sentence."""
    *others, last = names
    return f"{', '.join(others)} or {last}"


def _parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = CommandLine(
        prog="python -m oracle.export",
        description="Writes a memory in another form: JSON, which can be read back, or a graph to "
        "look at.",
        epilog="example: python -m oracle.export solo.memory --output solo.json",
    )
    parser.add_argument(
        "memory", type=Path, metavar="FILE", help="a memory, or one that was exported as .json"
    )
    parser.add_argument(
        "--output",
        type=Path,
        required=True,
        metavar="FILE",
        help=f"where to; its ending says the form: {either(WRITERS)}",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
