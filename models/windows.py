"""The window: the newest stretch of audio, at the encoder's rate.

A window is a pure function of the frames it is cut from, resampled in one go. A streaming resampler
would withhold the newest 4–39 ms (soxr HQ, measured), which are the attack an event is asked about;
one-shot hears all of it, for 0.07–0.2 ms per second of audio, and makes training and stage agree
by construction. It runs in the encoder worker's thread (and in training) and never keeps state
between windows.
"""

import numpy as np
import soxr
from numpy.typing import NDArray

from models.encoder import EncoderSpec

QUALITY = "HQ"
"""soxr's recipe: 20-bit precision, linear phase."""


class WindowCutter:
    """Cuts encoder windows from device-rate audio.

    Parameters
    ----------
    rate_hz
        Device rate.
    spec
        Whose rate and window length to meet.

    Attributes
    ----------
    n_frames : int
        Device frames one window is made of; they end where the window ends.
    window_frames : int
        Frames of the window, at the encoder's rate.

    Raises
    ------
    ValueError
        A rate below 1 Hz.
    """

    def __init__(self, rate_hz: int, spec: EncoderSpec) -> None:
        if rate_hz < 1:
            raise ValueError(f"rate_hz is {rate_hz}, needs at least 1")
        self.window_frames = spec.window_frames
        self.n_frames = -(-spec.window_frames * rate_hz // spec.rate_hz)
        self._rate_hz = rate_hz
        self._encoder_rate_hz = spec.rate_hz

    def cut(
        self, frames: NDArray[np.float32], out: NDArray[np.float32] | None = None
    ) -> NDArray[np.float32]:
        """Resample the newest frames to one window.

        Parameters
        ----------
        frames
            [shape=(n_frames,), float32]; zeros stand for what was before the stream's start.
        out
            [shape=(window_frames,), float32], such as a row of a batch; new if None.

        Returns
        -------
        ndarray[shape=(window_frames,), float32]
            `out`.

        Raises
        ------
        ValueError
            `frames` or `out` of another shape.
        """
        if frames.shape != (self.n_frames,):
            raise ValueError(f"frames has shape {frames.shape}, needs ({self.n_frames},)")
        if out is None:
            out = np.empty(self.window_frames, np.float32)
        if out.shape != (self.window_frames,):
            raise ValueError(f"out has shape {out.shape}, needs ({self.window_frames},)")
        if self._rate_hz != self._encoder_rate_hz:
            frames = soxr.resample(frames, self._rate_hz, self._encoder_rate_hz, QUALITY)
        # device frames were rounded up, so there may be a few too many: drop the oldest
        out[:] = frames[-self.window_frames :]
        return out


class WindowStream:
    """Cuts windows from a stream that arrives in blocks, in one thread.

    Parameters
    ----------
    cutter
        What cuts them; before the stream's first frame there is silence.

    Attributes
    ----------
    window_frames : int
        As the cutter has it.
    """

    def __init__(self, cutter: WindowCutter) -> None:
        self.window_frames = cutter.window_frames
        self._cutter = cutter
        self._position = 0
        # the newest block and, before it, as many frames as a window has
        self._frames = np.zeros(cutter.n_frames, np.float32)

    def append(self, block: NDArray[np.float32]) -> None:
        """Take the next frames [shape=(n,), float32]."""
        before = self._frames[-self._cutter.n_frames :]
        self._frames = np.concatenate([before, block])
        self._position += len(block)

    def cut(self, end_frame: int, out: NDArray[np.float32] | None = None) -> NDArray[np.float32]:
        """Cut the window that ends at `end_frame`, a position inside the newest block or its end.

        Raises
        ------
        ValueError
            The position is further back or not yet heard.
        """
        end = end_frame - self._position + len(self._frames)
        if not self._cutter.n_frames <= end <= len(self._frames):
            raise ValueError(f"end_frame is {end_frame}, which is not in the newest block")
        return self._cutter.cut(self._frames[end - self._cutter.n_frames : end], out)
