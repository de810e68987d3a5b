"""Passes: one encoder on stage: it embeds windows of the audio ring, a batch at a time.

Worker thread only. What an encoder fails with is kept, and it is left alone for a while before it
is tried again. It knows the ring as an observer, and neither what asks nor who is told.
"""

import time
from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.windows import WindowCutter
from realtime.backoff import Backoff
from realtime.recogniser import Recogniser
from realtime.ring import Observer, Seen

MAX_BATCH: Final = 4
"""Windows in one pass at most; events are at least a refractory time apart, so few are due."""

REQUEST_DTYPE: Final = np.dtype(
    [
        ("event_index", np.int64),
        ("end_frame", np.int64),
        ("useful_until_ns", np.int64),  # a pass that starts later is skipped
        ("turn", np.int64),  # the memory that answers: its token is needed first
    ]
)
_NOTHING: Final = np.zeros(0, REQUEST_DTYPE)


class Windows:
    """Cuts windows that end at a position of the audio ring. Worker thread only.

    Parameters
    ----------
    audio
        Observer of the audio ring, float32 at the device's rate.
    cutter
        Resamples to the encoder's rate.
    """

    def __init__(self, audio: Observer, cutter: WindowCutter) -> None:
        self._audio = audio
        self._cutter = cutter
        self._frames = np.zeros(cutter.n_frames, np.float32)

    def cut(self, end_frame: int, out: NDArray[np.float32]) -> bool:
        """Fill `out` [shape=(window_frames,)] with the window ending at `end_frame`.

        Frames before the stream's start are silence. Returns False when the audio has been
        overwritten meanwhile.
        """
        n_before_start = max(self._cutter.n_frames - end_frame, 0)
        self._frames[:n_before_start] = 0.0
        start = end_frame - self._cutter.n_frames + n_before_start
        if self._audio.read(start, self._frames[n_before_start:]) is not Seen.WHOLE:
            return False
        self._cutter.cut(self._frames, out)
        return True


class Passes:
    """The passes of one encoder. Worker thread only.

    Parameters
    ----------
    recogniser
        The encoder, and the codebooks that know its space.
    audio
        Observer of the audio ring.
    rate_hz
        Of the audio.

    Attributes
    ----------
    error : Exception or None
        What the last pass failed with; None if it did not.
    """

    def __init__(self, recogniser: Recogniser, audio: Observer, rate_hz: int) -> None:
        self.recogniser = recogniser
        self._windows = Windows(audio, WindowCutter(rate_hz, recogniser.encoder.spec))
        self._batch = np.zeros((MAX_BATCH, recogniser.encoder.spec.window_frames), np.float32)
        self._waiting = _NOTHING
        self._backoff = Backoff()
        self.error: Exception | None = None

    @property
    def rests(self) -> bool:
        """Whether it has failed, and is not to be tried again yet."""
        return self.error is not None and not self._backoff.may_try(time.monotonic())

    @property
    def is_behind(self) -> bool:
        """Whether something was put off."""
        return self._waiting.size > 0

    def put_off(self, requests: NDArray[np.void]) -> int:
        """Keep requests for later, as many as a batch holds; say how many had to be dropped."""
        waiting = np.concatenate([self._waiting, requests])
        self._waiting = waiting[-MAX_BATCH:]
        return waiting.size - self._waiting.size

    def take_up(self) -> NDArray[np.void]:
        """Give what was put off."""
        waiting, self._waiting = self._waiting, _NOTHING
        return waiting

    def cut(self, requests: NDArray[np.void], now_ns: int) -> list[int]:
        """Cut what is still of use, the newest first, and say which of the requests it is."""
        batch: list[int] = []
        for i in range(requests.size - 1, -1, -1):
            is_useful = requests["useful_until_ns"][i] >= now_ns and len(batch) < MAX_BATCH
            out = self._batch[min(len(batch), MAX_BATCH - 1)]
            if is_useful and self._windows.cut(int(requests["end_frame"][i]), out):
                batch.append(i)
        return batch

    def recognise(self, n_windows: int) -> Mapping[int, NDArray[np.int32]] | None:
        """Give each memory's tokens of the first windows cut; None if the pass failed."""
        try:
            found = self.recogniser.recognise(self._batch[:n_windows])
        except Exception as error:  # whatever a device or a library comes up with
            self._backoff.fail(time.monotonic())
            self.error = error
            return None
        self.error = None
        return found

    def warm_up(self, n_passes: int) -> int:
        """Embed silence at every size of batch, and give the median time of a pass of one, in ns.

        Raises
        ------
        Exception
            What the encoder fails with.
        """
        for n_windows in range(MAX_BATCH, 0, -1):
            self.recogniser.recognise(self._batch[:n_windows])
        costs_ns = []
        for _ in range(n_passes):
            started_ns = time.monotonic_ns()
            self.recogniser.recognise(self._batch[:1])
            costs_ns.append(time.monotonic_ns() - started_ns)
        return sorted(costs_ns)[n_passes // 2]
