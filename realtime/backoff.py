"""Back-off: when to try again what has failed: soon at first, then less and less often.

Any one thread. It knows no clock: moments are given, in seconds of any clock that only grows.
"""

import math

FIRST_S = 1.0
LONGEST_S = 30.0


class Backoff:
    """What may be tried from the start, and after a failure when its time has come.

    Each failure doubles the wait, up to `longest_s`; what went well for as long begins anew.
    """

    def __init__(self, longest_s: float = LONGEST_S) -> None:
        self._longest_s = longest_s
        self._wait_s = 0.0
        self._until_s = -math.inf

    def fail(self, now_s: float) -> None:
        """Wait from now on."""
        is_again = now_s < self._until_s + self._longest_s
        self._wait_s = min(2 * self._wait_s, self._longest_s) if is_again else FIRST_S
        self._until_s = now_s + self._wait_s

    def may_try(self, now_s: float) -> bool:
        """Say whether the wait is over."""
        return now_s >= self._until_s
