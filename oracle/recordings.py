"""Recordings: the sound files that files, folders and patterns name, opened, and those that fail.

Runs at start only, on the thread that learns. What was named and is not there is refused at once; a
recording that is there and is none does not keep the others from being learned.
"""

import glob
import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from models.audio_file import SUFFIXES, AudioFile
from models.errors import AudioFileError
from oracle.errors import TrainingError

_PATTERN: Final = frozenset("*?[")


@dataclass(frozen=True, slots=True, kw_only=True)
class Recordings:
    """What was found.

    Attributes
    ----------
    files
        In the order they were named, those of a folder or pattern in order of their names.
    refused
        Why others cannot be learned, a sentence each.
    """

    files: tuple[AudioFile, ...]
    refused: tuple[str, ...] = ()


def find_recordings(named: Iterable[str | Path]) -> Recordings:
    """Open the recordings named, and those in the folders and of the patterns named.

    Parameters
    ----------
    named
        Files, folders, and patterns such as ``takes/**/*.flac`` for whom no shell has replaced
        them.

    Raises
    ------
    AudioFileError
        A file named is not there, or none that was found can be opened.
    TrainingError
        A folder or pattern holds no recording.
    """
    files, refused = [], []
    for path in (found for name in named for found in _named(str(name))):
        try:
            files.append(AudioFile(path))
        except AudioFileError as error:
            if not path.exists():
                raise
            refused.append(str(error))
    if not files:
        raise AudioFileError(refused[0])
    return Recordings(files=tuple(files), refused=tuple(refused))


def content_sha256(path: Path) -> str:
    """Give the hash that tells recordings apart, hexadecimal.

    Raises
    ------
    AudioFileError
        It cannot be read any more.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise AudioFileError(
            f"{path} cannot be read ({error.strerror}): check its permissions"
        ) from None


def _named(name: str) -> Iterator[Path]:
    """List what a name on the command line stands for."""
    path = Path(name)
    if path.is_dir():
        found = [*_inside(path)]
    elif _PATTERN.isdisjoint(name) or path.exists():
        found = [path]
    else:
        matches = map(Path, sorted(glob.glob(name, recursive=True)))
        found = [file for match in matches for file in _recordings_of(match)]
    if not found:
        raise TrainingError(f"There is no recording in {name}: name a file or another folder.")
    yield from found


def _recordings_of(match: Path) -> Iterator[Path]:
    """List what a pattern's match stands for."""
    if match.is_dir():
        yield from _inside(match)
    elif _is_recording(match):
        yield match


def _inside(folder: Path) -> Iterator[Path]:
    """List the recordings in a folder and the folders in it."""
    yield from sorted(filter(_is_recording, folder.rglob("*")))


def _is_recording(path: Path) -> bool:
    """Say whether a file in a folder is one to learn; what is hidden (macOS's ._*) is not."""
    is_hidden = path.name.startswith(".")
    return path.suffix.lower() in SUFFIXES and not is_hidden and path.is_file()
