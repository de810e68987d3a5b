"""Perform: ``python -m realtime.perform``, the command a musician runs.

Runs on the main thread, which becomes the event loop's. It reads the command line and the settings,
puts the parts together, plays, and reports; whatever is wrong is said in one sentence, with a
non-zero exit code. It never starts to play with something other than what was asked for.
"""

import argparse
import asyncio
import gc
import math
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import structlog
import uvloop
from rich.console import Console

from models.audio_file import AudioFile
from models.codebook import Codebook
from models.encoder import Encoder, EncoderSpec, restore_encoder
from models.errors import ModelsError
from models.listener import Listener
from models.settings import SettingsError
from oracle.errors import OracleError
from oracle.memory import Memory
from realtime.capture import AudioInput
from realtime.config import Config, load_config, require_time_to_hear
from realtime.doorbell import Doorbell
from realtime.engine import Engine
from realtime.errors import AudioInputError, LiveError
from realtime.file_source import FileSource
from realtime.improviser import Improviser
from realtime.midi import NotePlayer, NoteSink, Scheduler
from realtime.midi_file import MidiFileSink
from realtime.midi_ports import VIRTUAL, MidiPortError, open_port
from realtime.monotonic import NS_PER_S
from realtime.rehearsal import Rehearsal
from realtime.report import Performance, print_report, write_report
from realtime.source import AudioSource
from realtime.telemetry import configure_logging

TAKE: Final = Path(__file__).resolve().parent.parent / "takes" / "calling_card.flac"
DEFAULT_MEMORY: Final = Path("calling_card.memory")
DEFAULT_MIDI_FILE: Final = Path("performance.mid")
SWITCH_INTERVAL_S: Final = 0.0005
"""How long another thread may keep the GIL from the loop; Python's own 5 ms cost 4.9 ms a wake."""

_log = structlog.get_logger()


class NothingHeardError(LiveError):
    """Raised when a recording was played to and no event was found in it."""


@dataclass(frozen=True, kw_only=True)
class Parts:
    """What a performance is made of, whether live or a rehearsal."""

    config: Config
    memory: Memory
    encoder: Encoder
    sinks: list[NoteSink]
    seed: int

    def make_player(self, scheduler: Scheduler) -> NotePlayer:
        """Build the player of the notes."""
        return NotePlayer(self.sinks, scheduler, self.config.midi)

    def make_listener(self, rate_hz: int) -> Listener:
        """Build a listener that decides where the memory's events were decided."""
        return Listener(rate_hz, self.config.listener)

    def make_improviser(self, rate_hz: int) -> Improviser:
        """Build the improviser."""
        return Improviser(self.memory, rate_hz, self.config.improviser, seed=self.seed)


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit code."""
    options = _parser().parse_args(arguments)
    console = Console(stderr=True)
    try:
        perform(options, console)
    except (SettingsError, ModelsError, OracleError, LiveError) as error:
        return _failed(console, error)
    except ExceptionGroup as group:
        known, unknown = group.split((ModelsError, OracleError, LiveError))
        if unknown is not None or known is None:
            raise
        return _failed(console, _first(known))
    except KeyboardInterrupt:
        return 130
    return 0


def perform(options: argparse.Namespace, console: Console) -> None:
    """Play as the command line says."""
    config = load_config(options.config)
    is_pretty = sys.stderr.isatty() and not options.headless
    configure_logging("info" if options.headless else config.telemetry.level, is_pretty=is_pretty)
    memory = Memory.load(options.memory)
    config = _as_learned(config, memory, options.memory)
    encoder = restore_encoder(
        EncoderSpec.from_json(memory.provenance.encoder),
        options.encoder,
        n_threads=config.encoder.n_threads,
    )
    if encoder.notice:
        console.print(encoder.notice, highlight=False)
    frames_ready = Doorbell()
    file, source = _open_input(options, config, frames_ready, console)
    sinks = _open_sinks(
        options, is_take=options.input is None and file is not None, console=console
    )
    parts = Parts(config=config, memory=memory, encoder=encoder, sinks=sinks, seed=options.seed)
    if source is None:
        assert file is not None
        performance = _rehearse(parts, file, options.seconds)
    else:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            performance = runner.run(_play(parts, source, frames_ready, options.seconds, console))
    about = {
        "pace": options.pace,
        "input": source.name if source is not None else str(file.path if file else ""),
        "memory": str(options.memory),
        "encoder": str(encoder.spec),
        "target_ms": config.budget.target_ms,
    }
    _report(performance, about, options, config, console)
    if file is not None and performance.n_events == 0:
        raise NothingHeardError(
            f"Nothing was heard in {file.path}: it is silent, or quieter than [listener] "
            f"gate_dbfs = {config.listener.gate_dbfs:g}; raise its level or lower the gate."
        )


def _rehearse(parts: Parts, file: AudioFile, seconds: float | None) -> Performance:
    """Play to a recording in virtual time."""
    rehearsal = Rehearsal(
        file=file,
        channel=parts.config.capture.channel,
        block_frames=parts.config.capture.block_frames,
        listener=parts.make_listener(file.rate_hz),
        encoder=parts.encoder,
        codebook=Codebook(parts.memory.centroids),
        improviser=parts.make_improviser(file.rate_hz),
        make_player=parts.make_player,
        budget=parts.config.budget,
    )
    rehearsal.run(seconds)
    return rehearsal.performance


async def _play(
    parts: Parts,
    source: AudioSource,
    frames_ready: Doorbell,
    seconds: float | None,
    console: Console,
) -> Performance:
    """Play to a source in real time, until it ends or somebody stops us."""
    config = parts.config
    improviser = parts.make_improviser(source.rate_hz)
    engine = Engine(
        source=source,
        frames_ready=frames_ready,
        listener=parts.make_listener(source.rate_hz),
        encoder=parts.encoder,
        codebook=Codebook(parts.memory.centroids),
        improviser=improviser,
        make_player=parts.make_player,
        budget=config.budget,
        hop_s=config.encoder.hop_ms / 1e3,
    )
    improviser.warm_up()
    pass_ms = engine.warm_up() * 1e3 / NS_PER_S
    if pass_ms > config.budget.inference_ms:
        console.print(
            f"One pass of the encoder takes {pass_ms:.0f} ms on this machine and [budget] "
            f"inference_ms is {config.budget.inference_ms:g}: answers that cannot wait for it "
            "will be reflexes.",
            highlight=False,
        )
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    gc.collect()
    gc.freeze()
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    console.print(
        f"Playing to {source.name} ({source.rate_hz} Hz). Ctrl-C ends it.", highlight=False
    )
    _log.info("perform.started", input=source.name, rate_hz=source.rate_hz, pass_ms=pass_ms)
    await engine.run(stop, seconds)
    return engine.performance


def _as_learned(config: Config, memory: Memory, path: Path) -> Config:
    """Hear events as the memory's were heard."""
    require_time_to_hear(memory.provenance.heard_ms, config.budget, str(path))
    return replace(config, listener=replace(config.listener, heard_ms=memory.provenance.heard_ms))


def _open_input(
    options: argparse.Namespace, config: Config, frames_ready: Doorbell, console: Console
) -> tuple[AudioFile | None, AudioSource | None]:
    """Open what to listen to: a recording, a live source, or a recording as a live source."""
    file = None
    if options.input is not None and Path(options.input).is_file():
        file = AudioFile(options.input)
    elif options.input is not None or options.pace == "realtime":
        capture = config.capture
        if options.input is not None:
            capture = replace(capture, device=options.input)
        try:
            return None, AudioInput(capture, frames_ready)
        except AudioInputError as error:
            if options.input is not None:
                raise
            console.print(f"{error} Playing to the bundled take.", highlight=False)
    file = file or AudioFile(TAKE)
    file.blocks(config.capture.block_frames, config.capture.channel)  # refuses a missing channel
    if options.pace == "free":
        return file, None
    return file, FileSource(file, config.capture, frames_ready)


def _open_sinks(options: argparse.Namespace, *, is_take: bool, console: Console) -> list[NoteSink]:
    """Open where the notes go: the port first, since somebody hears it."""
    sinks: list[NoteSink] = []
    midi_file = options.midi_file
    port = options.midi_out
    if port is None and options.pace == "realtime":
        try:
            sinks.append(open_port(VIRTUAL))
        except MidiPortError:
            midi_file = midi_file or DEFAULT_MIDI_FILE
    elif port not in (None, "none"):
        sinks.append(open_port(port))
    if is_take:
        midi_file = midi_file or DEFAULT_MIDI_FILE
    if midi_file is not None:
        sinks.append(MidiFileSink(midi_file))
    for sink in sinks:
        console.print(f"Notes go to {sink.name}.", highlight=False)
    return sinks


def _report(
    performance: Performance,
    about: dict[str, Any],
    options: argparse.Namespace,
    config: Config,
    console: Console,
) -> None:
    """Show and write what was measured."""
    report = performance.as_dict(about)
    if options.headless:
        _log.info("perform.ended", **report)
    else:
        print_report(Console(), report, config.budget)
    if options.report is not None:
        try:
            write_report(options.report, report)
        except OSError as error:
            raise LiveError(
                f"The report cannot be written to {options.report} ({error.strerror}): choose "
                "another --report."
            ) from None
    console.file.flush()


def _failed(console: Console, error: BaseException) -> int:
    """Say what is wrong, in one sentence."""
    console.print(f"[red]Error:[/] {error}", highlight=False, soft_wrap=True)
    return 1


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return the first exception in a group of groups."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _positive(kind: Callable[[str], float]) -> Callable[[str], float]:
    """Make an argparse type that takes numbers above 0."""

    def convert(text: str) -> float:
        value = kind(text)
        if not 0 < value < math.inf:
            raise argparse.ArgumentTypeError(f"must be above 0, got {text}")
        return value

    return convert


def _parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m realtime.perform",
        description="Listens to a musician, or to a recording, and answers with MIDI notes from a "
        "memory of music it has learned.",
    )
    add = parser.add_argument
    add(
        "--memory",
        type=Path,
        default=DEFAULT_MEMORY,
        metavar="FILE",
        help="what it has learned, made with python -m oracle.train (default: %(default)s)",
    )
    add(
        "--input",
        metavar="WHAT",
        help="'default' for the machine's audio input, part of an input's name, or a recording to "
        "play to (default: the audio input, or the bundled take where there is none)",
    )
    add(
        "--midi-out",
        metavar="PORT",
        help="'virtual' for a port of its own that other programs can connect to, part of a MIDI "
        "port's name, or 'none' (default: virtual, where the machine has MIDI)",
    )
    add("--midi-file", type=Path, metavar="FILE", help="also write what it plays to this MIDI file")
    add("--report", type=Path, metavar="FILE", help="write what was measured to this JSON file")
    add("--seconds", type=_positive(float), metavar="N", help="stop after this many seconds")
    add(
        "--pace",
        choices=("realtime", "free"),
        default="realtime",
        help="play to a recording as it sounds, or as fast as the machine can (default: "
        "%(default)s)",
    )
    add(
        "--seed",
        type=int,
        default=0,
        metavar="N",
        help="another seed, other answers; the same seed, the same (default: %(default)s)",
    )
    add(
        "--encoder",
        metavar="WHERE",
        help="where to find the model the memory was learned with, if it has moved: a hub name or "
        "a folder",
    )
    add(
        "--config",
        type=Path,
        metavar="FILE",
        help="settings (default: config.toml in this folder, if there is one)",
    )
    add(
        "--headless",
        action="store_true",
        help="for a machine without a screen: JSON log lines on stderr, no table",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
