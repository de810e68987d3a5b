"""What an answer takes on of the player's key, tempo and loudness."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oracle.event import Note
from realtime.blend import Blend, stretch

C_MAJOR = (60, 62, 64, 65, 67, 69, 71)
LICK = (67, 64, 65, 62, 64, 60, 71, 67)


def notes(pitches: tuple[int, ...], velocity: int = 64) -> list[Note]:
    """Make short notes."""
    return [Note(pitch, velocity, 0.2) for pitch in pitches]


def heard(pitches: tuple[int, ...], velocity: int = 64) -> Blend:
    """Make a blend that has heard a player twice through these pitches."""
    blend = Blend()
    blend.hear(notes(pitches * 2, velocity))
    return blend


def test_before_anything_was_heard_everything_stays_as_it_was_learned() -> None:
    """There is nothing to blend with."""
    blend = Blend()
    assert blend.transposition(LICK) == 0
    assert blend.sound(notes(LICK)) == tuple(notes(LICK))
    assert blend.sound([]) == ()


@pytest.mark.parametrize("semitones", range(-6, 6))
def test_a_line_is_moved_into_the_player_s_key(semitones: int) -> None:
    """The nearest way, and not at all where it is in the key."""
    key = tuple(pitch + semitones for pitch in C_MAJOR)
    assert heard(key).transposition(LICK) == semitones


def test_a_chromatic_line_stays_where_it_is() -> None:
    """No key is better than another."""
    assert heard(C_MAJOR).transposition(range(60, 72)) == 0


def test_what_the_player_played_is_not_moved() -> None:
    """Also in the middle of nowhere."""
    line = (60, 61, 66, 67)
    assert heard(line).transposition(line) == 0


def test_answers_are_as_loud_as_the_player_and_keep_their_accents() -> None:
    """On average over some notes."""
    blend = heard(C_MAJOR, velocity=40)
    blend.sound(notes((60,) * 8, 90))
    (loud,) = blend.sound(notes((60,), 100))
    (soft,) = blend.sound(notes((60,), 80))
    assert loud.velocity - soft.velocity in range(18, 23)
    assert abs((loud.velocity + soft.velocity) / 2 - 40) < 4


def test_in_a_slower_tempo_notes_are_longer() -> None:
    """Legato stays legato."""
    (note,) = Blend().sound(notes((60,)), slower=1.25)
    assert note == Note(60, 64, 0.25)


@given(
    st.lists(st.integers(1, 127), max_size=20),
    st.lists(st.tuples(st.integers(0, 127), st.integers(1, 127), st.integers(-6, 5)), max_size=20),
)
def test_what_sounds_is_always_midi(heard: list[int], played: list[tuple[int, int, int]]) -> None:
    """Pitch classes are moved exactly, by octaves where MIDI ends."""
    blend = Blend()
    blend.hear([Note(60, velocity, 0.2) for velocity in heard])
    for pitch, velocity, semitones in played:
        (note,) = blend.sound([Note(pitch, velocity, 0.2)], semitones)
        assert 0 <= note.pitch <= 127
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
