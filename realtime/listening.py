"""Listening: the listener's thread, one compiled call from the first frame to the last.

It waits on the doorbell of the audio callback, hears what has arrived and publishes event records
to the loop. It holds the GIL only to be started and to end: in between nothing the interpreter does
can delay an onset. It never logs or raises; a full event ring counts what it refuses.
"""

import threading
from collections.abc import Callable
from typing import Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

from models.listener import EVENT_DTYPE, Listener, ListenerState, hear_kernel
from realtime._atomics import load_acquire, store_release
from realtime.doorbell import CLOSED, Doorbell, ring_doorbell, wait_doorbell
from realtime.monotonic import monotonic_ns
from realtime.ring import Consumer, Producer, Ring, push, readable, release, span

_MAX_FRAMES: Final = 4096
"""Frames heard in one call at most, so that a backlog still yields its first event early."""
_STOP: Final = 0


class ListenerThread:
    """Runs a listener between the audio ring and the event ring.

    Parameters
    ----------
    listener
        Owned by the thread from `start` on.
    audio
        The audio ring's one consumer, float32 at the listener's rate.
    frames_ready
        Rung by whoever fills the audio ring.
    events
        The event ring's producer, `EVENT_DTYPE`.
    events_ready
        Rung here for the loop.
    begin
        The thread's first act.
    """

    def __init__(
        self,
        listener: Listener,
        *,
        audio: Consumer,
        frames_ready: Doorbell,
        events: Producer,
        events_ready: Doorbell,
        begin: Callable[[], None] = lambda: None,
    ) -> None:
        self._frames_ready = frames_ready
        self._events_ready = events_ready
        self._begin = begin
        self._control = np.zeros(1, np.int64)
        self._arguments = (
            listener.state,
            audio.ring,
            frames_ready.read_fd,
            events.ring,
            events_ready.write_fd,
            np.zeros(listener.max_records(_MAX_FRAMES), EVENT_DTYPE),
            self._control,
        )
        self._thread = threading.Thread(target=self._guarded_run, name="listener", daemon=True)
        self.error: BaseException | None = None

    def warm_up(self) -> None:
        """Compile the loop, or load it from the cache, by running it on nothing."""
        store_release(self._control, _STOP, 1)
        _listen(*self._arguments)
        store_release(self._control, _STOP, 0)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self, deadline_s: float) -> bool:
        """Ask the thread to end, wait for it, and say whether it did in time. Loop thread only."""
        store_release(self._control, _STOP, 1)
        self._frames_ready.ring()
        if self._thread.is_alive():
            self._thread.join(deadline_s)
        return not self._thread.is_alive()

    def _guarded_run(self) -> None:
        try:
            self._begin()
            _listen(*self._arguments)
        except BaseException as error:  # the loop must learn of anything that ends this thread
            self.error = error
            self._events_ready.ring()


@njit(nogil=True, cache=True)
def _listen(
    state: ListenerState,
    audio: Ring,
    frames_ready_fd: int,
    events: Ring,
    events_ready_fd: int,
    records: NDArray[np.void],
    control: NDArray[np.int64],
) -> None:
    """Hear frames as they come until told to stop."""
    while load_acquire(control, _STOP) == 0:
        if wait_doorbell(frames_ready_fd, -1) == CLOSED:
            return
        position, n_frames = readable(audio)
        while n_frames > 0:
            popped_ns = monotonic_ns()
            n_now = min(n_frames, _MAX_FRAMES)
            first, second = span(audio, position, n_now)
            _hear(state, first, events, events_ready_fd, records, popped_ns)
            _hear(state, second, events, events_ready_fd, records, popped_ns)
            release(audio, n_now)
            position, n_frames = readable(audio)


@njit(nogil=True, cache=True)
def _hear(
    state: ListenerState,
    frames: NDArray[np.float32],
    events: Ring,
    events_ready_fd: int,
    records: NDArray[np.void],
    popped_ns: int,
) -> None:
    """Hear one contiguous stretch and publish what became due."""
    n_records = hear_kernel(state, frames, records)
    if n_records == 0:
        return
    published_ns = monotonic_ns()
    for i in range(n_records):
        records[i]["popped_ns"] = popped_ns
        records[i]["published_ns"] = published_ns
    push(events, records[:n_records])
    ring_doorbell(events_ready_fd)
