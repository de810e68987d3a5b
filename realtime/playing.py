"""Playing: the parts of a performance put together, and played, in real time or in virtual time.

Runs on the main thread, which becomes the event loop's. What compiles does so before the first
note. It chooses nothing: what is played, to what and where to, is given.
"""

import asyncio
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog
import uvloop

from models.audio_file import AudioFile
from models.listener import Listener
from realtime.board import put_up
from realtime.budget import unmet
from realtime.capture import AudioInput
from realtime.config import Config
from realtime.doorbell import Doorbell
from realtime.engine import Engine
from realtime.ensemble import Ensemble, make_ensemble
from realtime.errors import LiveError
from realtime.file_source import FileSource
from realtime.forgetting import Aside, at_once
from realtime.improviser import Keep
from realtime.input_level import InputLevel, nobody
from realtime.midi import NotePlayer, NoteSink, Scheduler
from realtime.monotonic import NS_PER_S
from realtime.opening import Tell
from realtime.recogniser import Recogniser
from realtime.recording import recorded
from realtime.rehearsal import Rehearsal
from realtime.repertoire import Repertoire
from realtime.report import Performance
from realtime.ring import Observer
from realtime.supervised import Supervised

_log = structlog.get_logger()


class NothingHeardError(LiveError):
    """Raised when a recording was played to and no event was found in it."""


@dataclass(frozen=True, kw_only=True)
class Parts:
    """What a performance is made of, whether live or a rehearsal."""

    config: Config
    repertoire: Repertoire
    recognisers: Sequence[Recogniser]
    sinks: list[NoteSink]
    seed: int
    about: dict[str, Any]
    record: Path | None
    supervised: Supervised
    keeps: Sequence[Keep] | None
    performance: Performance

    def make_player(self, scheduler: Scheduler, *more: NoteSink) -> NotePlayer:
        """Build the player of the notes."""
        return NotePlayer([*self.sinks, *more], scheduler, self.config.midi)

    def make_listener(self, rate_hz: int) -> Listener:
        """Build a listener that decides where the memories' events were decided."""
        return Listener(rate_hz, self.config.listener)

    def make_ensemble(self, rate_hz: int, aside: Aside = at_once) -> Ensemble:
        """Build those who answer."""
        return make_ensemble(
            self.repertoire.memories,
            rate_hz,
            self.config.improviser,
            seed=self.seed,
            asides=[aside] * len(self.repertoire.memories),
            keeps=self.keeps,
        )


def rehearse(parts: Parts, file: AudioFile, seconds: float | None) -> None:
    """Play to a recording in virtual time.

    Raises
    ------
    NothingHeardError
        There was no event in it.
    """
    rehearsal = Rehearsal(
        file=file,
        channel=parts.config.capture.channel,
        block_frames=parts.config.capture.block_frames,
        listener=parts.make_listener(file.rate_hz),
        recognisers=parts.recognisers,
        ensemble=parts.make_ensemble(file.rate_hz),
        make_player=parts.make_player,
        budget=parts.config.budget,
        performance=parts.performance,
    )
    rehearsal.run(seconds)
    _require_events(parts, file.path.name)


def play(
    parts: Parts,
    source: AudioInput | FileSource,
    frames_ready: Doorbell,
    seconds: float | None,
    tell: Tell,
    ready: Callable[[], None],
) -> None:
    """Play to a source in real time, until it ends or somebody stops us.

    Parameters
    ----------
    frames_ready
        The doorbell the source rings.
    ready
        Called before the first note can be heard.

    Raises
    ------
    NothingHeardError
        The source was a recording, and there was no event in it.
    ExceptionGroup
        As `Engine.run`.
    """
    config = parts.config
    # What compiles does so before the loop runs, which would keep Ctrl-C waiting until it is done.
    with (
        recorded(
            parts.record,
            about=parts.about,
            config=config,
            memories=parts.repertoire.memories,
            seed=parts.seed,
            source=source,
            tell=tell,
        ) as tap,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        loop = runner.get_loop()
        ensemble = parts.make_ensemble(
            source.rate_hz, lambda build: loop.run_in_executor(None, build)
        )
        boards = (parts.about, config.budget, parts.performance)
        engine = Engine(
            source=source,
            frames_ready=frames_ready,
            listener=parts.make_listener(source.rate_hz),
            recognisers=parts.recognisers,
            ensemble=ensemble,
            make_player=lambda scheduler: parts.make_player(
                scheduler, *tap.sinks, *put_up(*boards, scheduler)
            ),
            budget=config.budget,
            performance=parts.performance,
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
        pass_ns = engine.warm_up()
        pass_ms = None if pass_ns is None else pass_ns * 1e3 / NS_PER_S
        warning = pass_ms and unmet(
            config.budget,
            heard_ms=config.listener.heard_ms,
            block_ms=source.block_frames / source.rate_hz * 1e3,
            pass_ms=pass_ms,
        )
        if warning:
            tell(warning)
        ready()
        with parts.performance.warm_up.ready():
            _log.info("perform.started", input=source.name, rate_hz=source.rate_hz, pass_ms=pass_ms)
            tell_begun = f"Playing to {source.name} ({source.rate_hz} Hz). Ctrl-C ends it."
            is_stopped = runner.run(
                _until_stopped(engine, parts, source, seconds, lambda: tell(tell_begun))
            )
    if isinstance(source, FileSource) and not is_stopped:
        _require_events(parts, source.name)
    elif parts.performance.n_events == 0:
        tell("Nothing was heard.")


async def _until_stopped(
    engine: Engine,
    parts: Parts,
    source: AudioInput | FileSource,
    seconds: float | None,
    begin: Callable[[], None],
) -> bool:
    """Play, and say whether a signal ended it: Ctrl-C, a polite kill, or a terminal that closed."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) != signal.SIG_IGN:  # nohup's way to play on
            loop.add_signal_handler(number, stop.set)
    begin()
    listening_to = source.name if isinstance(source, AudioInput) else None
    async with parts.supervised.beside(listening_to=listening_to, stop=stop.set):
        await engine.run(stop, seconds)
    return stop.is_set()


def _require_events(parts: Parts, name: str) -> None:
    """Refuse a recording in which nothing was heard."""
    if parts.performance.n_events == 0:
        raise NothingHeardError(
            f"Nothing was heard in {name}: what was played of it is silent, or quieter than "
            f"[listener] gate_dbfs = {parts.config.listener.gate_dbfs:g}; raise its level, or "
            "learn with a lower gate."
        )
