"""Recognition: the loop's side of the encoder worker: what is asked of it, expected and heard back.

Loop thread only, but for `start` and `stop`, which are that thread's too. It predicts how long each
encoder's pass takes from the last ones, and has the worker read unasked less often while tokens
come too late. It never waits for a token.
"""

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
import structlog

from realtime.budget import Predictor
from realtime.doorbell import Doorbell
from realtime.hop_ladder import HopLadder
from realtime.inference import HOP, REQUEST_DTYPE, SKIPPED, TOKEN_DTYPE, EncoderWorker
from realtime.monotonic import NS_PER_S
from realtime.recogniser import Recogniser
from realtime.report import Performance
from realtime.responder import Responder
from realtime.ring import Observer, make_ring, prime

_RING_RECORDS: Final = 1024
_NEVER_NS: Final = 7 * 24 * 3600 * NS_PER_S

_log = structlog.get_logger()


class Recognition:
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
    begin
        The worker thread's first act.

    Attributes
    ----------
    ready : Doorbell
        Rung when tokens are there to be taken, or when the worker has died.
    """

    def __init__(
        self,
        recognisers: Sequence[Recogniser],
        audio: Observer,
        rate_hz: int,
        hop_s: float,
        *,
        begin: Callable[[], None] = lambda: None,
    ) -> None:
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
        self._predictors = [Predictor(0) for _ in recognisers]
        self._place_of = {
            memory: place for place, known in enumerate(recognisers) for memory in known.codebooks
        }

    @property
    def n_skipped(self) -> int:
        """Windows asked for and not embedded."""
        return self._worker.n_skipped

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

    def ask(self, index: int, end_frame: int, useful_until_ns: int, memory: int) -> None:
        """Put a request to the worker, while there is one."""
        if self._worker.error is not None:
            return
        request = np.array([(index, end_frame, useful_until_ns, memory)], REQUEST_DTYPE)
        self._requests.push_nowait(request)
        self._work.ring()

    def predict_finish_ns(self, now_ns: int, memory: int) -> int:
        """Predict when a memory's token asked for now is there, after one that may be running."""
        if self._worker.error is not None:
            return now_ns + _NEVER_NS
        own_ns = self._predictors[self._place_of[memory]].predicted_ns
        busy_since_ns = self._worker.busy_since_ns
        if busy_since_ns == 0:
            return now_ns + own_ns
        running = self._predictors[self._worker.busy_with]
        return running.finish_ns(now_ns, busy_since_ns) - running.predicted_ns + own_ns

    def take(self, responder: Responder) -> None:
        """Hand on the tokens that the worker has published."""
        if self._worker.error is not None:  # it rings for the last time
            _log.error(
                "engine.encoder_failed",
                notice=f"The encoder has failed ({self._worker.error}): the performance goes on by "
                "reflex. Start again when you can, or learn a memory with --encoder spectral.",
            )
        for record in self._tokens.pop_nowait():
            index = None if record["event_index"] == HOP else int(record["event_index"])
            memory = int(record["memory"])
            if record["token"] == SKIPPED:
                responder.miss(index, memory)
                continue
            pass_ns = int(record["finished_ns"] - record["started_ns"])
            self._predictors[self._place_of[memory]].record(pass_ns)
            responder.recognise(int(record["token"]), int(record["end_frame"]), index, memory)

    def follow_load(self, performance: Performance, now_s: float) -> None:
        """Read unasked less often while tokens come too late, and again as often after a calm."""
        n_overruns = performance.late_tokens + performance.skipped_windows
        if self._ladder.follow(now_s, n_overruns):
            self._worker.hop_s = self._ladder.hop_s
            performance.n_hop_down, performance.n_hop_up = self._ladder.n_down, self._ladder.n_up
            _log.warning("engine.hop_changed", hop_ms=self._ladder.hop_s * 1e3)
