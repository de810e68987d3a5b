"""The beat, from a first onset to recorded drums."""

import math
from pathlib import Path

import numpy as np
import pytest

from benchmarks._rhythm import score_beats
from oracle._beats import FASTEST_BPM, SLOWEST_BPM
from oracle.beats import Beat, BeatTracker
from tests.oracle.memories import run_without_jit

LOUD, SOFT = 100.0, 40.0


def follow(onsets_s: list[float], velocities: list[float] | None = None) -> list[Beat]:
    """Hear onsets one by one."""
    tracker = BeatTracker()
    loudness = velocities or [math.nan] * len(onsets_s)
    return [tracker.hear(*onset) for onset in zip(onsets_s, loudness, strict=True)]


def test_a_single_onset_is_no_beat_to_be_sure_of() -> None:
    """Its tempo may be any."""
    assert follow([1.0])[0].probability < 0.3


def test_a_beat_says_where_it_is_at_any_time() -> None:
    """Phase and the next beat, before and after the last."""
    beat = Beat(period_s=0.5, last_s=10.0, probability=1.0)
    assert beat.bpm == 120
    assert beat.phase(10.0) == 0
    assert beat.phase(10.375) == beat.phase(9.875) == pytest.approx(0.75)
    assert beat.next_s(10.0) == beat.next_s(10.375) == 10.5


@pytest.mark.parametrize(
    ("time_s", "now_s", "due_s"),
    [
        (10.1, 10.0, 10.5),  # the next one
        (10.55, 10.0, 10.5),  # just before the time
        (10.57, 10.0, 11.0),  # too long before it
        (10.49, 10.51, 10.51),  # passed while it was decided on
        (10.0, 10.012, 10.012),
    ],
)
def test_a_beat_is_due_when_it_is_or_now(time_s: float, now_s: float, due_s: float) -> None:
    """From an eighth of a beat before the time that is asked for."""
    beat = Beat(period_s=0.5, last_s=10.0, probability=1.0)
    assert beat.due_s(time_s, now_s) == pytest.approx(due_s)


@pytest.mark.parametrize("bpm", [60, 80, 100, 120])
def test_a_metronome_is_followed(bpm: float) -> None:
    """Tempo within a percent, every onset on the beat, and no doubt of it."""
    beat = follow((1 + np.arange(24) * 60 / bpm).tolist())[-1]
    assert beat.bpm == pytest.approx(bpm, rel=0.01)
    last_s = 1 + 23 * 60 / bpm
    assert abs(beat.next_s(last_s + 0.1) - last_s - 60 / bpm) < 0.03
    assert beat.probability > 0.9


def test_accents_tell_the_beat_from_what_is_between() -> None:
    """Even eighths begun on the off-beat: the loud ones are the beat."""
    onsets_s = (0.25 + np.arange(32) * 0.25).tolist()
    beats = follow(onsets_s, [SOFT, LOUD] * 16)
    assert beats[-1].bpm == pytest.approx(120, rel=0.01)
    off_beat = beats[-1].phase(onsets_s[-2])
    assert off_beat == pytest.approx(0.5, abs=0.05)


def test_a_change_of_tempo_is_followed() -> None:
    """Within a dozen beats."""
    slow = np.arange(20) * 0.6
    fast = slow[-1] + 0.5 * np.arange(1, 16)
    assert follow([*slow, *fast])[-1].bpm == pytest.approx(120, rel=0.02)


def test_a_pause_shorter_than_a_phrase_end_does_not_lose_the_beat() -> None:
    """Four beats of rest, and the beat goes on where it was."""
    before = np.arange(16) * 0.5
    beat = follow([*before, before[-1] + 2.5])[-1]
    assert beat.bpm == pytest.approx(120, rel=0.01)
    assert beat.probability > 0.9


def test_after_a_night_of_silence_it_starts_anew() -> None:
    """No probability is so small that none is left."""
    night = 1e5 + np.arange(24) * 0.75
    beats = follow([0.0, 0.5, 1.0, *night])
    assert all(math.isfinite(beat.period_s + beat.last_s + beat.probability) for beat in beats)
    assert beats[-1].bpm == pytest.approx(80, rel=0.01)


def test_a_phrase_end_keeps_the_tempo_and_loses_the_place() -> None:
    """The next onset may be anywhere in the beat, at half of what was believed of the tempo."""
    tracker = BeatTracker()
    for onset_s in np.arange(24) * 0.75:
        tracker.hear(float(onset_s))
    tracker.end_phrase()
    first = tracker.hear(100.3)
    assert first.bpm == pytest.approx(80, rel=0.02)
    assert first.phase(100.3) == pytest.approx(0, abs=0.05) or first.phase(100.3) > 0.95
    assert first.probability < 0.9


def test_whatever_is_played_there_is_a_tempo_in_range() -> None:
    """Bursts, silences and random velocities; nothing is infinite or lost."""
    rng = np.random.default_rng(0)
    intervals_s = np.exp(rng.uniform(math.log(1e-3), math.log(300), 400))
    beats = follow(np.cumsum(intervals_s).tolist(), rng.uniform(1, 127, 400).tolist())
    for beat in beats:
        assert SLOWEST_BPM * 0.999 <= beat.bpm <= FASTEST_BPM * 1.001
        assert 0 < beat.probability <= 1 + 1e-9
        assert math.isfinite(beat.last_s)


@pytest.mark.parametrize("onset_s", [1.0, 0.5, math.nan, math.inf])
def test_an_onset_out_of_order_is_refused(onset_s: float) -> None:
    """Time goes on."""
    tracker = BeatTracker()
    tracker.hear(1.0)
    with pytest.raises(ValueError, match=r"onset_s must be finite and > 1\.0, got"):
        tracker.hear(onset_s)


def test_the_beats_of_drums_can_be_foretold(shared_data: Path) -> None:
    """Two of the annotated tracks, .97 and 1.00; the benchmark scores all six."""
    for name in ("Rock", "Reggae"):
        assert score_beats(shared_data / "drums" / f"{name}.flac") >= 0.9


def test_the_kernels_compute_the_same_uncompiled() -> None:
    """With numba switched off."""
    script = (
        "from oracle.beats import BeatTracker\n"
        "t = BeatTracker()\n"
        "for s in (0, .5, 1.01): b = t.hear(s, 60.0)\n"
        "print(round(b.bpm, 6), round(b.last_s, 6), round(b.probability, 6))"
    )
    b = follow([0, 0.5, 1.01], [60.0] * 3)[-1]
    here = f"{round(b.bpm, 6)} {round(b.last_s, 6)} {round(b.probability, 6)}"
    assert run_without_jit(script) == here
