"""The bundled take: the same music on every machine, and a recording fit to be learned from."""

import io
import itertools
from pathlib import Path

import mido
import numpy as np
import pytest
import soundfile

from takes import compose
from takes.notation import Pitch, doubled, inverted, motif, shifted, squeezed

RECORDING = compose.FOLDER / f"{compose.NAME}.flac"
SCORE = compose.FOLDER / f"{compose.NAME}.mid"


def pitches(text: str) -> list[tuple[int, ...]]:
    """Give the MIDI pitches of a motif's text."""
    return [tuple(pitch.midi for pitch in tone.pitches) for tone in motif(text)]


def midi_bytes() -> bytes:
    """Compose anew, as the bytes of a Standard MIDI File."""
    buffer = io.BytesIO()
    compose.midi_file(compose.performed()).save(file=buffer)
    return buffer.getvalue()


def test_empty_text_is_an_empty_motif() -> None:
    """No words, no tones."""
    assert motif("") == ()


def test_a_rest_sounds_nothing_and_lasts() -> None:
    """A dash has no pitches and keeps its beats."""
    (tone,) = motif("-/1.5")
    assert tone.pitches == ()
    assert tone.beats == 1.5


def test_names_are_midi_pitches_lowest_first() -> None:
    """Middle C is 60, accidentals move a semitone, chords are sorted."""
    assert pitches("C4/1 C#4/1 Bb3/.5 A4+D3/2") == [(60,), (61,), (58,), (50, 69)]


def test_a_shifted_motif_stays_in_its_mode() -> None:
    """A third above D–A–C–B–A on the white keys is F–C–E–D–C."""
    assert shifted(compose.CALL, 2) == motif("F4/1.5 C5/.5 E5/.5 D5/.5 C5/2")


def test_an_inverted_motif_falls_where_it_rose() -> None:
    """Around A4 the call's D becomes E above, its C the F below; twice gives it back."""
    turned = inverted(compose.CALL, "A4")
    assert turned == motif("E5/1.5 A4/.5 F4/.5 G4/.5 A4/2")
    assert inverted(turned, "A4") == compose.CALL


def test_a_squeezed_motif_keeps_its_pitches() -> None:
    """Twice as fast is half the beats."""
    assert squeezed(motif("A4/1 C5/.5"), 2) == motif("A4/.5 C5/.25")


def test_a_doubled_motif_has_its_second_voice_below() -> None:
    """A sixth below A5 is C5."""
    (tone,) = doubled(motif("A5/1"), -5)
    assert tone.pitches == (Pitch(42), Pitch(47))
    assert [pitch.midi for pitch in tone.pitches] == [72, 81]


@pytest.mark.parametrize("word", ["H4/1", "D4", "D4/", "D4/x", "D4+/1", "D4:1"])
def test_an_unreadable_word_is_refused(word: str) -> None:
    """The message names the word and shows how one is written."""
    with pytest.raises(ValueError, match="pitches/beats"):
        motif(word)


def test_the_composition_is_the_same_on_every_machine() -> None:
    """What is composed now is, byte for byte, what is shipped."""
    assert midi_bytes() == midi_bytes() == SCORE.read_bytes()


def test_every_note_ends_before_its_pitch_returns() -> None:
    """No pitch is struck while it sounds, and none is left hanging."""
    sounding = set()
    for message in mido.MidiFile(SCORE):
        if message.type == "note_on":
            assert message.note not in sounding
            sounding.add(message.note)
        elif message.type == "note_off":
            sounding.remove(message.note)
    assert not sounding


def test_the_music_leaves_room_and_has_a_range() -> None:
    """Four rests of most of a second, soft and loud, single notes and chords."""
    notes = compose.performed()
    ends_s = np.maximum.accumulate([note.onset_s + note.duration_s for note in notes])
    onsets_s = np.array([note.onset_s for note in notes])
    velocities = [note.velocity for note in notes]
    assert np.count_nonzero(onsets_s[1:] - ends_s[:-1] > 0.8) == 4
    assert min(velocities) < 50
    assert max(velocities) > 105
    assert len(notes) > 70


def test_the_call_returns_transposed() -> None:
    """The first five notes come back a third higher and, at the end, where they were."""
    played = [note.pitch for note in compose.performed()]
    call = [tone.pitches[0].midi for tone in compose.CALL]
    third = [tone.pitches[0].midi for tone in shifted(compose.CALL, 2)]
    runs = [played[start : start + 5] for start in range(len(played))]
    assert runs[0] == call
    assert runs[5] == third
    assert call[:-1] in [run[:4] for run in runs[20:]]


def test_the_recording_is_small_and_as_long_as_the_score() -> None:
    """Mono FLAC under 1.5 MB, 20–40 s, the length of its MIDI file."""
    recording = soundfile.info(RECORDING)
    assert RECORDING.stat().st_size < 1_500_000
    assert (recording.format, recording.channels, recording.samplerate) == ("FLAC", 1, 44_100)
    assert 20 < recording.duration < 40
    assert recording.duration == pytest.approx(mido.MidiFile(SCORE).length, abs=0.001)


def test_the_recording_is_loud_enough_and_never_clips() -> None:
    """Peak at −3 dBFS, no offset, silence before the first note and after the last."""
    frames, _ = soundfile.read(RECORDING)
    peak_dbfs = 20 * np.log10(np.abs(frames).max())
    rms_dbfs = 10 * np.log10(np.mean(frames**2))
    assert peak_dbfs == pytest.approx(compose.PEAK_DBFS, abs=0.01)
    assert -30 < rms_dbfs < -12
    assert abs(frames.mean()) < 1e-4
    assert np.abs(frames[:4410]).max() < 1e-3
    assert np.abs(frames[-4410:]).max() < 1e-2


def test_the_recording_sounds_where_the_score_says() -> None:
    """Each note is louder just after its onset than the rests are before a phrase."""
    frames, rate_hz = soundfile.read(RECORDING)

    def level_dbfs(start_s: float) -> float:
        start = round(start_s * rate_hz)
        return float(10 * np.log10(np.mean(frames[start : start + rate_hz // 20] ** 2) + 1e-12))

    notes = compose.performed()
    loud = [level_dbfs(note.onset_s + 0.02) for note in notes]
    quiet = [
        level_dbfs(after.onset_s - 0.1)
        for before, after in itertools.pairwise(notes)
        if after.onset_s - before.onset_s - before.duration_s > 0.8
    ]
    assert min(loud) > max(quiet) + 20


def test_a_missing_sound_font_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without FluidSynth the script says what to install and exits with 1."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("sys.argv", ["compose", "--output", str(tmp_path)])
    with pytest.raises(SystemExit, match="1"):
        compose.main()
    assert "install fluidsynth" in capsys.readouterr().err
