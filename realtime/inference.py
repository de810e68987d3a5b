"""Inference: the encoder worker, the only thread that embeds windows (and the only one in torch).

The loop asks for the window that ends where an event was decided; between events the worker embeds
the newest window once a hop, so that a reflex has a token too. Memories of one encoder share its
passes. Where there are several encoders, that of the memory whose turn it is goes first, and the
others follow while nothing is asked: an answer waits for no encoder but its own. It reads windows
straight from the audio ring as an observer: it delays nobody, and when it falls behind it skips to
what is newest and counts what it skipped. It never logs while it plays.
"""

import select
import threading
import time
from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.windows import WindowCutter
from realtime.doorbell import Doorbell
from realtime.recogniser import Recogniser
from realtime.ring import Consumer, Observer, Producer, Seen

MAX_BATCH: Final = 4
"""Windows in one pass at most; events are at least a refractory time apart, so few are due."""

REQUEST_DTYPE: Final = np.dtype(
    [
        ("event_index", np.int64),
        ("end_frame", np.int64),
        ("useful_until_ns", np.int64),  # a pass that starts later is skipped
        ("memory", np.int64),  # whose token is needed first
    ]
)
TOKEN_DTYPE: Final = np.dtype(
    [
        ("event_index", np.int64),  # HOP for a regular window
        ("end_frame", np.int64),
        ("memory", np.int64),
        ("token", np.int64),  # SKIPPED if the window was not encoded
        ("started_ns", np.int64),
        ("finished_ns", np.int64),
    ]
)
HOP: Final = -1
SKIPPED: Final = -1
_FOR_EVER: Final = np.iinfo(np.int64).max
_NOTHING: Final = np.zeros(0, REQUEST_DTYPE)


class Windows:
    """Cuts windows that end at a position of the audio ring. Worker thread only.

    Parameters
    ----------
    audio
        Observer of the audio ring, float32 at the device's rate.
    cutter
        Resamples to the encoder's rate.
    """

    def __init__(self, audio: Observer, cutter: WindowCutter) -> None:
        self._audio = audio
        self._cutter = cutter
        self._frames = np.zeros(cutter.n_frames, np.float32)

    def cut(self, end_frame: int, out: NDArray[np.float32]) -> bool:
        """Fill `out` [shape=(window_frames,)] with the window ending at `end_frame`.

        Frames before the stream's start are silence. Returns False when the audio has been
        overwritten meanwhile.
        """
        n_before_start = max(self._cutter.n_frames - end_frame, 0)
        self._frames[:n_before_start] = 0.0
        start = end_frame - self._cutter.n_frames + n_before_start
        if self._audio.read(start, self._frames[n_before_start:]) is not Seen.WHOLE:
            return False
        self._cutter.cut(self._frames, out)
        return True


class _Place:
    """One encoder's place in the worker: its windows, its batch, and what waits for it."""

    def __init__(self, recogniser: Recogniser, windows: Windows) -> None:
        self.recogniser = recogniser
        self.windows = windows
        self.batch = np.zeros((MAX_BATCH, recogniser.encoder.spec.window_frames), np.float32)
        self.waiting = _NOTHING  # for when nothing is asked


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
        Windows asked for and not embedded.
    error : BaseException or None
        What the thread died of.
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
        self._places = [
            _Place(recogniser, Windows(audio, WindowCutter(rate_hz, recogniser.encoder.spec)))
            for recogniser in recognisers
        ]
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
        self.error: BaseException | None = None

    def warm_up(self, n_passes: int = 5) -> list[int]:
        """Embed silence at every batch size, and return what each one's pass of one costs, in ns.

        Call before `start`, on any thread.
        """
        return [_warm(place, n_passes) for place in self._places]

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
            self.error = error
            self._done.ring()

    def _run(self) -> None:
        poll = select.poll()
        poll.register(self._work.fileno(), select.POLLIN)
        while True:
            left_over = [i for i, place in enumerate(self._places) if place.waiting.size]
            is_rung = bool(poll.poll(0.0 if left_over else self.hop_s * 1000.0))
            self._work.drain()
            if self._is_stopping:
                return
            requests = self._requests.pop_nowait()
            if requests.size > 0:
                self._take(requests)
            elif left_over:
                place = self._places[left_over[0]]
                waiting, place.waiting = place.waiting, _NOTHING
                self._answer(left_over[0], waiting)
            elif not is_rung:  # rung for nothing: an earlier pass took the request along
                self._hop()

    def _hop(self) -> None:
        """Embed the newest window, if anything has been heard yet."""
        if self._audio.newest > 0:
            self._take(np.array([(HOP, self._audio.newest, _FOR_EVER, 0)], REQUEST_DTYPE))

    def _take(self, requests: NDArray[np.void]) -> None:
        """Answer what is needed first, and let the other encoders have it when there is time."""
        if len(self._places) == 1:
            self._answer(0, requests)
            return
        places = self._place_of[requests["memory"]]
        for index, place in enumerate(self._places):
            others = requests[places != index]
            if others.size:
                others["useful_until_ns"] = _FOR_EVER  # learning has no deadline
                waiting = np.concatenate([place.waiting, others])
                place.waiting = waiting[-MAX_BATCH:]
                self.n_skipped += waiting.size - place.waiting.size
        for index in np.unique(places).tolist():
            self._answer(index, requests[places == index])

    def _answer(self, index: int, requests: NDArray[np.void]) -> None:
        """Embed what is still useful of the newest requests in one batch, and skip the rest."""
        place = self._places[index]
        started_ns = time.monotonic_ns()
        self.busy_with, self.busy_since_ns = index, started_ns
        batch: list[int] = []
        for i in range(requests.size - 1, -1, -1):
            is_useful = requests["useful_until_ns"][i] >= started_ns and len(batch) < MAX_BATCH
            if is_useful and place.windows.cut(
                int(requests["end_frame"][i]), place.batch[len(batch)]
            ):
                batch.append(i)
        found = place.recogniser.recognise(place.batch[: len(batch)]) if batch else {}
        finished_ns = time.monotonic_ns()
        self.n_skipped += requests.size - len(batch)
        self.busy_since_ns = 0
        for memory in place.recogniser.codebooks:
            answers = np.zeros(requests.size, TOKEN_DTYPE)
            answers["event_index"] = requests["event_index"]
            answers["end_frame"] = requests["end_frame"]
            answers["memory"] = memory
            answers["token"] = SKIPPED
            if batch:
                answers["token"][batch] = found[memory]
            answers["started_ns"], answers["finished_ns"] = started_ns, finished_ns
            self._tokens.push_nowait(answers)
        self._done.ring()


def _warm(place: _Place, n_passes: int) -> int:
    """Run every size of batch, and give the median time of a pass of one."""
    for n_windows in range(MAX_BATCH, 0, -1):
        place.recogniser.recognise(place.batch[:n_windows])
    costs_ns = []
    for _ in range(n_passes):
        started_ns = time.monotonic_ns()
        place.recogniser.recognise(place.batch[:1])
        costs_ns.append(time.monotonic_ns() - started_ns)
    return sorted(costs_ns)[n_passes // 2]
