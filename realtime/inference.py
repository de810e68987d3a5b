"""Inference: the encoder worker, the only thread that embeds windows (and the only one in torch).

The loop asks for the window that ends where an event was decided; between events the worker embeds
the newest window once a hop, so that a reflex has a token too. Memories of one encoder share its
passes. Where there are several encoders, that of the memory whose turn it is goes first, and the
others follow while nothing is asked: an answer waits for no encoder but its own. An encoder that
fails is left alone for a while and then tried again. It reads windows straight from the audio ring
as an observer: it delays nobody, and when it falls behind it skips to what is newest and counts
what it skipped. It never logs while it plays.
"""

import select
import threading
import time
from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from realtime.doorbell import Doorbell
from realtime.passes import REQUEST_DTYPE, Passes
from realtime.recogniser import Recogniser
from realtime.ring import Consumer, Observer, Producer

TOKEN_DTYPE: Final = np.dtype(
    [
        ("event_index", np.int64),  # HOP for a regular window
        ("end_frame", np.int64),
        ("turn", np.int64),  # as it was asked
        ("memory", np.int64),
        ("token", np.int64),  # SKIPPED if the window was not encoded
        ("started_ns", np.int64),
        ("finished_ns", np.int64),
    ]
)
HOP: Final = -1
SKIPPED: Final = -1
_FOR_EVER: Final = np.iinfo(np.int64).max


class EncoderWorker:
    """The thread that turns requested windows into tokens.

    Parameters
    ----------
    recognisers
        Each with its own encoder; together they know every memory.
    audio
        Observer of the audio ring, float32.
    rate_hz
        Of the audio.
    requests, tokens
        Its ends of the REQUEST and the TOKEN ring.
    work
        Rung by the loop when a request is waiting.
    done
        Rung here when tokens are waiting, or when the worker has died.
    hop_s
        How long without a request until the newest window is embedded unasked.

    Attributes
    ----------
    hop_s : float
        The same; the loop may change it while the worker runs.
    busy_with : int
        Which recogniser's pass is, or was last, under way.
    busy_since_ns : int
        When the pass under way began; 0 for none.
    n_skipped : int
        Windows asked for and not embedded; none of an encoder's that is left alone.
    """

    def __init__(
        self,
        *,
        recognisers: Sequence[Recogniser],
        audio: Observer,
        rate_hz: int,
        requests: Consumer,
        tokens: Producer,
        work: Doorbell,
        done: Doorbell,
        hop_s: float,
        begin: Callable[[], None] = lambda: None,
    ) -> None:
        self._encoders = [Passes(recogniser, audio, rate_hz) for recogniser in recognisers]
        place_of = {m: i for i, known in enumerate(recognisers) for m in known.codebooks}
        self._place_of = np.array([place_of[memory] for memory in sorted(place_of)])
        self._audio = audio
        self._requests = requests
        self._tokens = tokens
        self._work = work
        self._done = done
        self.hop_s = hop_s
        self._begin = begin
        self._is_stopping = False
        self._thread = threading.Thread(target=self._guarded_run, name="encoder", daemon=True)
        self.busy_with = 0
        self.busy_since_ns = 0
        self.n_skipped = 0
        self._death: BaseException | None = None

    @property
    def errors(self) -> list[BaseException | None]:
        """What each encoder fails with, or what the thread died of; None where all is well."""
        return [self._death or encoder.error for encoder in self._encoders]

    @property
    def is_dead(self) -> bool:
        """Whether nothing more will come."""
        return self._death is not None

    def warm_up(self, n_passes: int = 5) -> list[int]:
        """Embed silence at every batch size, and return what each one's pass of one costs, in ns.

        Call before `start`, on any thread.
        """
        return [encoder.warm_up(n_passes) for encoder in self._encoders]

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self, deadline_s: float) -> bool:
        """Ask the thread to end, wait for it, and say whether it did in time. Loop thread only."""
        self._is_stopping = True
        self._work.ring()
        if self._thread.is_alive():
            self._thread.join(deadline_s)
        return not self._thread.is_alive()

    def _guarded_run(self) -> None:
        try:
            self._begin()
            self._run()
        except BaseException as error:  # the loop must learn of anything that ends this thread
            self._death = error
            self._done.ring()

    def _run(self) -> None:
        poll = select.poll()
        poll.register(self._work.fileno(), select.POLLIN)
        while True:
            behind = [i for i, encoder in enumerate(self._encoders) if encoder.is_behind]
            is_rung = bool(poll.poll(0.0 if behind else self.hop_s * 1000.0))
            self._work.drain()
            if self._is_stopping:
                return
            requests = self._requests.pop_nowait()
            if requests.size > 0:
                self._take(requests)
            elif behind:
                self._answer(behind[0], self._encoders[behind[0]].take_up())
            elif not is_rung:  # rung for nothing: an earlier pass took the request along
                self._hop()

    def _hop(self) -> None:
        """Embed the newest window, if anything has been heard yet."""
        if self._audio.newest > 0:
            self._take(np.array([(HOP, self._audio.newest, _FOR_EVER, 0)], REQUEST_DTYPE))

    def _take(self, requests: NDArray[np.void]) -> None:
        """Answer what is needed first, and let the other encoders have it when there is time."""
        if len(self._encoders) == 1:
            self._answer(0, requests)
            return
        places = self._place_of[requests["turn"]]
        for place, encoder in enumerate(self._encoders):
            others = requests[places != place]
            if others.size:
                others["useful_until_ns"] = _FOR_EVER  # learning has no deadline
                self.n_skipped += encoder.put_off(others)
        for place in np.unique(places).tolist():
            self._answer(place, requests[places == place])

    def _answer(self, place: int, requests: NDArray[np.void]) -> None:
        """Embed what is still useful of the newest requests in one batch, and skip the rest."""
        encoder = self._encoders[place]
        started_ns = time.monotonic_ns()
        self.busy_with, self.busy_since_ns = place, started_ns
        batch: list[int] = []
        found = None
        if not encoder.rests:
            batch = encoder.cut(requests, started_ns)
            self.n_skipped += requests.size - len(batch)
            found = encoder.recognise(len(batch)) if batch else None
        finished_ns = time.monotonic_ns()
        self.busy_since_ns = 0
        for memory in encoder.recogniser.codebooks:
            answers = np.zeros(requests.size, TOKEN_DTYPE)
            for name in ("event_index", "end_frame", "turn"):
                answers[name] = requests[name]
            answers["memory"] = memory
            answers["token"] = SKIPPED
            if found is not None:
                answers["token"][batch] = found[memory]
            answers["started_ns"], answers["finished_ns"] = started_ns, finished_ns
            self._tokens.push_nowait(answers)
        self._done.ring()
