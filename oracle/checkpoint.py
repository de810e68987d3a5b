"""Checkpoint: what the stages of a training have made, kept beside its output until that is there.

Main thread. Whatever a stage makes is kept under a fingerprint of all that it was made from: the
recordings' contents, the settings, what the stages before have made, and the program itself. So a
training that is started again finds what is still true, whatever stopped the one before, and makes
the rest; it never goes by names or dates. The folder goes when the output is there.
"""

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

import kernel_cache
from oracle.errors import BusyError, TrainingError
from oracle.memory_file import FileKind, MemoryFileError, read_tensors, write_tensors
from oracle.provenance import now_s

Tensors = dict[str, NDArray[Any]]

KIND: Final = FileKind(name="checkpoint", made_by="python -m oracle.train")
_BEGUN: Final = "begun"
_LIBRARIES: Final = ("numpy", "numba", "soundfile", "soxr", "torch", "transformers")


class Checkpoint:
    """Keeps what stages make.

    Parameters
    ----------
    folder
        Where; None keeps nothing.

    Attributes
    ----------
    folder : Path or None
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder

    @classmethod
    @contextmanager
    def beside(cls, output: Path) -> Iterator[Self]:
        """Keep it beside an output, until that is there or cannot be.

        Raises
        ------
        TrainingError
            Another training is at work on this output.
        MemoryFileError
            There is no room, or no right, to keep anything.
        """
        folder = output.parent / f".{output.name}.training"
        with _locked(folder, output):
            try:
                yield cls(folder)
            except TrainingError:  # again it would come to the same
                shutil.rmtree(folder, ignore_errors=True)
                raise
            except BaseException:
                if all(path.name.startswith(_BEGUN) for path in folder.iterdir()):
                    shutil.rmtree(folder, ignore_errors=True)
                raise
            shutil.rmtree(folder, ignore_errors=True)

    def begun_s(self, made_from: Mapping[str, Any]) -> int:
        """Give the time when this was first begun, in seconds since 1970.

        Raises
        ------
        DateError
            The environment's date is none.
        MemoryFileError
            It cannot be written.
        """
        begun = self.keep(_BEGUN, made_from, lambda: {"at_s": np.array([now_s()])})
        return int(begun["at_s"][0])

    def has(self, stage: str, made_from: Mapping[str, Any]) -> bool:
        """Say whether a stage's work is there."""
        return self.folder is not None and self._path(stage, made_from).exists()

    def keep(
        self, stage: str, made_from: Mapping[str, Any], make: Callable[[], Tensors]
    ) -> Tensors:
        """Give what a stage makes: what is kept of it, or made now and kept.

        Parameters
        ----------
        made_from
            All that it depends on, as JSON can say it.

        Raises
        ------
        MemoryFileError
            It cannot be written.
        """
        if self.folder is None:
            return make()
        path = self._path(stage, made_from)
        with suppress(MemoryFileError):  # none there, or damaged
            return read_tensors(path, KIND)[0]
        tensors = make()
        write_tensors(path, tensors, {}, KIND)
        return tensors

    def _path(self, stage: str, made_from: Mapping[str, Any]) -> Path:
        assert self.folder is not None
        return self.folder / f"{stage}-{fingerprint(made_from)}"


def as_bytes(text: str) -> NDArray[np.uint8]:
    """Write a text as a tensor."""
    return np.frombuffer(text.encode(), np.uint8)


def as_text(content: NDArray[np.uint8]) -> str:
    """Read what `as_bytes` wrote."""
    return content.tobytes().decode()


def fingerprint(facts: Mapping[str, Any]) -> str:
    """Give a name to facts, and to the program that they are facts for."""
    told = json.dumps([_program(), facts], sort_keys=True)
    return hashlib.sha256(told.encode()).hexdigest()[:32]


@cache
def _program() -> str:
    """Name the program: its sources, and the versions of the libraries that what it hears is of."""
    sources = [*kernel_cache.ROOT.glob("models/*.py"), *kernel_cache.ROOT.glob("oracle/*.py")]
    versions = []
    for library in _LIBRARIES:
        with suppress(PackageNotFoundError):
            versions.append(f"{library} {version(library)}")
    return ", ".join([kernel_cache.digest(sorted(sources)), *versions])


@contextmanager
def _locked(folder: Path, output: Path) -> Iterator[None]:
    """Make a folder and hold it for this process; the system lets go of it when that ends."""
    try:
        folder.mkdir(exist_ok=True)
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError as error:
        raise MemoryFileError(
            f"{folder} cannot be made ({error.strerror}): choose another --output or free some "
            "room."
        ) from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise BusyError(
            f"Another training is at work on {output}: wait for it or choose another --output."
        ) from None
    finally:
        os.close(descriptor)
