"""Perform: ``python -m realtime.perform``, the command a musician runs.

Runs on the main thread, which becomes the event loop's. It reads the settings and the memory, puts
the parts together, plays, and reports; whatever is wrong is said in one sentence, with a non-zero
exit code. It never starts to play with something other than what was asked for.
"""

import argparse
import asyncio
import gc
import os
import signal
import sys
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

import structlog
import uvloop

from models.audio_file import AudioFile
from models.codebook import Codebook
from models.encoder import Encoder
from models.errors import ModelsError
from models.info import examine
from models.listener import Listener
from models.terminal import plain_console, preparing, say_error
from oracle.errors import OracleError
from oracle.memory import Memory
from realtime.board import put_up
from realtime.budget import unmet
from realtime.capture import AudioInput
from realtime.command_line import parse
from realtime.config import Config, load_config, require_time_to_capture
from realtime.doorbell import Doorbell
from realtime.engine import Engine
from realtime.errors import DeviceGoneError, LiveError
from realtime.file_source import FileSource
from realtime.forgetting import Aside, at_once
from realtime.improviser import Improviser, Keep
from realtime.input_level import InputLevel, nobody
from realtime.learned import as_learned, encoder_of
from realtime.midi import NotePlayer, NoteSink, Scheduler
from realtime.midi_ports import VIRTUAL
from realtime.monotonic import NS_PER_S
from realtime.opening import (
    Tell,
    forget,
    keeping,
    open_outlets,
    open_recording,
    open_source,
    open_take,
    require_outputs,
)
from realtime.recorder import recorded
from realtime.rehearsal import Rehearsal
from realtime.report import Performance, Reporter
from realtime.ring import Observer
from realtime.supervised import Supervised
from realtime.supervisor import DEVICE_GONE
from realtime.telemetry import configure_logging

SWITCH_INTERVAL_S: Final = 0.0005
"""How long another thread may keep the GIL from the loop; Python's own 5 ms cost 4.9 ms a wake."""

_KNOWN: Final = (ModelsError, OracleError, LiveError)

_log = structlog.get_logger()


class NotLiveError(LiveError):
    """Raised when a live input was asked for at another pace than its own."""


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
    about: dict[str, Any]
    record: Path | None
    supervised: Supervised
    input: str | None
    keep: Keep

    def make_player(self, scheduler: Scheduler, *more: NoteSink) -> NotePlayer:
        """Build the player of the notes."""
        return NotePlayer([*self.sinks, *more], scheduler, self.config.midi)

    def make_listener(self, rate_hz: int) -> Listener:
        """Build a listener that decides where the memory's events were decided."""
        return Listener(rate_hz, self.config.listener)

    def make_improviser(self, rate_hz: int, aside: Aside = at_once) -> Improviser:
        """Build the improviser."""
        return Improviser(
            self.memory,
            rate_hz,
            self.config.improviser,
            seed=self.seed,
            aside=aside,
            keep=self.keep,
        )


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit code."""
    options = parse(arguments)
    console = plain_console(stderr=True)
    try:
        tell = _log_notice if options.headless else console.print
        with preparing(tell) as ready:
            perform(options, tell, ready)
    except _KNOWN as error:
        say_error(console, error)
        return _code(error)
    except ExceptionGroup as group:
        known, unknown = group.split(_KNOWN)
        if known is None or unknown is not None:
            raise
        say_error(console, _first(known))
        return _code(_first(known))
    except KeyboardInterrupt:
        return 130
    return 0


def start(arguments: list[str]) -> int:
    """Perform under a supervisor on a machine without a screen, and here on any other."""
    options = parse(arguments)
    if options.headless and options.pace == "realtime" and not Supervised():
        port = VIRTUAL if options.midi_out is None else options.midi_out
        os.execv(sys.executable, [sys.executable, "-m", "realtime.supervisor", port, *arguments])
    return main(arguments)


def _code(error: BaseException) -> int:
    """Give the exit code, by which a supervisor knows what to do."""
    return DEVICE_GONE if isinstance(error, DeviceGoneError) else 1


def perform(options: argparse.Namespace, tell: Tell, ready: Callable[[], None]) -> None:
    """Play as the command line says, and call `ready` before the first note can be heard."""
    config = load_config(options.config)
    configure_logging(
        config.telemetry.level or ("info" if options.headless else "warning"),
        is_pretty=sys.stderr.isatty() and not options.headless,
        stream=sys.stderr,
    )
    require_outputs(options)
    supervised = Supervised()
    recording = open_recording(options.input, config.capture)
    memory = Memory.load(options.memory)
    config = as_learned(config, memory, options.memory)
    if options.mode is not None:
        config = replace(config, improviser=replace(config.improviser, mode=options.mode))
    build = partial(encoder_of, memory, options.memory, options.encoder)
    if options.info:
        said = examine(build, config.encoder, config.budget.inference_ms)
        ready()
        sys.stdout.write(said + "\n")
        return
    encoder = build(config.encoder)
    supervised.wait_called(ready)
    if encoder.notice:
        tell(encoder.notice)
    source: AudioInput | FileSource | None = None
    frames_ready = Doorbell()
    if options.pace == "realtime":
        source = open_source(
            recording, options.input, config.capture, frames_ready, tell, supervised
        )
        require_time_to_capture(source.block_frames, source.rate_hz, config.budget)
    elif options.input is not None and recording is None:
        raise NotLiveError(
            f"--pace free is for recordings and cannot hurry a live input, and {options.input} "
            "is no recording: give one to --input, or leave --pace out."
        )
    elif options.record is not None:
        raise NotLiveError(
            "--record keeps what is decided in real time, and --pace free decides the same each "
            "time: leave one of them out."
        )
    file = recording or open_take(config.capture)
    about = {
        "pace": options.pace,
        "input": file.path.name if source is None else source.name,
        "memory": str(options.memory),
        "encoder": str(encoder.spec),
        "target_ms": config.budget.target_ms,
    }
    report = Reporter(about, config.budget, options.report, is_headless=options.headless)
    performance = Performance()
    is_live = isinstance(source, AudioInput)
    journal = keeping(options, memory, config.improviser, tell) if is_live else nullcontext(forget)
    try:
        with journal as keep:
            outlets = open_outlets(
                options, is_take=recording is None and not is_live, tell=tell, supervised=supervised
            )
            parts = Parts(
                config=config,
                memory=memory,
                encoder=encoder,
                sinks=outlets.sinks,
                seed=options.seed,
                about=about,
                record=options.record,
                supervised=supervised,
                input=source.name if isinstance(source, AudioInput) else None,
                keep=keep,
            )
            with outlets.kept(tell):
                if source is None:
                    ready()
                    _rehearse(parts, file, options.seconds, performance)
                else:
                    _play(parts, source, frames_ready, options.seconds, performance, tell, ready)
        report.write(performance)
    finally:
        if performance.n_events:
            report.show(performance)


def _rehearse(
    parts: Parts, file: AudioFile, seconds: float | None, performance: Performance
) -> None:
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
        performance=performance,
    )
    rehearsal.run(seconds)
    _require_events(performance, file.path.name, parts.config)


def _play(
    parts: Parts,
    source: AudioInput | FileSource,
    frames_ready: Doorbell,
    seconds: float | None,
    performance: Performance,
    tell: Tell,
    ready: Callable[[], None],
) -> None:
    """Play to a source in real time, until it ends or somebody stops us."""
    config = parts.config
    # What compiles does so before the loop runs, which would keep Ctrl-C waiting until it is done.
    with (
        recorded(
            parts.record,
            about=parts.about,
            config=config,
            memory=parts.memory,
            seed=parts.seed,
            source=source,
            tell=tell,
        ) as tap,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        loop = runner.get_loop()
        improviser = parts.make_improviser(
            source.rate_hz, lambda build: loop.run_in_executor(None, build)
        )
        engine = Engine(
            source=source,
            frames_ready=frames_ready,
            listener=parts.make_listener(source.rate_hz),
            encoder=parts.encoder,
            codebook=Codebook(parts.memory.centroids),
            improviser=improviser,
            make_player=lambda scheduler: parts.make_player(
                scheduler, *tap.sinks, *put_up(parts.about, config.budget, performance, scheduler)
            ),
            budget=config.budget,
            performance=performance,
            hop_s=config.encoder.hop_ms / 1e3,
            level=InputLevel(
                Observer(source.audio.ring),
                source.rate_hz,
                config.listener.gate_dbfs,
                nobody if isinstance(source, FileSource) else tell,
            ),
            record=tap.record,
            ending=parts.supervised.end,
        )
        improviser.warm_up()
        pass_ms = engine.warm_up() * 1e3 / NS_PER_S
        warning = unmet(
            config.budget,
            heard_ms=config.listener.heard_ms,
            block_ms=source.block_frames / source.rate_hz * 1e3,
            pass_ms=pass_ms,
        )
        if warning:
            tell(warning)
        ready()
        gc.collect()
        gc.freeze()
        sys.setswitchinterval(SWITCH_INTERVAL_S)
        _log.info("perform.started", input=source.name, rate_hz=source.rate_hz, pass_ms=pass_ms)
        playing = f"Playing to {source.name} ({source.rate_hz} Hz). Ctrl-C ends it."
        is_stopped = runner.run(_until_stopped(engine, parts, seconds, lambda: tell(playing)))
    if isinstance(source, FileSource) and not is_stopped:
        _require_events(performance, source.name, config)
    elif performance.n_events == 0:
        tell("Nothing was heard.")


async def _until_stopped(
    engine: Engine, parts: Parts, seconds: float | None, begin: Callable[[], None]
) -> bool:
    """Play, and say whether a signal ended it: Ctrl-C, a polite kill, or a terminal that closed."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) != signal.SIG_IGN:  # nohup's way to play on
            loop.add_signal_handler(number, stop.set)
    begin()
    async with parts.supervised.beside(listening_to=parts.input, stop=stop.set):
        await engine.run(stop, seconds)
    return stop.is_set()


def _require_events(performance: Performance, name: str, config: Config) -> None:
    """Refuse a recording in which nothing was heard."""
    if performance.n_events == 0:
        raise NothingHeardError(
            f"Nothing was heard in {name}: what was played of it is silent, or quieter than "
            f"[listener] gate_dbfs = {config.listener.gate_dbfs:g}; raise its level, or learn "
            "with a lower gate."
        )


def _log_notice(notice: str) -> None:
    """Tell the player in the log."""
    _log.info("perform.noticed", notice=notice)


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return the first exception in a group of groups."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


if __name__ == "__main__":
    sys.exit(start(sys.argv[1:]))
