"""Listen: ``python -m realtime.listen``, what the program hears of an input, and why it does not.

One thread. A recording is heard as fast as the machine can, an audio input as it plays, both by the
listener and with the windows of the stage; with a memory, gestures are recognised as its own. It
plays nothing and changes nothing.
"""

import argparse
import json
import math
import re
import sys
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from models.codebook import Codebook
from models.encoder import EncoderSpec
from models.errors import ModelsError
from models.hearing import hear
from models.limits import MAX_CHANNELS
from models.meter import Meter, findings
from models.terminal import CommandLine, plain_console, preparing, run_command
from oracle.drawing import require_form
from oracle.errors import OracleError
from oracle.event import Event
from oracle.memory import Memory
from oracle.transcriber import Transcriber
from realtime.command_line import duration_s, whole
from realtime.config import load_config
from realtime.errors import LiveError
from realtime.event_lines import HEADINGS, event_line, event_object
from realtime.feedback import Sounded, echo
from realtime.learned import as_learned, encoder_of
from realtime.listen_input import Blocks, Input, opened
from realtime.picture import Picture

QUIET_S: Final = 5.0
"""So long without an event, and the player is told why."""
N_HEARD: Final = 1024
"""Pitches remembered; the notes of a performance elsewhere are the newest 256."""

_NUMBER: Final = re.compile(r"[-+\d.]+")


class Checkup:
    """Measures an input and says what is wrong with it. One thread.

    Parameters
    ----------
    tell
        Called with a sentence, never one twice that says the same with other numbers.

    Attributes
    ----------
    n_events : int
        Heard so far.
    """

    def __init__(self, input_: Input, gate_dbfs: float, tell: Callable[[str], object]) -> None:
        self._input = input_
        self._gate_dbfs = gate_dbfs
        self._tell = tell
        self._n_quiet = round(QUIET_S * input_.rate_hz)
        self._is_impatient = False
        self._meter = Meter()
        self._said: set[str] = set()
        self._heard: deque[Sounded] = deque(maxlen=N_HEARD)
        self.n_events = 0

    def hear(self, event: Event) -> None:
        """Take an event that was heard."""
        self.n_events += 1
        pitches = {note.pitch for note in event.notes}
        if math.isfinite(event.pitch):
            pitches.add(round(event.pitch))
        self._heard.extend(Sounded(event.onset_s, pitch) for pitch in pitches)

    def take(self, block: NDArray[np.float32]) -> None:
        """Say, once, why a live input was not heard for so long, and measure the next block."""
        is_quiet = self._meter.n_frames >= self._n_quiet and not self.n_events
        if is_quiet and self._input.is_live and not self._is_impatient:
            self._is_impatient = True
            self.say()
        self._meter.take(block)

    def say(self) -> None:
        """Say what is wrong so far."""
        channels_dbfs = () if self.n_events else self._input.channels_dbfs()
        heard_echo = echo(self._input.our_notes() if self._heard else (), self._heard)
        for finding in (
            *findings(
                self._meter,
                self.n_events,
                self._gate_dbfs,
                channels_dbfs,
                is_live=self._input.is_live,
            ),
            *([] if heard_echo is None else [str(heard_echo)]),
        ):
            what = _NUMBER.sub("", finding)
            if what not in self._said:
                self._tell(finding)
            self._said.add(what)


class _NoEncoder:
    """Embeds nothing: for those who ask for events only."""

    notice = ""

    def __init__(self, rate_hz: int) -> None:
        self.spec = EncoderSpec(
            name="none", revision="none", rate_hz=rate_hz, window_frames=1, dim=1
        )

    def encode(self, windows: NDArray[np.float32]) -> NDArray[np.float32]:
        """Give zeros."""
        return np.zeros((len(windows), 1), np.float32)


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit code: 0 if an event was heard."""
    options = _parser().parse_args(arguments)
    console = plain_console(stderr=True)
    return run_command(
        lambda: 0 if listen(options, console) else 1, (ModelsError, OracleError, LiveError)
    )


def listen(options: argparse.Namespace, console: Console) -> int:
    """Listen as the command line says, and return how many events were heard."""
    config = load_config(options.config)
    if options.channel is not None:
        config = replace(config, capture=replace(config.capture, channel=options.channel))
    memory, encoder = None, None
    if options.memory is not None:
        memory = Memory.load(options.memory)
        config = as_learned(config, memory, options.memory)
        encoder = encoder_of(memory, options.memory, options.encoder, config.encoder)
    if options.plot is not None:
        require_form(options.plot, sources=(Path(options.input),))
    with (
        preparing(console.print) as ready,
        opened(options.input, config.capture, options.seconds) as input_,
    ):
        checkup = Checkup(input_, config.listener.gate_dbfs, console.print)
        picture = Picture(input_.rate_hz)
        takers = [checkup.take] if options.plot is None else [checkup.take, picture.take]
        hearing = hear(
            _passed(input_.blocks, takers, ready),
            input_.rate_hz,
            config.listener,
            encoder or _NoEncoder(input_.rate_hz),
            batch_size=1,
        )
        codebook = None if memory is None else Codebook(memory.centroids)
        transcriber = Transcriber(input_.rate_hz)
        show = _shower(is_json=options.json)
        events = []
        with suppress(KeyboardInterrupt):  # how a live input ends
            for heard in hearing:
                token = None if codebook is None else codebook.lookup(heard.embedding)[0]
                event = transcriber.transcribe(heard.attack, heard.body, token)
                checkup.hear(event)
                show(event)
                if options.plot is not None:
                    events.append(event)
        checkup.say()
    if options.plot is not None:
        picture.draw(events, f"{input_.name}: {checkup.n_events} events", options.plot)
        console.print(f"The drawing is {options.plot}.")
    return checkup.n_events


def _passed(
    blocks: Blocks,
    takers: Sequence[Callable[[NDArray[np.float32]], None]],
    ready: Callable[[], None],
) -> Blocks:
    """Let others take each block before it is heard; once one was, nothing is left to compile."""
    for block in blocks:
        for take in takers:
            take(block)
        yield block
        ready()


def _shower(*, is_json: bool) -> Callable[[Event], None]:
    """Give what prints an event, at once."""
    console = plain_console()
    if not is_json:
        console.print(HEADINGS)

    def show(event: Event) -> None:
        console.print(json.dumps(event_object(event)) if is_json else event_line(event))
        console.file.flush()

    return show


def _channel(text: str) -> int | str:
    """Read a channel from 1, or "mix"."""
    if text == "mix":
        return text
    channel = whole(text)
    if not 1 <= channel <= MAX_CHANNELS:
        raise argparse.ArgumentTypeError(f"must be from 1 to {MAX_CHANNELS}, or mix, got {text}")
    return channel


def _parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = CommandLine(
        prog="python -m realtime.listen",
        description="Prints what the program hears of a recording or an audio input, each event "
        "when it is over, and says why when it hears nothing. Ctrl-C ends it.",
        epilog="example: python -m realtime.listen default --memory solo.memory --seconds 20",
    )
    add = parser.add_argument
    add(
        "input",
        metavar="INPUT",
        help="a recording, 'default' or part of an audio input's name, or what --record kept",
    )
    add("--memory", type=Path, metavar="FILE", help="name the gestures as this memory does")
    add("--encoder", metavar="WHERE", help="where the memory's encoder is, if it has moved")
    add("--channel", type=_channel, metavar="N", help="from 1, or 'mix' for the mean of all")
    add("--seconds", type=duration_s, metavar="N", help="stop after this many seconds")
    add("--json", action="store_true", help="one JSON object a line; what is missing is left out")
    add("--plot", type=Path, metavar="FILE", help="draw it there, ending in .png or .svg")
    add("--config", type=Path, metavar="FILE", help="settings (default: config.toml, if there)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
