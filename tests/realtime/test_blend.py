"""How what is answered sounds beside the player."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oracle.event import Note
from realtime.blend import HIGHEST, LOWEST, SOFTEST, Blend, stretch
from realtime.stance import Wish

C_MAJOR = (60, 62, 64, 65, 67, 69, 71)
AS_LEARNED = Wish()
LINE = Wish(is_line=True)


def notes(*pitches: int, velocity: int = 64) -> list[Note]:
    """Make short notes."""
    return [Note(pitch, velocity, 0.2) for pitch in pitches]


def heard(*pitches: int, velocity: int = 64) -> Blend:
    """Make a blend that has heard a player go through these pitches twice, long ago."""
    blend = Blend()
    blend.hear(notes(*pitches * 2, velocity=velocity), 0.0)
    return blend


def sounded(blend: Blend, pitches: tuple[int, ...], wish: Wish = AS_LEARNED) -> list[int]:
    """Let notes sound, and give their pitches."""
    played, semitones = blend.sound(notes(*pitches), wish, 60.0)
    assert semitones in {note.pitch - pitch for note in played for pitch in pitches}
    return [note.pitch for note in played]


def test_before_anything_was_heard_everything_stays_as_it_was_learned() -> None:
    """There is nothing to blend with."""
    blend = Blend()
    assert blend.sound(notes(61, 64, 70), AS_LEARNED, 0.0) == (tuple(notes(61, 64, 70)), 0)
    assert blend.sound([], Wish(pitch=60), 0.0) == ((), 0)


def test_what_would_clash_is_bent_and_what_of_a_chord_clashes_still_is_left_out() -> None:
    """The note that leads is always there."""
    blend = heard(60)
    blend.harmony.begin((60,))
    assert sounded(blend, (61,)) == [63]
    assert sounded(blend, (61,), Wish(may_double=True)) == [60]
    assert sounded(blend, (67, 66, 64)) == [67, 64]


def test_a_line_is_moved_as_a_whole_until_it_ends() -> None:
    """Into the key, and about a register if one is wanted; what is of no line is not."""
    blend = heard(*(pitch + 1 for pitch in C_MAJOR))
    blend.begin_line(C_MAJOR)
    assert [sounded(blend, (pitch,), LINE) for pitch in C_MAJOR] == [[p + 1] for p in C_MAJOR]
    assert sounded(blend, (61,)) == [61]
    blend.begin_line(C_MAJOR, register=77)
    assert sounded(blend, (60,), LINE) == [73]
    blend.end_line()
    assert sounded(blend, (61,), LINE) == [61]


def test_a_line_stays_within_reach_of_its_register_and_leaps_little() -> None:
    """By octaves; so does a note of no line."""
    blend, far = Blend(), Wish(register=72, is_line=True)
    assert [sounded(blend, (pitch,), far) for pitch in (40, 52, 41)] == [[64], [64], [65]]
    assert sounded(blend, (36,), Wish(register=72)) == [72]
    assert sounded(blend, (66,), Wish(register=72)) == [66]


def test_what_several_played_is_one_voice() -> None:
    """A bass' notes between a melody's come nearer by octaves, wherever the line is moved."""
    blend, learned = heard(*C_MAJOR), (72, 36, 76, 43, 74)
    blend.begin_line(learned)
    assert [sounded(blend, (pitch,), LINE) for pitch in learned] == [[72], [72], [76], [79], [74]]


def test_a_line_goes_through_the_nearest_note_of_a_chord() -> None:
    """The first goes through the clearest."""
    blend = Blend()
    assert [sounded(blend, (pitch, 67, 76), LINE)[0] for pitch in (48, 50, 60)] == [48, 50, 60]
    assert sounded(blend, (36, 57, 76), LINE)[0] == 57


def test_a_note_that_is_wished_for_is_played_there() -> None:
    """By the nearest note of the state, which then leads; a line that follows stays near."""
    blend = Blend()
    assert sounded(blend, (48, 60, 64), Wish(pitch=66)) == [66, 50, 62]
    blend.begin_line(C_MAJOR)
    assert sounded(blend, (60,), LINE) == [62]


def test_the_first_answer_is_as_loud_as_the_note_that_it_answers() -> None:
    """Nothing of the player's is over yet."""
    blend = Blend()
    blend.begin([60], 20.0)
    ((note,), _) = blend.sound(notes(60, velocity=112), AS_LEARNED, 0.0)
    assert note.velocity == 20


def test_nothing_is_too_soft_to_be_heard() -> None:
    """However soft the player is."""
    blend = heard(60, velocity=3)
    ((note,), _) = blend.sound(notes(60), AS_LEARNED, 0.0)
    assert note.velocity == SOFTEST


@pytest.mark.parametrize(("learned", "played"), [(101, 89), (112, 100), (27, 39), (16, 28)])
def test_what_no_instrument_plays_comes_an_octave_nearer(learned: int, played: int) -> None:
    """As often as it takes."""
    ((note,), _) = Blend().sound(notes(learned), AS_LEARNED, 0.0)
    assert note.pitch == played


def test_answers_are_as_loud_as_the_player_and_keep_half_their_accents() -> None:
    """On average over some notes."""
    blend = heard(*C_MAJOR, velocity=40)
    for _ in range(8):
        blend.sound(notes(60, velocity=90), AS_LEARNED, 0.0)
    ((loud,), _) = blend.sound(notes(60, velocity=100), AS_LEARNED, 0.0)
    ((soft,), _) = blend.sound(notes(60, velocity=80), AS_LEARNED, 0.0)
    assert loud.velocity - soft.velocity in range(9, 12)
    assert abs((loud.velocity + soft.velocity) / 2 - 40) < 4


def test_in_a_slower_tempo_notes_are_longer_and_never_longer_than_they_may() -> None:
    """Legato stays legato."""
    slower, _ = Blend().sound(notes(60), AS_LEARNED, 0.0, slower=1.25)
    assert slower == (Note(60, 64, 0.25),)
    cut, _ = Blend().sound(notes(60), AS_LEARNED, 0.0, slower=1.25, longest_s=0.1)
    assert cut == (Note(60, 64, 0.1),)


@given(
    st.lists(st.integers(1, 127), max_size=20),
    st.lists(
        st.tuples(st.integers(0, 127), st.integers(1, 127), st.none() | st.integers(-20, 150)),
        max_size=20,
    ),
)
def test_what_sounds_is_always_midi(
    heard: list[int], played: list[tuple[int, int, int | None]]
) -> None:
    """Pitch classes are moved exactly, by octaves where MIDI ends."""
    blend = Blend()
    blend.hear([Note(60, velocity, 0.2) for velocity in heard], 0.0)
    for pitch, velocity, wanted in played:
        (note,), semitones = blend.sound([Note(pitch, velocity, 0.2)], Wish(pitch=wanted), 9.0)
        assert LOWEST <= note.pitch <= HIGHEST
        assert 1 <= note.velocity <= 127
        assert (note.pitch - pitch - semitones) % 12 == 0


@pytest.mark.parametrize(
    ("bpm", "line_bpm", "slower"),
    [(100, 100, 1.0), (100, 110, 1.1), (60, 120, 1.0), (180, 90, 1.0), (120, 100, 1 / 1.2)],
)
def test_a_line_is_slowed_or_hurried_as_little_as_goes_with_the_beat(
    bpm: float, line_bpm: float, slower: float
) -> None:
    """Half and double the tempo go with it."""
    assert stretch(60 / bpm, 60 / line_bpm) == pytest.approx(slower)
