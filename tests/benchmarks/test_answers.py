"""What the measure of answers says of duets made by hand."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from benchmarks._duet import Duet, Played, Player
from benchmarks.answers import consonance, line, playing_on, stance
from oracle.event import Note
from realtime.answer import REST, Answer, silence

MELODY = tuple(np.random.default_rng(0).permutation(np.tile(np.arange(48, 72), 3)).tolist())


def played(
    answer_of: Callable[[int], int | None],
    *,
    is_line: bool = True,
    pitches: tuple[int, ...] = MELODY,
) -> Duet:
    """Let somebody play a note a second, and answer each a moment later."""
    start_s = np.arange(len(pitches), dtype=np.float64)
    player = Player(
        name="somebody",
        path=Path("nowhere"),
        start_s=start_s,
        end_s=start_s + 0.9,
        pitch=np.array(pitches),
    )
    duet = Duet(player=player)
    for i, pitch in enumerate(pitches):
        wanted = answer_of(pitch)
        answer = silence(REST)
        if wanted is not None:
            answer = Answer(
                notes=(Note(wanted, 64, 0.3),),
                state=i + 1 if is_line else 7,
                relaxed=(),
                why="jump",
            )
        duet.played.append(Played(at_s=i + 0.02, onset_s=float(i), answer=answer))
    return duet


def test_thirds_are_more_consonant_than_chance_and_semitones_less() -> None:
    """Neither shares the player's pitch, so both say it beyond their own."""
    thirds = consonance([played(lambda pitch: pitch + 4)])
    clashes = consonance([played(lambda pitch: pitch + 1)])
    assert min(thirds["z"], thirds["z_beyond"]) > 3
    assert max(clashes["z"], clashes["z_beyond"]) < -3
    assert thirds["own_pitch"] == clashes["own_pitch"] == 0


def test_doubling_is_consonant_for_nothing() -> None:
    """Beyond the player's own pitch nothing is left of it."""
    doubled = consonance([played(lambda pitch: pitch)])
    assert doubled["own_pitch"] == 1
    assert doubled["z"] > 3
    assert np.isnan(doubled["z_beyond"])


@pytest.mark.parametrize(
    ("answer_of", "name", "value"),
    [
        (lambda pitch: pitch + 3, "company", 1.0),
        (lambda pitch: pitch + 3, "near", 1.0),
        (lambda pitch: pitch + 24, "near", 0.0),
        (lambda pitch: None if pitch % 2 else pitch, "rests", 0.5),
        (lambda pitch: 100 if pitch < 60 else 20, "answered", 1.0),
    ],
)
def test_a_stance_is_told_by_its_share(
    answer_of: Callable[[int], int | None], name: str, value: float
) -> None:
    """Of the answers, or of those that sound."""
    assert stance([played(answer_of)])[name] == value


def test_a_line_is_told_from_single_notes() -> None:
    """By how many states follow each other, and by how far it leaps."""
    connected = line([played(lambda _: 60)])
    scattered = line([played(lambda pitch: 30 if pitch % 2 else 90, is_line=False)])
    assert connected["run_notes"] == len(MELODY)
    assert scattered["run_notes"] == 1
    assert connected["steps"] == 1 > scattered["steps"]


def test_without_pauses_nothing_is_said_of_them() -> None:
    """It is missing, not zero."""
    assert np.isnan(playing_on([played(lambda pitch: pitch)])["in_pauses_per_s"])
