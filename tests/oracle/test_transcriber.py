"""From an event's two records to the event a memory learns."""

import math

import numpy as np
import pytest

from oracle.event import DIM_INDEX, EventTracker, Note
from oracle.transcriber import SHORTEST_NOTE_S, Transcriber
from tests.realtime.stage_doubles import RATE_HZ, attack, body


def test_a_sound_without_pitch_token_or_notes_is_an_event_all_the_same() -> None:
    """What was not heard is missing, and nothing is made up for it."""
    event = Transcriber(RATE_HZ).transcribe(attack(pitch=math.nan), body(notes=()), None)
    assert event.notes == ()
    assert math.isnan(event.pitch)
    assert np.isnan(event.frame).all()


def test_it_is_keyed_by_its_attack_and_plays_its_body() -> None:
    """Pitch and level as they were heard in time, the notes as they turned out to be."""
    record = attack(onset_frame=2 * RATE_HZ, pitch=59.8)
    event = Transcriber(RATE_HZ, source=3).transcribe(
        record, body(notes=((60, 64), (67, 80)), duration_s=0.75), 5
    )
    assert event.notes == (Note(60, 64, 0.75), Note(67, 80, 0.75))
    assert event.frame[DIM_INDEX["gesture_token"]] == 5
    assert event.pitch == float(record["pitch"])
    assert (event.level_db, event.velocity) == (-20.0, 64.0)
    assert (event.onset_s, event.duration_s, event.source) == (2.0, 0.75, 3)


def test_positions_become_seconds_by_the_stream_s_rate() -> None:
    """The same frames last longer at a lower rate."""
    event = Transcriber(8_000).transcribe(attack(onset_frame=2000), body(duration_s=0.5), 0)
    assert event.onset_s == 0.25
    assert event.duration_s == 3.0


@pytest.mark.parametrize("duration_s", [0.0, 0.01, SHORTEST_NOTE_S])
def test_a_note_is_never_shorter_than_an_instrument_can_sound(duration_s: float) -> None:
    """The event keeps the duration that was heard."""
    event = Transcriber(RATE_HZ).transcribe(attack(), body(duration_s=duration_s), 0)
    assert event.notes[0].duration_s == SHORTEST_NOTE_S
    assert event.duration_s == duration_s


def test_what_the_attack_lacks_is_added_when_the_event_is_over() -> None:
    """Token and consonance take longer; all else is as it was attended to, which is not changed."""
    transcriber, added = Transcriber(RATE_HZ), [DIM_INDEX["gesture_token"], DIM_INDEX["consonance"]]
    transcriber.attend(attack())
    attended = transcriber.attend(attack(1, RATE_HZ // 2, pitch=67.0))
    event = transcriber.complete(attended, body(roughness=0.12), 3)
    assert np.isnan(attended.frame[added]).all()
    assert event.frame[added] == pytest.approx([3, 0.88])
    assert np.array_equal(
        np.delete(event.frame, added), np.delete(attended.frame, added), equal_nan=True
    )


def test_an_event_that_is_never_over_is_a_beat_all_the_same() -> None:
    """Whether an event is learned makes no difference to the rhythm of the next."""
    forgetful, whole = Transcriber(RATE_HZ), Transcriber(RATE_HZ)
    for index in range(12):
        record = attack(index, index * RATE_HZ // 2)
        if index % 3:
            forgetful.attend(record)
        else:
            forgetful.transcribe(record, body(index), None)
        event = whole.transcribe(record, body(index), index)
    last = attack(12, 6 * RATE_HZ)
    assert forgetful.attend(last).beat == whole.attend(last).beat
    assert np.isfinite(event.frame[DIM_INDEX["beat_phase"]])


@pytest.mark.parametrize(("roughness", "expected"), [(0.0, 1.0), (1.5, 0.0), (math.nan, math.nan)])
def test_consonance_stays_in_range_or_missing(roughness: float, expected: float) -> None:
    """What is rougher than a minor second is as far as the scale goes; unheard is not average."""
    event = Transcriber(RATE_HZ).transcribe(attack(), body(roughness=roughness), None)
    assert event.frame[DIM_INDEX["consonance"]] == pytest.approx(expected, nan_ok=True)


def test_louder_than_usual_is_an_accent_of_the_beat() -> None:
    """The same onsets have another beat phase where others of them are loud."""
    phases = []
    for loud in (0, 1):
        transcriber = Transcriber(RATE_HZ)
        for index in range(24):
            record = attack(index, index * RATE_HZ // 4)
            record["velocity"] = 100.0 if index % 2 == loud else 30.0
            attended = transcriber.attend(record)
        assert attended.beat is not None
        phases.append(float(attended.frame[DIM_INDEX["beat_phase"]]))
    assert abs(phases[0] - phases[1]) == pytest.approx(0.5, abs=0.1)


def test_events_follow_each_other_in_one_stream() -> None:
    """Each frame is the tracker's, which knows those before."""
    transcriber, tracker = Transcriber(RATE_HZ), EventTracker()
    for index, (onset_s, pitch) in enumerate([(0.5, 60.0), (1.0, 64.0), (1.75, 67.0)]):
        record = attack(index, round(onset_s * RATE_HZ), pitch=pitch)
        event = transcriber.transcribe(record, body(index), index)
        expected = tracker.track(onset_s, pitch=pitch, velocity=64.0)
        expected[DIM_INDEX["gesture_token"]] = index
        assert np.array_equal(event.frame, expected, equal_nan=True)
    assert np.isfinite(event.frame[DIM_INDEX["log2_interval"]])


def test_the_order_of_the_stream_is_held_to() -> None:
    """An onset before the last one is the caller's mistake."""
    transcriber = Transcriber(RATE_HZ)
    transcriber.transcribe(attack(0, RATE_HZ), body(0), 0)
    with pytest.raises(ValueError, match=r"onset_s must be finite and later than 1\.0, got 0\.5"):
        transcriber.transcribe(attack(1, RATE_HZ // 2), body(1), 0)
