"""Perform: ``python -m realtime.perform``, the command a musician runs.

Runs on the main thread. It reads the settings and the memories, opens what is listened to and where
the notes go, has it played, and reports; whatever is wrong is said in one sentence, with a non-zero
exit code. It never starts to play with something other than what was asked for.
"""

import argparse
import os
import sys
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from typing import Final

import structlog

from models.errors import ModelsError
from models.info import examine
from models.terminal import plain_console, preparing, say_error
from oracle.errors import OracleError
from realtime.capture import AudioInput
from realtime.command_line import parse
from realtime.config import load_config, require_time_to_capture
from realtime.doorbell import Doorbell
from realtime.errors import DeviceGoneError, LiveError
from realtime.file_source import FileSource
from realtime.keeping import keeping
from realtime.midi_ports import VIRTUAL
from realtime.opening import Tell, open_recording, open_source, open_take
from realtime.outlets import open_outlets, require_outputs
from realtime.playing import Parts, play, rehearse
from realtime.repertoire import Repertoire
from realtime.report import Performance, Reporter
from realtime.supervised import Supervised
from realtime.supervisor import DEVICE_GONE
from realtime.telemetry import configure_logging

_KNOWN: Final = (ModelsError, OracleError, LiveError)

_log = structlog.get_logger()


class NotLiveError(LiveError):
    """Raised when a live input was asked for at another pace than its own."""


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
    repertoire = Repertoire.load(options.memory)
    config = repertoire.as_learned(config)
    if options.mode is not None:
        config = replace(config, improviser=replace(config.improviser, mode=options.mode))
    if options.info:
        said = [
            examine(build, config.encoder, config.budget.inference_ms)
            for build in repertoire.builders(options.encoder)
        ]
        ready()
        sys.stdout.write("\n\n".join(said) + "\n")
        return
    recognisers = repertoire.recognisers(options.encoder, config.encoder)
    supervised.wait_called(ready)
    for notice in dict.fromkeys(recogniser.encoder.notice for recogniser in recognisers):
        if notice:
            tell(notice)
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
        "memory": str(repertoire),
        "memories": list(map(str, repertoire.paths)),
        "encoder": "; ".join(str(recogniser.encoder.spec) for recogniser in recognisers),
        "target_ms": config.budget.target_ms,
    }
    report = Reporter(about, config.budget, options.report, is_headless=options.headless)
    performance = Performance()
    is_live = isinstance(source, AudioInput)
    journals = (
        keeping(repertoire, config.improviser.max_events, tell, is_afresh=options.afresh)
        if is_live
        else nullcontext()
    )
    try:
        with journals as keeps:
            outlets = open_outlets(
                options, is_take=recording is None and not is_live, tell=tell, supervised=supervised
            )
            parts = Parts(
                config=config,
                repertoire=repertoire,
                recognisers=recognisers,
                sinks=outlets.sinks,
                seed=options.seed,
                about=about,
                record=options.record,
                supervised=supervised,
                keeps=keeps,
                performance=performance,
            )
            with outlets.kept(tell):
                if source is None:
                    ready()
                    rehearse(parts, file, options.seconds)
                else:
                    play(parts, source, frames_ready, options.seconds, tell, ready)
        report.write(performance)
    finally:
        if performance.n_events:
            report.show(performance)


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
