"""A JACK client in a process of its own that plays a ramp until its standard input is closed.

Channel 1 counts the frames from 0, modulo `RAMP_FRAMES`, which float32 holds exactly; channel 2 is
its negative. Run as ``python -m tests.realtime.musician NAME``; says ``ready`` when it plays.
"""

import sys

import jack
import numpy as np

RAMP_FRAMES = 2**20


def main() -> None:
    """Play."""
    client = jack.Client(sys.argv[1], no_start_server=True)
    up = client.outports.register("up")
    down = client.outports.register("down")
    frame = 0

    @client.set_process_callback
    def play(n_frames: int) -> None:
        nonlocal frame
        ramp = (np.arange(frame, frame + n_frames) % RAMP_FRAMES).astype(np.float32)
        up.get_array()[:] = ramp
        down.get_array()[:] = -ramp
        frame += n_frames

    with client:
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        sys.stdin.read()


if __name__ == "__main__":
    main()
