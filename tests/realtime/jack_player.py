"""A musician with a recording: a JACK client that plays it once to a port's every channel.

Run as ``python -m tests.realtime.jack_player RECORDING PORTS``, `PORTS` a pattern of input ports'
names; writes ``over`` when the last frame has been played. It has a process of its own, so that its
callback never waits for the GIL of whoever listens.
"""

import sys
import threading

import jack
import numpy as np
import soundfile


def main() -> None:
    """Play."""
    path, pattern = sys.argv[1:]
    recording, rate_hz = soundfile.read(path, dtype="float32")
    client = jack.Client("player", no_start_server=True)
    assert client.samplerate == rate_hz
    out = client.outports.register("out")
    is_connected = threading.Event()
    is_over = threading.Event()
    position = 0

    @client.set_process_callback
    def play(n_frames: int) -> None:
        nonlocal position
        block = recording[position : position + n_frames] if is_connected.is_set() else ()
        out.get_array()[:] = np.pad(block, (0, n_frames - len(block)))
        position += len(block)
        if position == len(recording):
            is_over.set()

    with client:
        for port in client.get_ports(pattern, is_audio=True, is_input=True):
            client.connect(out, port)
        is_connected.set()
        is_over.wait()
        sys.stdout.write("over\n")


if __name__ == "__main__":
    main()
