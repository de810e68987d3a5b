"""Twins of the real parts, for tests that are about something else."""

import numpy as np
from numpy.typing import NDArray

from models.encoder import EncoderSpec, check_windows


class FakeEncoder:
    """Embeds a window as the levels of its equal parts: exact, instant, no model."""

    notice = "A test's encoder: it hears levels only."
    device = "cpu"

    def __init__(self, *, rate_hz: int = 24_000, window_s: float = 0.1, dim: int = 8) -> None:
        self.spec = EncoderSpec(
            name="fake",
            revision="fake-1",
            rate_hz=rate_hz,
            window_frames=round(window_s * rate_hz),
            dim=dim,
        )
        self.n_windows_seen = 0
        self.gain = 1.0

    def encode(self, windows: NDArray[np.float32]) -> NDArray[np.float32]:
        """Give the root mean square of each of `dim` equal parts."""
        check_windows(windows, self.spec)
        self.n_windows_seen += len(windows)
        parts = np.array_split(windows, self.spec.dim, axis=1)
        levels = [np.sqrt((part * part).mean(axis=1)) for part in parts]
        return np.stack(levels, axis=1) * np.float32(self.gain)
