"""Session part: the files of one stretch of a recording, without a gap from its first frame on.

The recorder's thread only. Lines are appended whole: where there is no room for all of what is
given, what was written of it is taken back, so that no line is ever half there. It knows no thread
and no queue; what the system refuses is raised, as the system says it.
"""

import io
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import numpy as np
import soundfile
from numpy.typing import NDArray

from realtime.session_format import AUDIO, LINES, REST, part_name, split

_FLAC: Final = {"format": "FLAC", "subtype": "PCM_24"}


class SessionPart:
    """Sound and lines, in files of their own; closed at the end of its context.

    Parameters
    ----------
    number
        From 1; the first part's lines may have begun already.

    Raises
    ------
    OSError
        What the system refuses with; so does every method.
    """

    def __init__(self, folder: Path, number: int, rate_hz: int) -> None:
        with ExitStack() as files:
            path = folder / part_name(LINES, number)
            self._lines = files.enter_context(path.open("ab", buffering=0))
            self._sound = [
                files.enter_context(_Sound(folder / part_name(name, number), rate_hz))
                for name in (AUDIO, REST)
            ]
            self._files = files.pop_all()

    def __enter__(self) -> "SessionPart":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._files.close()

    def write_audio(self, frames: NDArray[np.float32]) -> None:
        """Append frames."""
        for file, steps in zip(self._sound, split(frames), strict=True):
            file.write(steps)

    def write_lines(self, lines: str) -> None:
        """Append whole lines, all or none."""
        n_before = self._lines.tell()
        left = lines.encode()
        try:
            while left:
                left = left[self._lines.write(left) :]
        except OSError:
            with suppress(OSError):
                self._lines.truncate(n_before)
            raise


class _Refusable(io.FileIO):
    """A file that keeps what the system refused a write with, for libsndfile does not."""

    refusal: OSError | None = None

    def write(self, data: Any) -> int:
        """Write all of it, without a buffer, or keep why not."""
        left = memoryview(data)
        try:
            while left:
                left = left[super().write(left) :]
        except OSError as error:
            self.refusal = error
        return len(data) - len(left)


class _Sound:
    """One FLAC file."""

    def __init__(self, path: Path, rate_hz: int) -> None:
        with ExitStack() as files:
            self._file = files.enter_context(_Refusable(path, "w"))
            files.enter_context(self._refusing())
            self._flac = files.enter_context(
                soundfile.SoundFile(self._file, "w", rate_hz, 1, **_FLAC)
            )
            self._files = files.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._files.close()

    def write(self, steps: NDArray[np.int32]) -> None:
        """Append frames in steps of 24 bits."""
        with self._refusing():
            self._flac.write(steps << 8)  # libsndfile takes 24 bits in the upper three bytes

    @contextmanager
    def _refusing(self) -> Iterator[None]:
        """Raise what the system refused with, in place of libsndfile's "System error"."""
        try:
            yield
        finally:
            if self._file.refusal is not None:
                raise self._file.refusal
