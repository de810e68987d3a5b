"""Events: the loop's side of the listener thread: what it has published, and whether it lives.

Loop thread only. It owns the thread and the ring between the two; when the listener has failed
there is nothing left to answer, and that is raised where events are taken. It never waits but for
the thread's end.
"""

from collections.abc import Callable
from typing import Any, Final

from numpy.typing import NDArray

from models.listener import ATTACK, EVENT_DTYPE, Listener
from realtime.doorbell import Doorbell
from realtime.errors import LiveError
from realtime.listening import ListenerThread
from realtime.ring import Consumer, make_ring, prime

_RING_RECORDS: Final = 1024


class ListenerFailedError(LiveError):
    """Raised when the listener failed in the middle of a performance."""


class Events:
    """Has a stream listened to, and hands on what was heard.

    Parameters
    ----------
    listener
        At the stream's rate.
    audio
        The consumer of the audio ring; the listener thread's own from `start` on.
    frames_ready
        Rung when there are frames; closed here.
    begin
        The listener thread's first act.

    Attributes
    ----------
    ready : Doorbell
        Rung when events are there to be taken, or when the listener has failed.
    """

    def __init__(
        self,
        listener: Listener,
        audio: Consumer,
        frames_ready: Doorbell,
        *,
        begin: Callable[[], None] = lambda: None,
    ) -> None:
        self.ready = Doorbell()
        self._frames_ready = frames_ready
        self._published, self._events = make_ring(_RING_RECORDS, EVENT_DTYPE)
        self._thread = ListenerThread(
            listener,
            audio=audio,
            frames_ready=frames_ready,
            events=self._published,
            events_ready=self.ready,
            begin=begin,
        )

    @property
    def n_refused(self) -> int:
        """Records that found no room."""
        return self._published.n_refused

    @property
    def is_all_taken(self) -> bool:
        """Whether nothing is waiting to be taken."""
        return self._events.n_released == self._published.n_written

    def warm_up(self) -> None:
        """Compile the kernels, or load them from the cache."""
        self._thread.warm_up()

    def prime(self) -> None:
        """Touch the ring; before `start`."""
        prime(self._published.ring)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self, deadline_s: float) -> bool:
        """End the thread, and say whether it did in time."""
        return self._thread.stop(deadline_s)

    def close(self) -> None:
        """Close the doorbells; for when nobody is left to ring them."""
        self._frames_ready.close()
        self.ready.close()

    def take(self) -> NDArray[Any]:
        """Give what was published since the last time, ATTACKs and BODYs in order.

        Raises
        ------
        ListenerFailedError
            The listener has failed.
        """
        error = self._thread.error
        if error is not None:
            raise ListenerFailedError(
                f"The listener has failed ({error}): start again, and report it."
            ) from error
        return self._events.pop_nowait()

    def leave(self) -> int:
        """Take what nobody will answer any more, and give how many events have begun in it."""
        return int((self._events.pop_nowait()["kind"] == ATTACK).sum())
