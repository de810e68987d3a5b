import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oracle.event import DIM_INDEX, EVENT_DIMS, Event, EventTracker, Note, tenney_height
from tests.oracle.memories import blank

TENNEY, FIT = (DIM_INDEX[name] for name in ("tenney_height", "tonal_fit"))
INTERVAL, DENSITY = DIM_INDEX["log2_interval"], DIM_INDEX["onset_density"]


def test_an_event_has_the_fifteen_dimensions_of_the_facts_page() -> None:
    """Their names are unique and their order is what memories are written in."""
    names = [dim.name for dim in EVENT_DIMS]
    assert len(names) == len(set(names)) == 15
    assert names[:4] == ["gesture_token", "consonance", "tenney_height", "tonal_fit"]
    assert names[5:7] == ["ratio_p", "ratio_q"]


@pytest.mark.parametrize("pitch", [math.nan, 60.0])
def test_a_first_event_is_missing_throughout(pitch: float) -> None:
    """A melodic interval, a fit, an interval and a density need a past."""
    assert np.isnan(EventTracker().track(0.0, pitch=pitch)).all()


def test_a_second_event_is_measured_against_the_first() -> None:
    """A fifth up after half a second: 3:2, one octave of time down, two onsets a second."""
    tracker = EventTracker()
    tracker.track(1.0, pitch=60.2)
    frame = tracker.track(1.5, pitch=67.1)
    assert frame[TENNEY] == pytest.approx(math.log2(6))
    assert frame[INTERVAL] == -1
    assert frame[DENSITY] == 2


def test_an_unpitched_event_leaves_the_melody_where_it_was() -> None:
    """A drum stroke between two tones does not break their interval."""
    tracker = EventTracker()
    tracker.track(0.0, pitch=60)
    assert np.isnan(tracker.track(0.5)[TENNEY])
    assert tracker.track(1.0, pitch=72)[TENNEY] == 1


def test_density_counts_the_last_seconds_only() -> None:
    """A burst long ago is forgotten; after a pause the last interval is what there is."""
    tracker = EventTracker()
    for index in range(20):
        tracker.track(index / 10)
    assert tracker.track(2.0)[DENSITY] == pytest.approx(10)
    assert tracker.track(12.0)[DENSITY] == pytest.approx(0.1)


def test_fit_falls_along_the_circle_of_fifths() -> None:
    """After C alone: C fits wholly, G more than D, F sharp not at all."""
    fits = {}
    for name, pitch in {"C": 72, "G": 67, "D": 62, "F#": 66}.items():
        tracker = EventTracker()
        tracker.track(0.0, pitch=60)
        fits[name] = float(tracker.track(1.0, pitch=pitch)[FIT])
    assert fits["C"] == 1
    assert fits["F#"] == pytest.approx(0, abs=1e-6)
    assert fits["C"] > fits["G"] > fits["D"] > fits["F#"]


def test_fit_forgets() -> None:
    """Half a minute in E flat leaves nothing of the C major before it."""
    tracker = EventTracker()
    for index, pitch in enumerate((60, 64, 67, 62, 65)):
        tracker.track(index / 2, pitch=pitch)
    for index in range(60):
        tracker.track(3 + index / 2, pitch=(63, 67, 70)[index % 3])
    flat = tracker.track(40.0, pitch=70)[FIT]
    sharp = tracker.track(40.5, pitch=64)[FIT]
    assert flat > 0.8 > 0.4 > sharp


@given(steps=st.lists(st.tuples(st.floats(0.001, 60), st.none() | st.floats(0, 127)), max_size=40))
def test_whatever_is_played_stays_in_range(steps: list[tuple[float, float | None]]) -> None:
    """Fit is 0…1, height and density are not negative, nothing is infinite."""
    tracker, now_s = EventTracker(), 0.0
    for interval_s, pitch in steps:
        now_s += interval_s
        frame = tracker.track(now_s, pitch=math.nan if pitch is None else pitch)
        assert not np.isinf(frame).any()
        assert not frame[FIT] < 0
        assert not frame[FIT] > 1
        assert not frame[TENNEY] < 0
        assert not frame[DENSITY] <= 0


@pytest.mark.parametrize(
    ("semitones", "product"), [(0, 1), (12, 2), (-12, 2), (7, 6), (-5, 12), (19, 3), (4, 20)]
)
def test_tenney_height_of_known_intervals(semitones: float, product: int) -> None:
    """Unison, octaves, fifth, fourth down, twelfth (3:1, not 6:2), major third."""
    assert tenney_height(semitones) == pytest.approx(math.log2(product))


@pytest.mark.parametrize(
    ("onset_s", "pitch", "match"),
    [
        (1.0, math.nan, "onset_s must be finite and later than 1.0"),
        (math.nan, math.nan, "onset_s must be finite"),
        (2.0, 128.0, "pitch must be 0…127"),
        (2.0, math.inf, "pitch must be"),
    ],
)
def test_the_tracker_refuses_what_no_stream_holds(onset_s: float, pitch: float, match: str) -> None:
    """And takes nothing of it: what follows is measured as if it had not been."""
    tracker, other = EventTracker(), EventTracker()
    tracker.track(1.0, pitch=60)
    other.track(1.0, pitch=60)
    with pytest.raises(ValueError, match=match):
        tracker.track(onset_s, pitch=pitch)
    assert np.array_equal(tracker.track(3.0, pitch=64), other.track(3.0, pitch=64), equal_nan=True)


@pytest.mark.parametrize(
    ("field", "value", "match"),
    [
        ("frame", np.zeros(14, np.float32), "frame must be 15 numbers"),
        ("frame", blank(consonance=math.inf), "finite or NaN"),
        ("frame", blank(gesture_token=1.5), "gesture_token must be a whole number"),
        ("frame", blank(gesture_token=-1), "gesture_token must be a whole number"),
        ("frame", blank(ratio_p=3, ratio_q=0), "ratio_p and ratio_q must be > 0"),
        ("pitch", 130.0, "pitch must be 0…127"),
        ("velocity", 0.0, "velocity must be 1…127"),
        ("onset_s", math.nan, "onset_s must be finite"),
        ("duration_s", -1.0, "duration_s must be finite"),
        ("notes", (Note(128, 64, 1.0),), "pitch 0…127"),
        ("notes", (Note(60, 0, 1.0),), "velocity 1…127"),
        ("notes", (Note(60, 64, math.nan),), "finite duration_s"),
        ("source", -1, "source must be ≥ 0"),
    ],
)
def test_an_event_refuses_what_no_sound_can_be(field: str, value: object, match: str) -> None:
    """Each message names the value and the need."""
    fields: dict[str, object] = {"frame": blank(), "onset_s": 0.0, "duration_s": 0.1}
    with pytest.raises(ValueError, match=match):
        Event(**{**fields, field: value})  # type: ignore[arg-type]
