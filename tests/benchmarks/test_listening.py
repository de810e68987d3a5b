"""The listener's benchmark answers its question."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np

from benchmarks._chords import sound_chord
from benchmarks._onsets import score_onsets
from benchmarks._recordings import Recording, merge_onsets, planted_tones
from benchmarks._synthesised import INSTRUMENTS, phrase
from benchmarks.listening import headlines, measure_all, show

REPOSITORY = Path(__file__).resolve().parents[2]


def test_onsets_within_30_ms_of_a_kept_one_are_merged() -> None:
    """The first of a chord stays; the span does not grow."""
    merged = merge_onsets(np.array([0.5, 0.0, 0.02, 0.04, 0.05]))
    np.testing.assert_array_equal(merged, [0.0, 0.04, 0.5])


def test_planted_tones_are_the_same_every_time() -> None:
    """Seeded."""
    first, second = planted_tones(0.001, n_tones=3), planted_tones(0.001, n_tones=3)
    np.testing.assert_array_equal(first.frames, second.frames)


def test_truth_that_is_shifted_shows_as_position() -> None:
    """By 10 ms, with the sign of found minus true."""
    tones = planted_tones(0.001, n_tones=20)
    shifted = Recording(
        name=tones.name,
        frames=tones.frames,
        rate_hz=tones.rate_hz,
        onsets_s=tones.onsets_s - 0.01,
    )
    moved_ms = score_onsets([shifted]).position_p50_ms - score_onsets([tones]).position_p50_ms
    np.testing.assert_allclose(moved_ms, 10.0, atol=0.1)


def test_without_recordings_it_measures_what_is_planted(tmp_path: Path) -> None:
    """And reports it."""
    result = measure_all(quick=True, data=tmp_path / "absent")
    assert set(result) == {"planted", "cost", "rhythm", "rooms"}
    show(result)
    first, second, *others = (headline.name for headline in headlines(result))
    assert "room" in first
    assert second == "cost"
    assert all("rhythm" in name or "jitter" in name for name in others)


def test_a_chord_sounds_the_same_every_time() -> None:
    """Seeded, and within full scale."""
    chord = [sound_chord(np.array([220.0, 330.0]), np.ones(2)) for _ in range(2)]
    np.testing.assert_array_equal(chord[0], chord[1])
    assert 0.01 < np.abs(chord[0]).max() < 1


def test_a_phrase_is_the_same_every_time_and_within_its_instruments_range() -> None:
    """Seeded; its strokes follow each other and hold no note twice."""
    for instrument in INSTRUMENTS:
        strokes, again = (phrase(instrument, np.random.default_rng(1)) for _ in range(2))
        assert strokes == again
        assert np.all(np.diff([stroke.start_s for stroke in strokes]) > 0)
        for stroke in strokes:
            assert len(set(stroke.pitches)) == len(stroke.pitches) <= instrument.most_notes
            assert instrument.lowest <= min(stroke.pitches)
            assert max(stroke.pitches) <= instrument.highest


def test_the_quick_run_prints_one_object() -> None:
    """As `make bench` reads it."""
    command = [sys.executable, "-m", "benchmarks.listening", "--quick", "--json"]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    result = json.loads(done.stdout)
    assert all(score["recall"] == 1.0 for score in result["planted"].values())
    assert result["cost"]["ms_per_s"] < 100
