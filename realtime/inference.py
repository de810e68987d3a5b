"""Inference: the encoder worker, the only thread that embeds windows (and the only one in torch).

The loop asks for the window that ends where an event was decided; between events the worker embeds
the newest window once a hop, so that a reflex has a token too. It reads windows straight from the
audio ring as an observer: it delays nobody, and when it falls behind it skips to what is newest and
counts what it skipped. It never logs while it plays.
"""

import select
import threading
import time
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.codebook import Codebook
from models.encoder import Encoder
from models.windows import WindowCutter
from realtime.doorbell import Doorbell
from realtime.ring import Consumer, Observer, Producer, Seen

MAX_BATCH: Final = 4
"""Windows in one pass at most; events are at least a refractory time apart, so few are due."""

REQUEST_DTYPE: Final = np.dtype(
    [
        ("event_index", np.int64),
        ("end_frame", np.int64),
        ("useful_until_ns", np.int64),  # a pass that starts later is skipped
    ]
)
TOKEN_DTYPE: Final = np.dtype(
    [
        ("event_index", np.int64),  # HOP for a regular window
        ("end_frame", np.int64),
        ("token", np.int64),  # SKIPPED if the window was not encoded
        ("started_ns", np.int64),
        ("finished_ns", np.int64),
    ]
)
HOP: Final = -1
SKIPPED: Final = -1


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

    @property
    def newest_frame(self) -> int:
        """Position one past the newest frame."""
        return self._audio.newest

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


class EncoderWorker:
    """The thread that turns requested windows into tokens.

    Parameters
    ----------
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
        encoder: Encoder,
        codebook: Codebook,
        windows: Windows,
        requests: Consumer,
        tokens: Producer,
        work: Doorbell,
        done: Doorbell,
        hop_s: float,
    ) -> None:
        self._encoder = encoder
        self._codebook = codebook
        self._windows = windows
        self._requests = requests
        self._tokens = tokens
        self._work = work
        self._done = done
        self.hop_s = hop_s
        self._batch = np.zeros((MAX_BATCH, encoder.spec.window_frames), np.float32)
        self._is_stopping = False
        self._thread = threading.Thread(target=self._guarded_run, name="encoder", daemon=True)
        self.busy_since_ns = 0
        self.n_skipped = 0
        self.error: BaseException | None = None

    def warm_up(self, n_passes: int = 5) -> int:
        """Embed silence at every batch size, and return what a pass of one costs, in ns.

        Call before `start`, on any thread.
        """
        for n_windows in range(MAX_BATCH, 0, -1):
            self._encode(n_windows)
        costs_ns = []
        for _ in range(n_passes):
            started_ns = time.monotonic_ns()
            self._encode(1)
            costs_ns.append(time.monotonic_ns() - started_ns)
        return sorted(costs_ns)[n_passes // 2]

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
            self._run()
        except BaseException as error:  # the loop must learn of anything that ends this thread
            self.error = error
            self._done.ring()

    def _run(self) -> None:
        poll = select.poll()
        poll.register(self._work.fileno(), select.POLLIN)
        while True:
            is_rung = bool(poll.poll(self.hop_s * 1000.0))
            self._work.drain()
            if self._is_stopping:
                return
            requests = self._requests.pop_nowait()
            if requests.size > 0:
                self._answer(requests)
            elif not is_rung:  # rung for nothing: an earlier pass took the request along
                self._hop()

    def _hop(self) -> None:
        """Embed the newest window, if anything has been heard yet."""
        hop = np.zeros(1, REQUEST_DTYPE)
        hop["event_index"] = HOP
        hop["end_frame"] = self._windows.newest_frame
        hop["useful_until_ns"] = np.iinfo(np.int64).max
        if self._windows.newest_frame > 0:
            self._answer(hop)

    def _answer(self, requests: NDArray[np.void]) -> None:
        """Embed what is still useful of the newest requests in one batch, and skip the rest."""
        started_ns = time.monotonic_ns()
        self.busy_since_ns = started_ns
        answers = np.zeros(requests.size, TOKEN_DTYPE)
        answers["event_index"] = requests["event_index"]
        answers["end_frame"] = requests["end_frame"]
        answers["token"] = SKIPPED
        answers["started_ns"] = started_ns
        batch: list[int] = []
        for index in range(requests.size - 1, -1, -1):
            is_useful = requests["useful_until_ns"][index] >= started_ns and len(batch) < MAX_BATCH
            if is_useful and self._windows.cut(
                int(requests["end_frame"][index]), self._batch[len(batch)]
            ):
                batch.append(index)
        if batch:
            answers["token"][batch] = self._encode(len(batch))
        answers["finished_ns"] = time.monotonic_ns()
        self.n_skipped += requests.size - len(batch)
        self.busy_since_ns = 0
        self._tokens.push_nowait(answers)
        self._done.ring()

    def _encode(self, n_windows: int) -> NDArray[np.int32]:
        return self._codebook.lookup_batch(self._encoder.encode(self._batch[:n_windows]))[0]
