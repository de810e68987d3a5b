"""Audience: a JACK client that plays notes without end, and writes down the MIDI that it hears.

It has a process of its own, and ends with its server. Run as ``python -m benchmarks._audience
INPUTS``, `INPUTS` a pattern of input ports' names that it keeps connecting itself to. Each line on
its stdout is a time of the monotonic clock in ns and a message in hex.
"""

import contextlib
import os
import queue
import sys
import threading
import time
from typing import Any, Final

import numpy as np

NAME: Final = "audience"
_NOTE_S: Final = 0.3
_LOOK_S: Final = 0.1


def phrase(rate_hz: int) -> Any:
    """Give plucked notes, two seconds or so of them, to be played round and round."""
    time_s = np.arange(round(_NOTE_S * rate_hz)) / rate_hz
    envelope = 0.3 * np.exp(-9.0 * time_s)
    notes = [
        envelope * np.sin(2 * np.pi * 220.0 * 2 ** (semitones / 12) * time_s)
        for semitones in (0, 4, 7, 12, 9, 7, 4)
    ]
    return np.concatenate(notes).astype(np.float32)


def main() -> None:
    """Play and listen, until the server ends."""
    import jack

    jack.set_error_function(lambda message: None)
    heard = queue.SimpleQueue[tuple[int, bytes]]()
    client = jack.Client(NAME, no_start_server=True)
    out = client.outports.register("out")
    answers = client.midi_inports.register("in")
    notes = phrase(client.samplerate)
    position = 0

    @client.set_process_callback
    def play(n_frames: int) -> None:
        nonlocal position
        now_ns = time.monotonic_ns()
        for _, data in answers.incoming_midi_events():
            heard.put((now_ns, bytes(data)))
        out.get_array()[:] = notes[(position + np.arange(n_frames)) % len(notes)]
        position += n_frames

    @client.set_shutdown_callback
    def end(status: Any, reason: str) -> None:
        os._exit(0)

    def look() -> None:
        while True:
            with contextlib.suppress(jack.JackError):  # a port that has left meanwhile
                connected = {port.name for port in client.get_all_connections(out)}
                for port in client.get_ports(sys.argv[1], is_audio=True, is_input=True):
                    if port.name not in connected:
                        client.connect(out, port)
            time.sleep(_LOOK_S)

    with client:
        threading.Thread(target=look, daemon=True).start()
        while True:
            now_ns, message = heard.get()
            sys.stdout.write(f"{now_ns} {message.hex()}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
