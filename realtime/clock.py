"""Stream clock: which monotonic moment a frame belongs to.

One thread follows the stamps of an audio source; any thread may ask. A line is fitted through the
stamps: position against the host time at which that frame was at the converter. It never sleeps,
and no answer waits for a lock: a new line replaces the old one whole.

A callback can be late but never early, so of every quarter of a second only the earliest stamp
counts; the line's slope is the median of the slopes between any two of those (Theil 1950, Sen
1968), which is the same if a quarter of them are wrong. Where frames were lost a new line begins:
positions before the gap keep theirs.
"""

import math
from collections import deque
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from realtime.monotonic import NS_PER_S
from realtime.source import INPUT_OVERFLOW

_BIN_S: Final = 0.25
_N_BINS: Final = 48  # 12 s: long against jitter, short against a crystal's warming up
_MIN_BINS_FOR_DRIFT: Final = 8
_EARLY_QUANTILE: Final = 0.25
_STEP_NS: Final = 3_000_000
"""A quarter of a second in which no stamp comes closer than this is lost sound, not lateness."""

_MAX_AGE_S: Final = 2.0
_N_LINES: Final = 16
_NO_STAMP: Final = (math.inf, 0, 0.0)  # where it puts the line's origin, its frame, its time


class _Line(NamedTuple):
    """Maps the positions from `frame` on."""

    frame: int
    ns: float
    ns_per_frame: float

    def ns_at(self, frame: int) -> float:
        return self.ns + (frame - self.frame) * self.ns_per_frame


class StreamClock:
    """Relate frame positions to `time.monotonic_ns`.

    Parameters
    ----------
    rate_hz
        The nominal rate; the true one is found from the stamps.
    latency_s
        The stream's stated input latency, for host APIs that give no ADC time. A block's first
        frame is then taken to be as old as the block is long and this much more: rather too old,
        as most APIs count one block in.
    """

    def __init__(self, rate_hz: float, *, latency_s: float = 0.0) -> None:
        self._nominal_ns = NS_PER_S / rate_hz
        self._latency_ns = latency_s * NS_PER_S
        self._bin_frames = _BIN_S * rate_hz
        self._lines: tuple[_Line, ...] = ()
        self._bins: deque[tuple[int, float]] = deque(maxlen=_N_BINS)
        self._dropped_frames = 0
        self._bin_frame = 0
        self._earliest = _NO_STAMP

    @classmethod
    def exact(cls, rate_hz: float, start_ns: int) -> "StreamClock":
        """Make a clock that needs no stamps: frame 0 at `start_ns` and every frame on time."""
        clock = cls(rate_hz)
        clock._lines = (_Line(0, float(start_ns), clock._nominal_ns),)
        return clock

    def monotonic_ns(self, frame: int) -> int:
        """Return when the frame at this position was at the converter. Any thread.

        Raises
        ------
        RuntimeError
            No stamp has been followed yet.
        """
        line = self._newest_line()
        for older in reversed(self._lines):
            line = older
            if frame >= line.frame:
                break
        return round(line.ns_at(frame))

    def follow(self, stamps: NDArray[Any]) -> None:
        """Take new stamps into account. One thread only.

        Parameters
        ----------
        stamps
            [shape=(n,), `STAMP_DTYPE`] In the order they were made; some may be missing.
        """
        for frame, dropped_frames, status, ns in zip(
            stamps["frame"].tolist(),
            stamps["dropped_frames"].tolist(),
            stamps["status"].tolist(),
            self._adc_ns(stamps).tolist(),
            strict=True,
        ):
            is_gap = dropped_frames != self._dropped_frames or status & INPUT_OVERFLOW
            self._dropped_frames = dropped_frames
            if is_gap or not self._lines:
                self._begin_line(frame, ns)
            elif frame - self._bin_frame >= self._bin_frames:
                self._close_bin(frame)
            line = self._lines[-1]
            # where this stamp would have the line begin: the line itself moves within the bin
            origin_ns = ns - (frame - line.frame) * line.ns_per_frame
            self._earliest = min(self._earliest, (origin_ns, frame, ns))
            if origin_ns < line.ns and not self._bins:  # no fit yet: the best guess so far
                self._replace_line(line._replace(ns=origin_ns))

    def _adc_ns(self, stamps: NDArray[Any]) -> NDArray[np.float64]:
        """Return when each stamp's first frame was at the converter."""
        age_s = stamps["current_s"] - stamps["adc_s"]
        is_stated = (stamps["adc_s"] > 0) & (age_s >= 0) & (age_s <= _MAX_AGE_S)
        assumed_ns = stamps["n_frames"] * self._nominal_ns + self._latency_ns
        ages_ns: NDArray[np.float64] = np.where(is_stated, age_s * NS_PER_S, assumed_ns)
        return stamps["host_ns"] - ages_ns

    def _begin_line(self, frame: int, ns: float) -> None:
        """Begin anew at a frame of which only this is known; the drift stays what it was."""
        ns_per_frame = self._lines[-1].ns_per_frame if self._lines else self._nominal_ns
        self._lines = (*self._lines, _Line(frame, ns, ns_per_frame))[-_N_LINES:]
        self._bins.clear()
        self._open_bin(frame)

    def _open_bin(self, frame: int) -> None:
        self._bin_frame = frame
        self._earliest = _NO_STAMP

    def _close_bin(self, next_frame: int) -> None:
        """Fit the line to the bins, or begin a new one where the last bin shows a step."""
        _, frame, ns = self._earliest
        if abs(ns - self._lines[-1].ns_at(frame)) > _STEP_NS:
            self._begin_line(frame, ns)
        self._bins.append((frame, ns))
        self._replace_line(_fitted(self._lines[-1], np.array(self._bins)))
        self._open_bin(next_frame)

    def _replace_line(self, line: _Line) -> None:
        self._lines = (*self._lines[:-1], line)

    def _newest_line(self) -> _Line:
        if not self._lines:
            raise RuntimeError("the clock has followed no stamp yet")
        return self._lines[-1]


def _fitted(line: _Line, bins: NDArray[np.float64]) -> _Line:
    """Return `line` moved and turned to fit the earliest stamps [shape=(n, 2), (frame, ns)]."""
    frames = bins[:, 0] - line.frame
    late_ns = bins[:, 1] - line.ns - frames * line.ns_per_frame
    turn = 0.0
    if len(bins) >= _MIN_BINS_FOR_DRIFT:
        i, j = np.triu_indices(len(bins), 1)
        turn = float(np.median((late_ns[j] - late_ns[i]) / (frames[j] - frames[i])))
    move_ns = float(np.quantile(late_ns - turn * frames, _EARLY_QUANTILE))
    return line._replace(ns=line.ns + move_ns, ns_per_frame=line.ns_per_frame + turn)
