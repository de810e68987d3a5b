"""Histogram: durations counted in log-linear buckets, for percentiles that cost nothing to write.

Written by one owner thread, readable by any other while it is written: a count is one int64 that
only grows. It never allocates after construction and never forgets.

The buckets follow HdrHistogram (Gil Tene): below 128 ns each nanosecond has its own, above that
every power of two is cut into 64, so a percentile is at most 1.6 % too high and never too low.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

_SUB_BUCKET_BITS: Final = 6
_SUB_BUCKETS: Final = 1 << _SUB_BUCKET_BITS
_LARGEST_NS: Final = (1 << 40) - 1  # 18 minutes: longer is counted as that
_N_BUCKETS: Final = (40 - _SUB_BUCKET_BITS + 1) * _SUB_BUCKETS


class Histogram:
    """Counts of durations in nanoseconds. Owner thread writes; any thread may read.

    Attributes
    ----------
    max_ns : int
        The longest duration.
    n_negative : int
        Durations below 0, counted as 0: where time cannot run back, a clock is wrong.
    """

    __slots__ = ("_counts", "max_ns", "n_negative")

    N_WORDS: Final = 2 + _N_BUCKETS
    """What `write_to` fills."""

    def __init__(self) -> None:
        self._counts = np.zeros(_N_BUCKETS, np.int64)
        self.max_ns = 0
        self.n_negative = 0

    @property
    def n(self) -> int:
        """How many durations were recorded."""
        return int(self._counts.sum())

    def record(self, duration_ns: int) -> None:
        """Count one duration; a negative one counts as 0. Owner thread only."""
        self.n_negative += duration_ns < 0
        value = min(max(duration_ns, 0), _LARGEST_NS)
        shift = max(value.bit_length() - _SUB_BUCKET_BITS - 1, 0)
        self._counts[(shift << _SUB_BUCKET_BITS) + (value >> shift)] += 1
        if value > self.max_ns:
            self.max_ns = value

    def write_to(self, words: NDArray[np.int64]) -> None:
        """Copy everything to `words` [shape=(N_WORDS,)], such as another process's memory."""
        words[0], words[1], words[2:] = self.max_ns, self.n_negative, self._counts

    def read_from(self, words: NDArray[np.int64]) -> None:
        """Become what `write_to` has copied."""
        self.max_ns, self.n_negative, self._counts = int(words[0]), int(words[1]), words[2:].copy()

    def percentile_ns(self, percent: float) -> int:
        """Return the smallest bucket edge that at least `percent` of the durations stay within.

        Returns
        -------
        int
            Nanoseconds, never above the largest duration seen; 0 when nothing was recorded.
        """
        counts = self._counts.copy()
        total = int(counts.sum())
        if total == 0:
            return 0
        wanted = max(int(np.ceil(total * percent / 100.0)), 1)
        bucket = int(np.searchsorted(np.cumsum(counts), wanted))
        return min(_upper_edge_ns(bucket), self.max_ns)

    def summary_ms(self) -> dict[str, float]:
        """Return p50, p95, p99 and max in milliseconds, the form every report uses."""
        values = {f"p{percent}": self.percentile_ns(percent) for percent in (50, 95, 99)}
        values["max"] = self.max_ns
        return {name: round(value / 1e6, 3) for name, value in values.items()}


def _upper_edge_ns(bucket: int) -> int:
    """Return the largest duration that falls into `bucket`."""
    shift = max((bucket >> _SUB_BUCKET_BITS) - 1, 0)
    value = bucket - (shift << _SUB_BUCKET_BITS)
    return ((value + 1) << shift) - 1
