"""Referee: a JACK client that plays a recording to a program and writes down what it answers.

It is not the program: it has a process, a clock and a callback of its own, and knows of the
performer only its ports. Run as ``python -m benchmarks._referee RECORDING INPUTS N_TIMES``,
`INPUTS` a pattern of input ports' names. Says ``ready`` when it can be connected to; a line on its
stdin starts it; when it has played the recording so often, it prints one JSON object, a `Game`.

All times are frames of JACK's clock. A frame of the recording counts from the moment the cycle that
carries it begins, plus its place in the block; a note-on from the cycle it is delivered in, plus
its offset there. When each note-on was received is noted by the monotonic clock too, which every
process of a machine shares, so that it can be told afterwards which answer of the program it was.
"""

import json
import sys
import threading
import time
from dataclasses import asdict, dataclass, field

import numpy as np
import soundfile
from numpy.typing import NDArray

MIDI_PORT = "referee"
_NOTE_ON = 0x90
_GRACE_S = 1.0


@dataclass(slots=True, kw_only=True)
class Game:
    """What was played when, and what came back.

    Attributes
    ----------
    stretches
        For each stretch that JACK ran without a gap: the first frame of the recording, counted
        on through its repetitions, and its time.
    note_ons
        Times of the note-ons received.
    received_ns
        Monotonic times of the calls that delivered them.
    """

    rate_hz: int
    block_frames: int
    stretches: list[tuple[int, int]] = field(default_factory=list)
    note_ons: list[int] = field(default_factory=list)
    received_ns: list[int] = field(default_factory=list)
    n_xruns: int = 0

    def time_of(self, frames: NDArray[np.int64]) -> NDArray[np.int64]:
        """Give the times at which frames of the recording were played."""
        starts, times = np.array(self.stretches, np.int64).T
        stretch = np.searchsorted(starts, frames, side="right") - 1
        return np.asarray(times[stretch] + frames - starts[stretch], np.int64)


def main() -> None:
    """Play and listen."""
    import jack

    path, pattern, n_times = sys.argv[1:]
    recording, rate_hz = soundfile.read(path, dtype="float32")
    client = jack.Client(MIDI_PORT, no_start_server=True)
    assert client.samplerate == rate_hz
    out = client.outports.register("out")
    answers = client.midi_inports.register("in")
    game = Game(rate_hz=rate_hz, block_frames=client.blocksize)
    n_frames = len(recording) * int(n_times)
    grace_frames = int(_GRACE_S * rate_hz)
    recording = np.concatenate([recording, recording[: 4 * client.blocksize]])
    n_once = len(recording) - 4 * client.blocksize
    is_playing, is_over = threading.Event(), threading.Event()
    position = expected = 0

    @client.set_process_callback
    def play(n: int) -> None:
        nonlocal position, expected
        now = client.last_frame_time
        for offset, data in answers.incoming_midi_events():
            status, _, velocity = bytes(data)
            if status & 0xF0 == _NOTE_ON and velocity:
                game.note_ons.append(now + offset)
                game.received_ns.append(time.monotonic_ns())
        block = out.get_array()
        block[:] = 0.0
        if not is_playing.is_set():
            return
        if position < n_frames:
            place = position % n_once
            block[:] = recording[place : place + n]
            if now != expected or not position:
                game.stretches.append((position, now))
            expected = now + n
        position += n
        if position >= n_frames + grace_frames:
            is_over.set()

    @client.set_xrun_callback
    def count(_: float) -> None:
        game.n_xruns += 1

    with client:
        print("ready", flush=True)
        sys.stdin.readline()
        for port in client.get_ports(pattern, is_audio=True, is_input=True):
            client.connect(out, port)
        is_playing.set()
        is_over.wait()
    print(json.dumps(asdict(game)))


if __name__ == "__main__":
    main()
