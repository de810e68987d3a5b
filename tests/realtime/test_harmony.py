"""What goes with what sounds."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime.harmony import BENDS, DOUBLES, ENOUGH, FADES_S, GOES, N_FOR_KEY, RATINGS, Harmony

C_MAJOR = (60, 62, 64, 65, 67, 69, 71)
LICK = (67, 64, 65, 62, 64, 60, 71, 67)


def in_key(pitches: tuple[int, ...]) -> Harmony:
    """Make a harmony in which these were heard twice, long ago."""
    harmony = Harmony()
    harmony.end(pitches * 2, 0.0)
    return harmony


def sounding(*pitches: int) -> Harmony:
    """Make a harmony in which these notes begin at 0 s, the first that ever did."""
    harmony = Harmony()
    harmony.begin(pitches)
    return harmony


def test_before_anything_was_heard_everything_goes_and_stays_where_it_was_learned() -> None:
    """There is nothing to go with."""
    harmony = Harmony()
    assert harmony.fit(0.0) == pytest.approx(np.full(12, GOES))
    assert all(harmony.goes(pitch, 0.0) for pitch in range(128))
    assert harmony.bend(61, 0.0) == harmony.transposition(LICK) == 0
    assert harmony.transposition((), 5) == 5


def test_with_one_note_goes_what_people_find_consonant() -> None:
    """Octave, fifth, fourth, thirds and sixths, in any octave."""
    harmony = sounding(60)
    fit = harmony.fit(0.0)
    assert fit == pytest.approx(np.array(RATINGS), abs=0.1)
    assert {int(pc) for pc in np.flatnonzero(fit > GOES)} == {0, 3, 4, 5, 7, 8, 9}
    assert harmony.goes(28, 0.0)
    assert not harmony.goes(97, 0.0)


@pytest.mark.parametrize(
    ("pitch", "nearest"), [(61, 63), (62, 63), (66, 65), (70, 69), (71, 69), (64, 64), (55, 55)]
)
def test_what_clashes_is_bent_to_what_does_not(pitch: int, nearest: int) -> None:
    """By little, and not to what sounds already; not at all where it goes."""
    harmony = sounding(60)
    assert harmony.nearest(pitch, 0.0) == nearest
    assert harmony.bend(61, 0.0, may_double=True) == -1


def test_out_of_key_goes_less() -> None:
    """Over C, E goes in C major and E flat in C minor."""
    minor = (60, 62, 63, 65, 67, 68, 70)
    for key, third, other in ((C_MAJOR, 64, 63), (minor, 63, 64)):
        harmony = in_key(key + key[:5])
        harmony.begin((60,))
        assert harmony.goes(third, 60.0)
        assert not harmony.goes(other, 60.0)


def test_what_sounded_fades_when_it_is_over_and_not_before() -> None:
    """A held note keeps its say; it is forgotten when another begins."""
    harmony = sounding(60)
    assert not harmony.goes(61, 100.0)
    harmony.end((60,), 1.0)
    fit = [harmony.fit(1.0 + times * FADES_S)[1] for times in (0, 1, 3)]
    assert fit == sorted(fit)
    harmony.begin((61,))
    assert harmony.fit(1.1)[1] == pytest.approx(RATINGS[0], abs=0.2)


def test_a_note_that_is_not_known_yet_is_expected_to_be_of_the_key() -> None:
    """What goes with most of the key goes with it; once it is over it is known."""
    harmony = in_key((60, 64, 67))
    harmony.begin(())
    assert int(harmony.fit(0.2).argmax()) in (0, 4, 7)
    harmony.end((61,), 0.4)
    assert harmony.fit(0.4)[1] > harmony.fit(0.4)[0]


def test_a_melody_is_likely_to_go_on_near_by_and_in_its_key() -> None:
    """Before it has begun any note may come."""
    assert Harmony().likely == pytest.approx(np.full(12, 1 / 12))
    harmony = in_key(C_MAJOR)
    harmony.end((48, 64), 0.0)
    likely = harmony.likely
    assert likely.sum() == pytest.approx(1.0)
    assert likely[5] > likely[0] > likely[9]  # F, C and A, seen from E
    assert likely[2] > likely[3]


def test_the_key_is_of_the_newest_notes() -> None:
    """What was played before them is forgotten."""
    harmony = in_key(C_MAJOR)
    harmony.end((61,) * N_FOR_KEY, 1.0)
    assert harmony.goes(61, 100.0)
    assert not harmony.goes(60, 100.0)


@pytest.mark.parametrize("around", [-12, 0, 7])
@pytest.mark.parametrize("semitones", range(-6, 6))
def test_a_line_is_moved_into_the_player_s_key(semitones: int, around: int) -> None:
    """The nearest way, and not at all where it is in the key."""
    harmony = in_key(tuple(pitch + semitones + around for pitch in C_MAJOR))
    assert harmony.transposition(LICK, around) == semitones + around


def test_a_line_that_no_key_is_better_for_stays_where_it_is() -> None:
    """A chromatic one, and what the player played themselves."""
    assert in_key(C_MAJOR).transposition(range(60, 72)) == 0
    line = (60, 61, 66, 67)
    assert in_key(line).transposition(line) == 0


@given(st.lists(st.lists(st.integers(0, 127), max_size=4), max_size=12), st.integers(0, 127))
def test_a_bend_never_makes_it_worse(heard: list[list[int]], pitch: int) -> None:
    """Whatever sounds, a bent note goes as well as the one that was learned, and is near it."""
    harmony = Harmony()
    for i, begun in enumerate(heard):
        harmony.begin(begun)
        harmony.end(begun, i + 0.5)
    at_s = float(len(heard))
    fit = np.minimum(harmony.fit(at_s), ENOUGH)
    assert not np.isnan(fit).any()
    for may_double in (True, False):
        bend = harmony.bend(pitch, at_s, may_double=may_double)
        assert bend in BENDS
        assert fit[(pitch + bend) % 12] >= fit[pitch % 12] - (0 if may_double else DOUBLES)
