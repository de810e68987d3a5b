"""Notes out: each note that begins ends, whatever happens to it or to its sinks."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
import uvloop
from hypothesis import given
from hypothesis import strategies as st

from oracle.event import Note
from realtime.midi import LoopScheduler, Message, MidiConfig, MidiError, NotePlayer
from realtime.monotonic import NS_PER_S, monotonic_ns
from tests.realtime.midi_doubles import HandScheduler, MemorySink

ON, OFF, CONTROL = 0x90, 0x80, 0xB0
SILENCE = (CONTROL, 123, 0)


class Stage:
    """A player with two sinks and time in one's hand."""

    def __init__(self, config: MidiConfig | None = None, *, tick_s: float = 0.0) -> None:
        self.scheduler = HandScheduler(tick_s=tick_s)
        self.port = MemorySink("port")
        self.file = MemorySink("file")
        self.player = NotePlayer([self.port, self.file], self.scheduler, config)

    @property
    def messages(self) -> list[Message]:
        """What the port was sent."""
        return [message for _, message in self.port.sent]


@pytest.fixture
def stage() -> Stage:
    """Give a stage with the default settings."""
    return Stage()


def test_no_notes_send_nothing(stage: Stage) -> None:
    """An empty answer is silence."""
    assert stage.player.play([]) == 0
    assert stage.messages == []


def test_without_sinks_notes_are_counted(stage: Stage) -> None:
    """``--midi-out none`` plays to nobody and still ends its notes."""
    player = NotePlayer([], stage.scheduler)
    assert player.play([Note(60, 64, 0.5)]) == 1
    stage.scheduler.advance(1)
    assert player.sounding_pitches == ()
    assert player.n_notes == 1


def test_a_note_begins_at_once_and_ends_after_its_duration(stage: Stage) -> None:
    """The note-on is sent by `play` itself, the note-off by the scheduler."""
    stage.scheduler.advance(2)
    stage.player.play([Note(60, 64, 0.5)])
    assert stage.port.sent == [(2.0, (ON, 60, 64))]
    stage.scheduler.advance(0.4)
    assert 60 in stage.player.sounding_pitches
    stage.scheduler.advance(0.2)
    assert stage.port.sent == [(2.0, (ON, 60, 64)), (2.5, (OFF, 60, 0))]
    assert 60 not in stage.player.sounding_pitches


def test_a_chord_begins_in_one_moment(stage: Stage) -> None:
    """Notes played together carry the same time."""
    assert stage.player.play([Note(60, 64, 0.5), Note(64, 70, 0.6)]) == 2
    assert stage.port.sent == [(0.0, (ON, 60, 64)), (0.0, (ON, 64, 70))]
    assert stage.player.n_notes == 2


def test_every_sink_is_sent_the_same(stage: Stage) -> None:
    """The file keeps what the port sounds."""
    stage.player.play([Note(60, 64, 0.5)])
    stage.scheduler.advance(1)
    assert stage.file.sent == stage.port.sent


def test_a_pitch_struck_again_is_ended_first(stage: Stage) -> None:
    """The first note's end is brought forward; the second keeps its own."""
    stage.player.play([Note(60, 64, 1.0)])
    stage.scheduler.advance(0.75)
    stage.player.play([Note(60, 80, 1.0)])
    stage.scheduler.advance(0.5)
    assert stage.messages == [(ON, 60, 64), (OFF, 60, 0), (ON, 60, 80)]
    stage.scheduler.advance(0.5)
    assert stage.port.sent[-1] == (1.75, (OFF, 60, 0))


def test_the_oldest_note_gives_way_when_polyphony_is_full() -> None:
    """A third note where two may sound ends the first."""
    stage = Stage(MidiConfig(max_polyphony=2))
    stage.player.play([Note(60, 64, 9), Note(62, 64, 9), Note(64, 64, 9)])
    assert stage.messages == [(ON, 60, 64), (ON, 62, 64), (OFF, 60, 0), (ON, 64, 64)]
    assert stage.player.sounding_pitches == (62, 64)


def test_the_channel_is_the_one_configured() -> None:
    """Channel 10, as musicians count, is nine on the wire, for notes and controllers."""
    stage = Stage(MidiConfig(channel=10))
    stage.player.play([Note(60, 64, 1)])
    stage.player.close()
    assert [message[0] & 0x0F for message in stage.messages] == [9, 9, 9]


def test_all_notes_off_ends_each_note_and_then_the_channel(stage: Stage) -> None:
    """Explicit note-offs first, controller 123 after, and playing may go on."""
    stage.player.play([Note(60, 64, 9), Note(64, 64, 9)])
    stage.player.all_notes_off()
    assert stage.messages[2:] == [(OFF, 60, 0), (OFF, 64, 0), SILENCE]
    assert stage.scheduler.n_booked == 0
    assert stage.player.play([Note(67, 64, 1)]) == 1


def test_closing_ends_notes_and_closes_sinks_once(stage: Stage) -> None:
    """After a close nothing sounds, nothing is booked, and nothing begins."""
    stage.player.play([Note(60, 64, 9)])
    stage.player.close()
    stage.player.close()
    assert stage.messages == [(ON, 60, 64), (OFF, 60, 0), SILENCE]
    assert (stage.port.n_closed, stage.file.n_closed) == (1, 1)
    assert stage.scheduler.n_booked == 0
    assert stage.player.play([Note(62, 64, 1)]) == 0
    assert len(stage.messages) == 3


def test_an_exception_on_stage_leaves_no_note_hanging(stage: Stage) -> None:
    """Leaving the player's context by an exception is a close."""

    def perform() -> None:
        with stage.player:
            stage.player.play([Note(60, 64, 9)])
            raise RuntimeError("stumbled")

    with pytest.raises(RuntimeError, match="stumbled"):
        perform()
    assert stage.messages == [(ON, 60, 64), (OFF, 60, 0), SILENCE]


def test_time_never_goes_back_for_a_sink(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """A scheduler whose clock is set back does not set back the sinks'."""
    stage.scheduler.advance(5)
    stage.player.play([Note(60, 64, 9)])
    monkeypatch.setattr(stage.scheduler, "now_s", lambda: 3.0)
    stage.player.play([Note(62, 64, 9)])
    assert [at_s for at_s, _ in stage.port.sent] == [5.0, 5.0]


def test_a_sink_that_dies_is_said_once_and_the_other_plays_on(stage: Stage) -> None:
    """One log event names the sink and the reason; the notes reach what is left."""
    stage.player.play([Note(60, 64, 0.5)])
    stage.port.is_dead = True
    with structlog.testing.capture_logs() as logged:
        stage.player.play([Note(62, 64, 0.5)])
        stage.scheduler.advance(1)
    assert [(entry["event"], entry["sink"]) for entry in logged] == [("midi.sink_lost", "port")]
    assert [message for _, message in stage.file.sent] == [
        (ON, 60, 64),
        (ON, 62, 64),
        (OFF, 60, 0),
        (OFF, 62, 0),
    ]
    assert stage.player.n_lost_sinks == 1
    stage.player.close()
    assert stage.port.n_closed == 1


def test_a_sink_that_cannot_close_does_not_keep_the_others_open(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk is told after every port is closed."""

    def refuse() -> None:
        raise MidiError("the disk is full")

    monkeypatch.setattr(stage.port, "close", refuse)
    with pytest.raises(MidiError, match="disk is full"):
        stage.player.close()
    assert stage.file.n_closed == 1


@pytest.mark.parametrize(
    ("note", "match"),
    [
        (Note(-1, 64, 1), "pitch must be 0 to 127, got -1"),
        (Note(128, 64, 1), "pitch must be 0 to 127, got 128"),
        (Note(60, 0, 1), "velocity must be 1 to 127, got 0"),
        (Note(60, 128, 1), "velocity must be 1 to 127, got 128"),
        (Note(60, 64, 0), "duration_s must be above 0"),
        (Note(60, 64, float("inf")), "finite, got inf"),
        (Note(60, 64, float("nan")), "finite, got nan"),
    ],
)
def test_a_note_midi_cannot_say_is_refused_whole(stage: Stage, note: Note, match: str) -> None:
    """One bad note in a chord, and none of the chord begins."""
    with pytest.raises(ValueError, match=match):
        stage.player.play([Note(60, 64, 1), note])
    assert stage.messages == []


@pytest.mark.parametrize(
    "values", [{"channel": 0}, {"channel": 17}, {"max_polyphony": 0}, {"max_polyphony": 129}]
)
def test_settings_midi_does_not_have_are_refused(values: dict[str, int]) -> None:
    """The message names the setting and its range."""
    with pytest.raises(ValueError, match=f"{next(iter(values))} must be 1 to"):
        MidiConfig(**values)


notes = st.builds(Note, st.integers(58, 64), st.integers(1, 127), st.floats(0.01, 3))
deeds: st.SearchStrategy[tuple[str, Any]] = st.one_of(
    st.tuples(st.just("play"), st.lists(notes, max_size=6)),
    st.tuples(st.just("advance"), st.floats(0, 2)),
    st.tuples(st.just("all_notes_off"), st.none()),
    st.tuples(st.just("kill"), st.none()),
    st.tuples(st.just("close"), st.none()),
)


@given(st.lists(deeds, max_size=40), st.integers(1, 5))
def test_whatever_happens_every_note_ends_and_time_goes_on(
    story: list[tuple[str, Any]], max_polyphony: int
) -> None:
    """Per sink: on and off alternate for each pitch, few enough sound at once, time never falls."""
    stage = Stage(MidiConfig(max_polyphony=max_polyphony), tick_s=1e-5)
    for deed, value in story:
        if deed == "play":
            stage.player.play(value)
        elif deed == "advance":
            stage.scheduler.advance(value)
        elif deed == "kill":
            stage.port.is_dead = True
        else:
            getattr(stage.player, deed)()
    stage.player.close()
    assert stage.scheduler.n_booked == 0
    assert stage.file.sent[: len(stage.port.sent)] == stage.port.sent
    for sink in (stage.port, stage.file):
        sounding = Counter[int]()
        for status, data, _ in (message for _, message in sink.sent):
            if status == ON:
                assert not sounding[data]
                sounding[data] += 1
            elif status == OFF:
                sounding[data] -= 1
            assert 0 <= sounding.total() <= max_polyphony
        if not sink.is_dead:
            assert not sounding.total()
        times_s = [at_s for at_s, _ in sink.sent]
        assert times_s == sorted(times_s)


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def loop(request: pytest.FixtureRequest) -> Iterator[asyncio.AbstractEventLoop]:
    """Give a loop of either kind."""
    loop = request.param()
    yield loop
    loop.close()


def test_the_loop_makes_booked_calls_in_their_order(loop: asyncio.AbstractEventLoop) -> None:
    """What is overdue comes first, then by time; what was cancelled never comes."""
    scheduler = LoopScheduler()
    calls: list[str] = []

    async def perform() -> None:
        done = asyncio.Event()
        scheduler.call_at(0.06, done.set)
        scheduler.call_at(0.04, calls.append, "late")
        scheduler.call_at(0.02, calls.append, "early")
        scheduler.call_at(-1.0, calls.append, "overdue")
        scheduler.call_at(0.01, calls.append, "cancelled").cancel()
        await done.wait()

    loop.run_until_complete(perform())
    assert calls == ["overdue", "early", "late"]


def test_the_clock_of_the_loop_counts_from_the_start() -> None:
    """A stream that began a minute ago is a minute old."""
    scheduler = LoopScheduler()
    assert scheduler.now_s() >= 0
    scheduler.start_ns = monotonic_ns() - 60 * NS_PER_S
    assert scheduler.now_s() >= 60
