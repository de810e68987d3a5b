"""The listener: frames in, events out."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import mido
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import njit
from numpy.typing import NDArray

from benchmarks._onsets import hear, score_events, score_onsets, score_solo
from benchmarks._recordings import (
    planted_tones,
    read_drums,
    read_piano,
    read_solo,
    read_voice,
)
from benchmarks._rooms import count_events, room
from benchmarks._voice import score_pitch
from models.audio_file import AudioFile
from models.listener import ATTACK, BODY, EVENT_DTYPE, Listener, ListenerConfig, hear_kernel

RATE_HZ = 44100

TAKES = Path(__file__).resolve().parents[2] / "takes"


def tone(
    pitch: float, seconds: float, rate_hz: int = RATE_HZ, level: float = 0.1
) -> NDArray[np.float32]:
    """Return a decaying tone of six harmonics, damped softly: a cut would be a click."""
    t = np.arange(int(seconds * rate_hz)) / rate_hz
    hz = 440 * 2 ** ((pitch - 69) / 12)
    partials = [np.sin(2 * np.pi * hz * k * t) / k for k in range(1, 7) if hz * k < rate_hz / 2]
    envelope = level * np.exp(-t / 0.3) * np.minimum((seconds - t) / 0.08, 1.0)
    return np.asarray(envelope * np.sum(partials, axis=0), np.float32)


def silence(seconds: float, rate_hz: int = RATE_HZ) -> NDArray[np.float32]:
    """Return digital silence."""
    return np.zeros(int(seconds * rate_hz), np.float32)


def phrase() -> NDArray[np.float32]:
    """Return three tones, a chord and silence."""
    chord = tone(60, 0.5) + tone(64, 0.5) + tone(67, 0.5)
    parts = [silence(0.2), tone(60, 0.3), tone(67, 0.3), tone(76, 0.3), chord, silence(1.0)]
    return np.concatenate(parts)


def test_no_frames_bring_no_records() -> None:
    """The empty call is allowed."""
    records = Listener(RATE_HZ).hear(np.zeros(0, np.float32))
    assert records.shape == (0,)
    assert records.dtype == EVENT_DTYPE


@pytest.mark.parametrize(
    "frames",
    [
        silence(1.0),
        np.full(RATE_HZ, np.nan, np.float32),
        np.full(RATE_HZ, np.inf, np.float32),
        np.full(RATE_HZ, 1e-6, np.float32),
    ],
    ids=["silence", "nan", "inf", "offset"],
)
def test_nothing_to_hear_brings_no_event(frames: NDArray[np.float32]) -> None:
    """Nor a warning, nor an error."""
    assert Listener(RATE_HZ).hear(frames).size == 0


def test_a_record_that_is_kept_keeps_no_room_for_others() -> None:
    """A view would keep what a block might have brought, for as long."""
    record, *_ = Listener(RATE_HZ).hear(phrase())
    assert record.base.nbytes < 2000
    assert record.base.base is None


def test_samples_that_are_no_numbers_count_as_zero() -> None:
    """The same records as if they had been zeros."""
    broken, mended = phrase(), phrase()
    broken[5000:5003] = [np.nan, np.inf, -np.inf]
    mended[5000:5003] = 0
    heard = [Listener(RATE_HZ).hear(frames).tobytes() for frames in (broken, mended)]
    assert heard[0] == heard[1]


@pytest.mark.parametrize("offset", [-0.5, 0.2])
def test_a_constant_offset_changes_nothing(offset: float) -> None:
    """It is taken for no event of its own and hides none, from the first frame on."""
    frames = np.concatenate([silence(0.3), phrase()])
    plain, moved = (Listener(RATE_HZ).hear(frames + np.float32(x)) for x in (0.0, offset))
    assert moved["kind"].tolist() == plain["kind"].tolist()
    for name, tolerance in (("onset_frame", 1), ("pitch", 1e-3), ("level_db", 1e-3)):
        np.testing.assert_allclose(moved[name], plain[name], rtol=0, atol=tolerance)


def test_an_offset_that_has_ended_is_forgotten_to_the_last_bit() -> None:
    """What remained of it would become denormal numbers, which cost a hundred times as much."""
    listener = Listener(8000)
    listener.hear(np.full(100, 0.5, np.float32))
    listener.hear(np.zeros(8000 * 12, np.float32))
    assert listener.state.live[0]["offset"] == 0.0


def test_clipping_keeps_onsets_and_pitch() -> None:
    """Three tones driven 20 dB into the rails."""
    clipped = np.clip(20 * phrase(), -1, 1).astype(np.float32)
    records = Listener(RATE_HZ).hear(clipped)
    bodies = records[records["kind"] == BODY]
    np.testing.assert_allclose(bodies["pitch"][:3], [60, 67, 76], atol=0.2)


@pytest.mark.parametrize("rate_hz", [8000, 11025, 22050, 44100, 48000, 96000, 192000])
def test_a_tone_is_heard_at_any_rate(rate_hz: int) -> None:
    """One event; its onset within 2 ms, its pitch within 20 cents."""
    frames = np.concatenate([silence(0.3, rate_hz), tone(69, 0.8, rate_hz), silence(1, rate_hz)])
    attack, body = Listener(rate_hz).hear(frames)
    assert abs(attack["onset_frame"] / rate_hz - 0.3) < 0.002
    assert attack["pitch"] == pytest.approx(69, abs=0.2)
    assert body["pitch"] == pytest.approx(69, abs=0.2)
    assert body["note_pitch"][: body["n_notes"]].tolist() == [69]


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(1, 6000), min_size=1, max_size=60))
def test_the_answer_does_not_depend_on_how_the_stream_is_cut(cuts: list[int]) -> None:
    """Bit for bit."""
    frames = phrase()
    whole = Listener(RATE_HZ).hear(frames)
    listener = Listener(RATE_HZ)
    pieces = [listener.hear(piece) for piece in np.split(frames, np.cumsum(cuts))]
    assert np.concatenate(pieces).tobytes() == whole.tobytes()


@pytest.mark.parametrize("heard_ms", [1.0, 10.0, 25.0, 60.0])
def test_an_attack_is_due_when_so_much_of_it_was_heard(heard_ms: float) -> None:
    """At the later of onset + heard and the hop that detected it."""
    attacks, _ = hear(planted_tones(0.001, n_tones=20), ListenerConfig(heard_ms=heard_ms))
    waits = attacks["decision_frame"] - attacks["onset_frame"]
    assert np.all(waits >= round(heard_ms * 1e-3 * RATE_HZ))
    assert np.all(waits <= max(heard_ms, 25.0) * 1e-3 * RATE_HZ)


def test_an_attack_has_heard_nothing_after_its_decision() -> None:
    """Another future, the same ATTACK."""
    frames = phrase()
    records = Listener(RATE_HZ).hear(frames)
    attack = records[records["kind"] == ATTACK][2]
    other = frames.copy()
    future = other[attack["decision_frame"] :]
    future[:] = np.random.default_rng(0).normal(0, 0.1, future.size)
    records = Listener(RATE_HZ).hear(other)
    assert records[records["kind"] == ATTACK][2].tobytes() == attack.tobytes()


def test_every_event_is_one_attack_then_one_body_in_order() -> None:
    """Numbered without a gap, and no event overlaps the next."""
    records = Listener(RATE_HZ).hear(planted_tones(0.001, n_tones=20).frames)
    n_events = records.size // 2
    assert records["kind"].tolist() == [ATTACK, BODY] * n_events + [ATTACK] * (records.size % 2)
    assert records["index"].tolist() == [i // 2 for i in range(records.size)]
    assert np.all(np.diff(records["decision_frame"]) >= 0)
    bodies = records[records["kind"] == BODY]
    ends = bodies["onset_frame"] + bodies["duration_frames"]
    assert np.all(bodies["duration_frames"] > 0)
    assert np.all(ends[:-1] <= bodies["onset_frame"][1:])


@pytest.mark.parametrize("rise_s", [0.001, 0.005, 0.02])
def test_planted_onsets_are_found_where_they_are(rise_s: float) -> None:
    """All of them; the first frame late by no more than a rise of 20 ms hides in noise."""
    score = score_onsets([planted_tones(rise_s, n_tones=30)])
    assert score.recall == 1.0
    assert score.precision >= 0.95
    assert abs(score.position_p50_ms) < 4.0
    assert score.decision_p90_ms < 12.0


def test_the_gain_changes_no_onset() -> None:
    """Down to −36 dB, with its room; loudness alone is not strength."""
    tones = planted_tones(0.005, n_tones=20)
    plain, _ = hear(tones, ListenerConfig())
    for gain_db in (-12.0, -36.0):
        softer, _ = hear(tones, ListenerConfig(gate_dbfs=-120.0), gain_db)
        louder = hear(tones, ListenerConfig(gate_dbfs=-120.0))[0]
        assert np.max(np.abs(softer["onset_frame"] - louder["onset_frame"])) <= 44
        np.testing.assert_allclose(softer["level_db"], louder["level_db"] + gain_db, atol=0.1)
    assert plain.size >= 20


@pytest.mark.parametrize("hiss", [1e-4, 1e-3, 3e-3])
def test_a_room_that_only_hisses_is_silent(hiss: float) -> None:
    """The stream's own beginning is all that it may be taken for."""
    noise = np.random.default_rng(3).normal(0, hiss, 15 * RATE_HZ).astype(np.float32)
    records = Listener(RATE_HZ).hear(noise)
    assert np.all(records["onset_frame"] < 0.1 * RATE_HZ)


@pytest.mark.parametrize("name", ["air", "rumble", "ventilator"])
def test_a_room_that_rumbles_is_nearly_silent(name: str) -> None:
    """Where every second of it was an event or two, a few in a quarter of a minute are."""
    assert count_events(room(name, 15.0)) <= 4


@pytest.mark.parametrize("name", ["air", "rumble", "ventilator"])
def test_soft_notes_are_heard_in_a_room_that_rumbles(name: str) -> None:
    """Four tones whose beginnings are 10 dB louder than the room."""
    frames = room(name, 9.0)
    level = float(frames.std()) * 10 ** (10 / 20)
    onsets = (np.arange(4) + 4) * 48_000
    for onset, pitch in zip(onsets, (60, 64, 67, 72), strict=True):
        note = tone(pitch, 0.8, 48_000)
        frames[onset : onset + note.size] += note * (level / note[:4800].std())
    records = Listener(48_000).hear(frames)
    heard = records["onset_frame"][records["kind"] == ATTACK]
    assert all(np.min(np.abs(heard - onset)) < 0.03 * 48_000 for onset in onsets)


def test_a_pitch_that_moves_without_an_attack_is_an_onset() -> None:
    """A legato sine, a whole tone up in 60 ms; found within 50 ms, with strength 0."""
    t = np.arange(2 * RATE_HZ) / RATE_HZ
    pitch = np.interp(t, [0, 0.97, 1.03, 2], [57, 57, 59, 59])
    hz = 440 * 2 ** ((pitch - 69) / 12)
    phase = 2 * np.pi * np.cumsum(hz) / RATE_HZ
    swell = np.interp(t, [0, 0.3, 2], [0, 1, 1])
    voice = 0.1 * swell * sum(np.sin(k * phase) / k**2 for k in range(1, 8))
    noise = np.random.default_rng(0).normal(0, 1e-4, t.size)
    records = Listener(RATE_HZ).hear((voice + noise).astype(np.float32))
    moved = records[(records["kind"] == ATTACK) & (records["strength"] == 0)]
    assert moved.size == 1
    assert abs(moved["onset_frame"][0] / RATE_HZ - 1.0) < 0.05
    assert moved["pitch"][0] == pytest.approx(59, abs=0.5)


def test_a_chord_is_heard_as_its_notes() -> None:
    """C E G in the BODY, and no note but these in the ATTACK."""
    records = Listener(RATE_HZ).hear(phrase())
    attack, body = records[-2:]
    assert set(body["note_pitch"][: body["n_notes"]].tolist()) == {60, 64, 67}
    assert set(attack["note_pitch"][: attack["n_notes"]].tolist()) <= {60, 64, 67}
    assert body["chroma"].sum() == pytest.approx(1.0, abs=1e-5)


def test_a_sound_that_is_cut_off_begins_nothing() -> None:
    """The click of its end is followed by silence, which is no event."""
    t = np.arange(int(0.3 * RATE_HZ)) / RATE_HZ
    cut = (0.3 * np.sin(2 * np.pi * 440 * t + 1)).astype(np.float32)
    records = Listener(RATE_HZ).hear(np.concatenate([cut, silence(1.0)]))
    attacks = records[records["kind"] == ATTACK]
    assert np.all(attacks["onset_frame"] < 0.25 * RATE_HZ)
    assert np.all(attacks["level_db"] > ListenerConfig().gate_dbfs)


def test_soft_and_loud_stay_apart() -> None:
    """Velocity falls by ten in 40 dB below forte."""
    frames = np.concatenate([tone(60, 0.5), tone(64, 0.5, level=0.02), tone(67, 0.5), silence(1.0)])
    records = Listener(RATE_HZ).hear(frames)
    loud, soft, again = records[records["kind"] == BODY]["velocity"]
    assert soft / loud == pytest.approx(10 ** (-14 / 40), rel=0.1)
    assert again == pytest.approx(loud, rel=0.1)


def test_the_dynamics_of_the_take_are_heard() -> None:
    """Some when it is decided, more once it is over; nothing louder need have been heard before."""
    score = list(mido.MidiFile(TAKES / "calling_card.mid"))
    starts_s = np.cumsum([message.time for message in score])
    begun = [i for i, m in enumerate(score) if m.type == "note_on" and m.velocity > 0]
    take = AudioFile(TAKES / "calling_card.flac")
    (frames,) = take.blocks(take.n_frames)
    records = Listener(take.rate_hz).hear(frames)
    for kind, least in ((ATTACK, 0.75), (BODY, 0.9)):
        played, heard = [], []
        for record in records[records["kind"] == kind]:
            onset_s = record["onset_frame"] / take.rate_hz
            near = [score[i].velocity for i in begun if abs(starts_s[i] - onset_s) < 0.05]
            if near:
                played.append(max(near))
                heard.append(float(record["velocity"]))
        assert len(played) > 50
        assert np.corrcoef(played, heard)[0, 1] > least
        assert max(heard[:3]) < np.mean(heard)


@pytest.mark.parametrize("decay_s", [0.05, 0.2])
def test_an_event_lasts_until_it_has_decayed(decay_s: float) -> None:
    """By 30 dB, which an exponential does in 3.45 of its time constants."""
    t = np.arange(2 * RATE_HZ) / RATE_HZ
    frames = (0.2 * np.exp(-t / decay_s) * np.sin(2 * np.pi * 440 * t)).astype(np.float32)
    _, body = Listener(RATE_HZ).hear(np.concatenate([silence(0.2), frames]))
    assert body["duration_frames"] / RATE_HZ == pytest.approx(3.45 * decay_s, abs=0.025)


def test_a_note_that_does_not_end_is_ended() -> None:
    """After max_event_s."""
    t = np.arange(3 * RATE_HZ) / RATE_HZ
    frames = (0.2 * np.sin(2 * np.pi * 440 * t)).astype(np.float32)
    _, body = Listener(RATE_HZ, ListenerConfig(max_event_s=1.0)).hear(frames)
    assert body["duration_frames"] / RATE_HZ == pytest.approx(1.0, abs=0.02)


@pytest.mark.parametrize("rate_hz", [0.0, 7999.0, 192001.0, float("nan")])
def test_a_rate_out_of_range_is_refused(rate_hz: float) -> None:
    """With the range."""
    with pytest.raises(ValueError, match="rate_hz must be within 8000…192000, got"):
        Listener(rate_hz)


def test_frames_of_several_channels_are_refused() -> None:
    """With their shape."""
    with pytest.raises(ValueError, match=r"frames must be one-dimensional, got shape \(4, 2\)"):
        Listener(RATE_HZ).hear(np.zeros((4, 2), np.float32))


def test_the_kernel_runs_inside_another_without_the_interpreter() -> None:
    """In a thread of its own, with the records of the plain call."""

    @njit(nogil=True)
    def run(state, frames, records):  # type: ignore[no-untyped-def]
        n_records = 0
        for start in range(0, frames.size, 128):
            block = frames[start : start + 128]
            n_records += hear_kernel(state, block, records[n_records:])
        return n_records

    frames = phrase()
    listener = Listener(RATE_HZ)
    records = np.zeros(64, EVENT_DTYPE)
    counts: list[int] = []
    thread = threading.Thread(target=lambda: counts.append(run(listener.state, frames, records)))
    thread.start()
    thread.join()
    assert records[: counts[0]].tobytes() == Listener(RATE_HZ).hear(frames).tobytes()


def test_the_kernel_runs_without_the_compiler() -> None:
    """One tone at 8 kHz in plain Python."""
    code = (
        "import numpy as np\n"
        "from models.listener import Listener\n"
        "t = np.arange(1600) / 8000\n"
        "tone = 0.1 * np.sin(2 * np.pi * 440 * t) * np.exp(-t / 0.05)\n"
        "frames = np.concatenate([np.zeros(800), tone, np.zeros(800)]).astype(np.float32)\n"
        "attack, body = Listener(8000).hear(frames)\n"
        "assert abs(attack['onset_frame'] - 800) < 16, attack\n"
        "assert abs(body['pitch'] - 69) < 0.5, body\n"
    )
    environment = {**os.environ, "NUMBA_DISABLE_JIT": "1"}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)


@pytest.mark.parametrize("gain_db", [0.0, -24.0])
def test_the_drums_are_found_in_time(shared_data: Path, gain_db: float) -> None:
    """Micro F of six tracks at ±50 ms; nine of ten detected within 10 ms."""
    score = score_onsets(read_drums(shared_data), gain_db)
    assert score.f_measure >= 0.97
    assert score.decision_p90_ms <= 10.0


@pytest.mark.parametrize("gain_db", [0.0, -24.0])
def test_the_piano_is_found(shared_data: Path, gain_db: float) -> None:
    """F of its onsets at ±50 ms against the MIDI."""
    assert score_onsets(read_piano(shared_data), gain_db).f_measure >= 0.95


def test_the_pianos_notes_are_heard(shared_data: Path) -> None:
    """At decision time some and seldom a wrong one, in the BODY nearly all."""
    score = score_events(read_piano(shared_data)[0], ListenerConfig().heard_ms)
    assert score["attack"]["right"] >= 0.38
    assert score["attack"]["wrong"] <= 0.15
    assert score["body"]["right"] >= 0.88
    assert score["body_notes_precision"] >= 0.85
    assert score["body_notes_recall"] >= 0.8


@pytest.mark.parametrize("gain_db", [0.0, -24.0])
def test_the_singers_notes_are_found(shared_data: Path, gain_db: float) -> None:
    """F of the notes' starts at ±50 ms: neither breath nor consonants."""
    assert score_onsets(read_voice(shared_data), gain_db).f_measure >= 0.75


def test_the_singers_pitch_is_tracked(shared_data: Path) -> None:
    """Raw pitch and overall accuracy against the annotated f0."""
    score = score_pitch(read_voice(shared_data)[0], shared_data)
    assert score["raw_pitch_accuracy"] >= 0.97
    assert score["overall_accuracy"] >= 0.965


def test_the_solo_tones_have_the_pitch_they_name(shared_data: Path) -> None:
    """In the BODY of their longest event."""
    for recording in read_solo(shared_data):
        score = score_solo(recording)
        assert abs(score["body"] - score["true"]) < 0.55, recording.name
