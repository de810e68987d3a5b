"""What hearing costs: the kernel as the stage calls it, without the interpreter, block by block."""

import time

import numpy as np
from numba import njit
from numpy.typing import NDArray

from benchmarks._recordings import Recording
from models.listener import EVENT_DTYPE, Listener, ListenerState, hear_kernel
from realtime.monotonic import monotonic_ns

BLOCK_FRAMES = 128


@njit(nogil=True)
def _hear_blocks(
    state: ListenerState,
    blocks: NDArray[np.float32],
    records: NDArray[np.void],
    wall_ns: NDArray[np.int64],
) -> None:
    """Hear blocks one by one as the listener's thread does, and write how long each took."""
    for i in range(wall_ns.size):
        start_ns = monotonic_ns()
        hear_kernel(state, blocks[i], records)
        wall_ns[i] = monotonic_ns() - start_ns


def measure_cost(recording: Recording, n_blocks: int) -> dict[str, float]:
    """Measure each block by the clock and all of them in this thread's CPU time."""
    listener = Listener(recording.rate_hz)
    records = np.zeros(listener.max_records(BLOCK_FRAMES), EVENT_DTYPE)
    n_frames = n_blocks * BLOCK_FRAMES
    blocks = np.resize(recording.frames, n_frames).reshape(n_blocks, BLOCK_FRAMES)
    wall_ns = np.zeros(n_blocks, np.int64)
    _hear_blocks(listener.state, blocks[:1], records, wall_ns[:1])
    start_ns = time.thread_time_ns()
    _hear_blocks(listener.state, blocks, records, wall_ns)
    cost_ms = (time.thread_time_ns() - start_ns) / 1e6
    return {
        "block_p50_us": float(np.median(wall_ns)) / 1e3,
        "block_p99_us": float(np.percentile(wall_ns, 99)) / 1e3,
        "block_max_us": float(wall_ns.max()) / 1e3,
        "ms_per_s": cost_ms / (n_frames / recording.rate_hz),
    }
