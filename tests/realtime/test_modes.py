"""How it stands to the player, and when that changes."""

from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from realtime.modes import BREATH_S, COMPANY, HOLD_S, MODES, PATIENCE_S, Heard, Mode, Modes
from realtime.phrasing import PHRASE_GAP_S

INTERVAL_S = 0.25
PHRASE_S = 4.0
GAP_S = 1.5


def note(pitch: int | None = 60, token: int | None = 3) -> Heard:
    """Make a note whose gesture is known."""
    return Heard(pitch, token, 1.0)


def requests(mode: Mode, pitches: list[int | None]) -> list[dict[str, Any] | None]:
    """Give what a mode asks for as it hears these notes, each with a token of its own."""
    modes = Modes(mode, seed=0)
    asked = []
    for i, pitch in enumerate(pitches):
        modes.hear(note(pitch, token=i), i * INTERVAL_S)
        asked.append(modes.request())
    return asked


def pitch_of(request: dict[str, Any] | None) -> int:
    """Give the pitch that a request names by its class and register."""
    assert request is not None
    return int(12 * (request["register"] + 1) + request["pitch_class"])


@pytest.mark.parametrize("mode", MODES)
def test_every_mode_has_a_request_or_rests_whatever_is_heard(mode: Mode) -> None:
    """A sound without pitch or gesture, the lowest and the highest note."""
    for pitch in (None, 0, 127):
        modes = Modes(mode, seed=0)
        modes.hear(Heard(pitch, None, 0.3), 0.0)
        request = modes.request()
        assert request is not None or mode == "imitate"


def test_a_shadow_asks_for_what_was_heard() -> None:
    """Its gesture, its pitch class and its register, as far as they are known."""
    known, unpitched = requests("shadow", [62, None])
    token = {"value": 0, "weight": 1.0}
    assert known == {"gesture_token": token, "pitch_class": 2, "register": 4}
    assert unpitched == {"gesture_token": {"value": 1, "weight": 1.0}}


def test_an_imitation_follows_some_notes_behind() -> None:
    """A canon at two to four notes, silent until it comes in."""
    pitches = [60, 62, 64, 65, 67, 69, 71, 72]
    asked = requests("imitate", [*pitches])
    behind = next(i for i, request in enumerate(asked) if request is not None)
    assert 2 <= behind <= 4
    assert [pitch_of(request) for request in asked[behind:]] == pitches[:-behind]


def test_a_mirror_turns_the_phrase_upside_down_in_the_key_of_the_moment() -> None:
    """About its first note, a fifth above; a neighbour that was lately heard goes before."""
    asked = requests("mirror", [60, 62, 64, 60, 55])
    assert [pitch_of(request) for request in asked] == [67, 65, 62, 67, 72]


def test_a_note_whose_pitch_is_not_known_yet_is_not_doubled_by_its_gesture() -> None:
    """What follows goes with it, or what goes with the pitch before it."""
    assert requests("mirror", [60, None])[1] == requests("couple", [60, None])[1] == {}
    known, unknown = requests("contrast", [60, None])
    assert known == unknown


def test_company_is_a_consonance_in_the_key_of_the_moment() -> None:
    """A third or a sixth where one was heard lately, else a fifth."""
    asked = requests("couple", [60, 64, 67, 60])
    above = [pitch_of(a) - p for a, p in zip(asked, [60, 64, 67, 60], strict=True)]
    assert above == [7, 8, 9, 4]
    assert set(above) <= set(COMPANY)


def test_a_contrast_is_far_off_and_leaves_room() -> None:
    """High against low and low against high, and silent for some notes of many."""
    low = requests("contrast", [40] * 200)
    assert {"pitch": {"type": ">", "value": 47}} in low
    assert requests("contrast", [80] * 20).count({"pitch": {"type": "<", "value": 73}}) > 0
    assert 0.3 < low.count(None) / len(low) < 0.5


def test_a_contrast_rests_for_some_notes_together() -> None:
    """Not here and there: what it says are figures, and what it leaves is room."""
    is_rest = [request is None for request in requests("contrast", [40] * 200)]
    n_changes = sum(a != b for a, b in pairwise(is_rest))
    assert 200 / 12 < n_changes < 200 / 2.5


def test_a_lead_asks_for_nothing() -> None:
    """Whatever is played, it goes its way."""
    assert requests("lead", [60, 71]) == [{}, {}]


@pytest.mark.parametrize("mode", MODES)
def test_it_speaks_where_the_player_s_phrase_has_ended(mode: Mode) -> None:
    """After a pause that is one for such notes; a shadow never speaks first."""
    modes = Modes(mode, seed=0)
    for i in range(6):
        modes.hear(note(), i * INTERVAL_S)
    expected_s = None if mode == "shadow" else 5 * INTERVAL_S + PHRASE_GAP_S
    assert modes.speaks_s() == expected_s


def test_only_who_leads_speaks_again_and_not_to_nobody() -> None:
    """It breathes in between, and ends when nothing has been heard for long."""
    for mode in MODES:
        modes = Modes(mode, seed=0)
        modes.hear(note(), 1.0)
        again_s = modes.speaks_again_s(4.0)
        assert modes.leads == (again_s is not None) == (mode == "lead")
        if again_s is not None:
            assert BREATH_S[0] <= again_s - 4.0 <= BREATH_S[1]
        assert modes.speaks_again_s(1.0 + PATIENCE_S + 0.1) is None


def test_a_canon_ends_after_the_player_with_the_notes_it_owes() -> None:
    """Those that were not followed yet, and then no more."""
    modes = Modes("imitate", seed=0)
    pitches = [60, 62, 64, 65, 67, 69]
    asked = []
    for i, pitch in enumerate(pitches):
        modes.hear(note(pitch), i * INTERVAL_S)
        asked.append(modes.request())
    while (request := modes.phrase_request()) is not None:
        asked.append(request)
    assert [pitch_of(request) for request in asked if request is not None] == pitches


def test_in_a_phrase_only_a_contrast_asks_for_something() -> None:
    """And not so that it would leave the line; a canon has its own."""
    for mode in MODES:
        modes = Modes(mode, seed=0)
        modes.hear(note(40), 0.0)
        request = modes.phrase_request()
        if mode == "imitate":
            continue
        assert request is not None
        assert set(request) == ({"pitch"} if mode == "contrast" else set())
        assert all(wanted["weight"] < 1 for wanted in request.values())


def test_a_mode_that_was_asked_for_stays() -> None:
    """Said once, with the first note."""
    modes = Modes("couple", seed=0)
    turns = [modes.hear(note(), float(second)) for second in range(100)]
    assert [turn.mode for turn in turns if turn] == ["couple"]
    assert turns[0] is not None
    assert turns[0].why == "asked for"


def onsets() -> list[float]:
    """Give five minutes of phrases of 4 s, each followed by a silence."""
    starts = np.arange(0.0, 300.0, PHRASE_S + GAP_S)
    return [float(start + i * INTERVAL_S) for start in starts for i in range(16)]


def changes(seed: int) -> list[tuple[float, str]]:
    """Give when which mode began."""
    modes = Modes("auto", seed=seed)
    turns = [(now_s, modes.hear(note(), now_s)) for now_s in onsets()]
    return [(now_s, turn.mode) for now_s, turn in turns if turn]


def test_modes_change_where_phrases_end_and_are_held_long_enough() -> None:
    """Each for 15 to 45 s, the longest until then even within a phrase; none follows itself."""
    assert GAP_S > PHRASE_GAP_S
    for seed in range(10):
        begun = changes(seed)
        times_s = [now_s for now_s, _ in begun]
        held_s = np.diff(times_s)
        assert len(begun) > 5
        assert ((held_s >= HOLD_S[0]) & (held_s < HOLD_S[1] + GAP_S)).all()
        at_phrases = np.array([now_s % (PHRASE_S + GAP_S) == 0 for now_s in times_s[1:]])
        assert (at_phrases | (held_s >= HOLD_S[1])).all()
        assert all(a != b for (_, a), (_, b) in pairwise(begun))


def test_a_player_who_never_pauses_is_not_held_to_one_mode() -> None:
    """After 45 s it changes in the middle of the phrase."""
    modes = Modes("auto", seed=1)
    begun = [at_s for at_s in np.arange(0, 200, 0.5) if modes.hear(note(), float(at_s))]
    assert np.diff(begun).tolist() == [HOLD_S[1]] * 4


def test_the_same_seed_turns_the_same_way() -> None:
    """And another seed another."""
    assert changes(0) == changes(0) != changes(1)
