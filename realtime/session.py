"""Session: a recorded performance, read back from its folder, up to its first gap.

Main thread. It believes nothing: what is missing, of another version or makes no sense is refused
in a sentence. A last line that was torn off, as by a kill, is left out.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import soundfile
from numpy.typing import NDArray

from models.audio_file import ForwardFile
from models.listener import ListenerConfig
from models.settings import SettingsError, settings_from_table
from oracle.memory import Memory
from realtime.errors import LiveError
from realtime.improviser import ImproviserConfig
from realtime.session_format import (
    AUDIO,
    LINES,
    REST,
    VERSION,
    joined,
    memory_name,
    part_name,
)

BLOCK_FRAMES: Final = 4096


class SessionError(LiveError):
    """Raised when a folder holds no recorded performance, or a damaged one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """One performance.

    Attributes
    ----------
    lines
        What was noted, in order, each with its ``kind``.
    """

    folder: Path
    rate_hz: int
    seed: int
    n_memories: int
    listener: ListenerConfig
    improviser: ImproviserConfig
    lines: list[dict[str, Any]]

    def of_kind(self, kind: str) -> list[dict[str, Any]]:
        """Give the lines of a kind, in order."""
        return [line for line in self.lines if line["kind"] == kind]

    def memories(self) -> list[Memory]:
        """Load the memories as they were before the first note."""
        return [Memory.load(self.folder / memory_name(i)) for i in range(self.n_memories)]

    @property
    def n_parts(self) -> int:
        """How many parts the recording is in; this is the first."""
        number = 1
        while (self.folder / part_name(LINES, number + 1)).exists():
            number += 1
        return number

    def blocks(self) -> Iterator[NDArray[np.float32]]:
        """Give what was heard, to the last bit, block by block.

        Where it was cut off by a kill, or is damaged, it ends.

        Raises
        ------
        SessionError
            There is none.
        """
        try:
            with (
                ForwardFile(self.folder / AUDIO) as audio,
                ForwardFile(self.folder / REST) as rest,
            ):
                n_frames = BLOCK_FRAMES
                while n_frames == BLOCK_FRAMES:
                    parts = [_read(file) for file in (audio, rest)]
                    n_frames = min(map(len, parts))
                    yield joined(*(part[:n_frames] for part in parts))
        except (OSError, soundfile.LibsndfileError) as error:
            raise SessionError(f"The sound of {self.folder} cannot be read: {error}") from None

    @property
    def n_frames(self) -> int:
        """How many frames of sound there are; counted by reading them."""
        return sum(block.size for block in self.blocks())


def newest_session(folder: Path) -> Path | None:
    """Give the folder of a performance, or of the newest of those in a folder."""
    if (folder / LINES).is_file():
        return folder
    return max((path.parent for path in folder.glob(f"*/{LINES}")), default=None)


def read_session(folder: Path) -> Session:
    """Read a performance, or the newest of those in a folder.

    Raises
    ------
    SessionError
        There is none, or it is damaged.
    """
    newest = newest_session(folder)
    if newest is None:
        raise SessionError(
            f"There is no recorded performance in {folder}: record one with "
            "python -m realtime.perform --record DIR."
        )
    folder = newest
    head, *lines = _lines(folder / LINES)
    try:
        if head["version"] != VERSION:
            raise SessionError(
                f"{folder} was recorded by another version of the program: replay it with that one."
            )
        config = head["config"]
        return Session(
            folder=folder,
            rate_hz=int(head["rate_hz"]),
            seed=int(head["seed"]),
            n_memories=int(head["n_memories"]),
            listener=_table(ListenerConfig, config["listener"], folder),
            improviser=_table(ImproviserConfig, config["improviser"], folder),
            lines=lines,
        )
    except (KeyError, TypeError, ValueError, SettingsError) as error:
        raise SessionError(f"{folder / LINES} is damaged ({error}): choose another.") from None


def _read(file: ForwardFile) -> NDArray[np.float32]:
    """Read the next frames, none where there is no sense in them."""
    try:
        frames: NDArray[np.float32] = file.read(BLOCK_FRAMES, dtype="float32")
    except soundfile.LibsndfileError:
        return np.zeros(0, np.float32)
    return frames


def _table(cls: type[Any], values: Any, folder: Path) -> Any:
    """Build settings; what has no value in a file has none here."""
    return settings_from_table(cls, {k: v for k, v in values.items() if v is not None}, str(folder))


def _lines(path: Path) -> list[dict[str, Any]]:
    """Read what was noted, one object a line; the head is among them."""
    try:
        texts = path.read_text(encoding="utf-8").split("\n")
        lines = [json.loads(text) for text in texts[:-1]]  # the last is empty, or torn off
    except (OSError, ValueError) as error:
        raise SessionError(f"{path} cannot be read ({error}): choose another.") from None
    if not lines or not all(isinstance(line, dict) and "kind" in line for line in lines):
        raise SessionError(f"{path} is damaged (no performance begins it): choose another.")
    return lines
