"""What is played to what was heard, and what is learned from it."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from numpy.typing import NDArray

from models.encoder import EncoderSpec
from oracle.event import DIM_INDEX, Event, EventTracker, Note
from oracle.memory import Memory
from oracle.provenance import Provenance
from realtime.answer import LEADING, NO_STATE, REST, Answer
from realtime.improviser import LIVE_SOURCE, Improviser, ImproviserConfig
from realtime.modes import PATIENCE_S, Turn
from realtime.phrase import N_LEAST
from realtime.phrasing import PHRASE_GAP_S
from realtime.stance import MODES, Mode
from tests.realtime.stage_doubles import RATE_HZ, attack, body

TOKENS = (0, 1, 2, 0, 1, 2, 0, 1)
PITCHES = (60, 62, 64, 72, 74, 76, 48, 50)
REPEATING = ImproviserConfig(mode="shadow", taboo_steps=0)
SPEC = EncoderSpec(name="fake", revision="1", rate_hz=24_000, window_frames=240, dim=2)


def framed(tracker: EventTracker, onset_s: float, pitch: float, token: int) -> NDArray[np.float32]:
    """Track an onset, and know its token."""
    frame = tracker.track(onset_s, pitch=pitch)
    frame[DIM_INDEX["gesture_token"]] = token
    return frame


def learned(*, is_pitched: bool = True) -> Memory:
    """Make a memory of eight events: three tokens, pitches in three registers, one note each."""
    tracker = EventTracker()
    events = [
        Event(
            frame=framed(tracker, 0.5 * i, pitch if is_pitched else math.nan, token),
            notes=(Note(pitch, 70 + i, 0.5),) if is_pitched else (),
            pitch=pitch if is_pitched else math.nan,
            level_db=-20.0,
            velocity=70.0 + i,
            onset_s=0.5 * i,
            duration_s=0.5,
        )
        for i, (token, pitch) in enumerate(zip(TOKENS, PITCHES, strict=True))
    ]
    return Memory.from_events(
        events,
        centroids=np.eye(3, 2, dtype=np.float32),
        threshold=0.1,
        provenance=Provenance(
            encoder=SPEC.to_json(), listener={"heard_ms": 25.0}, sources=("take.wav",)
        ),
    )


def answered(
    player: Improviser, heard: np.void, token: int | None, *, considered: bool = True
) -> Answer:
    """Attend to an event and answer it at once."""
    return player.answer(player.attend(heard), token=token, is_considered=considered)


def improviser(
    memory: Memory, config: ImproviserConfig = REPEATING, *, seed: int = 0
) -> Improviser:
    """Make an improviser that may repeat itself, unless told otherwise."""
    return Improviser(memory, RATE_HZ, config, seed=seed)


def test_a_memory_without_notes_answers_nothing_and_says_why() -> None:
    """Silence has its reason."""
    answer = answered(improviser(learned(is_pitched=False)), attack(), 0)
    assert (answer.notes, answer.state, answer.why) == ((), None, NO_STATE)


def test_a_sound_without_pitch_or_token_is_answered_all_the_same() -> None:
    """Nothing is asked, so nothing is relaxed."""
    answer = answered(improviser(learned()), attack(pitch=math.nan), None, considered=False)
    assert answer.notes
    assert answer.relaxed == ()


@pytest.mark.parametrize("state", range(1, 9))
def test_it_answers_with_the_notes_of_the_state_that_is_like_what_was_heard(state: int) -> None:
    """Token, pitch class and register together name one state; its notes are what was played."""
    memory = learned()
    heard = attack(pitch=PITCHES[state - 1] + 0.3)
    answer = answered(improviser(memory), heard, TOKENS[state - 1])
    assert answer.state == state
    assert answer.notes == (Note(PITCHES[state - 1], round(float(heard["velocity"])), 0.5),)
    assert answer.relaxed == ()


def test_what_cannot_be_had_is_relaxed_from_the_last_named_upwards_and_said() -> None:
    """There is no C three octaves up: the register gives way, and what remains is a C."""
    answer = answered(improviser(learned()), attack(pitch=96.0), 0)
    assert answer.relaxed == ("register",)
    assert [note.pitch % 12 for note in answer.notes] == [0]


def test_a_stale_token_weighs_less_than_the_pitch() -> None:
    """By reflex a D may follow whatever the newest token was; considered, the token binds."""
    config = ImproviserConfig(mode="shadow", taboo_steps=0, reflex_token_weight=0.0)
    heard = attack(pitch=62.0)
    reflex = answered(improviser(learned(), config), heard, 0, considered=False)
    assert reflex.state == 2
    considered = answered(improviser(learned(), config), heard, 0)
    assert considered.state is not None
    assert TOKENS[considered.state - 1] == 0


def played(seed: int, n_steps: int = 40) -> list[Answer]:
    """Answer a walk through tokens and, now and then, pitches, and learn from it."""
    player = improviser(learned(), ImproviserConfig(mode="shadow", taboo_steps=2), seed=seed)
    answers = []
    for i in range(n_steps):
        pitch = 48.0 + 5 * i % 29 if i % 3 == 0 else math.nan
        heard = player.attend(attack(i, (i + 1) * RATE_HZ // 4, pitch=pitch))
        answers.append(player.answer(heard, token=i % 3, is_considered=i % 4 > 0))
        player.learn(heard, body(i, ((48 + 5 * i % 29, 64),)), i % 3)
    return answers


def test_the_same_seed_gives_the_same_answers() -> None:
    """Also while the memory grows; another seed gives others."""
    assert played(1) == played(1)
    assert [answer.state for answer in played(1)] != [answer.state for answer in played(2)]


def test_what_is_heard_is_learned_and_can_be_answered_with() -> None:
    """The memory grows by one state, which is marked as heard live."""
    memory = learned()
    player = improviser(memory)
    heard = player.attend(attack(0, RATE_HZ, pitch=90.0))
    assert player.learn(heard, body(notes=((90, 99),), duration_s=0.25), 2)
    assert memory.n_events == 9
    assert memory.provenance.sources[memory.event(9).source] == LIVE_SOURCE
    answer = answered(player, attack(1, 2 * RATE_HZ, pitch=90.0), 2)
    assert (answer.state, answer.notes) == (9, (Note(90, 99, 0.25),))


def test_an_event_without_a_token_is_learned_too() -> None:
    """Its token is missing, and is not asked for."""
    memory = learned()
    player = improviser(memory)
    assert player.learn(player.attend(attack()), body(), None)
    assert math.isnan(memory.event(9).frame[0])


@pytest.mark.parametrize("is_learning", [True, False])
def test_a_pitch_that_is_known_when_the_note_is_over_is_the_one_that_is_followed(
    is_learning: bool,
) -> None:
    """A mirror turns the note that was played upside down, not what it was taken for at first."""
    config = replace(REPEATING, mode="mirror", is_learning=is_learning, phrase_notes=0)
    player, pitches = improviser(learned(), config), []
    for i, (first, later) in enumerate([(60, 60), (71, 64), (72, 72)]):
        attended = player.attend(attack(i, (i + 1) * RATE_HZ // 4, pitch=first))
        answer = player.answer(attended, token=None, is_considered=False)
        pitches.append([note.pitch for note in answer.notes])
        player.learn(attended, body(i, ((later, 64),)), None)
    assert abs(pitches[2][0] - (2 * 60 + 7 - 64)) <= 2


def test_a_note_that_is_over_after_the_next_has_begun_puts_nothing_right() -> None:
    """By then the next is the newest, and its pitch is its own."""
    config = replace(REPEATING, mode="mirror", phrase_notes=0)
    player = improviser(learned(), config)
    attended = [player.attend(attack(0, RATE_HZ // 4, pitch=60.0))]
    player.answer(attended[0], token=None, is_considered=False)
    attended.append(player.attend(attack(1, RATE_HZ // 2, pitch=64.0)))
    player.answer(attended[1], token=None, is_considered=False)
    player.learn(attended[0], body(0, ((48, 64),)), None)
    answer = answered(player, attack(2, 3 * RATE_HZ // 4, pitch=72.0), None)
    assert abs(answer.notes[0].pitch - (2 * 60 + 7 - 64)) <= 2


def test_learning_can_be_turned_off() -> None:
    """Then the memory stays as it was learned."""
    memory = learned()
    player = improviser(memory, ImproviserConfig(is_learning=False))
    assert not player.learn(player.attend(attack()), body(), 0)
    assert memory.n_events == 8


def test_warming_up_changes_nothing() -> None:
    """Neither the memory nor what will be answered."""
    memory = learned()
    player, cold = improviser(memory, seed=3), improviser(learned(), seed=3)
    player.warm_up()
    assert memory.n_events == 8
    for i in range(10):
        heard = attack(i, i * RATE_HZ, pitch=60.0 + i)
        answers = [answered(p, heard, i % 3) for p in (player, cold)]
        assert answers[0] == answers[1]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"continuity": 1.1}, r"continuity must be 0…1, got 1\.1"),
        ({"min_context": -1}, "min_context must be 0…32, got -1"),
        ({"taboo_steps": -1}, "taboo_steps must be ≥ 0, got -1"),
        ({"reflex_token_weight": 1.5}, r"reflex_token_weight must be 0…1, got 1\.5"),
        ({"phrase_notes": -1}, "phrase_notes must be ≥ 0, got -1"),
        ({"reflex_token_weight": math.nan}, "reflex_token_weight must be 0…1, got nan"),
    ],
)
def test_settings_no_answer_could_follow_are_refused(
    settings: dict[str, float], message: str
) -> None:
    """Each by its name in the settings."""
    with pytest.raises(ValueError, match=message):
        ImproviserConfig(**settings)  # type: ignore[arg-type]


def test_what_is_learned_is_kept_and_nothing_else_is() -> None:
    """The very event that the memory learned goes to whoever keeps it."""
    kept: list[Event] = []
    memory = learned()
    player = Improviser(memory, RATE_HZ, REPEATING, seed=0, keep=kept.append)
    player.learn(player.attend(attack()), body(), 1)
    (event,) = kept
    assert event.notes == memory.notes(memory.n_events)
    frozen = replace(REPEATING, is_learning=False)
    player = Improviser(memory, RATE_HZ, frozen, seed=0, keep=kept.append)
    player.learn(player.attend(attack()), body(), 1)
    assert kept == [event]


def share_doubled(path: Path, mode: Literal["auto", "shadow"], seed: int) -> float:
    """Play a memory to itself, and give the share of notes at the pitch they answer."""
    memory = Memory.load(path)
    config = ImproviserConfig(mode=mode, is_learning=False)
    player = improviser(memory, config, seed=seed)
    doubled = []
    for i in range(1, memory.n_events + 1):
        event = memory.event(i)
        heard = attack(i, round(event.onset_s * RATE_HZ), pitch=event.pitch)
        answer = answered(player, heard, int(event.frame[0]))
        if math.isfinite(event.pitch):
            doubled += [note.pitch == round(event.pitch) for note in answer.notes]
    return sum(doubled) / len(doubled)


def test_a_player_whose_take_is_the_memory_is_not_merely_doubled(take_memory: Path) -> None:
    """A shadow doubles most notes; with its modes it is a third at most, over several evenings."""
    seeds = range(6)
    assert np.mean([share_doubled(take_memory, "shadow", seed) for seed in seeds]) > 0.5
    assert np.mean([share_doubled(take_memory, "auto", seed) for seed in seeds]) < 1 / 3


def test_a_rest_has_its_reason_and_a_change_of_mode_comes_with_its_answer() -> None:
    """An imitation has nothing to say to the first note."""
    player = improviser(learned(), ImproviserConfig(mode="imitate"))
    first = answered(player, attack(), 0)
    assert (first.notes, first.state, first.why) == ((), None, REST)
    assert first.turn == Turn("imitate", "asked for")
    assert answered(player, attack(1, RATE_HZ), 0).turn is None


def soloist(mode: Mode, *, phrase_notes: int = 16, seed: int = 0) -> Improviser:
    """Make an improviser that goes on in the memory wherever it may."""
    config = ImproviserConfig(mode=mode, phrase_notes=phrase_notes, continuity=1.0, taboo_steps=0)
    return improviser(learned(), config, seed=seed)


def phrases(player: Improviser, until_s: float) -> list[tuple[float, Answer]]:
    """Let it play on as long as it wants to, and give when it played what."""
    played = []
    while player.next_s is not None and player.next_s < until_s:
        played.append((player.next_s, player.play_on()))
    return played


def test_it_has_nothing_to_say_before_anything_was_heard() -> None:
    """Whatever its mode."""
    player = soloist("lead")
    assert player.next_s is None
    with pytest.raises(RuntimeError, match="nothing to play on with"):
        player.play_on()


@pytest.mark.parametrize("mode", ["couple", "contrast"])
def test_in_the_player_s_pause_it_goes_on_with_what_it_answered(mode: Mode) -> None:
    """Once, in the memory's order and rhythm, from where the player's phrase has ended."""
    player = soloist(mode)
    answer = answered(player, attack(0, RATE_HZ, pitch=60.0), 0)
    assert answer.state is not None
    assert player.next_s == 1.0 + PHRASE_GAP_S
    played = phrases(player, 60.0)
    n_on = 8 - answer.state  # then there is no more of the memory
    states = [answer.state for _, answer in played]
    assert states[:n_on] == list(range(answer.state + 1, 9))
    assert [at_s for at_s, _ in played[:n_on]] == [1.8 + 0.5 * i for i in range(n_on)]
    assert len(played) >= N_LEAST
    assert all(answer.notes for _, answer in played)
    assert player.next_s is None


def test_a_mirror_ends_what_it_mirrors_before_it_goes_on() -> None:
    """It is a note behind: the last comes when the player pauses, and then a line in their key."""
    player = soloist("mirror")
    for i, pitch in enumerate((60, 64)):
        attended = player.attend(attack(i, (i + 1) * RATE_HZ // 4, pitch=pitch))
        player.answer(attended, token=0, is_considered=True)
        player.learn(attended, body(i, ((pitch, 64),)), 0)
    (_, last), (_, first), *_ = phrases(player, 60.0)
    assert [abs(note.pitch - 63) <= 2 for note in last.notes] == [True]
    assert first.state is not None
    assert last.state is not None
    assert first.state == last.state + 1


def test_it_comes_in_on_the_player_s_beat() -> None:
    """Where there is one: after a pause, and not in the middle of the beat."""
    player = soloist("mirror")
    for i in range(16):
        answered(player, attack(i, (i + 1) * RATE_HZ // 2), 0)
    assert player.next_s is not None
    assert player.next_s > 8.0 + PHRASE_GAP_S
    assert abs(2 * player.next_s - round(2 * player.next_s)) < 0.05


def test_a_beat_just_before_the_pause_is_long_enough_is_the_one_to_come_in_on() -> None:
    """Not the next one: a phrase need not wait a whole beat for a hundredth of a second."""
    player = soloist("mirror")
    interval_s = (PHRASE_GAP_S - 0.01) / 4
    for i in range(41):
        answered(player, attack(i, round((i + 1) * interval_s * RATE_HZ)), 0)
    assert player.next_s == pytest.approx(45 * interval_s, abs=0.03)


def test_a_note_of_the_player_s_ends_the_phrase() -> None:
    """It listens again, and is silent until the next pause."""
    player = soloist("mirror")
    answered(player, attack(0, RATE_HZ), 0)
    player.play_on()
    answered(player, attack(1, 3 * RATE_HZ), 0)
    assert player.next_s == 3.0 + PHRASE_GAP_S


def test_a_shadow_never_plays_unasked() -> None:
    """Nor does anybody of whom no phrases are wanted."""
    for mode in MODES:
        player = soloist(mode, phrase_notes=16 if mode == "shadow" else 0)
        for i in range(4):
            answered(player, attack(i, (i + 1) * RATE_HZ), 0)
            assert player.next_s is None


def test_who_leads_plays_phrases_of_its_own_whatever_the_player_plays() -> None:
    """The first note of a phrase answers; what comes before its end is heard, and has a reason."""
    player = soloist("lead", phrase_notes=4)
    player._navigator.place(1)
    first = answered(player, attack(0, RATE_HZ), 0)
    assert (first.state, player.next_s) == (2, 1.5)
    meanwhile = answered(player, attack(1, round(1.2 * RATE_HZ)), 0)
    assert (meanwhile.notes, meanwhile.why, player.next_s) == ((), LEADING, 1.5)
    played = [player.play_on() for _ in range(3)]
    assert [answer.state for answer in played] == [3, 4, 5]
    assert player.next_s is not None
    assert player.next_s > 3.0 + 0.5  # it breathes
    resting = answered(player, attack(2, round(3.1 * RATE_HZ)), 0)
    assert resting.why == LEADING


def test_who_leads_meets_the_player_s_note_with_its_next_if_that_is_due_soon() -> None:
    """The phrase keeps its tempo: the note after that comes when it would have come."""
    player = soloist("lead")
    player._navigator.place(1)
    answered(player, attack(0, RATE_HZ), 0)
    assert player.next_s == 1.5
    met = answered(player, attack(1, round(1.3 * RATE_HZ)), 0)
    assert (met.state, player.next_s) == (3, 2.0)
    late = answered(player, attack(2, round(2.1 * RATE_HZ)), 0)
    assert (late.state, player.next_s) == (4, 2.6)


def test_who_leads_makes_no_ragged_beginning() -> None:
    """Where a note of its own is due a moment after the player's, they come together."""
    player = soloist("lead")
    player._navigator.place(1)
    answered(player, attack(0, RATE_HZ), 0)
    assert player.next_s == 1.5
    player._unasked.next_s = 1.15
    met = answered(player, attack(1, round(1.06 * RATE_HZ)), 0)
    assert met.state == 3


def test_who_leads_ends_when_nobody_is_there_any_more() -> None:
    """Some phrases after the player's last note."""
    player = soloist("lead", phrase_notes=4)
    answered(player, attack(0, RATE_HZ), 0)
    times_s = [at_s for at_s, _ in phrases(player, 600.0)]
    assert 4 < max(times_s) < PATIENCE_S + 10
    assert player.next_s is None


def test_a_phrase_is_moved_into_the_player_s_key_and_says_by_how_much() -> None:
    """Whoever plays in D flat gets what was learned in C a semitone higher."""
    player = soloist("couple")
    for i, pitch in enumerate((61, 63, 65, 73, 75, 77, 49, 51)):
        attended = player.attend(attack(i, (i + 1) * RATE_HZ))
        player.learn(attended, body(i, ((pitch, 64),)), 0)
    answered(player, attack(9, 9 * RATE_HZ, pitch=63.0), 0)
    player._navigator.place(1)
    answer = player.play_on()
    assert (answer.state, answer.transposition_semitones % 12) == (2, 1)
    assert [note.pitch % 12 for note in answer.notes] == [63 % 12]


@pytest.mark.parametrize("mode", MODES)
def test_the_same_seed_plays_the_same_phrases(mode: Mode) -> None:
    """At the same moments."""

    def evening(seed: int) -> list[tuple[float, Answer]]:
        player, played = soloist(mode, seed=seed), []
        for i in range(12):
            heard = attack(i, (3 * i + 1) * RATE_HZ, pitch=60.0 + i)
            attended = player.attend(heard)
            player.answer(attended, token=i % 3, is_considered=True)
            player.learn(attended, body(i), i % 3)
            played += phrases(player, 3 * i + 4.0)
        return played

    assert evening(5) == evening(5)
    assert bool(evening(5)) == (mode != "shadow")
