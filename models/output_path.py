"""Output path: where a command is going to write, refused before the work rather than after it.

Runs at start only. It creates and opens nothing.
"""

import os
from collections.abc import Iterable
from pathlib import Path

from models.errors import ModelsError


class OutputPathError(ModelsError):
    """Raised when a file cannot be written where it was asked for."""


def require_writable(path: Path, *, sources: Iterable[Path] = ()) -> None:
    """Refuse a path at which no file can be put, or none should.

    Parameters
    ----------
    sources
        What is read, and so must not be written over.

    Raises
    ------
    OutputPathError
        There is something other than a file, one of `sources`, or no folder to write to.
    """
    if path.is_dir():
        raise OutputPathError(f"{path} is a folder: give the name of a file.")
    if path.exists() and not path.is_file():
        raise OutputPathError(f"{path} is no file that could be replaced: choose another name.")
    if not path.parent.is_dir():
        raise OutputPathError(f"There is no folder {path.parent}: create it or choose another.")
    if not os.access(path.parent, os.W_OK):
        raise OutputPathError(f"The folder {path.parent} is not writable: choose another.")
    if any(path.resolve() == source.resolve() for source in sources):
        raise OutputPathError(f"{path} is read as well as written: choose another name to write.")
