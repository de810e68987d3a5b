"""Hearing a recording: events with what they sounded like, as the stage would have heard them.

The same listener, windows and encoder as on stage, in the same order, only without a clock: an
event's window ends where its ATTACK was decided, so that what is learned is keyed by what can be
known in time. Training's thread runs it; it holds one block, one batch and the events that are
not over yet, however long the recording is, and never reads a file.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.encoder import Encoder
from models.listener import ATTACK, Listener, ListenerConfig
from models.windows import WindowCutter, WindowStream

DEFAULT_BATCH_SIZE = 16


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Heard:
    """One event of a recording.

    Attributes
    ----------
    attack
        [EVENT_DTYPE] What could be heard of it by decision time.
    body
        [EVENT_DTYPE] What was known when it was over.
    embedding
        [shape=(dim,), float32] Of the window that ended at `attack`'s decision frame.
    """

    attack: np.void
    body: np.void
    embedding: NDArray[np.float32]


def hear(
    blocks: Iterable[NDArray[np.float32]],
    rate_hz: int,
    listener_config: ListenerConfig,
    encoder: Encoder,
    *,
    batch_size: int = DEFAULT_BATCH_SIZE,
) -> Iterator[Heard]:
    """Hear a recording's events.

    Parameters
    ----------
    blocks
        Mono frames in order, each [shape=(n,), float32], finite. Their lengths change nothing but
        the speed: a second is a good one.
    rate_hz
        Of the blocks.
    listener_config
        What makes an event.
    encoder
        What embeds its window.
    batch_size
        Windows encoded together, at least 1.

    Yields
    ------
    Heard
        In order. An event that is not over when the blocks end is left out: end a recording with
        `models.audio_file.TAIL_S` of silence.

    Raises
    ------
    ValueError
        A batch below 1, or a rate the listener does not hear.
    """
    if batch_size < 1:
        raise ValueError(f"batch_size is {batch_size}, needs at least 1")
    return _hear(
        blocks,
        Listener(rate_hz, listener_config),
        WindowStream(WindowCutter(rate_hz, encoder.spec)),
        _Batch(encoder, batch_size),
    )


class _Batch:
    """Events whose windows wait to be encoded together."""

    def __init__(self, encoder: Encoder, size: int) -> None:
        self._encoder = encoder
        self._windows = np.empty((size, encoder.spec.window_frames), np.float32)
        self._attacks: list[np.void] = []
        self._embedded: deque[tuple[np.void, NDArray[np.float32]]] = deque()

    def next_window(self) -> NDArray[np.float32]:
        """Give the row that the next event's window is to be cut into."""
        row: NDArray[np.float32] = self._windows[len(self._attacks)]
        return row

    def add(self, attack: np.void) -> None:
        """Add the event whose window has been cut."""
        self._attacks.append(attack)
        if len(self._attacks) == len(self._windows):
            self.encode()

    def encode(self) -> None:
        """Encode what waits."""
        if self._attacks:
            embeddings = self._encoder.encode(self._windows[: len(self._attacks)])
            self._embedded.extend(zip(self._attacks, embeddings, strict=True))
            self._attacks = []

    def take(self, bodies: deque[np.void]) -> Iterator[Heard]:
        """Give the events that are both encoded and over."""
        while bodies and self._embedded:
            attack, embedding = self._embedded.popleft()
            yield Heard(attack=attack, body=bodies.popleft(), embedding=embedding)


def _hear(
    blocks: Iterable[NDArray[np.float32]], listener: Listener, windows: WindowStream, batch: _Batch
) -> Iterator[Heard]:
    bodies: deque[np.void] = deque()
    for block in blocks:
        windows.append(block)
        for record in listener.hear(block):
            if record["kind"] == ATTACK:
                windows.cut(int(record["decision_frame"]), batch.next_window())
                batch.add(record)
            else:
                bodies.append(record)
        yield from batch.take(bodies)
    batch.encode()
    yield from batch.take(bodies)
