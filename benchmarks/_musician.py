"""Musician: a JACK client in a process of its own, playing a ramp until its input is closed.

Channel 1 counts the frames from 0 to 1 in steps of 1 / `RAMP_FRAMES`, which float32 holds exactly,
again and again; channel 2 is its negative. Run as ``python -m benchmarks._musician NAME``; says
``ready`` when it plays.
"""

import sys

import numpy as np
from numpy.typing import NDArray

RAMP_FRAMES = 2**20


def n_breaks(ramp: NDArray[np.float32], block_frames: int) -> int:
    """Count where a captured ramp, once begun, breaks off; breaks within one block are one."""
    frames = (ramp[int(np.argmax(ramp != 0)) :] * RAMP_FRAMES).astype(np.int64)
    places = np.flatnonzero((np.diff(frames) - 1) % RAMP_FRAMES)
    return int(np.count_nonzero(np.diff(places, prepend=-np.inf) > block_frames))


def main() -> None:
    """Play."""
    import jack

    client = jack.Client(sys.argv[1], no_start_server=True)
    up = client.outports.register("up")
    down = client.outports.register("down")
    frame = 0

    @client.set_process_callback
    def play(n_frames: int) -> None:
        nonlocal frame
        ramp = (np.arange(frame, frame + n_frames) % RAMP_FRAMES).astype(np.float32) / RAMP_FRAMES
        up.get_array()[:] = ramp
        down.get_array()[:] = -ramp
        frame += n_frames

    with client:
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        sys.stdin.read()


if __name__ == "__main__":
    main()
