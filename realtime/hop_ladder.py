"""Hop ladder: how often the encoder reads unasked, which is the first thing to go when it is late.

Followed once a second on the loop thread. Tokens that come too late, or not at all, step the hop
down, so that the encoder is free when the next note comes; after a calm while it steps up again.
Between the two lies a stretch in which nothing moves, so that it does not swing.
"""

from typing import Final

RUNGS: Final = (1, 2, 4, 8)
"""How many times as long the hop is on each rung."""

OVERRUNS: Final = 3
"""This many within `MEMORY_S` are no accident."""

MEMORY_S: Final = 5.0
CALM_S: Final = 20.0


class HopLadder:
    """The hop as it is now.

    Parameters
    ----------
    hop_s
        The hop of the uppermost rung.

    Attributes
    ----------
    n_down, n_up : int
        Steps so far.
    """

    def __init__(self, hop_s: float) -> None:
        self._hop_s = hop_s
        self._rung = 0
        self._n_known = 0
        self._recent_s: list[float] = []
        self._disturbed_s = 0.0
        self.n_down = 0
        self.n_up = 0

    @property
    def hop_s(self) -> float:
        """How long without an event until the encoder reads unasked."""
        return self._hop_s * RUNGS[self._rung]

    def follow(self, now_s: float, n_overruns: int) -> bool:
        """Take the overruns so far into account, and say whether the hop has changed."""
        n_new, self._n_known = n_overruns - self._n_known, n_overruns
        self._recent_s = [at_s for at_s in self._recent_s if now_s - at_s < MEMORY_S]
        self._recent_s += [now_s] * min(n_new, OVERRUNS)
        if n_new:
            self._disturbed_s = now_s
        if len(self._recent_s) >= OVERRUNS:
            self._recent_s.clear()
            return self._move(1)
        if now_s - self._disturbed_s >= CALM_S:
            self._disturbed_s = now_s
            return self._move(-1)
        return False

    def _move(self, n_rungs: int) -> bool:
        """Move, if there is a rung to move to."""
        if not 0 <= self._rung + n_rungs < len(RUNGS):
            return False
        self._rung += n_rungs
        self.n_down += n_rungs > 0
        self.n_up += n_rungs < 0
        return True
