"""Meter: how loud an input or a recording is and what is wrong with it, in words.

Runs on the thread of whoever listens, never on the way of a note. It measures what the program
hears, one mono stream; what it says is for the player whose notes are not answered, or not learned.
"""

import math
from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

FULL_SCALE: Final = 0.999
"""A converter's last step: a sample from here on is as large as it can be."""
CLIPPED_RUN: Final = 3
"""So many samples at full scale, one after the other, no instrument makes."""
OFFSET: Final = 0.02
"""A mean so far from 0 is louder than any gate, and no note ends in it."""
LOUDER_DB: Final = 20.0
"""A channel that much louder than the one listened to is the one that is meant."""

MOMENT_FRAMES: Final = 1024
"""Over which a level is taken."""
SILENT_DBFS: Final = -math.inf


class Meter:
    """Measures a mono stream, block by block of any sizes. One thread.

    Attributes
    ----------
    n_frames : int
    peak : float
        The largest magnitude; ±1 is full scale.
    loudest_dbfs : float
        RMS of the loudest moment; −inf where every sample was 0.
    n_clipped : int
        Samples in runs of full scale.
    """

    def __init__(self) -> None:
        self.n_frames = 0
        self.peak = 0.0
        self.loudest_dbfs = SILENT_DBFS
        self.n_clipped = 0
        self._sum = 0.0

    def take(self, block: NDArray[np.float32]) -> None:
        """Measure the next block [shape=(n ≥ 1,), float32]."""
        self.n_frames += block.size
        self.peak = max(self.peak, float(np.abs(block).max()))
        begins = np.arange(0, block.size, MOMENT_FRAMES)
        sums = np.add.reduceat(np.square(block, dtype=np.float64), begins)
        power = float((sums / np.diff(begins, append=block.size)).max())
        self.loudest_dbfs = max(self.loudest_dbfs, _dbfs(power))
        self._sum += float(block.sum(dtype=np.float64))
        if self.peak >= FULL_SCALE:
            self.n_clipped += _n_clipped(block)

    @property
    def offset(self) -> float:
        """The mean of all samples."""
        return self._sum / max(1, self.n_frames)


def level_dbfs(block: NDArray[np.float32]) -> float:
    """Return a block's RMS level, −inf where it is all 0."""
    return _dbfs(float(np.square(block, dtype=np.float64).mean()))


def findings(
    meter: Meter,
    n_events: int,
    gate_dbfs: float,
    channels_dbfs: Sequence[float] = (),
    *,
    is_live: bool = True,
) -> Iterator[str]:
    """Say what keeps the program from hearing, a sentence each, the most telling first.

    Parameters
    ----------
    n_events
        Heard in what `meter` has measured.
    gate_dbfs
        Of the listener: what is softer is silence.
    channels_dbfs
        The level of each of the input's channels, where somebody looked.
    is_live
        Whether it is an input, which can be switched and connected, and no recording.
    """
    if not meter.n_frames:
        yield "No sound has arrived."
        return
    if not n_events:
        yield from _why_nothing(meter, gate_dbfs, is_live=is_live)
    best = max(channels_dbfs, default=SILENT_DBFS)
    if best > max(gate_dbfs, meter.loudest_dbfs + LOUDER_DB):
        yield (
            f"Channel {list(channels_dbfs).index(best) + 1} is at {best:.0f} dBFS: listen to that "
            "one with --channel, or [capture] channel."
        )
    if meter.n_clipped:
        yield (
            f"The input clips ({meter.n_clipped} samples at full scale): turn its gain down, as "
            "what is cut off sounds like noise."
        )
    elif abs(meter.offset) > OFFSET:  # what is cut off on one side only has a mean, too
        yield (
            f"The input is off its zero line by {meter.offset:+.2f} of full scale, so no note ever "
            "ends: use another cable or converter, or switch on its high-pass filter."
        )


def _why_nothing(meter: Meter, gate_dbfs: float, *, is_live: bool) -> Iterator[str]:
    """Say why there was no event."""
    if meter.peak == 0.0 and not is_live:
        yield "Every sample is 0: it was recorded from a muted input, or another channel is meant."
    elif meter.peak == 0.0:
        yield (
            "Every sample is 0: the input is muted or unplugged, or another channel is meant; on "
            "macOS the terminal may lack the permission to use the microphone (System Settings, "
            "Privacy & Security)."
        )
    elif meter.loudest_dbfs < gate_dbfs:
        yield (
            f"The loudest was {meter.loudest_dbfs:.0f} dBFS, below [listener] gate_dbfs = "
            f"{gate_dbfs:g}: turn the input's gain up, or lower the gate."
        )
    else:
        yield (
            f"There is sound, at most {meter.loudest_dbfs:.0f} dBFS, but no note begins and ends "
            "in it: it is steady, like hum or hiss, or too soft against it; play louder or nearer."
        )


def _dbfs(power: float) -> float:
    return 10 * math.log10(power) if power > 0 else SILENT_DBFS


def _n_clipped(block: NDArray[np.float32]) -> int:
    """Count the samples that lie in runs of full scale."""
    is_full = np.abs(block) >= FULL_SCALE
    edges = np.flatnonzero(np.diff(np.concatenate(([False], is_full, [False]))))
    lengths = edges[1::2] - edges[::2]
    return int(lengths[lengths >= CLIPPED_RUN].sum())
