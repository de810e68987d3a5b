"""Tokens: the loop's side of the encoder worker: what is asked of it, expected and heard back.

Loop thread only. It predicts how long each encoder's pass takes from the last ones, has the worker
read unasked less often while tokens come too late, and says when an encoder fails and when it is
back. It never waits for a token.
"""

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
import structlog

from realtime.budget import Predictor
from realtime.doorbell import Doorbell
from realtime.hop_ladder import HopLadder
from realtime.inference import HOP, SKIPPED, TOKEN_DTYPE, EncoderWorker
from realtime.monotonic import NS_PER_S
from realtime.passes import REQUEST_DTYPE
from realtime.recogniser import Recogniser
from realtime.report import Performance
from realtime.responder import Responder
from realtime.ring import Observer, make_ring, prime

_RING_RECORDS: Final = 1024
_NEVER_NS: Final = 7 * 24 * 3600 * NS_PER_S

_log = structlog.get_logger()


class Tokens:
    """Asks the encoder worker for tokens and hands them on.

    Parameters
    ----------
    recognisers
        Owned by the worker from `start` on.
    audio
        Observer of the audio ring.
    rate_hz
        Of the audio.
    hop_s
        How long without an event until a window is embedded unasked.
    performance
        Where it is counted how the encoders do.
    begin
        The worker thread's first act.

    Attributes
    ----------
    ready : Doorbell
        Rung when tokens are there to be taken, or something is to be said.
    """

    def __init__(
        self,
        recognisers: Sequence[Recogniser],
        audio: Observer,
        rate_hz: int,
        hop_s: float,
        performance: Performance,
        *,
        begin: Callable[[], None] = lambda: None,
    ) -> None:
        self._performance = performance
        self.ready, self._work = Doorbell(), Doorbell()
        self._requests, requests_out = make_ring(_RING_RECORDS, REQUEST_DTYPE)
        self._tokens_in, self._tokens = make_ring(_RING_RECORDS, TOKEN_DTYPE)
        self._ladder = HopLadder(hop_s)
        self._worker = EncoderWorker(
            recognisers=recognisers,
            audio=audio,
            rate_hz=rate_hz,
            requests=requests_out,
            tokens=self._tokens_in,
            work=self._work,
            done=self.ready,
            hop_s=hop_s,
            begin=begin,
        )
        self._names = [known.encoder.spec.name for known in recognisers]
        self._is_failing = [False for _ in recognisers]
        self._predictors = [Predictor(0) for _ in recognisers]
        self._place_of = {
            memory: place for place, known in enumerate(recognisers) for memory in known.codebooks
        }

    @property
    def n_refused(self) -> int:
        """Records that found no room."""
        return self._requests.n_refused + self._tokens_in.n_refused

    def prime(self) -> None:
        """Touch the rings; before `start`."""
        prime(self._requests.ring)
        prime(self._tokens_in.ring)

    def warm_up(self) -> int:
        """Run the encoders, and return what a pass of the slowest costs, in ns."""
        passes_ns = self._worker.warm_up()
        self._predictors = [Predictor(pass_ns) for pass_ns in passes_ns]
        return max(passes_ns)

    def start(self) -> None:
        """Start the worker."""
        self._worker.start()

    def stop(self, deadline_s: float) -> bool:
        """End the worker, and say whether it did in time."""
        return self._worker.stop(deadline_s)

    def close(self) -> None:
        """Close the doorbells; for when nobody is left to ring them."""
        self._work.close()
        self.ready.close()

    def ask(self, index: int, end_frame: int, useful_until_ns: int, turn: int) -> None:
        """Put a request to the worker, while there is one."""
        if self._worker.is_dead:
            return
        request = np.array([(index, end_frame, useful_until_ns, turn)], REQUEST_DTYPE)
        self._requests.push_nowait(request)
        self._work.ring()

    def predict_finish_ns(self, now_ns: int, memory: int) -> int:
        """Predict when a memory's token asked for now is there, after one that may be running."""
        place = self._place_of[memory]
        if self._worker.errors[place] is not None:
            return now_ns + _NEVER_NS
        own_ns = self._predictors[place].predicted_ns
        busy_since_ns = self._worker.busy_since_ns
        if busy_since_ns == 0:
            return now_ns + own_ns
        running = self._predictors[self._worker.busy_with]
        return running.finish_ns(now_ns, busy_since_ns) - running.predicted_ns + own_ns

    def take(self, responder: Responder) -> None:
        """Hand on the tokens that the worker has published."""
        for record in self._tokens.pop_nowait():
            index = None if record["event_index"] == HOP else int(record["event_index"])
            memory, turn = int(record["memory"]), int(record["turn"])
            if record["token"] == SKIPPED:
                responder.miss(index, memory, turn)
                continue
            pass_ns = int(record["finished_ns"] - record["started_ns"])
            self._predictors[self._place_of[memory]].record(pass_ns)
            responder.recognise(int(record["token"]), int(record["end_frame"]), index, memory, turn)
        self._say_changes()

    def _say_changes(self) -> None:
        """Say which encoders fail since the last time, and which are back."""
        for place, error in enumerate(self._worker.errors):
            if self._is_failing[place] == (error is not None):
                continue
            self._is_failing[place] = error is not None
            name = self._names[place]
            if error is None:
                self._performance.n_encoder_returns += 1
                _log.warning(
                    "engine.encoder_returned",
                    notice=f"The encoder {name} works again, and with it answers are considered.",
                )
                continue
            self._performance.n_encoder_failures += 1
            todo = (
                "Start again when you can."
                if self._worker.is_dead
                else "It is tried again from time to time."
            )
            _log.error(
                "engine.encoder_failed",
                notice=f"The encoder {name} has failed ({error}): answers by its memories are "
                f"reflexes. {todo}",
            )

    def follow_load(self, now_s: float) -> None:
        """Read unasked less often while tokens come too late, and again as often after a calm."""
        performance = self._performance
        performance.skipped_windows = self._worker.n_skipped
        n_overruns = performance.late_tokens + performance.skipped_windows
        if self._ladder.follow(now_s, n_overruns):
            self._worker.hop_s = self._ladder.hop_s
            performance.n_hop_down, performance.n_hop_up = self._ladder.n_down, self._ladder.n_up
            _log.warning("engine.hop_changed", hop_ms=self._ladder.hop_s * 1e3)
