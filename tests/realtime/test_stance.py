"""What each mode wants of the memory."""

from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from realtime.harmony import N_FOR_KEY, Harmony
from realtime.stance import AWAY_SEMITONES, COMPANY, MODES, Heard, Mode, Stance, Wish

INTERVAL_S = 0.25


def note(pitch: int | None = 60, token: int | None = 3) -> Heard:
    """Make a note whose gesture is known."""
    return Heard(pitch, token, 1.0)


def begun(mode: Mode, *pitches: int | None) -> tuple[Stance, list[Wish | None]]:
    """Let a stance hear one phrase of notes, each with a token of its own, and say its wishes."""
    harmony = Harmony()
    stance = Stance(harmony, np.random.default_rng(0))
    stance.turn()
    wishes = []
    for i, pitch in enumerate(pitches):
        harmony.begin([] if pitch is None else [pitch])
        stance.hear(note(pitch, token=i), is_new_phrase=i == 0)
        wishes.append(stance.wish(mode, i * INTERVAL_S))
    return stance, wishes


def wishes(mode: Mode, *pitches: int | None) -> list[Wish | None]:
    """Give what a mode wants as it hears these notes."""
    return begun(mode, *pitches)[1]


def asked(wish: Wish | None) -> dict[str, Any]:
    """Give what is asked of the memory."""
    assert wish is not None
    return wish.request


def pitch_of(wish: Wish | None) -> int:
    """Give the pitch that is wanted, which is also the one that is asked for."""
    assert wish is not None
    assert wish.pitch is not None
    assert wish.pitch == 12 * (wish.request["register"] + 1) + wish.request["pitch_class"]
    return wish.pitch


@pytest.mark.parametrize("mode", MODES)
def test_every_mode_wants_something_or_rests_whatever_is_heard(mode: Mode) -> None:
    """A sound without pitch or gesture, the lowest and the highest note."""
    for pitch in (None, 0, 127):
        assert wishes(mode, pitch)[0] is not None or mode == "imitate"


def test_a_shadow_asks_for_what_was_heard() -> None:
    """Its gesture, its pitch class and its register, as far as they are known; it is no line."""
    known, unpitched = wishes("shadow", 62, None)
    token = {"value": 0, "weight": 1.0}
    request = {"gesture_token": token, "pitch_class": 2, "register": 4}
    assert known == Wish(request=request, register=62, may_double=True)
    request = {"gesture_token": {"value": 1, "weight": 1.0}}
    assert unpitched == Wish(request=request, register=62, may_double=True)


def test_an_imitation_follows_some_notes_behind() -> None:
    """A canon at two to four notes, silent until it comes in, by steps off where it would clash."""
    pitches = [60, 67, 64, 60, 67, 72, 76, 60]
    wanted = wishes("imitate", *pitches)
    behind = next(i for i, wish in enumerate(wanted) if wish is not None)
    assert 2 <= behind <= 4
    pairs = zip(wanted[behind:], pitches, strict=False)
    assert all(abs(pitch_of(wish) - pitch) <= 2 for wish, pitch in pairs)


def test_a_canon_gives_way_where_it_would_clash() -> None:
    """By a step, so that what it imitates can still be heard in it: B flat under D flat, not C."""
    assert pitch_of(wishes("imitate", *[60] * 4, 61)[-1]) == 58


def test_a_canon_ends_after_the_player_with_the_notes_it_owes() -> None:
    """Those that were not followed yet, and then no more."""
    pitches = [60, 67, 64, 60, 67, 72]
    stance, wanted = begun("imitate", *pitches)
    while (wish := stance.phrase_wish("imitate", 10.0)) is not None:
        wanted.append(wish)
    played = [pitch_of(wish) for wish in wanted if wish is not None]
    assert len(played) == len(pitches)


def test_what_was_heard_is_put_right_when_it_is_known() -> None:
    """A canon repeats what was played, not what it first sounded like."""
    stance, _ = begun("imitate", 60)
    stance.put_right(67)
    assert pitch_of(stance.phrase_wish("imitate", 10.0)) == 67


def test_a_mirror_turns_the_phrase_upside_down() -> None:
    """A note behind, about its first note and a fifth above, as near as what sounds allows."""
    pitches = [60, 64, 67, 60, 55]
    stance, wanted = begun("mirror", *pitches)
    mirrored = [pitch_of(wish) for wish in (*wanted[1:], stance.phrase_wish("mirror", 10.0))]
    exact = [67 - (pitch - 60) for pitch in pitches]
    assert pitch_of(wanted[0]) == exact[0]
    assert all(abs(a - b) <= 2 for a, b in zip(mirrored, exact, strict=True))
    assert stance.phrase_wish("mirror", 10.0) == Wish(is_line=True)


@pytest.mark.parametrize("mode", ["couple", "mirror"])
def test_before_any_pitch_is_known_a_line_of_the_memory_is_played(mode: Mode) -> None:
    """There is nothing to go along with, nor to turn upside down."""
    assert wishes(mode, None)[0] == Wish(is_line=True)


def test_company_to_a_note_that_is_not_known_yet_goes_with_what_is_likely() -> None:
    """No other pitch is more probably a third or a sixth; after repeated notes, to those."""
    harmony = Harmony()
    stance = Stance(harmony, np.random.default_rng(0))
    harmony.end([62] * N_FOR_KEY, 0.0)
    stance.hear(note(62), is_new_phrase=True)
    stance.hear(note(None), is_new_phrase=False)
    harmony.begin([])
    pitch = pitch_of(stance.wish("couple", 0.0))
    assert 62 < pitch <= 74
    assert (pitch - 62) % 12 in COMPANY
    chances = [harmony.likely[(other - np.array(COMPANY)) % 12].sum() for other in range(12)]
    assert chances[pitch % 12] == pytest.approx(max(chances))


def test_company_is_a_consonance_with_all_that_sounds() -> None:
    """A third or a sixth where one goes, in the chord that lately sounded."""
    pitches = [60, 64, 67, 60]
    above = [pitch_of(w) - p for w, p in zip(wishes("couple", *pitches), pitches, strict=True)]
    assert set(above) <= set(COMPANY)
    assert above[0] == 4


@pytest.mark.parametrize(
    ("pitch", "register"), [(40, 40 + AWAY_SEMITONES), (80, 80 - AWAY_SEMITONES)]
)
def test_a_contrast_is_a_line_far_off_that_leaves_room(pitch: int, register: int) -> None:
    """High against low and low against high, and silent for some notes of many."""
    wanted = wishes("contrast", *[pitch] * 200)
    assert {wish for wish in map(repr, wanted) if wish != "None"} == {
        repr(Wish(register=register, is_line=True))
    }
    assert 0.3 < wanted.count(None) / len(wanted) < 0.5


def test_a_contrast_rests_for_some_notes_together() -> None:
    """Not here and there: what it says are figures, and what it leaves is room."""
    is_rest = [wish is None for wish in wishes("contrast", *[40] * 200)]
    n_changes = sum(a != b for a, b in pairwise(is_rest))
    assert 200 / 12 < n_changes < 200 / 2.5


def test_a_lead_asks_for_nothing() -> None:
    """Whatever is played, it goes its way."""
    assert wishes("lead", 60, 71) == [Wish(is_line=True)] * 2


@pytest.mark.parametrize("mode", sorted(set(MODES) - {"imitate"}))
def test_in_a_phrase_nothing_is_asked(mode: Mode) -> None:
    """It is a line of the memory; a contrast's stays where it contrasts, a canon has its own."""
    stance, _ = begun(mode, 40)
    stance.phrase_wish(mode, 10.0)  # a mirror owes its last note
    wish = stance.phrase_wish(mode, 10.0)
    assert asked(wish) == {}
    assert wish is not None
    assert wish.is_line
    assert (wish.register is not None) == (mode == "contrast")
