"""Hearing a recording: events with what they sounded like, as the stage would have heard them.

The same listener, windows and encoder as on stage, in the same order, only without a clock: an
event's window ends where its ATTACK was decided, so that what is learned is keyed by what can be
known in time. It holds one batch, the blocks listened to ahead and the events not over yet, however
long the recording is, and never reads a file. Listening and encoding are two halves that may run
on two threads, if the caller brings them.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.encoder import Encoder
from models.listener import ATTACK, Listener, ListenerConfig
from models.settings import SettingsError
from models.windows import WindowCutter, WindowStream

DEFAULT_BATCH_SIZE = 16
DEFAULT_LISTEN_MS = 12.5
"""What the stage leaves for hearing a note out, if its settings do not say."""


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


class Portion(NamedTuple):
    """What the listener has made of a block."""

    block: NDArray[np.float32]  # (n,), frames
    records: NDArray[np.void]  # (n,), EVENT_DTYPE, in order


def hear(
    blocks: Iterable[NDArray[np.float32]],
    rate_hz: int,
    listener_config: ListenerConfig,
    encoder: Encoder,
    *,
    batch_size: int = DEFAULT_BATCH_SIZE,
    ahead: Callable[[Iterator[Portion]], Iterator[Portion]] = iter,
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
    ahead
        Gives the portions of an iterator in order; where it listens while the caller's thread
        encodes, it is what brings the other thread.

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
    windows = WindowStream(WindowCutter(rate_hz, encoder.spec))
    portions = _listen(blocks, Listener(rate_hz, listener_config))
    return _embed(ahead(portions), windows, encoder, batch_size)


def require_time_to_hear(heard_ms: float, listen_ms: float, where: str) -> None:
    """Refuse to hear more of a note than the stage's budget allows.

    Parameters
    ----------
    where
        What says `heard_ms`, such as the settings or a memory.

    Raises
    ------
    SettingsError
        `heard_ms` is not below `listen_ms`.
    """
    if heard_ms >= listen_ms:
        raise SettingsError(
            f"{where} hears {heard_ms:g} ms of a note before it decides, but [budget] listen_ms is "
            f"{listen_ms:g}: raise listen_ms or learn with a smaller [listener] heard_ms."
        )


def _listen(blocks: Iterable[NDArray[np.float32]], listener: Listener) -> Iterator[Portion]:
    """Hear what begins and ends in each block."""
    for block in blocks:
        yield Portion(block, listener.hear(block))


def _embed(
    portions: Iterator[Portion], windows: WindowStream, encoder: Encoder, batch_size: int
) -> Iterator[Heard]:
    """Cut and encode windows in batches, and give the events that are both encoded and over."""
    attacks: deque[np.void] = deque()
    embeddings: deque[NDArray[np.float32]] = deque()
    bodies: deque[np.void] = deque()
    batch = np.empty((batch_size, windows.window_frames), np.float32)
    n_cut = 0

    def ready() -> Iterator[Heard]:
        while bodies and embeddings:
            yield Heard(
                attack=attacks.popleft(), body=bodies.popleft(), embedding=embeddings.popleft()
            )

    for portion in portions:
        windows.append(portion.block)
        for record in portion.records:
            if record["kind"] != ATTACK:
                bodies.append(record)
                continue
            windows.cut(int(record["decision_frame"]), batch[n_cut])
            attacks.append(record)
            n_cut += 1
            if n_cut == batch_size:
                embeddings.extend(encoder.encode(batch))
                n_cut = 0
        yield from ready()
    if n_cut:
        embeddings.extend(encoder.encode(batch[:n_cut]))
    yield from ready()
