"""The loop's side of the encoder worker: what is expected of it, handed on, and said of it."""

from collections.abc import Iterator

import numpy as np
import pytest
import structlog

from models.codebook import Codebook
from realtime import backoff
from realtime.monotonic import NS_PER_S
from realtime.recogniser import Recogniser
from realtime.report import Performance
from realtime.responder import Responder
from realtime.ring import Observer, make_ring
from realtime.tokens import Tokens
from tests.realtime.test_passes import FailingEncoder

RATE_HZ = 48_000
TIMEOUT_S = 10.0
FOR_EVER = np.iinfo(np.int64).max


class Listed(Responder):
    """A responder that only lists what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, int | None, int, int]] = []

    def recognise(
        self,
        token: int,
        end_frame: int,
        index: int | None = None,
        memory: int = 0,
        turn: int = 0,
    ) -> None:
        """List a token."""
        self.told.append(("token", index, memory, turn))

    def miss(self, index: int | None, memory: int = 0, turn: int = 0) -> None:
        """List that there is none."""
        self.told.append(("none", index, memory, turn))


class Loop:
    """The tokens of two encoders, of which the second may fail."""

    def __init__(self) -> None:
        audio, _ = make_ring(1 << 13, np.float32)
        audio.push_nowait(np.zeros(1 << 13, np.float32))
        self.encoder = FailingEncoder()
        self.performance = Performance()
        self.responder = Listed()
        recognisers = [
            Recogniser(encoder, {place: Codebook(np.eye(2, encoder.spec.dim, dtype=np.float32))})
            for place, encoder in enumerate([FailingEncoder(), self.encoder])
        ]
        self.tokens = Tokens(recognisers, Observer(audio.ring), RATE_HZ, 3600.0, self.performance)
        self.tokens.start()

    def ask(self, index: int, turn: int) -> list[tuple[str, int | None, int, int]]:
        """Ask for an event's tokens, and give what is told of them by both encoders."""
        self.responder.told.clear()
        self.tokens.ask(index, 5000, FOR_EVER, turn)
        while len(self.responder.told) < 2:
            assert self.tokens.ready.wait(TIMEOUT_S)
            self.tokens.ready.drain()
            self.tokens.take(self.responder)
        return self.responder.told


@pytest.fixture
def loop() -> Iterator[Loop]:
    """Give a loop with a worker that never hops."""
    made = Loop()
    yield made
    assert made.tokens.stop(TIMEOUT_S)
    made.tokens.close()


def test_every_memory_s_token_is_handed_on_with_whose_turn_it_was(loop: Loop) -> None:
    """That memory's comes first."""
    assert loop.ask(0, 1) == [("token", 0, 1, 1), ("token", 0, 0, 1)]
    assert loop.ask(1, 0) == [("token", 1, 0, 0), ("token", 1, 1, 0)]


def test_an_encoder_that_fails_and_one_that_is_back_are_said_once(
    loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Meanwhile nothing is expected of it, and the other one's memory is answered as ever."""
    monkeypatch.setattr(backoff, "FIRST_S", 0.0)
    with structlog.testing.capture_logs() as logs:
        loop.encoder.error = RuntimeError("out of memory")
        for index in range(3):
            assert loop.ask(index, 1) == [("none", index, 1, 1), ("token", index, 0, 1)]
        assert loop.tokens.predict_finish_ns(0, 1) > 3600 * NS_PER_S
        assert loop.tokens.predict_finish_ns(0, 0) < 3600 * NS_PER_S
        loop.encoder.error = None
        assert loop.ask(3, 1)[0] == ("token", 3, 1, 1)
        assert loop.tokens.predict_finish_ns(0, 1) < 3600 * NS_PER_S
    assert [log["event"] for log in logs] == ["engine.encoder_failed", "engine.encoder_returned"]
    assert logs[0]["notice"].endswith("are reflexes. It is tried again from time to time.")
    performance = loop.performance
    assert (performance.n_encoder_failures, performance.n_encoder_returns) == (1, 1)
