"""What becomes of each event, with the time in the test's hand."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from realtime.answer import NO_STATE
from realtime.budget import Budget, BudgetConfig
from realtime.clock import StreamClock
from realtime.ensemble import Ensemble
from realtime.midi import NOTE_ON, NotePlayer
from realtime.monotonic import NS_PER_S
from realtime.playing_on import STALE_S
from realtime.report import Performance
from realtime.responder import Responder
from tests.realtime.midi_doubles import HandScheduler, MemorySink
from tests.realtime.stage_doubles import (
    HEARD_MS,
    RATE_HZ,
    FakeImproviser,
    attack,
    body,
    hanging_pitches,
    ms,
)

NS_PER_MS = 1_000_000
LAST_WAIT_MS = 45  # of the default budget: 50 less 3 for the oracle and 2 for the port


class Stage:
    """A responder and all it talks to."""

    def __init__(self, budget: BudgetConfig | None = None, *, n_memories: int = 1) -> None:
        self.scheduler = HandScheduler()
        self.sink = MemorySink()
        self.player = NotePlayer([self.sink], self.scheduler)
        self.improvisers = [FakeImproviser() for _ in range(n_memories)]
        self.improviser = self.improvisers[0]
        self.performance = Performance()
        self.asked: list[tuple[int, int, int]] = []
        self.pass_ns = 0
        self.while_asking: Callable[[], object] = lambda: None
        self.responder = Responder(
            ensemble=Ensemble(self.improvisers, RATE_HZ),
            player=self.player,
            scheduler=self.scheduler,
            clock=StreamClock.exact(RATE_HZ, 0),
            rate_hz=RATE_HZ,
            budget=Budget(budget or BudgetConfig()),
            performance=self.performance,
            ask=self._ask,
            predict_finish_ns=lambda now_ns, memory: now_ns + self.pass_ns,
        )

    def _ask(self, index: int, end_frame: int, useful_until_ns: int, memory: int) -> None:
        self.asked.append((index, end_frame, useful_until_ns))
        self.while_asking()

    def hear(self, index: int = 0, *, heard_ms: float = HEARD_MS) -> np.void:
        """Let an onset sound now and be published as soon as it has been heard."""
        onset_frame = round(self.scheduler.now_s() * RATE_HZ)
        self.scheduler.advance(heard_ms / 1000)
        record = attack(
            index,
            onset_frame,
            heard_frames=ms(heard_ms),
            published_ns=self.scheduler.now_ns(),
        )
        self.responder.hear(record)
        return record

    def recognise(self, token: int, record: np.void) -> None:
        """Let the worker answer what was asked for an event."""
        self.responder.recognise(token, int(record["decision_frame"]), int(record["index"]))

    @property
    def note_on_times_ms(self) -> list[int]:
        """When notes began."""
        return [round(at_s * 1000) for at_s, message in self.sink.sent if message[0] == NOTE_ON]


@pytest.fixture
def stage() -> Stage:
    """Give a stage with the default budget and an encoder that is expected to be instant."""
    return Stage()


def test_without_events_nothing_is_counted(stage: Stage) -> None:
    """A token nobody asked for and the end of the performance change nothing."""
    stage.responder.recognise(3, 480)
    stage.responder.stop()
    assert not stage.responder.is_waiting
    assert stage.performance == Performance(
        event_latency=stage.performance.event_latency,
        token_age=stage.performance.token_age,
        heard=stage.performance.heard,
        stages=stage.performance.stages,
    )
    assert stage.sink.sent == []


def test_the_body_of_an_attack_that_was_refused_teaches_nothing(stage: Stage) -> None:
    """A full event ring costs the event, not the performance."""
    stage.responder.learn(body(7))
    assert stage.improviser.taught == []
    assert stage.performance.n_learned == 0


def test_it_asks_for_the_window_that_ends_where_the_event_was_decided(stage: Stage) -> None:
    """And says until when the token is of use: the event's deadline."""
    stage.scheduler.advance(1.0)
    stage.hear(4)
    assert stage.asked == [(4, RATE_HZ + ms(HEARD_MS), NS_PER_S + 50 * NS_PER_MS)]


def test_a_considered_answer_comes_with_the_token(stage: Stage) -> None:
    """It waits, and plays at the very moment the token is there."""
    record = stage.hear()
    stage.scheduler.advance(0.007)
    assert stage.improviser.asked == []
    stage.recognise(5, record)
    assert stage.improviser.asked == [(0, 5, True)]
    assert stage.note_on_times_ms == [HEARD_MS + 7]
    assert not stage.responder.is_waiting
    assert stage.scheduler.n_booked == 1  # the note's end, and no longer the event's timer
    assert (stage.performance.n_considered, stage.performance.late_tokens) == (1, 0)


def test_it_waits_if_the_predicted_finish_just_fits(stage: Stage) -> None:
    """To the nanosecond: what must follow the wait fits exactly."""
    stage.pass_ns = (LAST_WAIT_MS - HEARD_MS) * NS_PER_MS
    stage.hear()
    assert stage.responder.is_waiting
    assert stage.improviser.asked == []


def test_it_answers_by_reflex_if_the_predicted_finish_does_not_fit(stage: Stage) -> None:
    """One nanosecond too much, and it plays at once with the token it has."""
    stage.responder.recognise(9, 0)
    stage.pass_ns = (LAST_WAIT_MS - HEARD_MS) * NS_PER_MS + 1
    stage.hear()
    assert not stage.responder.is_waiting
    assert stage.improviser.asked == [(0, 9, False)]
    assert stage.note_on_times_ms == [HEARD_MS]
    assert stage.performance.n_considered == 0


def test_the_pass_asked_for_is_not_taken_for_one_that_delays_it(stage: Stage) -> None:
    """The worker may take the request up before the responder has gone on."""

    def begin() -> None:
        stage.pass_ns = NS_PER_S

    stage.while_asking = begin
    stage.hear()
    assert stage.responder.is_waiting


def test_a_token_that_does_not_come_is_waited_for_until_the_last_moment(stage: Stage) -> None:
    """Then the newest token answers by reflex, and the late one is counted and learned with."""
    stage.responder.recognise(9, 0)
    record = stage.hear()
    stage.scheduler.advance(1.0)
    assert stage.note_on_times_ms == [LAST_WAIT_MS]
    assert stage.improviser.asked == [(0, 9, False)]
    stage.recognise(5, record)
    assert stage.performance.late_tokens == 1
    assert len(stage.improviser.asked) == 1
    stage.responder.learn(body())
    assert stage.improviser.taught == [(0, 5)]


def test_without_any_token_it_still_answers(stage: Stage) -> None:
    """The pitch alone is asked for; there is no token whose age could be told."""
    stage.hear()
    stage.scheduler.advance(1.0)
    assert stage.improviser.asked == [(0, None, False)]
    assert stage.performance.n_answers == 1
    assert stage.performance.token_age.n == stage.performance.heard.n == 0


def test_a_regular_window_s_token_answers_nobody_but_serves_a_reflex(stage: Stage) -> None:
    """It is the newest, and has heard a little of the note."""
    record = stage.hear()
    stage.responder.recognise(7, int(record["onset_frame"]) + ms(9))
    assert stage.responder.is_waiting
    stage.scheduler.advance(1.0)
    assert stage.improviser.asked == [(0, 7, False)]
    assert stage.performance.heard.max_ns == 9 * NS_PER_MS
    assert stage.performance.token_age.max_ns == (LAST_WAIT_MS - 9) * NS_PER_MS


def test_a_token_that_comes_late_does_not_replace_a_newer_one(stage: Stage) -> None:
    """Tokens may overtake each other; that of the same frames does replace it."""
    stage.scheduler.advance(1.0)
    for token, end_frame in ((7, ms(900)), (8, ms(800)), (9, ms(900)), (6, ms(100))):
        stage.responder.recognise(token, end_frame)
    stage.hear()
    stage.scheduler.advance(1.0)
    assert stage.improviser.asked == [(0, 9, False)]


def test_an_event_is_answered_by_its_own_token_though_a_newer_one_is_there(stage: Stage) -> None:
    """It ends where the event was decided, as those that were learned did."""
    record = stage.hear()
    stage.responder.recognise(7, int(record["decision_frame"]) + ms(5))
    stage.recognise(5, record)
    assert stage.improviser.asked == [(0, 5, True)]
    assert stage.performance.heard.max_ns == HEARD_MS * NS_PER_MS


def test_a_token_of_another_event_answers_nobody_else(stage: Stage) -> None:
    """Each event waits for its own."""
    first = stage.hear(0)
    second = stage.hear(1, heard_ms=10)
    stage.recognise(6, second)
    assert stage.improviser.asked == [(1, 6, True)]
    assert stage.responder.is_waiting
    stage.recognise(5, first)
    assert stage.improviser.asked[1:] == [(0, 5, True)]


@pytest.mark.parametrize(("heard_ms", "is_considered"), [(9.9, False), (10, True)])
def test_a_token_counts_as_considered_from_so_much_of_the_note(
    stage: Stage, heard_ms: float, is_considered: bool
) -> None:
    """`considered_min_ms` is the boundary, and is within."""
    record = stage.hear(heard_ms=heard_ms)
    stage.recognise(5, record)
    assert stage.improviser.asked == [(0, 5, is_considered)]
    assert stage.performance.n_considered == is_considered


def test_a_note_that_is_over_before_its_token_came_is_answered_then(stage: Stage) -> None:
    """It is learned without a token, and the token that comes after all is late."""
    record = stage.hear()
    stage.scheduler.advance(0.005)
    stage.responder.learn(body())
    assert stage.note_on_times_ms == [HEARD_MS + 5]
    assert stage.improviser.taught == [(0, None)]
    assert not stage.responder.is_waiting
    stage.recognise(5, record)
    assert stage.performance.late_tokens == 1
    assert len(stage.improviser.asked) == 1


def test_an_event_is_attended_to_when_it_is_heard_and_once(stage: Stage) -> None:
    """While its answer still waits for a token, and though it is never learned."""
    stage.while_asking = lambda: stage.improviser.attended.append(-1)
    record = stage.hear(4)
    assert stage.improviser.attended == [-1, 4]
    assert stage.improviser.asked == []
    stage.recognise(7, record)
    stage.hear(5)
    assert stage.improviser.attended == [-1, 4, -1, 5]


def test_an_answer_waits_for_the_token_of_the_memory_whose_turn_it_is() -> None:
    """Another memory's answers nobody, and is learned with."""
    stage = Stage(n_memories=2)
    record = stage.hear()
    frame = int(record["decision_frame"])
    stage.responder.recognise(9, frame, 0, 1, 0)
    stage.responder.miss(0, 1, 0)
    assert stage.improviser.asked == []
    stage.recognise(5, record)
    assert stage.improviser.asked == [(0, 5, True)]
    stage.responder.learn(body())
    assert [improviser.taught for improviser in stage.improvisers] == [[(0, 5)], [(0, 9)]]
    assert stage.performance.late_tokens == stage.performance.n_learned_without_token == 0
    stage.scheduler.advance(2.0)
    stage.responder.recognise(4, frame, None, 0)  # it says nothing to the other memory
    stage.hear(1)
    stage.scheduler.advance(1.0)
    assert stage.improvisers[1].asked == [(1, 9, False)]
    assert stage.performance.answers_by == {"1": 1, "2": 1}


def test_a_token_that_is_for_learning_is_never_late() -> None:
    """Not even when the event is over; that of the memory whose turn it was is."""
    stage = Stage(n_memories=2)
    frame = int(stage.hear()["decision_frame"])
    stage.responder.learn(body())
    stage.responder.recognise(9, frame, 0, 1, 0)
    assert stage.performance.late_tokens == 0
    stage.responder.recognise(5, frame, 0, 0, 0)
    assert stage.performance.late_tokens == 1


def test_what_is_learned_is_counted(stage: Stage) -> None:
    """And what the improviser would not learn is not."""
    for index, is_learning in enumerate([True, False, True]):
        stage.improviser.is_learning = is_learning
        stage.recognise(index, stage.hear(index))
        stage.responder.learn(body(index))
    assert stage.improviser.taught == [(0, 0), (1, 1), (2, 2)]
    assert stage.performance.n_learned == 2


def test_a_late_note_is_sent_and_counted(stage: Stage) -> None:
    """By default better late than never."""
    stage.hear(heard_ms=51)
    assert stage.note_on_times_ms == [51]
    assert (stage.performance.late_notes, stage.performance.n_answers) == (1, 1)


@pytest.mark.parametrize(("heard_ms", "n_answers"), [(50, 1), (50.1, 0)])
def test_a_late_note_can_be_dropped_for_a_counted_reason(heard_ms: float, n_answers: int) -> None:
    """At the deadline it is not yet late."""
    stage = Stage(BudgetConfig(late_notes="drop"))
    stage.hear(heard_ms=heard_ms)
    assert stage.performance.n_answers == n_answers
    assert stage.performance.unanswered == ({} if n_answers else {"too late": 1})
    assert len(stage.note_on_times_ms) == n_answers


def test_a_token_that_will_not_come_is_not_waited_for(stage: Stage) -> None:
    """The worker has skipped the window: a reflex now is better than a reflex later."""
    stage.hear(3)
    stage.responder.miss(None)  # a regular window was skipped: nobody's business
    assert stage.responder.is_waiting
    stage.responder.miss(3)
    assert stage.improviser.asked == [(3, None, False)]
    assert stage.note_on_times_ms == [HEARD_MS]
    stage.responder.miss(3)
    assert stage.performance.n_answers == 1


def test_what_is_learned_without_a_token_is_counted_apart(stage: Stage) -> None:
    """It can be played from, but not be found by what it sounded like."""
    stage.responder.recognise(1, 0)
    stage.pass_ns = NS_PER_S
    stage.hear(0)
    stage.responder.learn(body(0))
    stage.recognise(5, stage.hear(1))
    stage.responder.learn(body(1))
    assert stage.performance.n_learned == 2
    assert stage.performance.n_learned_without_token == 1


def test_an_event_whose_body_was_refused_is_forgotten(stage: Stage) -> None:
    """A body comes before the next attack, or never."""
    stage.pass_ns = NS_PER_S
    stage.hear(0)
    stage.hear(1)
    stage.responder.learn(body(0))
    assert stage.improviser.taught == []
    stage.responder.learn(body(1))
    assert stage.improviser.taught == [(1, None)]


def test_silence_has_its_reason(stage: Stage) -> None:
    """It is no answer, and has no latency."""
    stage.improviser.is_silent = True
    stage.recognise(5, stage.hear())
    assert stage.performance.unanswered == {NO_STATE: 1}
    assert stage.performance.n_answers == stage.performance.event_latency.n == 0


def test_what_had_to_be_given_up_is_counted_by_name(stage: Stage) -> None:
    """Answer by answer."""
    stage.improviser.relaxed = ("register", "taboo")
    stage.recognise(5, stage.hear(0))
    stage.improviser.relaxed = ("register",)
    stage.recognise(5, stage.hear(1))
    assert stage.performance.relaxed == {"register": 2, "taboo": 1}


def test_stopped_events_are_counted_and_never_answered(stage: Stage) -> None:
    """Only those that still waited; stopping twice counts them once."""
    stage.recognise(5, stage.hear(0))
    stage.hear(1)
    stage.responder.stop()
    stage.responder.stop()
    stage.scheduler.advance(1.0)
    assert stage.performance.unanswered == {"stopped": 1}
    assert [index for index, _, _ in stage.improviser.asked] == [0]


def test_the_stages_add_up_to_the_event_latency(stage: Stage) -> None:
    """Between them nothing is lost and nothing counted twice."""
    stage.improviser.while_deciding = lambda: stage.scheduler.advance(0.003)
    send = stage.sink.send

    def send_slowly(message: tuple[int, int, int], at_s: float) -> None:
        stage.scheduler.advance(0.002)
        send(message, at_s)

    stage.sink.send = send_slowly  # type: ignore[method-assign]
    stage.scheduler.advance(0.031)  # decided after 25 ms, heard of after 28, published after 31
    record = attack(published_ns=31 * NS_PER_MS)
    record["popped_ns"] = 28 * NS_PER_MS
    stage.responder.hear(record)
    stage.scheduler.advance(0.008)
    stage.recognise(5, record)
    stages = {name: timing.max_ns for name, timing in stage.performance.stages.items()}
    assert stages == {
        "capture": 3 * NS_PER_MS,
        "listen": 28 * NS_PER_MS,
        "inference": 8 * NS_PER_MS,
        "oracle": 3 * NS_PER_MS,
        "midi": 2 * NS_PER_MS,
    }
    assert stage.performance.event_latency.max_ns == sum(stages.values()) == 44 * NS_PER_MS


def test_a_phrase_is_played_when_it_is_due_and_is_no_answer(stage: Stage) -> None:
    """In stream time, note after note; no event latency is taken of it."""
    stage.improviser.plays_on_s = [1.25, 1.5, None]
    stage.recognise(5, stage.hear())
    stage.improviser.next_s = 1.0
    stage.recognise(5, stage.hear(1))
    stage.scheduler.advance(5.0)
    assert stage.note_on_times_ms[2:] == [1000, 1250, 1500]
    performance = stage.performance
    assert (performance.n_played_on, performance.n_answers) == (3, 2)
    assert performance.event_latency.n == 2
    assert stage.scheduler.n_booked == 0


def test_a_note_of_the_player_s_may_take_back_what_was_booked(stage: Stage) -> None:
    """The improviser says anew with every answer when to play on, or not to."""
    stage.improviser.next_s = 1.0
    stage.recognise(5, stage.hear(0))
    stage.improviser.next_s = None
    stage.recognise(5, stage.hear(1))
    stage.scheduler.advance(5.0)
    assert stage.improviser.n_played_on == 0


def test_nothing_is_played_on_with_once_stopped(stage: Stage) -> None:
    """However long the phrase would have been."""
    stage.improviser.next_s = 1.0
    stage.recognise(5, stage.hear())
    stage.responder.stop()
    stage.scheduler.advance(5.0)
    assert stage.improviser.n_played_on == 0
    assert stage.scheduler.n_booked == 0


@pytest.mark.parametrize(("behind_s", "n_played_on"), [(STALE_S - 0.01, 1), (STALE_S + 0.01, 0)])
def test_a_phrase_that_is_far_behind_is_left(behind_s: float, n_played_on: int) -> None:
    """A machine that slept does not catch up with what it meant to play; a late note is played."""
    stage = Stage()
    stage.scheduler.advance(9.0)
    record = stage.hear()
    stage.improviser.next_s = stage.scheduler.now_s() - behind_s
    stage.recognise(5, record)
    stage.scheduler.advance(1.0)
    assert stage.improviser.n_played_on == n_played_on


ACTIONS = st.one_of(
    st.tuples(st.just("hear"), st.sampled_from([5, 25, 48, 60])),
    st.tuples(st.just("token"), st.integers(0, 11)),
    st.tuples(st.just("hop"), st.integers(0, 11)),
    st.tuples(st.just("body"), st.integers(0, 11)),
    st.tuples(st.just("wait"), st.integers(0, 60)),
    st.tuples(st.just("predict"), st.sampled_from([0, 15, 30])),
    st.tuples(st.just("silent"), st.integers(0, 1)),
    st.tuples(st.just("phrase"), st.integers(0, 60)),
)


@settings(max_examples=300, deadline=None)
@given(actions=st.lists(ACTIONS, max_size=40), is_dropping=st.booleans())
def test_every_event_ends_as_one_answer_or_one_counted_reason(
    actions: list[tuple[str, int]], is_dropping: bool
) -> None:
    """However attacks, tokens, timers and bodies interleave, and whatever of them is missing."""
    stage = Stage(BudgetConfig(late_notes="drop" if is_dropping else "send"))
    heard: list[np.void] = []
    for action, value in actions:
        match action:
            case "hear":
                heard.append(stage.hear(len(heard), heard_ms=value))
            case "token" if value < len(heard):
                stage.recognise(value, heard[value])
            case "hop":
                stage.responder.recognise(value, round(stage.scheduler.now_s() * RATE_HZ))
            case "body":
                stage.responder.learn(body(value))
            case "wait":
                stage.scheduler.advance(value / 1000)
            case "predict":
                stage.pass_ns = value * NS_PER_MS
            case "silent":
                stage.improviser.is_silent = bool(value)
            case "phrase":
                stage.improviser.next_s = stage.scheduler.now_s() + value / 1000
    stage.responder.stop()
    stage.player.close()
    performance = stage.performance
    assert performance.n_events == len(heard)
    assert performance.n_events == performance.n_answers + sum(performance.unanswered.values())
    assert performance.n_answers == performance.event_latency.n
    n_played_on = performance.n_played_on
    assert n_played_on == stage.improviser.n_played_on
    assert performance.n_answers + n_played_on == len(stage.note_on_times_ms)
    answered = [index for index, _, _ in stage.improviser.asked]
    taught = [index for index, _ in stage.improviser.taught]
    assert len(answered) == len(set(answered))
    assert len(taught) == len(set(taught)) == performance.n_learned
    assert not stage.responder.is_waiting
    assert hanging_pitches([message for _, message in stage.sink.sent]) == []
