"""Stopwatch: what each stage of the way from a note to its answer took, and how late that made it.

Loop thread only, after the answer is out. It measures nothing itself: the moments are given, and
what they are apart is added to a performance's histograms, and to the budget's own.
"""

import numpy as np

from realtime.budget import Budget
from realtime.clock import StreamClock
from realtime.report import Performance


class Stopwatch:
    """Times the events of one performance.

    Parameters
    ----------
    clock
        From frame positions to the clock that the moments are in.
    """

    def __init__(self, performance: Performance, clock: StreamClock, budget: Budget) -> None:
        self._performance = performance
        self._clock = clock
        self._budget = budget

    def hear(self, attack: np.void, onset_ns: int) -> None:
        """Time what came before an event was taken."""
        decision_ns = self._clock.monotonic_ns(int(attack["decision_frame"]))
        popped_ns, published_ns = int(attack["popped_ns"]), int(attack["published_ns"])
        stages = self._performance.stages
        stages["capture"].record(popped_ns - decision_ns)
        stages["listen"].record(decision_ns - onset_ns + published_ns - popped_ns)
        self._performance.n_events += 1

    def answer(
        self,
        attack: np.void,
        onset_ns: int,
        heard_ns: int | None,
        *,
        deciding_ns: int,
        decided_ns: int,
        sent_ns: int,
    ) -> None:
        """Time an answer.

        Parameters
        ----------
        heard_ns
            How much of the note its token contains, below 0 if that ends before the note; None
            where there was no token.
        """
        performance = self._performance
        performance.n_answers += 1
        performance.stages["inference"].record(deciding_ns - int(attack["published_ns"]))
        performance.stages["oracle"].record(decided_ns - deciding_ns)
        performance.stages["midi"].record(sent_ns - decided_ns)
        performance.event_latency.record(sent_ns - onset_ns)
        self._budget.record_deciding(sent_ns - deciding_ns)
        if heard_ns is not None:
            performance.heard.record(heard_ns)
            performance.token_age.record(sent_ns - onset_ns - heard_ns)
