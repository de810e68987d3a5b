"""Whole performances: from a source through every thread to the notes, and every way they end."""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
import structlog
from numpy.typing import NDArray

from models.audio_file import TAIL_S, AudioFile
from models.errors import AudioFileError
from models.listener import ATTACK, Listener, ListenerConfig
from models.spectral import SpectralEncoder
from realtime import engine, listening
from realtime.doorbell import Doorbell
from realtime.errors import DeviceGoneError
from realtime.events import ListenerFailedError
from realtime.hop_ladder import OVERRUNS
from realtime.midi import NOTE_ON, Message
from realtime.monotonic import NS_PER_S
from realtime.opening import TAKE
from tests.conftest import REPOSITORY
from tests.realtime.performing import BurstSource, Stage, burst, paced, read, threads_on_stage

TIMEOUT_S = 10.0


@pytest.fixture(autouse=True)
def _short_last_notes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do not wait for the last note to fade."""
    monkeypatch.setattr(engine, "_LAST_NOTES_S", 0.0)


def n_onsets(path: Path, heard_ms: float) -> int:
    """Count what the listener finds in a recording, offline."""
    file = AudioFile(path)
    listener = Listener(file.rate_hz, ListenerConfig(heard_ms=heard_ms))
    records = listener.hear(np.concatenate([*file.blocks(4096, tail_s=TAIL_S)]))
    return int((records["kind"] == ATTACK).sum())


class SwitchedEncoder(SpectralEncoder):
    """An encoder that can be told to fail or to hang, once it has been warmed up."""

    def __init__(self) -> None:
        super().__init__()
        self.failure: Exception | None = None
        self.gate = threading.Event()
        self.gate.set()

    def encode(self, windows: NDArray[np.float32]) -> NDArray[np.float32]:
        """Embed, fail or hang."""
        assert self.gate.wait(TIMEOUT_S)
        if self.failure is not None:
            raise self.failure
        return super().encode(windows)


def test_silence_ends_and_nothing_was_played(take_memory: Path, tmp_path: Path) -> None:
    """The source ends, and so does the performance."""
    soundfile.write(tmp_path / "silence.wav", np.zeros(8000, np.float32), 8000)
    stage = Stage(memory_path=take_memory, make_source=burst(tmp_path / "silence.wav"))
    stage.play()
    stage.assert_tidy()
    assert (stage.performance.n_events, stage.n_note_ons) == (0, 0)


def test_a_performance_stopped_before_it_began_is_tidy(take_memory: Path, phrase: Path) -> None:
    """Ctrl-C while it warms up."""
    stage = Stage(memory_path=take_memory, make_source=paced(phrase))
    stage.stop.set()
    stage.play()
    stage.assert_tidy()


def test_a_phrase_is_played_to_in_real_time(take_memory: Path, phrase: Path) -> None:
    """Every onset that is there has its answer, and every event is learned."""
    stage = Stage(memory_path=take_memory, make_source=paced(phrase))
    stage.play()
    stage.assert_tidy()
    stage.assert_all_is_accounted_for()
    performance = stage.performance
    assert performance.n_events == n_onsets(phrase, stage.memory.provenance.heard_ms) >= 5
    assert performance.n_answers == performance.n_events
    assert performance.n_notes == stage.n_note_ons >= performance.n_answers
    assert performance.n_learned == performance.n_events
    assert stage.memory.n_events == stage.n_learned_before + performance.n_events
    assert performance.dropped_blocks == performance.refused_records == 0


def test_sound_that_comes_in_a_burst_loses_no_event(take_memory: Path) -> None:
    """Forty seconds at once, as after a stalled machine: late, but all of it."""
    stage = Stage(memory_path=take_memory, make_source=burst(TAKE))
    stage.play()
    stage.assert_tidy()
    stage.assert_all_is_accounted_for()
    audio, rate_hz = read(TAKE)
    records = Listener(rate_hz, ListenerConfig(heard_ms=stage.memory.provenance.heard_ms)).hear(
        audio
    )
    assert stage.performance.n_events == (records["kind"] == ATTACK).sum()
    assert stage.performance.refused_records == 0


def test_what_is_kept_counts_from_the_first_frame(take_memory: Path, phrase: Path) -> None:
    """Laid beside the recording, each note lies where it sounded, however slow the start was."""
    stage = Stage(memory_path=take_memory, make_source=paced(phrase))
    begin = stage.source.start

    def begin_late() -> None:
        time.sleep(1.0)
        begin()

    stage.source.start = begin_late  # type: ignore[method-assign]
    stage.play()
    first_s = next(at_s for at_s, message in stage.sink.sent if message[0] == NOTE_ON)
    heard_s = stage.memory.provenance.heard_ms / 1e3
    audio, rate_hz = read(phrase)
    (attack, *_) = Listener(rate_hz, ListenerConfig(heard_ms=heard_s * 1e3)).hear(audio)
    latency_s = first_s - attack["onset_frame"] / rate_hz
    assert heard_s <= latency_s < heard_s + 0.9  # 1 s more if it counted from anywhere else


def test_tokens_that_come_too_late_step_the_hop_down(take_memory: Path, phrase: Path) -> None:
    """One log event a step, which the report counts."""
    stage = Stage(memory_path=take_memory, make_source=burst(phrase))
    stage.performance.late_tokens = OVERRUNS
    with structlog.testing.capture_logs() as logs:
        stage.engine._tokens.follow_load(0.0)
        stage.engine._tokens.follow_load(0.0)
    assert [(log["event"], log["hop_ms"]) for log in logs] == [("engine.hop_changed", 500.0)]
    assert stage.performance.as_dict({})["hop_steps"] == {"down": 1, "up": 0}
    stage.stop.set()
    stage.play()


def test_after_so_many_seconds_it_ends(take_memory: Path) -> None:
    """The source plays on, but nobody listens."""
    stage = Stage(memory_path=take_memory, make_source=burst(TAKE, is_endless=True))
    stage.play(seconds=0.2)
    stage.assert_tidy()
    stage.assert_all_is_accounted_for()


def test_it_ends_when_the_player_stops_it(take_memory: Path, phrase: Path) -> None:
    """In the middle of its first note, which ends with it."""
    stage = Stage(memory_path=take_memory, make_source=paced(phrase))
    send = stage.sink.send

    def stop_after(message: Message, at_s: float) -> None:
        send(message, at_s)
        stage.stop.set()

    stage.sink.send = stop_after  # type: ignore[method-assign]
    stage.play()
    stage.assert_tidy()
    stage.assert_all_is_accounted_for()
    assert stage.performance.n_answers == 1


def test_the_source_ends_before_the_workers_and_they_before_the_notes(
    take_memory: Path, phrase: Path
) -> None:
    """Nothing comes in any more, then nobody hears, and last of all the port is closed."""
    stage = Stage(memory_path=take_memory, make_source=burst(phrase, is_endless=True))
    threads_at_stop: list[set[str]] = []
    stop = stage.source.stop

    def stop_and_look() -> bool:
        has_stopped = stop()
        threads_at_stop.append(threads_on_stage())
        return has_stopped

    stage.source.stop = stop_and_look  # type: ignore[method-assign]
    stage.play(seconds=0.2)
    assert threads_at_stop == [{"listener", "encoder"}]
    assert stage.sink.threads_at_close == set()
    stage.assert_tidy()


def test_a_source_that_does_not_start_ends_the_performance(take_memory: Path, phrase: Path) -> None:
    """Its own error comes out, and the port is closed."""
    stage = Stage(memory_path=take_memory, make_source=burst(phrase))
    assert isinstance(stage.source, BurstSource)
    stage.source.failure = DeviceGoneError("The input is gone.")
    with pytest.raises(DeviceGoneError, match=r"The input is gone\."):
        stage.play()
    stage.assert_tidy()


def test_a_source_that_fails_later_ends_the_performance(take_memory: Path, phrase: Path) -> None:
    """The microphone is unplugged during the first note."""
    stage = Stage(memory_path=take_memory, make_source=burst(phrase, is_endless=True))
    source, send = stage.source, stage.sink.send
    assert isinstance(source, BurstSource)

    def unplug_after(message: Message, at_s: float) -> None:
        send(message, at_s)
        source.failure = DeviceGoneError("The input is gone.")

    stage.sink.send = unplug_after  # type: ignore[method-assign]
    with pytest.raises(ExceptionGroup) as caught:
        stage.play()
    assert caught.group_contains(DeviceGoneError, match=r"The input is gone\.")
    assert stage.n_note_ons > 0
    stage.assert_tidy()
    stage.assert_all_is_accounted_for()


def test_a_recording_that_is_damaged_further_on_ends_the_performance(
    take_memory: Path, phrase: Path, tmp_path: Path
) -> None:
    """What comes before is played and counted; then the damage is what is said."""
    audio, rate_hz = read(phrase)
    audio[-rate_hz // 2 :] = np.nan
    soundfile.write(tmp_path / "damaged.wav", audio, rate_hz, subtype="FLOAT")
    stage = Stage(memory_path=take_memory, make_source=paced(tmp_path / "damaged.wav"))
    with pytest.raises(ExceptionGroup) as caught:
        stage.play()
    assert caught.group_contains(AudioFileError, match="that are no audio")
    assert stage.performance.n_events >= 3
    stage.assert_tidy()


def test_an_encoder_that_fails_leaves_reflexes(take_memory: Path, phrase: Path) -> None:
    """The player is told once what failed, and every event is answered without it."""
    encoder = SwitchedEncoder()
    stage = Stage(memory_path=take_memory, make_source=paced(phrase), encoder=encoder)
    encoder.failure = RuntimeError("out of memory")
    with structlog.testing.capture_logs() as logged:
        stage.play()
    (said,) = (line for line in logged if line["event"] == "engine.encoder_failed")
    assert said["notice"].startswith(
        "The encoder spectral has failed (out of memory): answers by its"
    )
    assert stage.performance.n_encoder_failures == 1
    assert stage.performance.n_encoder_returns == 0
    assert stage.performance.n_answers == stage.performance.n_events >= 5
    assert stage.performance.n_considered == 0
    stage.assert_tidy()
    stage.assert_all_is_accounted_for()


def test_a_listener_that_fails_ends_the_performance(
    take_memory: Path, phrase: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without ears there is nothing to answer."""
    stage = Stage(memory_path=take_memory, make_source=burst(phrase))

    def fail(*arguments: object) -> None:
        raise MemoryError("no room")

    monkeypatch.setattr(listening, "_listen", fail)
    with pytest.raises(ExceptionGroup) as caught:
        stage.play()
    assert caught.group_contains(ListenerFailedError, match=r"listener has failed \(no room\)")
    stage.assert_tidy()


def test_an_encoder_that_hangs_leaves_reflexes_and_the_end(
    take_memory: Path, phrase: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Events are answered without it; the notes end before its end is waited for and given up."""
    monkeypatch.setattr(engine, "_JOIN_S", 0.01)
    encoder = SwitchedEncoder()
    stage = Stage(memory_path=take_memory, make_source=paced(phrase), encoder=encoder)
    encoder.gate.clear()
    with structlog.testing.capture_logs() as logged:
        stage.play()
    assert stage.performance.n_answers == stage.performance.n_events >= 5
    assert stage.performance.n_considered == 0
    (said,) = (line for line in logged if line["event"] == "engine.thread_abandoned")
    assert said["joined"] == {"source": True, "listener": True, "encoder": False}
    assert stage.sink.threads_at_notes_off == {"listener", "encoder"}
    assert stage.sink.threads_at_close == {"encoder"}
    encoder.gate.set()
    for thread in threading.enumerate():
        if thread.name == "encoder":
            thread.join(TIMEOUT_S)
    stage.assert_tidy()


def test_a_worker_that_is_overdue_is_not_waited_for(take_memory: Path, phrase: Path) -> None:
    """Of a pass that takes twice what was predicted nothing more is expected."""
    stage = Stage(memory_path=take_memory, make_source=paced(phrase))
    tokens = stage.engine._tokens
    now_ns = time.monotonic_ns()
    predicted_ns = tokens.predict_finish_ns(now_ns, 0) - now_ns
    tokens._worker.busy_since_ns = now_ns - predicted_ns // 2
    assert tokens.predict_finish_ns(now_ns, 0) == now_ns + 2 * predicted_ns - predicted_ns // 2
    tokens._worker.busy_since_ns = now_ns - 2 * predicted_ns - 1
    assert tokens.predict_finish_ns(now_ns, 0) > now_ns + 3600 * NS_PER_S
    tokens._worker.busy_since_ns = 0
    stage.play(seconds=0.01)
    stage.assert_tidy()


def test_an_answer_that_fails_after_its_wait_ends_the_performance(
    take_memory: Path, phrase: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A call booked on the loop is watched like every task."""
    encoder = SwitchedEncoder()
    stage = Stage(memory_path=take_memory, make_source=paced(phrase), encoder=encoder)
    encoder.gate.clear()

    def fail(*arguments: object, **options: object) -> None:
        encoder.gate.set()
        raise ArithmeticError("no such state")

    monkeypatch.setattr(stage.ensemble, "answer", fail)
    with pytest.raises(ExceptionGroup) as caught:
        stage.play()
    assert caught.group_contains(ArithmeticError, match="no such state")
    stage.assert_tidy()


def test_what_is_no_sound_kills_nobody(take_memory: Path, phrase: Path) -> None:
    """A driver's NaN and infinities are silence, counted, and the rest is played to."""
    audio, rate_hz = read(phrase)
    audio[rate_hz : rate_hz + 3000 : 3] = np.nan
    audio[rate_hz + 1 : rate_hz + 3000 : 3] = -np.inf

    def make_source(doorbell: Doorbell) -> BurstSource:
        return BurstSource(audio, rate_hz, doorbell, is_endless=False)

    stage = Stage(memory_path=take_memory, make_source=make_source)
    stage.play()
    stage.assert_tidy()
    stage.assert_all_is_accounted_for()
    assert stage.performance.silenced_samples == 2000
    assert stage.performance.n_answers > 0


COMPILED_WHILE_PLAYING = """
import gc, sys
from pathlib import Path
from numba.core.dispatcher import Dispatcher
from realtime.opening import TAKE
from tests.realtime.performing import Stage, burst, paced

def compiled():
    kernels = [kernel for kernel in gc.get_objects() if isinstance(kernel, Dispatcher)]
    return {
        (kernel.py_func.__module__, kernel.py_func.__qualname__, str(signature))
        for kernel in kernels for signature in kernel.overloads
    }

memory, phrase = map(Path, sys.argv[1:])
for make_source, seconds in [(paced(phrase), None), (burst(TAKE), 20)]:
    stage = Stage(memory_path=memory, make_source=make_source)
    before = compiled()
    stage.play(seconds)
    assert stage.performance.n_learned >= 5
    assert not compiled() - before, sorted(compiled() - before)
"""


@pytest.mark.slow
@pytest.mark.timeout(400)  # in a fresh checkout every kernel is compiled first
def test_nothing_is_compiled_or_loaded_after_the_warm_up(take_memory: Path, phrase: Path) -> None:
    """In a process of its own, while a source is paced and while the memory doubles."""
    subprocess.run(
        [sys.executable, "-c", COMPILED_WHILE_PLAYING, str(take_memory), str(phrase)],
        cwd=REPOSITORY,
        env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
        check=True,
    )
