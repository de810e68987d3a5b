"""Budget: how long each stage may take, and what an event may still wait for.

Called on the loop thread. It only compares numbers: it never sleeps, locks or logs. Every event has
a deadline, `target_ms` after the first frame of its onset. Before the engine waits for the encoder
it asks whether the predicted finish leaves room for the oracle and the port, as long as both lately
took; if not, the answer is a reflex. An encoder never gets longer to hear than learning gave it:
with more of the note its windows would be others than those that the codebook was learned from.
"""

import math
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from models.hearing import DEFAULT_LISTEN_MS

NS_PER_MS: Final = 1_000_000
_OVERDUE: Final = 2
"""What has taken this many times what was predicted may never end."""
_NEVER_NS: Final = 1 << 62


def ms_to_ns(duration_ms: float) -> int:
    """Convert milliseconds to whole nanoseconds."""
    return round(duration_ms * NS_PER_MS)


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetConfig:
    """The ``[budget]`` table: what an answer may cost, stage by stage, in milliseconds.

    Raises
    ------
    ValueError
        A budget is not positive, or the stages together exceed the target.
    """

    target_ms: float = 50.0
    capture_ms: float = 8.0
    listen_ms: float = DEFAULT_LISTEN_MS
    inference_ms: float = 24.0
    oracle_ms: float = 3.0
    midi_ms: float = 2.0
    considered_min_ms: float = 10.0
    late_notes: Literal["send", "drop"] = "send"

    def __post_init__(self) -> None:
        """Refuse budgets that do not add up."""
        for name in ("target_ms", *STAGES_MS):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be above 0, got {getattr(self, name)}")
        if not 0 <= self.considered_min_ms < self.target_ms:
            raise ValueError(
                f"considered_min_ms must be at least 0 and below target_ms, "
                f"got {self.considered_min_ms}"
            )
        total_ms = sum(getattr(self, name) for name in STAGES_MS)
        if total_ms > self.target_ms:
            raise ValueError(
                f"the stages add up to {total_ms:g} ms but target_ms is {self.target_ms:g}: "
                f"lower one of {', '.join(STAGES_MS)} or raise target_ms"
            )

    @property
    def stages_ms(self) -> dict[str, float]:
        """Map each stage's name to its budget."""
        return {name.removesuffix("_ms"): getattr(self, name) for name in STAGES_MS}


STAGES_MS: Final = ("capture_ms", "listen_ms", "inference_ms", "oracle_ms", "midi_ms")


class Predictor:
    """Predict how long something takes: a high percentile of the last times. Loop thread only.

    Four of five are in time: one that is not costs a reflex at the last moment for it, never the
    deadline, while the 95th gave reflexes to most (82 % of answers with MERT on two cores).

    Parameters
    ----------
    first_ns
        What the warm-up measured; it counts as one time.
    """

    _N_RECENT: Final = 64
    _PERCENT: Final = 80.0

    def __init__(self, first_ns: int) -> None:
        self._recent_ns = np.zeros(self._N_RECENT, np.int64)
        self._n_recorded = 0
        self.predicted_ns = 0
        self.record(first_ns)

    def record(self, duration_ns: int) -> None:
        """Take one more time into account."""
        self._recent_ns[self._n_recorded % self._N_RECENT] = duration_ns
        self._n_recorded += 1
        recent_ns = self._recent_ns[: self._n_recorded]
        rank = int(recent_ns.size * self._PERCENT / 100.0)
        self.predicted_ns = int(np.partition(recent_ns, rank)[rank])

    def finish_ns(self, now_ns: int, busy_since_ns: int) -> int:
        """Predict when what begins now, or after what is under way, is done.

        Parameters
        ----------
        busy_since_ns
            When what is under way began; 0 for nothing. Nothing is expected of what is overdue.
        """
        if busy_since_ns == 0:
            return now_ns + self.predicted_ns
        if now_ns > busy_since_ns + _OVERDUE * self.predicted_ns:
            return _NEVER_NS
        return max(now_ns, busy_since_ns + self.predicted_ns) + self.predicted_ns


class Budget:
    """The deadlines of one performance. Loop thread only."""

    def __init__(self, config: BudgetConfig) -> None:
        self.config = config
        self._target_ns = ms_to_ns(config.target_ms)
        self._deciding_budget_ns = ms_to_ns(config.oracle_ms + config.midi_ms)
        self._deciding = Predictor(0)
        self._considered_min_ns = ms_to_ns(config.considered_min_ms)

    def deadline_ns(self, onset_ns: int) -> int:
        """Return when the answer to an onset must have been handed to the port."""
        return onset_ns + self._target_ns

    def last_wait_ns(self, onset_ns: int) -> int:
        """Return until when the engine may wait for a token.

        The oracle and the port follow: they have their budgets, or what they lately took, if more.
        """
        deciding_ns = max(self._deciding_budget_ns, self._deciding.predicted_ns)
        return self.deadline_ns(onset_ns) - deciding_ns

    def record_deciding(self, duration_ns: int) -> None:
        """Take into account how long it took from the token, or from giving it up, to the port."""
        self._deciding.record(duration_ns)

    def may_wait(self, onset_ns: int, predicted_finish_ns: int) -> bool:
        """Say whether a pass predicted to finish then still fits the event's deadline."""
        return predicted_finish_ns <= self.last_wait_ns(onset_ns)

    def is_considered(self, heard_ns: int) -> bool:
        """Say whether a token that heard this much of the note knows enough of it to count."""
        return heard_ns >= self._considered_min_ns

    def is_late(self, onset_ns: int, now_ns: int) -> bool:
        """Say whether a note handed to the port now would miss its deadline."""
        return now_ns > self.deadline_ns(onset_ns)


def unmet(config: BudgetConfig, *, heard_ms: float, block_ms: float, pass_ms: float) -> str | None:
    """Say what cannot be kept on this machine, and what to change; None if all can.

    Parameters
    ----------
    heard_ms
        How much of a note is heard before it is decided.
    block_ms
        How long the input keeps what it hears.
    pass_ms
        What a pass of the encoder took when it was warmed up.
    """
    left_ms = config.target_ms - heard_ms - block_ms - config.oracle_ms - config.midi_ms
    if pass_ms <= min(left_ms, config.inference_ms):
        return None
    took = f"A pass of the encoder takes {pass_ms:.0f} ms on this machine"
    if pass_ms <= left_ms:
        return (
            f"{took} and [budget] inference_ms is {config.inference_ms:g}: raise it to at least "
            f"{math.ceil(pass_ms)}, which the target still has room for."
        )
    return (
        f"{took}, but of the {config.target_ms:g} ms of [budget] target_ms "
        f"{max(left_ms, 0.0):.0f} are left for it: answers will be reflexes. Learn with a shorter "
        "[encoder] window_s or a lower layer, or with --encoder spectral; or raise target_ms to "
        f"{math.ceil(config.target_ms + pass_ms - left_ms)}."
    )
