"""The budget under an encoder that takes 5 to 200 ms at random, in virtual time.

With a deadline of 50 ms it is kept, and answers turn into reflexes; with a deadline so far away
that every token is waited for, it is not: what is kept is kept by enforcing it.
"""

from pathlib import Path

import numpy as np
import pytest

from benchmarks import enforcement
from realtime.budget import Budget, BudgetConfig, Predictor, ms_to_ns
from realtime.clock import StreamClock
from realtime.ensemble import Ensemble
from realtime.midi import NotePlayer
from realtime.rehearsal import VirtualScheduler
from realtime.report import Performance
from realtime.responder import Responder
from tests.realtime.midi_doubles import MemorySink
from tests.realtime.stage_doubles import RATE_HZ, FakeImproviser, attack, ms

SLOW_MS = (5.0, 200.0)
QUICK_MS = (4.0, 6.0)
TARGET_NS = ms_to_ns(50)
N_EVENTS = 400
INTERVAL_MS = 180.0
HEARD_MS = 20.0


class SlowEncoder:
    """A worker that runs one pass at a time, each of a random length."""

    def __init__(self, scheduler: VirtualScheduler, pass_ms: tuple[float, float]) -> None:
        self._scheduler = scheduler
        self._pass_ms = pass_ms
        self._rng = np.random.default_rng(0)
        self._predictor = Predictor(ms_to_ns(pass_ms[0]))
        self._due: list[tuple[int, int, int]] = []
        self._busy_since_ns = 0
        self.responder: Responder | None = None

    def ask(self, index: int, end_frame: int, useful_until_ns: int, memory: int) -> None:
        """Take a request."""
        self._due.append((index, end_frame, useful_until_ns))
        if not self._busy_since_ns:
            self._begin()

    def predict_finish_ns(self, now_ns: int, memory: int) -> int:
        """Predict as the engine does."""
        return self._predictor.finish_ns(now_ns, self._busy_since_ns)

    def _begin(self) -> None:
        assert self.responder is not None
        now_ns = self._scheduler.now_ns()
        batch = [request for request in self._due if request[2] >= now_ns]
        for index, _, _ in set(self._due) - set(batch):
            self.responder.miss(index)
        self._due.clear()
        if batch:
            self._busy_since_ns = now_ns
            pass_s = self._rng.uniform(*self._pass_ms) / 1e3
            self._scheduler.call_at(self._scheduler.now_s() + pass_s, self._finish, batch)

    def _finish(self, batch: list[tuple[int, int, int]]) -> None:
        assert self.responder is not None
        self._predictor.record(self._scheduler.now_ns() - self._busy_since_ns)
        self._busy_since_ns = 0
        for index, end_frame, _ in batch:
            self.responder.recognise(7, end_frame, index)
        self._begin()


def performed(pass_ms: tuple[float, float], budget: BudgetConfig) -> Performance:
    """Play to 400 onsets with an encoder of that speed."""
    scheduler = VirtualScheduler()
    encoder = SlowEncoder(scheduler, pass_ms)
    performance = Performance()
    with NotePlayer([MemorySink()], scheduler) as player:
        responder = encoder.responder = Responder(
            ensemble=Ensemble([FakeImproviser()], RATE_HZ),
            player=player,
            scheduler=scheduler,
            clock=StreamClock.exact(RATE_HZ, 0),
            rate_hz=RATE_HZ,
            budget=Budget(budget),
            performance=performance,
            ask=encoder.ask,
            predict_finish_ns=encoder.predict_finish_ns,
        )
        for index in range(N_EVENTS):
            onset_frame = ms(INTERVAL_MS * (index + 1))
            decided_ns = ms_to_ns(INTERVAL_MS * (index + 1) + HEARD_MS)
            scheduler.advance(decided_ns)
            responder.hear(
                attack(index, onset_frame, heard_frames=ms(HEARD_MS), published_ns=decided_ns)
            )
        scheduler.finish()
    assert performance.n_answers == performance.n_events == N_EVENTS
    return performance


@pytest.fixture(scope="module")
def quick() -> Performance:
    """Perform with an encoder that fits the budget."""
    return performed(QUICK_MS, BudgetConfig())


@pytest.fixture(scope="module")
def enforced() -> Performance:
    """Perform with the slow encoder and a deadline of 50 ms."""
    return performed(SLOW_MS, BudgetConfig())


@pytest.fixture(scope="module")
def unenforced() -> Performance:
    """Perform with the slow encoder, and all the time in the world."""
    return performed(SLOW_MS, BudgetConfig(target_ms=60_000.0))


def test_an_encoder_that_fits_is_waited_for(quick: Performance) -> None:
    """Every answer is considered."""
    assert quick.considered_share == 1.0
    assert quick.event_latency.max_ns < TARGET_NS


def test_a_slow_encoder_makes_no_answer_late(enforced: Performance) -> None:
    """Not even the slowest of them."""
    assert enforced.event_latency.percentile_ns(99) < TARGET_NS
    assert enforced.late_notes == 0


def test_the_share_of_reflexes_grows_instead(enforced: Performance, quick: Performance) -> None:
    """A token that has not heard the note is in use in most answers."""
    assert enforced.considered_share < 0.5 < quick.considered_share
    assert enforced.late_tokens + enforced.n_considered > N_EVENTS // 2


def test_without_a_deadline_the_answers_are_late(unenforced: Performance) -> None:
    """All considered, and hardly one in time."""
    assert unenforced.considered_share > 0.9
    assert unenforced.event_latency.percentile_ns(50) > TARGET_NS
    assert unenforced.event_latency.percentile_ns(99) > 3 * TARGET_NS


def test_the_benchmark_of_it_plays_in_real_time(take_memory: Path) -> None:
    """A second of it: every event has an answer or a reason, and tokens came late."""
    report = enforcement.perform(take_memory, BudgetConfig().target_ms, 1.0)
    assert report["n_events"] == report["n_answers"] + sum(report["unanswered"].values()) > 0
    assert report["dropped_blocks"] == report["refused_records"] == 0
