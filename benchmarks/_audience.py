"""Audience: a JACK client that plays notes without end, and writes down the MIDI that it hears.

It has a process of its own and outlives its server: when that ends it joins the next one. Run as
``python -m benchmarks._audience INPUTS``, `INPUTS` a pattern of input ports' names that it keeps
connecting itself to. Each line on its stdout is a time of the monotonic clock in ns and a message
in hex. A line on its stdin, ``leave`` or ``join``, is what it does.
"""

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
    envelope = np.exp(-9.0 * time_s)
    notes = [
        0.3 * envelope * np.sin(2 * np.pi * 220.0 * 2 ** (semitones / 12) * time_s)
        for semitones in (0, 4, 7, 12, 9, 7, 4)
    ]
    return np.concatenate(notes).astype(np.float32)


class Visit:
    """One stay at a server, until it ends or the audience leaves."""

    def __init__(self, heard: "queue.SimpleQueue[tuple[int, bytes]]", pattern: str) -> None:
        import jack

        self._jack = jack
        self._client = jack.Client(NAME, no_start_server=True)
        self._out = self._client.outports.register("out")
        self._in = self._client.midi_inports.register("in")
        self._pattern = pattern
        self._phrase = phrase(self._client.samplerate)
        self._heard = heard
        self._position = 0
        self.is_over = threading.Event()
        self._client.set_process_callback(self._play)
        self._client.set_shutdown_callback(lambda status, reason: self.is_over.set())
        self._client.activate()

    def _play(self, n_frames: int) -> None:
        now_ns = time.monotonic_ns()
        for _, data in self._in.incoming_midi_events():
            self._heard.put((now_ns, bytes(data)))
        places = (self._position + np.arange(n_frames)) % len(self._phrase)
        self._out.get_array()[:] = self._phrase[places]
        self._position += n_frames

    def connect(self) -> None:
        """Play to whoever has come to listen."""
        connected = {port.name for port in self._client.get_all_connections(self._out)}
        for port in self._client.get_ports(self._pattern, is_audio=True, is_input=True):
            if port.name not in connected:
                self._client.connect(self._out, port)

    def leave(self) -> None:
        """Close, unless the server has; then what is left of it is left."""
        if not self.is_over.is_set():
            self._client.close()


def main() -> None:
    """Play and listen."""
    import jack

    pattern = sys.argv[1]
    jack.set_error_function(lambda message: None)
    heard = queue.SimpleQueue[tuple[int, bytes]]()
    threading.Thread(target=_write, args=(heard,), daemon=True).start()
    is_here = threading.Event()
    is_here.set()
    threading.Thread(target=_obey, args=(is_here,), daemon=True).start()
    visit: Visit | None = None
    while True:
        if visit is not None and (visit.is_over.is_set() or not is_here.is_set()):
            visit.leave()
            visit = None
        try:
            if visit is None and is_here.is_set():
                visit = Visit(heard, pattern)
            if visit is not None:
                visit.connect()
        except jack.JackError:
            pass
        time.sleep(_LOOK_S)


def _obey(is_here: threading.Event) -> None:
    for line in sys.stdin:
        (is_here.clear if line == "leave\n" else is_here.set)()


def _write(heard: "queue.SimpleQueue[tuple[int, bytes]]") -> None:
    while True:
        now_ns, message = heard.get()
        sys.stdout.write(f"{now_ns} {message.hex()}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
