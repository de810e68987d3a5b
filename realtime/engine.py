"""Engine: one performance, from the source's first block to the last note-off.

Everything here runs on the event loop's thread: tasks in a group, joined by rings to the audio
callback, the listener thread and the encoder worker. A task that fails ends the others, and the way
out is always the same: source stopped, workers joined, all notes off. Nothing on the way of an
event sleeps or logs.
"""

import asyncio
import contextlib
import itertools
from collections.abc import Callable
from typing import Any, Final

import numpy as np
import structlog

from models.codebook import Codebook
from models.encoder import Encoder
from models.listener import ATTACK, EVENT_DTYPE, Listener
from models.windows import WindowCutter
from realtime.budget import Budget, BudgetConfig, Predictor
from realtime.clock import StreamClock
from realtime.doorbell import Doorbell
from realtime.errors import LiveError
from realtime.hop_ladder import HopLadder
from realtime.improviser import Improviser
from realtime.inference import HOP, REQUEST_DTYPE, SKIPPED, TOKEN_DTYPE, EncoderWorker, Windows
from realtime.input_level import InputLevel
from realtime.listening import ListenerThread
from realtime.midi import LoopScheduler, NotePlayer, Scheduler
from realtime.monotonic import NS_PER_S, monotonic_ns
from realtime.report import Performance
from realtime.responder import Record, Responder, nobody
from realtime.ring import Observer, make_ring
from realtime.source import DROPPED_BLOCKS, OVERFLOWS, SILENCED, AudioSource, has_ended

_RING_RECORDS: Final = 1024
_FOLLOW_S: Final = 0.1
_HEARTBEAT_S: Final = 1.0
_BEATS_A_LINE: Final = 60
_JOIN_S: Final = 2.0
_LAST_NOTES_S: Final = 5.0
_NEVER_NS: Final = 7 * 24 * 3600 * NS_PER_S

_log = structlog.get_logger()


class WorkerStoppedError(LiveError):
    """Raised when the listener failed in the middle of a performance."""


class Engine:
    """Plays one live performance. Loop thread only.

    Parameters
    ----------
    source
        Opened, not started; `run` stops it.
    frames_ready
        The doorbell the source rings.
    listener
        At the source's rate.
    encoder, codebook
        Owned by the worker from `run` on.
    performance
        Where it is counted and timed.
    make_player
        Builds the player on the scheduler of this performance; `run` closes it.
    hop_s
        How long without an event until a window is embedded unasked.
    level
        Follows the source's level.
    record
        Takes note of every event, token, decision and answer.
    ending
        Called when the performance is over, before anything that may take its time.
    """

    def __init__(
        self,
        *,
        source: AudioSource,
        frames_ready: Doorbell,
        listener: Listener,
        encoder: Encoder,
        codebook: Codebook,
        improviser: Improviser,
        make_player: Callable[[Scheduler], NotePlayer],
        budget: BudgetConfig,
        performance: Performance,
        hop_s: float,
        level: InputLevel,
        record: Record = nobody,
        ending: Callable[[], None] = lambda: None,
    ) -> None:
        self._level = level
        self._record = record
        self._ending = ending
        self._performance = performance
        self._source = source
        self._improviser = improviser
        self._make_player = make_player
        self._budget = Budget(budget)
        self._clock = StreamClock(source.rate_hz, latency_s=source.latency_s)
        self._predictor = Predictor(0)
        self._ladder = HopLadder(hop_s)
        self._scheduler = LoopScheduler()
        self._events_ready, self._work, self._tokens_ready = Doorbell(), Doorbell(), Doorbell()
        self._doorbells = (frames_ready, self._events_ready, self._work, self._tokens_ready)
        self._published, self._events = make_ring(_RING_RECORDS, EVENT_DTYPE)
        self._requests, requests_out = make_ring(_RING_RECORDS, REQUEST_DTYPE)
        tokens_in, self._tokens = make_ring(_RING_RECORDS, TOKEN_DTYPE)
        self._producers = (self._published, self._requests, tokens_in)
        self._audio = Observer(source.audio.ring)
        self._ears = ListenerThread(
            listener,
            audio=source.audio,
            frames_ready=frames_ready,
            events=self._published,
            events_ready=self._events_ready,
        )
        self._worker = EncoderWorker(
            encoder=encoder,
            codebook=codebook,
            windows=Windows(self._audio, WindowCutter(source.rate_hz, encoder.spec)),
            requests=requests_out,
            tokens=tokens_in,
            work=self._work,
            done=self._tokens_ready,
            hop_s=hop_s,
        )

    def warm_up(self) -> int:
        """Compile the kernels and run the encoder, and return what one pass costs, in ns."""
        has_ended(self._source.counters)
        self._ears.warm_up()
        pass_ns = self._worker.warm_up()
        self._predictor = Predictor(pass_ns)
        return pass_ns

    async def run(self, stop: asyncio.Event, seconds: float | None = None) -> None:
        """Play until `stop` is set, `seconds` are over, or the source has ended.

        Raises
        ------
        ExceptionGroup
            What ended the performance early, such as `DeviceGoneError`.
        """
        with contextlib.ExitStack() as way_out:
            player = way_out.enter_context(self._make_player(self._scheduler))
            way_out.callback(self._count, player)
            way_out.callback(self._count_unheard)
            way_out.callback(self._end_threads)
            responder = Responder(
                improviser=self._improviser,
                player=player,
                scheduler=self._scheduler,
                clock=self._clock,
                rate_hz=self._source.rate_hz,
                budget=self._budget,
                performance=self._performance,
                ask=self._ask,
                predict_finish_ns=self._predict_finish_ns,
                record=self._record,
            )
            way_out.callback(self._ending)
            way_out.callback(player.all_notes_off)  # before anything that may take its time
            way_out.callback(responder.stop)
            self._ears.start()
            self._worker.start()
            self._source.start()
            async with asyncio.TaskGroup() as group:
                tasks = [
                    group.create_task(stage, name=name)
                    for name, stage in {
                        "capture": self._capture(),
                        "improviser": _whenever(
                            self._events_ready, lambda: self._improvise(responder)
                        ),
                        "inference": _whenever(self._tokens_ready, lambda: self._infer(responder)),
                        "telemetry": self._heartbeat(player),
                        "calls": _failed_call(),
                    }.items()
                ]
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(seconds):
                        await self._until_over(stop, responder, player)
                for task in tasks:
                    task.cancel()

    def _end_threads(self) -> None:
        """End the source, then both workers; what does not end in time is left behind, and said."""
        joined = {
            "source": self._source.stop(),
            "listener": self._ears.stop(_JOIN_S),
            "encoder": self._worker.stop(_JOIN_S),
        }
        if all(joined.values()):
            for doorbell in self._doorbells:
                doorbell.close()
        else:
            # the doorbells stay open: whoever is left may still ring them
            _log.error("engine.thread_abandoned", joined=joined)

    def _count_unheard(self) -> None:
        """Count the events that were published and not taken any more."""
        n_attacks = int((self._events.pop_nowait()["kind"] == ATTACK).sum())
        self._performance.n_events += n_attacks
        self._performance.unanswered["stopped"] += n_attacks

    async def _until_over(
        self, stop: asyncio.Event, responder: Responder, player: NotePlayer
    ) -> None:
        """Wait for the player to stop us, or for the source to end and its last note to sound."""
        last_ns = None
        while not await _is_set(stop, within_s=_FOLLOW_S):
            if not self._is_heard_out() or responder.is_waiting:
                continue
            self._source.check()
            responder.stop()  # nobody is left to play on with
            last_ns = last_ns or monotonic_ns() + round(_LAST_NOTES_S * NS_PER_S)
            if not player.sounding_pitches or monotonic_ns() > last_ns:
                return

    def _is_heard_out(self) -> bool:
        """Say whether the source has ended and every event in it has been taken."""
        return (
            has_ended(self._source.counters)
            and self._source.audio.n_released == self._audio.newest
            and self._events.n_released == self._published.n_written
        )

    async def _capture(self) -> None:
        """Follow the source's clock, and notice when the source fails."""
        while True:
            self._follow()
            self._source.check()
            await asyncio.sleep(_FOLLOW_S)

    def _improvise(self, responder: Responder) -> None:
        """Take the events that the listener has published."""
        if self._ears.error is not None:
            raise WorkerStoppedError(
                f"The listener has failed ({self._ears.error}): start again, and report it."
            ) from self._ears.error
        records = self._events.pop_nowait()
        self._follow()
        for record in records:
            if record["kind"] == ATTACK:
                responder.hear(record)
            else:
                responder.learn(record)

    def _infer(self, responder: Responder) -> None:
        """Take the tokens that the worker has published."""
        if self._worker.error is not None:  # it rings for the last time
            _log.error(
                "engine.encoder_failed",
                notice=f"The encoder has failed ({self._worker.error}): the performance goes on by "
                "reflex. Start again when you can, or learn a memory with --encoder spectral.",
            )
        for record in self._tokens.pop_nowait():
            index = None if record["event_index"] == HOP else int(record["event_index"])
            if record["token"] == SKIPPED:
                responder.miss(index)
                continue
            self._predictor.record(int(record["finished_ns"] - record["started_ns"]))
            responder.recognise(int(record["token"]), int(record["end_frame"]), index)

    async def _heartbeat(self, player: NotePlayer) -> None:
        """Count once a second, and say once a minute how it goes."""
        for n_beats in itertools.count():
            await asyncio.sleep(_HEARTBEAT_S)
            self._count(player)
            self._follow_load()
            performance = self._performance
            performance.input_dbfs = self._level.follow()
            if n_beats % _BEATS_A_LINE:
                continue
            _log.info(
                "engine.heartbeat",
                input_dbfs=performance.input_dbfs,
                n_events=performance.n_events,
                n_notes=performance.n_notes,
                n_learned=performance.n_learned,
                p99_ms=performance.event_latency.summary_ms()["p99"],
                considered_share=round(performance.considered_share, 3),
                xruns=performance.xruns,
                dropped_blocks=performance.dropped_blocks,
                skipped_windows=performance.skipped_windows,
            )

    def _follow(self) -> None:
        """Bring the clock up to the newest block."""
        stamps = self._source.stamps.pop_nowait()
        if not stamps.size:
            return
        self._clock.follow(stamps)
        if stamps["frame"][0] == 0:  # what is kept of the notes counts from the first frame
            self._scheduler.start_ns = self._clock.monotonic_ns(0)

    def _count(self, player: NotePlayer) -> None:
        """Read the counters that others write."""
        counters = self._source.counters
        self._performance.xruns = int(counters[OVERFLOWS])
        self._performance.dropped_blocks = int(counters[DROPPED_BLOCKS])
        self._performance.silenced_samples = int(counters[SILENCED])
        self._performance.skipped_windows = self._worker.n_skipped
        self._performance.refused_records = sum(end.n_refused for end in self._producers)
        self._performance.n_notes = player.n_notes
        self._performance.lost_outlets = player.n_lost_sinks

    def _ask(self, index: int, end_frame: int, useful_until_ns: int) -> None:
        """Put a request to the worker, while there is one."""
        if self._worker.error is not None:
            return
        request = np.array([(index, end_frame, useful_until_ns)], REQUEST_DTYPE)
        self._requests.push_nowait(request)
        self._work.ring()

    def _predict_finish_ns(self, now_ns: int) -> int:
        """Predict when a pass asked for now is done, after the one that may be running."""
        if self._worker.error is not None:
            return now_ns + _NEVER_NS
        return self._predictor.finish_ns(now_ns, self._worker.busy_since_ns)

    def _follow_load(self) -> None:
        """Read unasked less often while tokens come too late, and again as often after a calm."""
        performance = self._performance
        n_overruns = performance.late_tokens + performance.skipped_windows
        if self._ladder.follow(self._scheduler.now_s(), n_overruns):
            self._worker.hop_s = self._ladder.hop_s
            performance.n_hop_down, performance.n_hop_up = self._ladder.n_down, self._ladder.n_up
            _log.warning("engine.hop_changed", hop_ms=self._ladder.hop_s * 1e3)


async def _is_set(event: asyncio.Event, *, within_s: float) -> bool:
    """Wait for the event, but not longer than that."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(within_s):
            await event.wait()
    return event.is_set()


async def _failed_call() -> None:
    """Wait for a call that was booked on the loop to fail, and raise what it raised."""
    loop = asyncio.get_running_loop()
    failed: asyncio.Future[None] = loop.create_future()

    def take(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        if "exception" in context and not failed.done():
            failed.set_exception(context["exception"])
        else:
            loop.default_exception_handler(context)

    loop.set_exception_handler(take)
    try:
        await failed
    finally:
        loop.set_exception_handler(None)


async def _whenever(doorbell: Doorbell, act: Callable[[], None]) -> None:
    """Act, for ever, each time the doorbell has been rung since the last time."""
    loop = asyncio.get_running_loop()
    rung = asyncio.Event()
    loop.add_reader(doorbell.fileno(), rung.set)
    try:
        while True:
            await rung.wait()
            rung.clear()
            doorbell.drain()
            act()
    finally:
        loop.remove_reader(doorbell.fileno())
