import itertools
import math
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import mido
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oracle._scene import N_CANDIDATES
from oracle.attribute_table import AttributeTable
from oracle.attributes import Attribute, Measure
from oracle.audio_oracle import AudioOracle, FactorOracle
from oracle.event import Event
from oracle.memory import Memory
from oracle.navigator import Navigator, NavigatorConfig
from oracle.trace import Origin, Relaxation, Trace
from tests.oracle.memories import make_event, make_memory, melody, run_without_jit

SYMBOL = Attribute(name="symbol", unit="", low=0, high=256, is_whole=True, n_buckets=256)
CLUSTER = Attribute(
    name="cluster", unit="", low=0, high=2**20, is_whole=True, measure=Measure.CATEGORY,
    n_buckets=256,
)  # fmt: skip


def symbols(text: str | Sequence[int], **config: Any) -> Navigator:
    """Give a navigator of a factor oracle over letters; `symbol` is a letter's number."""
    oracle = FactorOracle()
    oracle.extend(text)
    numbers = [ord(c) - ord("a") if isinstance(c, str) else c for c in text]
    table = AttributeTable((SYMBOL, CLUSTER))
    table.extend(np.column_stack([numbers, oracle.clusters[1:]]))
    return Navigator(oracle, table, NavigatorConfig(**config))


def navigator(memory: Memory, seed: int = 0, **config: Any) -> Navigator:
    """Give a navigator of a memory."""
    return Navigator(memory.oracle, memory.attributes, NavigatorConfig(**config), seed=seed)


def states_of(traces: list[Trace]) -> list[int | None]:
    """Give the states chosen."""
    return [trace.state for trace in traces]


def attribute(memory: Memory, name: str, traces: list[Trace]) -> np.ndarray[Any, Any]:
    """Give an attribute of each state chosen."""
    states = [trace.state for trace in traces if trace.state is not None]
    return memory.attributes.arrays().values[states, memory.attributes.known[name][0]]


@pytest.fixture(scope="module")
def piano(shared_data: Path) -> Memory:
    """Learn the performed piano piece from its MIDI: one event an onset, its top note its pitch."""
    now_s = 0.0
    chords: list[tuple[float, list[int]]] = []
    for message in mido.MidiFile(shared_data / "piano" / "mozart_k265_var1.mid"):
        now_s += message.time
        if message.type == "note_on" and message.velocity:
            if chords and now_s - chords[-1][0] < 0.05:
                chords[-1][1].append(message.note)
            else:
                chords.append((now_s, [message.note]))
    pitches = [max(notes) for _, notes in chords]
    return make_memory(melody(pitches), threshold=0.2)


def test_an_empty_memory_answers_silence() -> None:
    """There is nothing to choose and nothing to relax."""
    trace = symbols("").step()
    assert (trace.state, trace.why, trace.relaxed) == (None, None, ())
    assert trace.candidates.size == 0


def test_a_memory_of_one_state_repeats_it_and_says_so() -> None:
    """The taboo is relaxed where there is nothing else."""
    nav = symbols("a")
    assert states_of(nav.generate(3)) == [1, 1, 1]
    assert nav.step().relaxed == (Relaxation("taboo", "dropped"),)


def test_fifty_steps_are_fifty_states() -> None:
    """Of a loop of eight, learned four hundred times."""
    states = states_of(symbols("abcdefgh" * 400).generate(50))
    assert len(states) == 50
    assert None not in states


@pytest.mark.parametrize("is_probabilistic", [True, False])
def test_a_loop_is_navigated_over_all_its_states(is_probabilistic: bool) -> None:
    """None of 3200 states is out of reach, by chance or by likelihood."""
    nav = symbols(
        "abcdefgh" * 400, taboo_steps=3000, min_context=0, is_probabilistic=is_probabilistic
    )
    assert {trace.state for trace in nav.generate(20_000)} == set(range(1, 3201))


def test_continuity_alone_plays_what_was_learned() -> None:
    """Continuity 1: straight on to the end, then somewhere with context."""
    nav = symbols("abcabdabc" * 3, continuity=1.0)
    nav.place(1)
    traces = nav.generate(26)
    assert states_of(traces) == list(range(2, 28))
    assert {trace.why for trace in traces} == {Origin.CONTINUATION}
    assert nav.step().why not in (Origin.CONTINUATION, None)


def test_without_continuity_every_step_that_can_jump_does() -> None:
    """Continuity 0 takes the continuation only where there is no other way."""
    nav = symbols("ab" * 50, continuity=0.0)
    nav.place(20)
    assert all(trace.why is not Origin.CONTINUATION for trace in nav.generate(30))


@pytest.mark.parametrize("min_context", [0, 1, 3, 8])
def test_jumps_have_the_context_they_need(min_context: int) -> None:
    """The clusters before the landing are those before the departure, that far."""
    text = "abcabdabcaabcdabdcabcabd" * 20
    nav = symbols(text, continuity=0.3, min_context=min_context, taboo_steps=0)
    nav.place(30)
    jumps = 0
    for _ in range(300):
        departure = nav.state
        trace = nav.step()
        assert trace.state is not None
        if trace.why is not Origin.CONTINUATION:
            jumps += 1
            past = text[departure - min_context : departure]
            assert past == text[trace.state - 1 - min_context : trace.state - 1]
    assert jumps > 50


def test_no_state_returns_within_the_taboo_window() -> None:
    """Twenty steps without a repeat, and no relaxing where there are enough states."""
    traces = symbols("abcdefgh" * 20, taboo_steps=20).generate(400)
    last: dict[int | None, int] = {}
    for step, trace in enumerate(traces):
        assert step - last.get(trace.state, -100) > 20
        assert not trace.relaxed
        last[trace.state] = step


def test_regions_are_never_left() -> None:
    """Not by continuing, jumping or looking up, whatever is asked."""
    nav = symbols("abcdefgh" * 40, regions=((17, 40), (100, 120)))
    states = states_of(nav.generate(200) + nav.generate_with_request({"symbol": 3}, 50))
    assert all(s is not None and (17 <= s <= 40 or 100 <= s <= 120) for s in states)
    assert any(s is not None and s >= 100 for s in states)


def test_the_same_seed_is_the_same_path() -> None:
    """And another seed another one; the global generator is left alone."""
    memory = make_memory(melody([60 + (7 * i) % 12 for i in range(200)]))
    before = str(np.random.get_state())  # noqa: NPY002, that it does not move is the claim
    paths = [states_of(navigator(memory, seed).generate(100)) for seed in (1, 1, 2)]
    assert paths[0] == paths[1] != paths[2]
    assert str(np.random.get_state()) == before  # noqa: NPY002


def test_without_chance_the_seed_does_not_matter() -> None:
    """The likeliest is the likeliest."""
    memory = make_memory(melody([60 + (7 * i) % 12 for i in range(200)]))
    one, two = (navigator(memory, seed, is_probabilistic=False) for seed in (1, 2))
    assert states_of(one.generate(300)) == states_of(two.generate(300))


def test_a_trace_tells_all_that_was_considered() -> None:
    """Probabilities sum to one, the choice is among them, every criterion has its masks."""
    memory = make_memory(melody([60 + (5 * i) % 12 for i in range(300)]))
    nav = navigator(memory)
    for _ in range(100):
        trace = nav.step({"pitch_class": {"value": 4, "weight": 0.5}, "loudness": -20})
        n = len(trace.candidates)
        assert 0 < n <= N_CANDIDATES
        assert len(set(trace.candidates["state"])) == n
        assert trace.masks.shape == (2, n)
        assert trace.candidates["probability"].sum() == pytest.approx(1)
        chosen = trace.candidates[trace.candidates["state"] == trace.state]
        assert chosen["probability"] > 0
        assert trace.why is not None
        assert chosen["origin"] == trace.why.value


def test_a_hard_request_is_met_wherever_it_can_be() -> None:
    """A token that occurs once in ten thousand states is found."""
    events = [make_event(i % 15, 60 + i % 24, i) for i in range(10_000)]
    events[7777] = make_event(15, 61, 7777)
    nav = navigator(make_memory(events))
    trace = nav.step({"gesture_token": 15})
    assert (trace.state, trace.why, trace.quality) == (7778, Origin.LOOK_UP, 1.0)
    assert not trace.relaxed


@pytest.mark.parametrize(
    "request_",
    [
        {"pitch_class": 7},
        {"gesture_token": 4, "register": 5},
        {"tonal_fit": {"type": ">", "value": 0.7}, "pitch_class": 2},
        {"log2_interval": -2, "tenney_height": {"type": "<", "value": 3}},
    ],
)
def test_on_learned_music_every_step_meets_what_a_state_can_meet(
    piano: Memory, request_: dict[str, Any]
) -> None:
    """A thousand steps, each fully met; only the taboo may give way, and then it is said."""
    traces = navigator(piano).generate_with_request(request_, 1000)
    assert all(trace.quality == 1 for trace in traces)
    assert {r.what for trace in traces for r in trace.relaxed} <= {"taboo"}


@settings(deadline=None, max_examples=60)
@given(
    tokens=st.lists(st.integers(0, 5), min_size=1, max_size=60),
    asked=st.tuples(st.integers(0, 6), st.integers(0, 11), st.integers(3, 6)),
)
def test_what_is_kept_is_what_an_exhaustive_search_keeps(
    tokens: list[int], asked: tuple[int, int, int]
) -> None:
    """In the order named, each criterion that some state meets together with those before."""
    pitches = [48 + (5 * i + token) % 30 for i, token in enumerate(tokens)]
    events = [make_event(t, p, i) for i, (t, p) in enumerate(zip(tokens, pitches, strict=True))]
    names = ("gesture_token", "pitch_class", "register")
    keys = [(t, p % 12, p // 12 - 1) for t, p in zip(tokens, pitches, strict=True)]
    kept: list[int] = []
    for i in range(3):
        if any(all(key[j] == asked[j] for j in (*kept, i)) for key in keys):
            kept.append(i)
    trace = navigator(make_memory(events)).step(dict(zip(names, asked, strict=True)))
    assert trace.state is not None
    assert all(keys[trace.state - 1][i] == asked[i] for i in kept)
    assert {r.what for r in trace.relaxed} == {names[i] for i in range(3) if i not in kept}


@pytest.mark.parametrize(("heard", "asked"), [(-0.12, 0.86), (0.86, -0.12), (-0.05, 0.95)])
def test_a_place_in_the_beat_is_found_across_its_end(heard: float, asked: float) -> None:
    """One state of two thousand, more than are looked at without the index."""
    phases = np.where(np.arange(2000) == 1234, heard, 0.4)
    memory = make_memory([make_event(0, 60, i, beat_phase=p) for i, p in enumerate(phases)])
    trace = navigator(memory).step({"beat_phase": asked})
    assert (trace.state, trace.relaxed) == (1235, ())


def test_an_unmet_equal_takes_the_nearest_of_what_meets_the_rest() -> None:
    """Token 3 has no C in octave 9; of its states the highest is nearest."""
    events = [make_event(i % 4, 36 + 12 * (i % 5), i) for i in range(100)]
    nav = navigator(make_memory(events))
    trace = nav.step({"gesture_token": 3, "register": 9})
    assert trace.state is not None
    assert trace.state % 4 == 0
    assert trace.relaxed == (Relaxation("register", "nearest"),)
    assert trace.quality == 0.5


@pytest.mark.parametrize(
    "criterion", [{"type": ">", "value": 0.6}, {"type": "gradient", "shape": 3}]
)
def test_the_mean_moves_with_the_weight(criterion: dict[str, Any]) -> None:
    """Three thousand steps at each of five weights: consonance rises with every one."""
    rng = np.random.default_rng(0)
    phrase = [rng.integers(0, 8, 12) for _ in range(6)]
    tokens = np.concatenate([phrase[i] for i in rng.integers(0, 6, 120)])
    memory = make_memory(
        [make_event(int(t), 60, i, consonance=rng.random()) for i, t in enumerate(tokens)],
        threshold=0.8,
    )
    means = []
    for weight in (0.0, 0.25, 0.5, 0.75, 1.0):
        nav = navigator(memory, continuity=0.5)
        asked = {"consonance": {**criterion, "weight": weight}}
        means.append(attribute(memory, "consonance", nav.generate_with_request(asked, 3000)).mean())
    assert all(b > a for a, b in itertools.pairwise(means)), means


def test_a_held_criterion_falls_silent_rather_than_give_way() -> None:
    """And the place in the memory is kept."""
    nav = navigator(make_memory([make_event(i % 3, 60, i) for i in range(30)]))
    nav.place(7)
    trace = nav.step({"gesture_token": {"value": 9, "is_held": True}})
    assert (trace.state, trace.quality) == (None, 0)
    assert trace.relaxed == (Relaxation("gesture_token", "dropped"),)
    assert nav.state == 7


def test_below_the_quality_asked_for_it_is_silent() -> None:
    """Half of the request met is silence at .6 and an answer at .5."""
    memory = make_memory([make_event(i % 3, 60, i) for i in range(30)])
    request = {"gesture_token": 2, "pitch_class": 5}
    assert navigator(memory, min_quality=0.6).step(request).state is None
    assert navigator(memory, min_quality=0.5).step(request).state is not None


def test_states_without_notes_can_be_left_out() -> None:
    """Free, asked or looked up: what is chosen sounds."""
    events = [make_event(i % 5, 60 if i % 3 else math.nan, i) for i in range(300)]
    memory = make_memory(events)
    nav = navigator(memory, is_audible=True)
    traces = nav.generate(100) + nav.generate_with_request({"gesture_token": 2}, 100)
    assert all(trace.state is not None and memory.notes(trace.state) for trace in traces)
    assert traces[0].criteria[0].attribute == "n_notes"


def test_where_nothing_sounds_it_is_silent_and_says_why() -> None:
    """A memory of noise."""
    nav = navigator(make_memory([make_event(0, index=i) for i in range(9)]), is_audible=True)
    trace = nav.step()
    assert trace.state is None
    assert trace.relaxed == (Relaxation("n_notes", "dropped"),)


def test_a_passage_moves_to_meet_a_pitch_class() -> None:
    """White keys only, F sharp asked: the nearest transposition that has one."""
    memory = make_memory(melody([60, 62, 64, 65, 67, 69, 71] * 10))
    nav = navigator(memory, transpositions=(-5, 1, 5))
    trace = nav.step({"pitch_class": 6})
    assert trace.state is not None
    assert trace.transposition_semitones == 1
    assert memory.notes(trace.state)[0].pitch + 1 == 66
    assert not trace.relaxed
    assert nav.step().transposition_semitones == 1  # the passage goes on as it began


def test_a_transposed_register_is_that_of_the_moved_pitch() -> None:
    """B4 up a semitone is in octave 5."""
    nav = navigator(make_memory(melody([71] * 5)), transpositions=(1,))
    trace = nav.step({"register": 5, "pitch_class": 0})
    assert trace.transposition_semitones == 1
    assert not trace.relaxed


def test_labels_are_met_one_by_one() -> None:
    """Label-guided: the states spell the word."""
    nav = symbols("abcabdabe" * 5)
    word = "abdabcabe"
    traces = nav.generate_with_labels([{"symbol": ord(c) - ord("a")} for c in word])
    spelled = "".join("abcabdabe"[(t.state - 1) % 9] for t in traces if t.state is not None)
    assert spelled == word


def test_a_scenario_chooses_the_place_that_leads_on() -> None:
    """Of a hundred places with a, the one after which b e follow is taken at once."""
    text = "acd" * 60 + "abe" + "acd" * 60
    scenario = [{"symbol": ord(c) - ord("a")} for c in "abe"]
    nav = symbols(text, is_probabilistic=False, continuity=0.5)
    nav.place(4)
    states = states_of(nav.generate_with_labels(scenario, n_ahead=2))
    assert states == [181, 182, 183]


def test_a_hundred_thousand_equal_states_are_walked() -> None:
    """Links as long as the memory end no step."""
    nav = symbols([0] * 100_000)
    assert None not in states_of(nav.generate(200))


def test_it_sees_what_another_thread_learns() -> None:
    """Every state chosen was there when the step began, and the newest are reached."""
    memory = make_memory(melody([60 + i % 12 for i in range(50)]))
    events: list[Event] = melody([48 + (7 * i) % 36 for i in range(3000)])
    thread = threading.Thread(target=lambda: [memory.learn(event) for event in events])
    nav = navigator(memory, is_audible=True)
    nav.step()
    thread.start()
    while thread.is_alive():
        for request in (None, {"pitch_class": 3, "register": 4}, {"gesture_token": 5}):
            trace = nav.step(request)
            assert trace.state is not None
            assert trace.state <= memory.n_events
    thread.join()
    assert memory.n_events == 3050
    nav.place(3049)
    assert 3050 in nav.step().candidates["state"]


@pytest.mark.parametrize(
    ("config", "match"),
    [
        ({"continuity": 1.5}, "continuity must be 0…1, got 1.5"),
        ({"continuity": math.nan}, "continuity must be 0…1"),
        ({"min_quality": -1}, "min_quality must be 0…1"),
        ({"min_context": 33}, "min_context must be 0…32"),
        ({"taboo_steps": -1}, "taboo_steps must be ≥ 0"),
        ({"regions": ()}, "regions must be one or more"),
        ({"regions": ((0, 5),)}, "a region needs 1 ≤ first ≤ last"),
        ({"regions": ((1, 5), (5, 9))}, "regions must not overlap"),
        ({"transpositions": (60,)}, "transpositions must be −48…48"),
    ],
)
def test_a_config_that_no_step_could_follow_is_refused(config: Any, match: str) -> None:
    """With the name, the value and the need."""
    with pytest.raises(ValueError, match=match):
        NavigatorConfig(**config)


def test_a_refused_request_moves_nothing() -> None:
    """The path goes on as if it had not been asked."""
    one, two = symbols("abcabd" * 20), symbols("abcabd" * 20)
    with pytest.raises(ValueError, match="did you mean 'symbol'"):
        one.step({"symbl": 1})
    assert states_of(one.generate(20)) == states_of(two.generate(20))


def test_warming_up_moves_nothing() -> None:
    """The path after it is the path without."""
    one, two = symbols("abcabd" * 20), symbols("abcabd" * 20)
    one.warm_up()
    assert states_of(one.generate(20)) == states_of(two.generate(20))


def test_places_that_are_not_there_are_refused() -> None:
    """States are 1 … n."""
    with pytest.raises(ValueError, match="state must be 0…3, got 4"):
        symbols("abc").place(4)


def test_audible_states_need_to_be_known() -> None:
    """A table without notes cannot say."""
    with pytest.raises(ValueError, match="is_audible needs an attribute n_notes"):
        Navigator(AudioOracle(1, 1.0), AttributeTable((SYMBOL,)), NavigatorConfig(is_audible=True))


def test_the_path_is_the_same_without_the_compiler() -> None:
    """Interpreted and compiled kernels choose alike, looked up, transposed or ahead."""
    script = """
from tests.oracle.test_navigator import *
nav = symbols("abcabdabe" * 8)
memory = make_memory(melody([60, 62, 64, 65, 67] * 6))
moved = navigator(memory, transpositions=(1, -1), is_audible=True)
traces = nav.generate(20) + nav.generate_with_labels([{"symbol": 3}, {"symbol": 0}], 1)
traces += moved.generate_with_request({"pitch_class": 6, "register": 4, "gesture_token": 9}, 5)
print(states_of(traces))
"""
    compiled: dict[str, Any] = {}
    exec(script.replace("print(", "answer = ("), compiled)
    assert run_without_jit(script) == str(compiled["answer"])
