"""Melody: who sings, and what makes a note there."""

import os
import subprocess
import sys

import numpy as np
import pytest
from numpy.typing import NDArray

from models.listener import ATTACK, Listener
from models.melody import (
    LEVELS,
    MOVE_TRACKS,
    STEADY_TRACKS,
    MelodyState,
    _begin_note,
    _follow_melody,
    _is_struck_anew,
    _is_sung,
    _late_frame,
    _steady_pitch,
    _tracks_since_move,
    melody_state,
)

CLEAR = 0.95
RATE_HZ = 44100


def follow(melody: MelodyState, pitches: list[float], clarity: float = 1.0) -> None:
    """Take in tracks of sounding pitches."""
    for pitch in pitches:
        _follow_melody(melody, pitch, clarity, True, CLEAR)


def held(pitch: float) -> MelodyState:
    """Return a melody that holds one pitch."""
    melody = melody_state()
    follow(melody, [pitch] * 10)
    assert _tracks_since_move(melody, CLEAR) == -1
    return melody


def test_a_new_melody_is_neither_sung_nor_steady() -> None:
    """Nor has it moved, nor is an onset put off."""
    melody = melody_state()
    assert not _is_sung(melody)
    assert np.isnan(_steady_pitch(melody, CLEAR))
    assert _tracks_since_move(melody, CLEAR) == -1
    assert _late_frame(melody, CLEAR) == -1


def test_a_gliding_pitch_is_sung_and_a_still_one_is_not() -> None:
    """Four seconds of vibrato, of a held tone, and of noise."""
    vibrato = (60 + 0.3 * np.sin(2 * np.pi * 5.5 * np.arange(400) / 100)).tolist()
    singer, pianist, drummer = melody_state(), melody_state(), melody_state()
    follow(singer, vibrato)
    follow(pianist, [60.0] * 400)
    follow(drummer, vibrato, clarity=0.5)
    assert _is_sung(singer)
    assert not _is_sung(pianist)
    assert not _is_sung(drummer)


def test_silence_does_not_stop_the_singing() -> None:
    """Nor does it begin it: only sounding tracks count."""
    melody = melody_state()
    follow(melody, (60 + 0.3 * np.sin(np.arange(400) / 3)).tolist())
    for _ in range(1000):
        _follow_melody(melody, np.nan, 0.0, False, CLEAR)
    assert _is_sung(melody)


@pytest.mark.parametrize(
    ("spread", "clarity", "is_steady"), [(0.3, 0.99, True), (0.5, 0.99, False), (0.3, 0.9, False)]
)
def test_a_steady_pitch_is_clear_and_narrow(spread: float, clarity: float, is_steady: bool) -> None:
    """The middle of what was tracked."""
    melody = melody_state()
    follow(melody, np.linspace(60, 60 + spread, STEADY_TRACKS).tolist(), clarity)
    steady = _steady_pitch(melody, CLEAR)
    assert np.isnan(steady) == (not is_steady)
    if is_steady:
        assert steady == pytest.approx(60 + spread / 2)


@pytest.mark.parametrize("interval", [-5.0, -1.0, 1.0, 2.0, 7.0])
def test_a_move_is_dated_to_where_the_old_pitch_was_last_heard(interval: float) -> None:
    """The last track nearer to the old one, however long the way."""
    melody = held(60.0)
    way = np.linspace(60, 60 + interval, 7)[1:-1].tolist()
    follow(melody, way)
    follow(melody, [60 + interval] * STEADY_TRACKS)
    assert _tracks_since_move(melody, CLEAR) in (STEADY_TRACKS + 2, STEADY_TRACKS + 3)


@pytest.mark.parametrize("interval", [0.0, 0.5, 12.0, -12.0, 19.0])
def test_a_drift_an_octave_and_a_twelfth_are_no_move(interval: float) -> None:
    """The pitch method may be mistaken in them."""
    melody = held(60.0)
    follow(melody, [60 + interval] * STEADY_TRACKS)
    assert _tracks_since_move(melody, CLEAR) == -1


def test_a_move_is_never_dated_further_back_than_it_may_last() -> None:
    """Where nothing was clear in between."""
    melody = held(60.0)
    follow(melody, [np.nan] * 40, clarity=0.0)
    follow(melody, [64.0] * STEADY_TRACKS)
    assert _tracks_since_move(melody, CLEAR) == MOVE_TRACKS


def test_a_new_note_forgets_what_was_held() -> None:
    """The next steady pitch is its own."""
    melody = held(60.0)
    _begin_note(melody)
    follow(melody, [64.0] * STEADY_TRACKS)
    assert _tracks_since_move(melody, CLEAR) == -1


def test_what_rises_from_a_sounding_tone_is_struck_anew() -> None:
    """And what does not, is not."""
    melody = held(60.0)
    melody.level_db[:] = -30.0
    assert _is_struck_anew(melody, 0, LEVELS, -26.0, CLEAR)
    assert not _is_struck_anew(melody, 0, LEVELS, -28.0, CLEAR)


def test_what_follows_no_clear_tone_is_a_note() -> None:
    """However soft: there is nothing that it could continue."""
    melody = melody_state()
    follow(melody, [60.0] * 10, clarity=0.5)
    melody.level_db[:] = -30.0
    assert _is_struck_anew(melody, 0, LEVELS, -40.0, CLEAR)


@pytest.mark.parametrize(("pitch", "frame"), [(60.3, -1), (61.0, 1234)])
def test_an_onset_put_off_is_a_note_once_the_pitch_has_moved(pitch: float, frame: int) -> None:
    """Within 70 ms, with its own first frame."""
    melody = held(60.0)
    melody.level_db[:] = -30.0
    assert not _is_struck_anew(melody, 1234, LEVELS, -30.0, CLEAR)
    follow(melody, [pitch] * 3)
    assert _late_frame(melody, CLEAR) == frame
    follow(melody, [pitch] * 10)
    assert _late_frame(melody, CLEAR) == -1


def sing(seed: int) -> tuple[NDArray[np.float32], list[float]]:
    """Return a sung line with vibrato, glides, a hiss before every third note; and its starts."""
    rng = np.random.default_rng(seed)
    n_notes, note_s = 16, 0.5
    steps = rng.choice([-4, -3, -2, 2, 3, 4], n_notes)
    pitches = 57 + np.cumsum(steps) - np.round(np.linspace(0, steps.sum(), n_notes))
    t = np.arange(int((n_notes * note_s + 0.5) * RATE_HZ)) / RATE_HZ
    starts = 0.25 + note_s * np.arange(n_notes)
    edges = np.concatenate([[0.0], np.repeat(starts[1:], 2) + np.tile([-0.03, 0.03], n_notes - 1)])
    pitch = np.interp(t, np.append(edges, t[-1]), np.repeat(pitches, 2)[: edges.size + 1])
    pitch += 0.25 * np.sin(2 * np.pi * 5.5 * t)
    phase = 2 * np.pi * np.cumsum(440 * 2 ** ((pitch - 69) / 12)) / RATE_HZ
    level = np.interp(t, [0, 0.25, 0.27, t[-1] - 0.3, t[-1] - 0.25], [0, 0, 1, 1, 0])
    hiss = np.zeros(t.size)
    for start in starts[3::3]:
        level *= 1 - np.interp(t, start + np.array([-0.13, -0.11, -0.01, 0.01]), [0, 1, 1, 0])
        hiss += np.interp(t, start + np.array([-0.12, -0.09, -0.03, -0.01]), [0, 1, 1, 0])
    voice = level * sum(np.sin(k * phase) / k**1.5 for k in range(1, 12))
    noise = np.diff(rng.normal(0, 0.15, t.size + 1)) * hiss
    return (0.1 * voice + 0.1 * noise + rng.normal(0, 1e-4, t.size)).astype(np.float32), list(
        starts
    )


def test_a_line_is_heard_as_its_notes_once_it_is_known_to_be_sung() -> None:
    """From the fourth second on: every note, no hiss, no vibrato."""
    voice, starts = sing(0)
    records = Listener(RATE_HZ).hear(voice)
    found = records[records["kind"] == ATTACK]["onset_frame"] / RATE_HZ
    late = [start for start in starts if start > 4]
    assert all(np.min(np.abs(found - start)) < 0.05 for start in late)
    assert np.sum(found > 3.9) == len(late)


def test_the_kernels_run_without_the_compiler() -> None:
    """A move of two semitones in plain Python."""
    code = (
        "from models.melody import _follow_melody, _tracks_since_move, melody_state\n"
        "melody, found = melody_state(), []\n"
        "for pitch in [60.0] * 10 + [62.0] * 10:\n"
        "    _follow_melody(melody, pitch, 1.0, True, 0.95)\n"
        "    found.append(_tracks_since_move(melody, 0.95))\n"
        "assert found[:13] == [-1] * 13 and found[13] == 4, found\n"
    )
    environment = {**os.environ, "NUMBA_DISABLE_JIT": "1"}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)
