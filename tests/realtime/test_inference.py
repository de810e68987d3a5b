"""The encoder worker: every request is answered or skipped for a reason, and no failure is lost."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from models.codebook import Codebook
from models.windows import WindowCutter, WindowStream
from realtime import backoff
from realtime.doorbell import Doorbell
from realtime.inference import HOP, SKIPPED, TOKEN_DTYPE, EncoderWorker
from realtime.passes import MAX_BATCH, REQUEST_DTYPE
from realtime.recogniser import Recogniser
from realtime.ring import Observer, make_ring
from tests.fakes import FakeEncoder

RATE_HZ = 48_000
FOR_EVER = np.iinfo(np.int64).max
TIMEOUT_S = 10.0
NOISE = np.random.default_rng(0).uniform(-1, 1, 20_000).astype(np.float32)


class GatedEncoder(FakeEncoder):
    """A fake that, once its gate is shut, says when a pass begins and waits to be let through."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = threading.Event()
        self.gate.set()
        self.has_begun = threading.Event()
        self.batch_sizes: list[int] = []
        self.error: Exception | None = None

    def encode(self, windows: NDArray[np.float32]) -> NDArray[np.float32]:
        """Embed, or fail as told."""
        self.has_begun.set()
        assert self.gate.wait(TIMEOUT_S)
        self.batch_sizes.append(len(windows))
        if self.error is not None:
            raise self.error
        return super().encode(windows)


class Bench:
    """A worker between rings, with 20 000 frames of noise to hear."""

    def __init__(
        self,
        *,
        hop_s: float = 3600.0,
        capacity: int = 2**15,
        others: Sequence[Recogniser] = (),
    ) -> None:
        self.encoder = GatedEncoder()
        self.codebook = Codebook(
            np.random.default_rng(1).uniform(0, 1, (64, self.encoder.spec.dim)).astype(np.float32)
        )
        self.audio_in, self.audio = make_ring(capacity, np.float32)
        for block in np.split(NOISE, 20):
            self.audio_in.push_nowait(block)
            self.audio.release(block.size)
        self.requests, requests_out = make_ring(1024, REQUEST_DTYPE)
        tokens_in, self.tokens = make_ring(1024, TOKEN_DTYPE)
        self.work, self.done = Doorbell(), Doorbell()
        self.worker = EncoderWorker(
            recognisers=[Recogniser(self.encoder, {0: self.codebook}), *others],
            audio=Observer(self.audio_in.ring),
            rate_hz=RATE_HZ,
            requests=requests_out,
            tokens=tokens_in,
            work=self.work,
            done=self.done,
            hop_s=hop_s,
        )

    def ask(self, *requests: tuple[int, int, int], memory: int = 0) -> None:
        """Ask for windows: event index, end frame, useful until; in one go."""
        asked = [(*request, memory) for request in requests]
        self.requests.push_nowait(np.array(asked, REQUEST_DTYPE))
        self.work.ring()

    def answers(self, n: int) -> Any:
        """Wait for so many answers."""
        taken: list[Any] = []
        while sum(map(len, taken)) < n:
            assert self.done.wait(TIMEOUT_S)
            taken.append(self.tokens.pop_nowait())
        return np.concatenate(taken)

    def token(self, end_frame: int) -> int:
        """Give the token that training would give to the window that ends there."""
        stream = WindowStream(WindowCutter(RATE_HZ, self.encoder.spec))
        stream.append(NOISE[:end_frame])
        embedding = FakeEncoder().encode(stream.cut(end_frame)[np.newaxis])[0]
        return self.codebook.lookup(embedding)[0]

    def close(self) -> None:
        """End the worker, whatever it is at."""
        self.encoder.gate.set()
        assert self.worker.stop(TIMEOUT_S)
        self.work.close()
        self.done.close()


@pytest.fixture
def make_bench() -> Iterator[Callable[..., Bench]]:
    """Give a maker of benches, which are cleared after the test."""
    benches: list[Bench] = []

    def make(**settings: Any) -> Bench:
        benches.append(Bench(**settings))
        return benches[-1]

    yield make
    for bench in benches:
        bench.close()


@pytest.fixture
def bench(make_bench: Callable[..., Bench]) -> Bench:
    """Give a bench whose worker never hops."""
    return make_bench()


def test_a_worker_that_was_never_started_stops(bench: Bench) -> None:
    """An engine that fails before it starts stops everything it has."""
    assert bench.worker.stop(0.0)


def test_warming_up_runs_every_size_of_batch_and_publishes_nothing(bench: Bench) -> None:
    """What one pass costs is measured on passes of one."""
    (pass_ns,) = bench.worker.warm_up(n_passes=2)
    assert pass_ns > 0
    assert bench.encoder.batch_sizes == [4, 3, 2, 1, 1, 1]
    assert len(bench.tokens.pop_nowait()) == 0


def test_an_event_gets_the_token_of_its_window(bench: Bench) -> None:
    """That of the frames before its decision frame, silence before the first."""
    bench.worker.start()
    for index, end_frame in enumerate([100, 4800, 12_345, 20_000]):
        before_ns = time.monotonic_ns()
        bench.ask((index, end_frame, FOR_EVER))
        (answer,) = bench.answers(1)
        assert (answer["event_index"], answer["end_frame"]) == (index, end_frame)
        assert answer["token"] == bench.token(end_frame)
        assert before_ns <= answer["started_ns"] <= answer["finished_ns"] <= time.monotonic_ns()
    assert bench.worker.n_skipped == 0
    assert bench.worker.busy_since_ns == 0


def test_what_is_due_together_is_embedded_in_one_pass(bench: Bench) -> None:
    """In the order it was asked for."""
    bench.ask(*[(index, 5000 * (index + 1), FOR_EVER) for index in range(MAX_BATCH)])
    bench.worker.start()
    answers = bench.answers(MAX_BATCH)
    assert answers["event_index"].tolist() == list(range(MAX_BATCH))
    assert answers["token"].tolist() == [bench.token(5000 * n) for n in range(1, MAX_BATCH + 1)]
    assert bench.encoder.batch_sizes == [MAX_BATCH]


def test_the_latest_wins_when_it_falls_behind(bench: Bench) -> None:
    """While a pass runs more is asked than one can take: the oldest are skipped, and counted."""
    bench.encoder.gate.clear()
    bench.worker.start()
    bench.ask((0, 5000, FOR_EVER))
    assert bench.encoder.has_begun.wait(TIMEOUT_S)
    assert bench.worker.busy_since_ns > 0
    bench.ask(*[(index, 5000 + index, FOR_EVER) for index in range(1, MAX_BATCH + 3)])
    bench.encoder.gate.set()
    answers = bench.answers(MAX_BATCH + 3)
    skipped = answers["event_index"][answers["token"] == SKIPPED]
    assert skipped.tolist() == [1, 2]
    assert answers["event_index"].tolist() == list(range(MAX_BATCH + 3))
    assert bench.worker.n_skipped == 2


def test_a_window_that_is_of_no_more_use_is_not_embedded(bench: Bench) -> None:
    """The others of the pass are."""
    bench.ask((0, 5000, 0), (1, 6000, FOR_EVER), (2, 7000, time.monotonic_ns() - 1))
    bench.worker.start()
    answers = bench.answers(3)
    assert answers["token"].tolist() == [SKIPPED, bench.token(6000), SKIPPED]
    assert bench.encoder.batch_sizes == [1]
    assert bench.worker.n_skipped == 2


def test_audio_that_was_overwritten_is_skipped(make_bench: Callable[..., Bench]) -> None:
    """Of 20 000 frames the ring still holds the last 8192; a window needs 4800."""
    bench = make_bench(capacity=2**13)
    oldest_end = len(NOISE) - 2**13 + 4800
    bench.ask((0, oldest_end - 1, FOR_EVER), (1, oldest_end, FOR_EVER))
    bench.worker.start()
    assert bench.answers(2)["token"].tolist() == [SKIPPED, bench.token(oldest_end)]
    assert bench.worker.n_skipped == 1


def test_without_events_the_newest_window_is_embedded_unasked(
    make_bench: Callable[..., Bench],
) -> None:
    """Once a hop, so that a reflex has a token."""
    bench = make_bench(hop_s=0.001)
    bench.worker.start()
    answers = bench.answers(2)
    assert set(answers["event_index"]) == {HOP}
    assert set(answers["end_frame"]) == {len(NOISE)}
    assert set(answers["token"]) == {bench.token(len(NOISE))}


def test_a_ring_for_nothing_starts_no_pass(bench: Bench) -> None:
    """A pass may have taken a request along whose ring comes after it."""
    bench.worker.start()
    for index in range(3):
        bench.work.ring()
        bench.ask((index, 5000, FOR_EVER))
        assert bench.answers(1)["event_index"].tolist() == [index]
    assert bench.worker.stop(TIMEOUT_S)
    assert bench.encoder.batch_sizes == [1, 1, 1]


def other(memories: Sequence[int], seed: int) -> tuple[GatedEncoder, Recogniser]:
    """Give an encoder of its own with a codebook for each memory."""
    encoder = GatedEncoder()
    rng = np.random.default_rng(seed)
    shape = (64, encoder.spec.dim)
    codebooks = {m: Codebook(rng.uniform(0, 1, shape).astype(np.float32)) for m in memories}
    return encoder, Recogniser(encoder, codebooks)


def test_memories_of_one_encoder_share_its_pass(make_bench: Callable[..., Bench]) -> None:
    """Each looks its own token up in the one embedding."""
    encoder, recogniser = other([1, 2], seed=7)
    bench = make_bench(others=[recogniser])
    bench.worker.start()
    bench.ask((0, 5000, FOR_EVER), memory=2)
    answers = bench.answers(3)
    assert answers["memory"].tolist() == [1, 2, 0]
    assert encoder.batch_sizes == [1]
    window = WindowStream(WindowCutter(RATE_HZ, encoder.spec))
    window.append(NOISE[:5000])
    embedding = FakeEncoder().encode(window.cut(5000)[np.newaxis])[0]
    expected = [recogniser.codebooks[m].lookup(embedding)[0] for m in (1, 2)]
    assert answers["token"].tolist() == [*expected, bench.token(5000)]


def test_the_encoder_that_is_needed_goes_first_and_the_others_when_nothing_is_asked(
    make_bench: Callable[..., Bench],
) -> None:
    """What is asked meanwhile goes before what is left; nothing of it is too late to learn from."""
    encoder, recogniser = other([1], seed=7)
    bench = make_bench(others=[recogniser])
    encoder.gate.clear()
    bench.worker.start()
    bench.ask((0, 5000, FOR_EVER), memory=1)
    assert encoder.has_begun.wait(TIMEOUT_S)
    assert bench.worker.busy_with == 1
    bench.ask((1, 6000, FOR_EVER), memory=1)
    encoder.gate.set()
    answers = bench.answers(4)
    assert answers["memory"].tolist() == [1, 1, 0, 0]
    assert answers["event_index"].tolist() == [0, 1, 0, 1]
    assert bench.encoder.batch_sizes == [2]
    assert bench.worker.n_skipped == 0


def test_a_window_that_is_too_late_to_answer_with_is_learned_from_by_the_other_memories(
    make_bench: Callable[..., Bench],
) -> None:
    """Only the answer had a deadline."""
    _, recogniser = other([1], seed=7)
    bench = make_bench(others=[recogniser])
    bench.ask((0, 5000, 0), memory=1)
    bench.worker.start()
    answers = bench.answers(2)
    assert answers["memory"].tolist() == [1, 0]
    assert answers["token"].tolist() == [SKIPPED, bench.token(5000)]


def test_of_what_is_left_for_later_the_latest_wins_too(make_bench: Callable[..., Bench]) -> None:
    """As many as a batch holds are kept, and the others are counted."""
    _, recogniser = other([1], seed=7)
    bench = make_bench(others=[recogniser])
    n_asked = MAX_BATCH + 2
    bench.ask(*[(index, 5000 + index, FOR_EVER) for index in range(n_asked)])
    bench.worker.start()
    answers = bench.answers(n_asked + MAX_BATCH)
    later = answers[answers["memory"] == 1]
    assert later["event_index"].tolist() == list(range(2, n_asked))
    assert bench.worker.n_skipped == 2 + 2  # of each encoder's


def test_without_events_every_encoder_reads_the_newest_window(
    make_bench: Callable[..., Bench],
) -> None:
    """For the reflexes of each memory."""
    _, recogniser = other([1], seed=7)
    bench = make_bench(hop_s=0.001, others=[recogniser])
    bench.worker.start()
    answers = bench.answers(2)
    assert set(answers["memory"]) == {0, 1}
    assert set(answers["event_index"]) == {HOP}


def test_an_encoder_that_fails_is_reported_and_left_alone(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is asked of it is skipped at once, and is no fault of the machine's speed."""
    monkeypatch.setattr(backoff, "FIRST_S", 3600.0)
    bench.encoder.error = RuntimeError("out of memory")
    bench.worker.start()
    for index in range(3):
        bench.ask((index, 5000, FOR_EVER))
        (answer,) = bench.answers(1)
        assert (answer["event_index"], answer["token"]) == (index, SKIPPED)
        assert bench.worker.errors == [bench.encoder.error]
    assert bench.encoder.batch_sizes == [1]
    assert not bench.worker.is_dead
    assert bench.worker.n_skipped == 0


def test_an_encoder_that_failed_is_tried_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the next window when its time has come; the others of the worker never noticed."""
    monkeypatch.setattr(backoff, "FIRST_S", 0.0)
    bench.encoder.error = RuntimeError("out of memory")
    bench.worker.start()
    bench.ask((0, 5000, FOR_EVER))
    assert bench.answers(1)["token"] == SKIPPED
    bench.encoder.error = None
    bench.ask((1, 5000, FOR_EVER))
    assert bench.answers(1)["token"] == bench.token(5000)
    assert bench.worker.errors == [None]


def test_one_encoder_fails_and_the_others_go_on(make_bench: Callable[..., Bench]) -> None:
    """Each is left alone by itself."""
    encoder, recogniser = other([1], seed=7)
    encoder.error = RuntimeError("out of memory")
    bench = make_bench(others=[recogniser])
    bench.worker.start()
    bench.ask((0, 5000, FOR_EVER), memory=1)
    answers = bench.answers(2)
    assert answers["memory"].tolist() == [1, 0]
    assert answers["turn"].tolist() == [1, 1]
    assert answers["token"].tolist() == [SKIPPED, bench.token(5000)]
    assert bench.worker.errors == [None, encoder.error]


def test_what_ends_the_thread_is_reported_to_the_loop(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bell rings, the error is there for every encoder, and the thread is gone."""
    error = SystemError("no doorbell")

    def fail() -> None:
        raise error

    monkeypatch.setattr(bench.worker, "_run", fail)
    bench.worker.start()
    assert bench.done.wait(TIMEOUT_S)
    assert bench.worker.is_dead
    assert bench.worker.errors == [error]
    assert bench.worker.stop(TIMEOUT_S)


def test_a_hung_encoder_does_not_hold_up_the_end(bench: Bench) -> None:
    """Stopping says so, and can be tried again."""
    bench.encoder.gate.clear()
    bench.worker.start()
    bench.ask((0, 5000, FOR_EVER))
    assert bench.encoder.has_begun.wait(TIMEOUT_S)
    assert not bench.worker.stop(0.0)
    bench.encoder.gate.set()
    assert bench.worker.stop(TIMEOUT_S)
