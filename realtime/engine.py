"""Engine: one performance, from the source's first block to the last note-off.

Everything here runs on the event loop's thread: tasks in a group, joined by rings to the audio
callback, the listener thread and the encoder worker. A task that fails ends the others, and the way
out is always the same: source stopped, workers joined, all notes off. Nothing on the way of an
event sleeps or logs.
"""

import asyncio
import contextlib
import itertools
from collections.abc import Callable, Sequence
from typing import Final

import structlog

from models.listener import ATTACK, Listener
from realtime.budget import Budget, BudgetConfig
from realtime.clock import StreamClock
from realtime.doorbell import Doorbell
from realtime.ensemble import Ensemble
from realtime.events import Events
from realtime.input_level import InputLevel
from realtime.midi import LoopScheduler, NotePlayer, Scheduler
from realtime.monotonic import NS_PER_S, monotonic_ns
from realtime.privileges import ENCODER, LISTENER
from realtime.recogniser import Recogniser
from realtime.report import Performance
from realtime.responder import Record, Responder, nobody
from realtime.ring import Observer, prime
from realtime.source import DROPPED_BLOCKS, OVERFLOWS, SILENCED, AudioSource, has_ended
from realtime.tasks import failed_call, is_set, whenever
from realtime.tokens import Tokens

_FOLLOW_S: Final = 0.1
_HEARTBEAT_S: Final = 1.0
_BEATS_A_LINE: Final = 60
_JOIN_S: Final = 2.0
_LAST_NOTES_S: Final = 5.0

_log = structlog.get_logger()


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
    recognisers
        Owned by the encoder worker from `run` on.
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
        recognisers: Sequence[Recogniser],
        ensemble: Ensemble,
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
        self._ensemble = ensemble
        self._make_player = make_player
        self._budget = Budget(budget)
        self._clock = StreamClock(source.rate_hz, latency_s=source.latency_s)
        self._scheduler = LoopScheduler()
        self._audio = Observer(source.audio.ring)
        self._events = Events(
            listener,
            source.audio,
            frames_ready,
            begin=lambda: performance.warm_up.take_thread(LISTENER),
        )
        self._tokens = Tokens(
            recognisers,
            self._audio,
            source.rate_hz,
            hop_s,
            performance,
            begin=lambda: performance.warm_up.take_thread(ENCODER),
        )

    def warm_up(self) -> int | None:
        """Take the steps that concern the stages, and return what the slowest encoder's pass costs.

        Returns
        -------
        int or None
            Nanoseconds; None where an encoder failed.
        """
        take = self._performance.warm_up.take
        take("improviser's kernels", self._ensemble.warm_up)
        take("listener's kernels", self._warm_up_listener)
        take("rings touched", self._prime)
        return take("encoders at every batch size", self._tokens.warm_up)

    def _warm_up_listener(self) -> None:
        has_ended(self._source.counters)
        self._events.warm_up()

    def _prime(self) -> None:
        for end in (self._source.audio, self._source.stamps):
            prime(end.ring)
        self._events.prime()
        self._tokens.prime()

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
                ensemble=self._ensemble,
                player=player,
                scheduler=self._scheduler,
                clock=self._clock,
                rate_hz=self._source.rate_hz,
                budget=self._budget,
                performance=self._performance,
                ask=self._tokens.ask,
                predict_finish_ns=self._tokens.predict_finish_ns,
                record=self._record,
            )
            way_out.callback(self._ending)
            way_out.callback(player.all_notes_off)  # before anything that may take its time
            way_out.callback(responder.stop)
            self._events.start()
            self._tokens.start()
            self._source.start()
            async with asyncio.TaskGroup() as group:
                tasks = [
                    group.create_task(stage, name=name)
                    for name, stage in {
                        "capture": self._capture(),
                        "events": whenever(
                            self._events.ready, lambda: self._take_events(responder)
                        ),
                        "tokens": whenever(
                            self._tokens.ready, lambda: self._tokens.take(responder)
                        ),
                        "telemetry": self._heartbeat(player),
                        "calls": failed_call(),
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
            "listener": self._events.stop(_JOIN_S),
            "encoder": self._tokens.stop(_JOIN_S),
        }
        if all(joined.values()):
            self._events.close()
            self._tokens.close()
        else:
            # their doorbells stay open: whoever is left may still ring them
            _log.error("engine.thread_abandoned", joined=joined)

    def _count_unheard(self) -> None:
        """Count the events that were published and not taken any more."""
        n_attacks = self._events.leave()
        self._performance.n_events += n_attacks
        self._performance.unanswered["stopped"] += n_attacks

    async def _until_over(
        self, stop: asyncio.Event, responder: Responder, player: NotePlayer
    ) -> None:
        """Wait for the player to stop us, or for the source to end and its last note to sound."""
        last_ns = None
        while not await is_set(stop, within_s=_FOLLOW_S):
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
            and self._events.is_all_taken
        )

    async def _capture(self) -> None:
        """Follow the source's clock, and notice when the source fails."""
        while True:
            self._follow()
            self._source.check()
            await asyncio.sleep(_FOLLOW_S)

    def _take_events(self, responder: Responder) -> None:
        """Take what the listener has published."""
        records = self._events.take()
        self._follow()
        for record in records:
            if record["kind"] == ATTACK:
                responder.hear(record)
            else:
                responder.learn(record)

    async def _heartbeat(self, player: NotePlayer) -> None:
        """Count once a second, and say once a minute how it goes."""
        for n_beats in itertools.count():
            await asyncio.sleep(_HEARTBEAT_S)
            self._count(player)
            performance = self._performance
            self._tokens.follow_load(self._scheduler.now_s())
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
        self._performance.refused_records = self._events.n_refused + self._tokens.n_refused
        self._performance.n_notes = player.n_notes
        self._performance.lost_outlets = player.n_lost_sinks
