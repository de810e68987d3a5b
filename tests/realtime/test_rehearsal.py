"""Performances in virtual time: the same notes each time, and the gestures that were learned."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.audio_file import TAIL_S, AudioFile
from oracle.event import RHYTHM
from oracle.memory import Memory
from realtime import engine, perform
from realtime.midi import NOTE_ON
from realtime.opening import TAKE
from realtime.rehearsal import VirtualScheduler
from tests.realtime.performing import Stage, paced, rehearse
from tests.realtime.stage_doubles import hanging_pitches


def test_calls_are_made_in_the_order_of_their_time_and_booking() -> None:
    """Each at its own moment, whatever was booked when."""
    scheduler, made = VirtualScheduler(), []

    def call(name: str) -> None:
        made.append((name, scheduler.now_s()))

    scheduler.call_at(0.2, call, "late")
    scheduler.call_at(0.1, call, "early")
    scheduler.call_at(0.2, call, "later")
    scheduler.advance(199_999_999)
    assert made == [("early", 0.1)]
    scheduler.advance(200_000_000)
    assert made == [("early", 0.1), ("late", 0.2), ("later", 0.2)]


def test_cancelled_calls_are_not_made_and_booked_ones_may_book() -> None:
    """Time passes until nothing is booked any more."""
    scheduler, made = VirtualScheduler(), []

    def again(n: int) -> None:
        made.append((n, scheduler.now_s()))
        if n:
            scheduler.call_at(scheduler.now_s() + 0.5, again, n - 1)

    scheduler.call_at(0.25, made.append, "never").cancel()
    scheduler.call_at(1.0, again, 2)
    scheduler.finish()
    assert made == [(2, 1.0), (1, 1.5), (0, 2.0)]


@given(st.lists(st.integers(0, 10**12), max_size=20))
def test_time_never_goes_back(moments_ns: list[int]) -> None:
    """A call booked in the past is made now."""
    scheduler, made = VirtualScheduler(), []
    for moment_ns in moments_ns:
        before_ns = scheduler.now_ns()
        scheduler.advance(moment_ns)
        assert scheduler.now_ns() == max(before_ns, moment_ns)
        scheduler.call_at(0.0, lambda: made.append(scheduler.now_ns()))
        now_ns = scheduler.now_ns()
        scheduler.advance(0)
        assert made[-1] == now_ns


def test_silence_is_heard_out_and_answered_by_silence(take_memory: Path, tmp_path: Path) -> None:
    """No event, and not one note."""
    soundfile.write(tmp_path / "silence.wav", np.zeros(8000, np.float32), 8000)
    performance, sent = rehearse(tmp_path / "silence.wav", Memory.load(take_memory))
    assert performance.n_events == 0
    assert hanging_pitches([message for _, message in sent]) == []


def test_every_event_of_the_take_is_answered_considered_and_learned(take_memory: Path) -> None:
    """In virtual time nothing is ever late."""
    memory = Memory.load(take_memory)
    n_before = memory.n_events
    performance, sent = rehearse(TAKE, memory)
    assert performance.n_events == performance.n_answers == performance.n_considered == n_before
    assert performance.n_learned == memory.n_events - n_before == n_before
    assert performance.late_notes == performance.late_tokens == 0
    assert performance.n_notes >= performance.n_answers
    assert hanging_pitches([message for _, message in sent]) == []
    heard_ns = round(memory.provenance.heard_ms * 1e6)
    assert performance.event_latency.percentile_ns(50) < 2 * heard_ns


@pytest.mark.parametrize("block_frames", [16, 999, 8192])
def test_the_block_changes_nothing(take_memory: Path, phrase: Path, block_frames: int) -> None:
    """The same messages at the same times, to the last bit."""
    _, expected = rehearse(phrase, Memory.load(take_memory))
    _, sent = rehearse(phrase, Memory.load(take_memory), block_frames=block_frames)
    assert sent == expected


def test_another_seed_plays_otherwise(take_memory: Path) -> None:
    """And the same seed the same."""
    played = [rehearse(TAKE, Memory.load(take_memory), seed=seed)[1] for seed in (0, 0, 1)]
    assert played[0] == played[1] != played[2]


def test_only_the_first_seconds_are_played_to(take_memory: Path) -> None:
    """What begins later is not heard; what sounds then is ended."""
    performance, sent = rehearse(TAKE, Memory.load(take_memory), seconds=1.9)
    assert performance.n_events == 3
    assert hanging_pitches([message for _, message in sent]) == []
    performance, _ = rehearse(TAKE, Memory.load(take_memory), seconds=1e6)
    assert performance.n_events > 3


def test_the_same_command_writes_the_same_midi_file(
    take_memory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Byte for byte."""
    monkeypatch.chdir(tmp_path)
    written = []
    for name in ("a.mid", "b.mid"):
        options = ["--memory", take_memory, "--input", TAKE, "--pace", "free", "--seed", 7]
        outlets = ["--midi-out", "none", "--midi-file", name, "--headless"]
        assert perform.main([str(option) for option in [*options, *outlets]]) == 0
        written.append((tmp_path / name).read_bytes())
    assert written[0] == written[1]
    assert written[0].startswith(b"MThd")


def test_it_plays_on_in_the_pauses_and_no_longer_than_the_recording(take_memory: Path) -> None:
    """The take leaves room for an answer: notes begin there, between the player's."""
    performance, sent = rehearse(TAKE, Memory.load(take_memory), mode="couple")
    n_note_ons = sum(message[0] == NOTE_ON for _, message in sent)
    assert performance.n_answers == performance.n_events
    assert performance.n_played_on > 5
    assert performance.n_notes == n_note_ons >= performance.n_answers + performance.n_played_on
    assert performance.event_latency.n == performance.n_answers
    last_s = max(at_s for at_s, message in sent if message[0] == NOTE_ON)
    assert last_s < AudioFile(TAKE).n_frames / AudioFile(TAKE).rate_hz + TAIL_S
    assert hanging_pitches([message for _, message in sent]) == []


def frames_of(memory: Memory, first: int, last: int) -> NDArray[np.float32]:
    """Give the frames of a range of states."""
    return np.array([memory.event(state).frame for state in range(first, last)])


def test_a_rehearsal_hears_the_events_that_were_learned(take_memory: Path) -> None:
    """The recording it was trained on, in the same order: all that is heard, and the token."""
    memory = Memory.load(take_memory)
    n_learned = memory.n_events
    rehearse(TAKE, memory)
    trained = frames_of(memory, 1, n_learned + 1)
    performed = frames_of(memory, n_learned + 1, memory.n_events + 1)
    assert np.array_equal(trained[:, 1:], performed[:, 1:], equal_nan=True)
    assert np.isfinite(performed[:, RHYTHM]).any(axis=0).all()
    assert np.mean(trained[:, 0] == performed[:, 0]) >= 0.99


@pytest.mark.slow
def test_a_performance_hears_the_events_that_were_learned(
    take_memory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In real time too, wherever the encoder came round to the event."""
    monkeypatch.setattr(engine, "_LAST_NOTES_S", 0.0)
    stage = Stage(memory_path=take_memory, make_source=paced(TAKE))
    stage.play(seconds=12.0)
    n_performed = stage.memory.n_events - stage.n_learned_before
    trained = frames_of(stage.memory, 1, n_performed + 1)
    performed = frames_of(stage.memory, stage.n_learned_before + 1, stage.memory.n_events + 1)
    assert np.array_equal(trained[:, 1:], performed[:, 1:], equal_nan=True)
    is_encoded = np.isfinite(performed[:, 0])
    assert is_encoded.sum() >= 8
    assert np.mean(trained[is_encoded, 0] == performed[is_encoded, 0]) >= 0.99
