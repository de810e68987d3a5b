"""Performances put together as `perform` does it, live and in virtual time."""

import asyncio
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import uvloop
from numpy.typing import NDArray

from models.audio_file import AudioFile
from models.codebook import Codebook
from models.encoder import Encoder
from models.listener import Listener, ListenerConfig
from models.spectral import SpectralEncoder
from oracle.memory import Memory
from realtime.budget import BudgetConfig
from realtime.doorbell import Doorbell
from realtime.engine import Engine
from realtime.ensemble import make_ensemble
from realtime.file_source import FileSource
from realtime.improviser import ImproviserConfig
from realtime.input_level import InputLevel
from realtime.midi import NOTE_ON, Message, NotePlayer
from realtime.panic import ALL_NOTES_OFF
from realtime.recogniser import Recogniser
from realtime.rehearsal import Rehearsal
from realtime.report import Performance
from realtime.ring import Consumer, Observer
from realtime.source import AudioSource, CaptureConfig, deliver, end, has_ended, make_feed
from realtime.stance import Mode
from tests.realtime.midi_doubles import MemorySink
from tests.realtime.stage_doubles import hanging_pitches

Sent = list[tuple[float, Message]]

STAGE_THREADS = {"listener", "encoder", "file decoder", "file pacer"}


def threads_on_stage() -> set[str]:
    """Name the live path's threads that are alive."""
    return STAGE_THREADS & {thread.name for thread in threading.enumerate()}


def read(path: Path) -> tuple[NDArray[np.float32], int]:
    """Read a recording whole, with its rate."""
    file = AudioFile(path)
    return np.concatenate([*file.blocks(4096)]), file.rate_hz


class BurstSource:
    """Delivers all its blocks at once when started; an `AudioSource`.

    Attributes
    ----------
    failure
        What `check` raises, and before anything was played, `start`.
    """

    name = "burst"
    latency_s = 0.0

    def __init__(
        self, audio: NDArray[np.float32], rate_hz: int, doorbell: Doorbell, *, is_endless: bool
    ) -> None:
        config = CaptureConfig(ring_s=60.0)
        self.rate_hz = rate_hz
        self.block_frames = config.block_frames
        self._audio = audio
        self._feed = make_feed(config, rate_hz, doorbell)
        self._is_endless = is_endless
        self.audio = Consumer(self._feed.audio)
        self.stamps = Consumer(self._feed.stamps)
        self.counters = self._feed.counters
        self.failure: Exception | None = None
        nothing = np.zeros((0, 1), np.float32)
        deliver(make_feed(config, rate_hz, doorbell), nothing, 0, 0.0, 0.0, 0)  # compiles it

    def start(self) -> None:
        """Deliver everything."""
        if self.failure is not None:
            raise self.failure
        for first in range(0, len(self._audio), self.block_frames):
            block = self._audio[first : first + self.block_frames, np.newaxis]
            deliver(self._feed, np.ascontiguousarray(block), 0, 0.0, 0.0, 0)
        if not self._is_endless:
            end(self._feed)

    def stop(self) -> bool:
        """Say the end; nobody is left to ring."""
        end(self._feed)
        return True

    def check(self) -> None:
        """Raise the failure."""
        if self.failure is not None:
            raise self.failure


def burst(path: Path, *, is_endless: bool = False) -> Callable[[Doorbell], BurstSource]:
    """Give a maker of sources that deliver a recording at once."""
    audio, rate_hz = read(path)
    return lambda doorbell: BurstSource(audio, rate_hz, doorbell, is_endless=is_endless)


def paced(path: Path) -> Callable[[Doorbell], FileSource]:
    """Give a maker of sources that play a recording in real time."""
    return lambda doorbell: FileSource(AudioFile(path), CaptureConfig(), doorbell)


class WitnessSink(MemorySink):
    """A sink that sees what there is when it is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.threads_at_close: set[str] | None = None
        self.n_sent_at_close = 0
        self.threads_at_notes_off: set[str] | None = None

    def send(self, message: Message, at_s: float) -> None:
        """Look around when all notes are first said to be off."""
        super().send(message, at_s)
        if message[1] == ALL_NOTES_OFF and self.threads_at_notes_off is None:
            self.threads_at_notes_off = threads_on_stage()

    def close(self) -> None:
        """Look around."""
        super().close()
        self.threads_at_close = threads_on_stage()
        self.n_sent_at_close = len(self.sent)


@dataclass(kw_only=True)
class Stage:
    """An engine between a source and a sink, on a memory of its own."""

    memory_path: Path
    make_source: Callable[[Doorbell], AudioSource]
    encoder: Encoder = field(default_factory=SpectralEncoder)
    budget: BudgetConfig = field(default_factory=BudgetConfig)

    def __post_init__(self) -> None:
        """Put the parts together and warm them up."""
        self.memory = Memory.load(self.memory_path)
        self.n_learned_before = self.memory.n_events
        frames_ready = Doorbell()
        self.source = self.make_source(frames_ready)
        self.sink = WitnessSink()
        config = ImproviserConfig(mode="shadow")  # which never rests
        self.ensemble = make_ensemble([self.memory], self.source.rate_hz, config, seed=0)
        heard_ms = self.memory.provenance.heard_ms
        self.performance = Performance()
        self.engine = Engine(
            source=self.source,
            frames_ready=frames_ready,
            listener=Listener(self.source.rate_hz, ListenerConfig(heard_ms=heard_ms)),
            recognisers=[Recogniser(self.encoder, {0: Codebook(self.memory.centroids)})],
            ensemble=self.ensemble,
            make_player=lambda scheduler: NotePlayer([self.sink], scheduler),
            budget=self.budget,
            performance=self.performance,
            hop_s=0.25,
            level=InputLevel(
                Observer(self.source.audio.ring), self.source.rate_hz, ListenerConfig().gate_dbfs
            ),
        )
        self.stop = asyncio.Event()
        self.engine.warm_up()

    def play(self, seconds: float | None = None) -> None:
        """Perform on a uvloop, as on stage."""
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(self.engine.run(self.stop, seconds))

    @property
    def messages(self) -> list[Message]:
        """What was sent."""
        return [message for _, message in self.sink.sent]

    @property
    def n_note_ons(self) -> int:
        """How many notes were begun."""
        return sum(status == NOTE_ON for status, _, _ in self.messages)

    def assert_all_is_accounted_for(self) -> None:
        """Every event has one answer or one reason."""
        performance = self.performance
        n_unanswered = sum(performance.unanswered.values())
        assert performance.n_events == performance.n_answers + n_unanswered

    def assert_tidy(self) -> None:
        """The source has ended, no thread is left, no note hangs, the sink is closed."""
        assert has_ended(self.source.counters)
        assert threads_on_stage() == set()
        assert hanging_pitches(self.messages) == []
        assert self.sink.n_closed == 1
        assert self.sink.n_sent_at_close == len(self.sink.sent)


def rehearse(
    path: Path,
    memory: Memory,
    *,
    block_frames: int = 128,
    seed: int = 0,
    seconds: float | None = None,
    mode: Mode = "shadow",
) -> tuple[Performance, Sent]:
    """Play to a recording, and give what was measured and sent."""
    file, sink, encoder = AudioFile(path), MemorySink(), SpectralEncoder()
    config = ListenerConfig(heard_ms=memory.provenance.heard_ms)
    performance = Performance()
    rehearsal = Rehearsal(
        file=file,
        channel="mix",
        block_frames=block_frames,
        listener=Listener(file.rate_hz, config),
        recognisers=[Recogniser(encoder, {0: Codebook(memory.centroids)})],
        ensemble=make_ensemble([memory], file.rate_hz, ImproviserConfig(mode=mode), seed=seed),
        make_player=lambda scheduler: NotePlayer([sink], scheduler),
        budget=BudgetConfig(),
        performance=performance,
    )
    rehearsal.run(seconds)
    assert sink.n_closed == 1
    return performance, sink.sent
