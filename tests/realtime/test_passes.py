"""One encoder on stage: what it is given, and that it is left alone when it fails."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.codebook import Codebook
from models.windows import WindowCutter, WindowStream
from realtime import backoff
from realtime.passes import MAX_BATCH, REQUEST_DTYPE, Passes, Windows
from realtime.recogniser import Recogniser
from realtime.ring import Observer, make_ring
from tests.fakes import FakeEncoder

RATE_HZ = 48_000
NOISE = np.random.default_rng(0).uniform(-1, 1, 20_000).astype(np.float32)


class FailingEncoder(FakeEncoder):
    """A fake that fails as long as it is told to."""

    error: Exception | None = None

    def encode(self, windows: NDArray[np.float32]) -> NDArray[np.float32]:
        """Embed, or fail."""
        if self.error is not None:
            raise self.error
        return super().encode(windows)


def observer() -> Observer:
    """Observe a ring that has heard the noise."""
    audio_in, _ = make_ring(2**15, np.float32)
    audio_in.push_nowait(NOISE)
    return Observer(audio_in.ring)


@pytest.fixture
def encoder() -> FailingEncoder:
    """Give an encoder that works so far."""
    return FailingEncoder()


@pytest.fixture
def passes(encoder: FailingEncoder) -> Passes:
    """Give its passes."""
    codebook = Codebook(np.eye(2, encoder.spec.dim, dtype=np.float32))
    return Passes(Recogniser(encoder, {0: codebook}), observer(), RATE_HZ)


@settings(deadline=None)
@given(end_frame=st.integers(1, len(NOISE)), rate_hz=st.sampled_from([24_000, 44_100, 48_000]))
def test_the_stage_cuts_the_windows_that_training_cuts(end_frame: int, rate_hz: int) -> None:
    """Bit for bit, from before the stream's start to its newest frame."""
    cutter = WindowCutter(rate_hz, FakeEncoder().spec)
    stream = WindowStream(cutter)
    stream.append(NOISE)
    out = np.empty(cutter.window_frames, np.float32)
    assert Windows(observer(), cutter).cut(end_frame, out)
    assert np.array_equal(out, stream.cut(end_frame))


def requests(n: int) -> NDArray[np.void]:
    """Ask for windows that end a frame apart."""
    asked = np.zeros(n, REQUEST_DTYPE)
    asked["event_index"] = np.arange(n)
    asked["end_frame"] = 5000 + np.arange(n)
    return asked


def test_of_what_is_put_off_the_latest_wins(passes: Passes) -> None:
    """As many as a batch holds, and it is said how many were dropped."""
    assert passes.put_off(requests(MAX_BATCH)) == 0
    assert passes.put_off(requests(2)) == 2
    assert passes.is_behind
    assert passes.take_up()["event_index"].tolist() == [2, 3, 0, 1]
    assert passes.take_up().size == 0


def test_an_encoder_that_fails_rests_and_is_well_after_a_pass_that_does_not(
    passes: Passes, encoder: FailingEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it failed with is there in between."""
    monkeypatch.setattr(backoff, "FIRST_S", 3600.0)
    assert passes.cut(requests(2), 0) == [1, 0]
    encoder.error = RuntimeError("out of memory")
    rests = [passes.rests]
    assert passes.recognise(2) is None
    assert passes.error is encoder.error
    rests.append(passes.rests)
    monkeypatch.setattr(passes._backoff, "_until_s", 0.0)
    rests.append(passes.rests)
    assert rests == [False, True, False]
    encoder.error = None
    found = passes.recognise(2)
    assert found is not None
    assert found[0].shape == (2,)
    assert str(passes.error) == "None"


def test_what_fails_when_it_is_warmed_up_is_for_the_caller(
    passes: Passes, encoder: FailingEncoder
) -> None:
    """It is told before the first note, and no pass is put off for it."""
    assert passes.warm_up(1) > 0
    encoder.error = RuntimeError("out of memory")
    with pytest.raises(RuntimeError, match="out of memory"):
        passes.warm_up(1)
    assert not passes.rests


def test_a_failure_is_followed_by_longer_and_longer_waits() -> None:
    """Up to the longest; what then goes well for as long begins anew."""
    retry, now_s, waits_s = backoff.Backoff(), 100.0, []
    for _ in range(8):
        assert retry.may_try(now_s)
        retry.fail(now_s)
        wait_s = next(s for s in range(100) if retry.may_try(now_s + s))
        waits_s.append(wait_s)
        now_s += wait_s
    assert waits_s == [1, 2, 4, 8, 16, 30, 30, 30]
    now_s += backoff.LONGEST_S
    retry.fail(now_s)
    assert not retry.may_try(now_s + 0.9)
    assert retry.may_try(now_s + 1.0)
