"""How it stands to the player, and when that changes."""

from itertools import pairwise
from typing import Literal

import numpy as np
import pytest

from realtime.harmony import Harmony
from realtime.modes import BREATH_S, HOLD_S, PATIENCE_S, Modes
from realtime.phrasing import PHRASE_GAP_S
from realtime.stance import MODES, Heard, Mode

INTERVAL_S = 0.25
PHRASE_S = 4.0
GAP_S = 1.5


def note(pitch: int | None = 60, token: int | None = 3) -> Heard:
    """Make a note whose gesture is known."""
    return Heard(pitch, token, 1.0)


def begun(mode: Mode | Literal["auto"], *, seed: int = 0) -> Modes:
    """Begin with a mode, or with any."""
    return Modes(mode, Harmony(), seed=seed)


@pytest.mark.parametrize("mode", MODES)
def test_it_speaks_where_the_player_s_phrase_has_ended(mode: Mode) -> None:
    """After a pause that is one for such notes; a shadow never speaks first."""
    modes = begun(mode)
    for i in range(6):
        modes.hear(note(), i * INTERVAL_S)
    expected_s = None if mode == "shadow" else 5 * INTERVAL_S + PHRASE_GAP_S
    assert modes.speaks_s() == expected_s


def test_only_who_leads_speaks_again_and_not_to_nobody() -> None:
    """It breathes in between, and ends when nothing has been heard for long."""
    for mode in MODES:
        modes = begun(mode)
        modes.hear(note(), 1.0)
        again_s = modes.speaks_again_s(4.0)
        assert modes.leads == (again_s is not None) == (mode == "lead")
        if again_s is not None:
            assert BREATH_S[0] <= again_s - 4.0 <= BREATH_S[1]
        assert modes.speaks_again_s(1.0 + PATIENCE_S + 0.1) is None


def test_a_pitch_is_put_right_only_for_the_newest_note() -> None:
    """What is known too late of a note before it is not taken for it."""
    modes = begun("shadow")
    for i in range(3):
        modes.hear(note(60), float(i))
    modes.put_right(67, 1.0)
    wish = modes.wish()
    assert wish is not None
    assert wish.request["pitch_class"] == 0
    modes.put_right(67, 2.0)
    wish = modes.wish()
    assert wish is not None
    assert wish.request["pitch_class"] == 7


def test_a_mode_that_was_asked_for_stays() -> None:
    """Said once, with the first note."""
    modes = begun("couple")
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
    modes = begun("auto", seed=seed)
    turns = [(now_s, modes.hear(note(), now_s)) for now_s in onsets()]
    return [(now_s, turn.mode) for now_s, turn in turns if turn]


def test_modes_change_where_phrases_end_and_are_held_long_enough() -> None:
    """Each for 15 to 45 s, the longest until then even within a phrase; none follows itself."""
    assert GAP_S > PHRASE_GAP_S
    for seed in range(10):
        turned = changes(seed)
        times_s = [now_s for now_s, _ in turned]
        held_s = np.diff(times_s)
        assert len(turned) > 5
        assert ((held_s >= HOLD_S[0]) & (held_s < HOLD_S[1] + GAP_S)).all()
        at_phrases = np.array([now_s % (PHRASE_S + GAP_S) == 0 for now_s in times_s[1:]])
        assert (at_phrases | (held_s >= HOLD_S[1])).all()
        assert all(a != b for (_, a), (_, b) in pairwise(turned))


def test_a_player_who_never_pauses_is_not_held_to_one_mode() -> None:
    """After 45 s it changes in the middle of the phrase."""
    modes = begun("auto", seed=1)
    turned = [at_s for at_s in np.arange(0, 200, 0.5) if modes.hear(note(), float(at_s))]
    assert np.diff(turned).tolist() == [HOLD_S[1]] * 4


def test_the_same_seed_turns_the_same_way() -> None:
    """And another seed another."""
    assert changes(0) == changes(0) != changes(1)
