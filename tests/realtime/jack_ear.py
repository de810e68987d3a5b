"""An ear with a process of its own: a JACK client that writes each MIDI message it hears in hex.

In the process of the test its callback would wait for the GIL, and JACK's graph for its callback.
"""

import queue
import signal
import sys

import jack


def main() -> None:
    """Say ``ready``, then write one line a message until SIGTERM, and leave the server tidily."""
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit())
    heard = queue.SimpleQueue[bytes]()
    client = jack.Client("ear", no_start_server=True)
    port = client.midi_inports.register("in")

    @client.set_process_callback
    def process(n_frames: int) -> None:
        for _, data in port.incoming_midi_events():
            heard.put(bytes(data))

    with client:
        sys.stdout.write("ready\n")
        while True:
            sys.stdout.flush()
            sys.stdout.write(heard.get().hex() + "\n")


if __name__ == "__main__":
    main()
