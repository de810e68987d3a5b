"""Output path: where a command is going to write, refused before the work rather than after it.

Runs at start only. It leaves nothing behind.
"""

import tempfile
from collections.abc import Iterable
from pathlib import Path

from models.errors import ModelsError


class OutputPathError(ModelsError):
    """Raised when a file cannot be written where it was asked for."""


def require_writable(path: Path, suffixes: Iterable[str], *, sources: Iterable[Path] = ()) -> None:
    """Refuse a path at which no file can be put, or none should.

    Parameters
    ----------
    suffixes
        How names of files of this kind end: a file that is there and named otherwise is something
        else of the player's, such as the recording named by mistake, and is not written over.
    sources
        What is read, and so must not be written over.

    Raises
    ------
    OutputPathError
        There is something other than a file, a file of another kind, one of `sources`, or no
        folder to write to.
    """
    if path.is_dir():
        raise OutputPathError(f"{path} is a folder: give the name of a file.")
    if path.exists() and not path.is_file():
        raise OutputPathError(f"{path} is no file that could be replaced: choose another name.")
    if not path.parent.is_dir():
        raise OutputPathError(f"There is no folder {path.parent}: create it or choose another.")
    try:
        with tempfile.TemporaryFile(dir=path.parent):
            pass  # permissions alone do not tell: a read-only disk, or /proc
    except OSError:
        raise OutputPathError(
            f"The folder {path.parent} is not writable: choose another."
        ) from None
    if any(path.resolve() == source.resolve() for source in sources):
        raise OutputPathError(f"{path} is read as well as written: choose another name to write.")
    if path.exists() and path.suffix.lower() not in suffixes:
        raise OutputPathError(
            f"{path} is there already, and is no {' or '.join(suffixes)} file: choose another name."
        )
