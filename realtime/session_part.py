"""Session part: the files of one stretch of a recording, without a gap from its first frame on.

The recorder's thread only. Lines are appended whole: where there is no room for all of what is
given, what was written of it is taken back, so that no line is ever half there. It knows no thread
and no queue; what the system refuses is raised.
"""

from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Final

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
    Exception
        What the system, or the library that writes sound, refuses with; so does every method.
    """

    def __init__(self, folder: Path, number: int, rate_hz: int) -> None:
        with ExitStack() as files:
            path = folder / part_name(LINES, number)
            self._lines = files.enter_context(path.open("ab", buffering=0))
            self._sound = [
                files.enter_context(
                    soundfile.SoundFile(folder / part_name(name, number), "w", rate_hz, 1, **_FLAC)
                )
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
            file.write(steps << 8)  # libsndfile takes 24 bits in the upper three bytes

    def flush(self) -> None:
        """Have the system take what was written of the sound."""
        for file in self._sound:
            file.flush()

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
