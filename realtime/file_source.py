"""File source: a recording that arrives like a microphone's sound, block by block, in real time.

Two threads. One decodes ahead into a ring of a few seconds and may wait for the disk; the other is
a single kernel call without the GIL, which moves each block on when its last frame is due, against
absolute deadlines, and stamps it with the time it would have had at a converter. It never waits for
whoever listens: a block that finds no room is dropped and counted, as a device's would be. Nor does
it wait in vain for the disk unnoticed: a block that was not there when due counts as an overflow.
"""

import threading
import time
from typing import Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

from models.audio_file import TAIL_S, AudioFile
from realtime._atomics import load_acquire, store_release
from realtime.doorbell import Doorbell, ring_doorbell
from realtime.monotonic import NS_PER_S, monotonic_ns, sleep_ns
from realtime.ring import (
    CACHE_LINE_WORDS,
    Consumer,
    Ring,
    aligned_words,
    make_ring,
    pop,
    readable,
)
from realtime.source import (
    OVERFLOWS,
    STOP_S,
    CaptureConfig,
    Feed,
    deliver,
    end,
    has_ended,
    make_feed,
    power_of_two,
)

_AHEAD_S: Final = 4.0
_DECODE_FRAMES: Final = 4096

# What the two threads tell each other.
_DECODED: Final = 0  # 1: all blocks are in the ring
_STOPPED: Final = 1  # 1: the player wants no more


class FileSource:
    """Deliver a recording in real time; an `AudioSource`.

    A second of silence follows it, so that its last note is heard out.

    Parameters
    ----------
    file
        What to play.
    config
        The channel, the block and the ring; the device and rate are the file's.
    doorbell
        Rung after each block and at the end.
    """

    def __init__(self, file: AudioFile, config: CaptureConfig, doorbell: Doorbell) -> None:
        self.name = file.path.name
        self.rate_hz = file.rate_hz
        self.block_frames = config.block_frames
        self.latency_s = 0.0
        self._feed = make_feed(config, file.rate_hz, doorbell)
        self.audio = Consumer(self._feed.audio)
        self.stamps = Consumer(self._feed.stamps)
        self.counters = self._feed.counters
        self._blocks = file.blocks(_DECODE_FRAMES, config.channel, tail_s=TAIL_S)
        self._ahead, _ = make_ring(power_of_two(_AHEAD_S * file.rate_hz), np.float32)
        self._decoded: NDArray[np.float32] | None = None
        self._flags = aligned_words(CACHE_LINE_WORDS)
        self._room = Doorbell()
        self._is_stopped = False
        self._error: Exception | None = None
        self._threads = (
            threading.Thread(target=self._run_decoder, name="file decoder", daemon=True),
            threading.Thread(target=self._run_pacer, name="file pacer", daemon=True),
        )
        self._warm_up()

    def start(self) -> None:
        """Begin to play: the first frame is at the imagined converter now."""
        self._decode_ahead()
        for thread in self._threads:
            thread.start()

    def stop(self) -> bool:
        """Play no more, and say whether both threads ended in time. Harmless when repeated.

        A decoder that a disk does not answer is left behind, and the doorbell it waits at with it.
        """
        if not self._is_stopped:
            self._is_stopped = True
            store_release(self._flags, _STOPPED, 1)
            self._room.ring()
            give_up_s = time.monotonic() + STOP_S
            for thread in self._threads:
                if thread.is_alive():
                    thread.join(max(give_up_s - time.monotonic(), 0.0))
            if not self._is_running:
                self._room.close()
            end(self._feed)
        return not self._is_running

    def check(self) -> None:
        """Raise what the decoder met, once everything before it has been played.

        Raises
        ------
        AudioFileError
            The file is damaged.
        """
        if self._error is not None and has_ended(self.counters):
            raise self._error

    def _warm_up(self) -> None:
        """Compile the kernels, or load them from the cache, by playing nothing."""
        store_release(self._flags, _STOPPED, 1)
        self._pace()
        store_release(self._flags, _STOPPED, 0)

    @property
    def _is_running(self) -> bool:
        return any(thread.is_alive() for thread in self._threads)

    def _run_decoder(self) -> None:
        while not (load_acquire(self._flags, _DECODED) or load_acquire(self._flags, _STOPPED)):
            self._room.wait()
            self._decode_ahead()

    def _decode_ahead(self) -> None:
        """Decode until the ring ahead of the pacer is full or the file over."""
        try:
            while self._decoded is None or self._ahead.push_nowait(self._decoded):
                self._decoded = next(self._blocks)
            return
        except StopIteration:
            pass
        except Exception as error:  # whatever it is, `check` raises it where it is waited for
            self._error = error
        store_release(self._flags, _DECODED, 1)

    def _run_pacer(self) -> None:
        self._pace()
        end(self._feed)

    def _pace(self) -> None:
        room_fd = self._room.write_fd
        _pace(self._feed, self._ahead.ring, self._flags, room_fd, self.rate_hz, self.block_frames)


@njit(nogil=True, cache=True)
def _pace(
    feed: Feed, ahead: Ring, flags: NDArray[np.int64], room_fd: int, rate_hz: int, block_frames: int
) -> None:
    block = np.empty((block_frames, 1), np.float32)
    ns_per_frame = NS_PER_S / rate_hz
    start_ns = monotonic_ns()
    frame = 0
    is_starved = False
    while not load_acquire(flags, _STOPPED):
        is_decoded = load_acquire(flags, _DECODED)
        _, n_ahead = readable(ahead)
        if 2 * n_ahead < ahead.records.size and not is_decoded:
            ring_doorbell(room_fd)
        adc_ns = start_ns + frame * ns_per_frame
        if n_ahead < block_frames and not is_decoded:
            if not is_starved and monotonic_ns() > adc_ns + block_frames * ns_per_frame:
                feed.counters[OVERFLOWS] += 1
                is_starved = True
            sleep_ns(int(ns_per_frame))
            continue
        is_starved = False
        n = pop(ahead, block.reshape(-1))
        if n == 0:
            break
        due_ns = adc_ns + n * ns_per_frame
        while monotonic_ns() < due_ns:
            sleep_ns(int(due_ns) - monotonic_ns())
        deliver(feed, block[:n], 0, adc_ns / NS_PER_S, monotonic_ns() / NS_PER_S, 0)
        frame += n
