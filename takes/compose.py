"""Calling Card: a solo with which a player introduces themselves to an improviser.

``python -m takes.compose`` writes ``calling_card.mid`` (the performed notes, the truth about the
audio) and renders ``calling_card.flac`` with FluidSynth. Runs by hand, never on stage.

D dorian. One motif, *the call*: a leap of a fifth and a third that falls back by step. It is played
alone, comes back a third higher, is driven upwards in fragments to a climax in sixths, is answered
by its own inversion, and returns over a bass to close with the plagal cadence of the mode (G major,
then D minor). A rest after each phrase leaves room for an answer.
"""

import argparse
import random
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import mido
import numpy as np
import soundfile
from numpy.typing import NDArray

from takes.notation import Motif, Tone, doubled, inverted, motif, shifted, squeezed

NAME: Final = "calling_card"
FOLDER: Final = Path(__file__).parent
SOUNDFONT: Final = Path("/usr/share/sounds/sf2/FluidR3_GM.sf2")
PROGRAM: Final = 26  # General MIDI (from 0): jazz guitar
REVERB_SEND: Final = 45  # controller 91: a small room, so that a phrase does not end in nothing
BEATS_PER_MINUTE: Final = 96
SEED: Final = 9000

RATE_HZ: Final = 44_100
ROOM: Final = ("-o", "synth.reverb.room-size=0.7", "-o", "synth.reverb.level=0.9")
TAIL_S: Final = 2.0  # the last chord rings out
PEAK_DBFS: Final = -3.0
TICKS_PER_BEAT: Final = 960

DYNAMICS: Final = {"pp": 44, "p": 56, "mp": 68, "mf": 80, "f": 94, "ff": 110}

# The player.
LEAD_IN_S: Final = 0.5
LEGATO: Final = 0.97  # of a note's time to the next
HUMAN_S: Final = 0.012
HUMAN_VELOCITY: Final = 5
SPREAD_S: Final = 0.018  # from string to string of a chord
UNDER_VELOCITY: Final = 14  # how much softer the voices under the melody are

# The material.
CALL: Final = motif("D4/1.5 A4/.5 C5/.5 B4/.5 A4/2")
ANSWER: Final = shifted(inverted(CALL, "A4"), 3)
CLIMB: Final = motif("A4/.5 B4/.5 C5/.5 E5/1")
FALL: Final = motif("A5/.75 G5/.25 E5/.5 F5/.5 D5/1")
ECHO: Final = motif("G4/.5 A4/1.5")
SIGH: Final = motif("G4/.5 F4/.5 C3+E4/.5 D4/1.5")


@dataclass(frozen=True, slots=True, kw_only=True)
class Phrase:
    """One breath: what is played, its dynamics on the way, the rest after it, how far it slows."""

    line: Motif
    dynamics: str
    rest_beats: float
    ritardando: float = 0.12


FORM: Final = (
    # The call, alone.
    Phrase(line=CALL, dynamics="p mp p", rest_beats=2),
    # A third higher, ending as a question.
    Phrase(
        line=(*shifted(CALL, 2)[:-1], *motif("C5/1"), *ECHO),
        dynamics="p mf mp",
        rest_beats=2,
    ),
    # Driven upwards in ever shorter fragments, then down in sixths to the fourth degree.
    Phrase(
        line=(
            *CLIMB,
            *shifted(CLIMB, 1),
            *squeezed(shifted(CLIMB, 2), 2),
            *squeezed(shifted(CLIMB, 3), 2),
            *doubled(FALL, -5),
            *doubled(shifted(FALL, -2), -5)[:-1],
            *motif("G4+B4/2"),
        ),
        dynamics="mp mf ff f mp",
        rest_beats=2,
    ),
    # The call upside down, then a fifth lower in triplets.
    Phrase(
        line=(*ANSWER, *squeezed(shifted(ANSWER, -4), 1.5)),
        dynamics="mf mp p",
        rest_beats=1.5,
    ),
    # Home over a bass: the plagal cadence of the mode, and the call's leap left in the air.
    Phrase(
        line=(
            *motif("D3+D4/1.5"),
            *CALL[1:-1],
            *motif("F3+A4/1"),
            *SIGH,
            *motif("G2+D3+B3+G4/2 D3+A3+F4/1.5 A4/.5 D5/3"),
        ),
        dynamics="p mf mp p pp",
        rest_beats=0,
        ritardando=0.35,
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlayedNote:
    """A note as performed."""

    onset_s: float
    duration_s: float
    pitch: int
    velocity: int


def performed(form: Sequence[Phrase] = FORM, seed: int = SEED) -> list[PlayedNote]:
    """Perform the score as a person would: phrased, voiced, and never quite on the grid.

    Returns
    -------
    list of PlayedNote
        In the order of their onsets; the same for the same seed, on every machine.
    """
    rng = random.Random(seed)
    notes: list[PlayedNote] = []
    start_s = LEAD_IN_S
    for phrase in form:
        played, start_s = _performed_phrase(phrase, start_s, rng)
        notes += played
    return sorted(notes, key=lambda note: (note.onset_s, note.pitch))


def _performed_phrase(
    phrase: Phrase, start_s: float, rng: random.Random
) -> tuple[list[PlayedNote], float]:
    """Perform one phrase from `start_s`, and say when the next may begin."""
    beat_s = 60 / BEATS_PER_MINUTE
    n_beats = sum(tone.beats for tone in phrase.line)
    levels = [DYNAMICS[mark] for mark in phrase.dynamics.split()]
    marks = np.linspace(0, n_beats, len(levels))
    notes: list[PlayedNote] = []
    beat = 0.0
    for tone in phrase.line:
        lasts_s = tone.beats * beat_s * (1 + phrase.ritardando * (beat / n_beats) ** 3)
        level = float(np.interp(beat, marks, levels))
        notes += _performed_tone(tone, start_s, lasts_s, level, rng)
        start_s += lasts_s
        beat += tone.beats
    return notes, start_s + phrase.rest_beats * beat_s


def _performed_tone(
    tone: Tone, start_s: float, lasts_s: float, level: float, rng: random.Random
) -> Iterator[PlayedNote]:
    """Play what sounds together from the bass up, the top voice a little louder than the rest."""
    lean_s = rng.triangular(-HUMAN_S, HUMAN_S)
    for index, pitch in enumerate(tone.pitches):
        is_melody = index == len(tone.pitches) - 1
        touch = rng.triangular(-HUMAN_VELOCITY, HUMAN_VELOCITY)
        velocity = level + touch - (0 if is_melody else UNDER_VELOCITY)
        late_s = index * SPREAD_S
        yield PlayedNote(
            onset_s=start_s + lean_s + late_s,
            duration_s=lasts_s * LEGATO - late_s,
            pitch=pitch.midi,
            velocity=max(1, min(127, round(velocity))),
        )


def midi_file(notes: Sequence[PlayedNote]) -> mido.MidiFile:
    """Write performed notes as a Standard MIDI File of type 0, in seconds at the score's tempo."""
    ticks_per_s = TICKS_PER_BEAT * BEATS_PER_MINUTE / 60
    messages = []  # (tick, 0 for off before on, message)
    for note in notes:
        on, off = (
            round(at_s * ticks_per_s) for at_s in (note.onset_s, note.onset_s + note.duration_s)
        )
        messages.append((on, 1, mido.Message("note_on", note=note.pitch, velocity=note.velocity)))
        messages.append((off, 0, mido.Message("note_off", note=note.pitch, velocity=0)))
    track = mido.MidiTrack(
        [
            mido.MetaMessage("track_name", name="Calling Card"),
            mido.MetaMessage("set_tempo", tempo=mido.bpm2tempo(BEATS_PER_MINUTE)),
            mido.Message("program_change", program=PROGRAM),
            mido.Message("control_change", control=91, value=REVERB_SEND),
        ]
    )
    now = 0
    for tick, _, message in sorted(messages, key=lambda entry: (*entry[:2], entry[2].note)):
        track.append(message.copy(time=tick - now))
        now = tick
    track.append(mido.MetaMessage("end_of_track", time=round(TAIL_S * ticks_per_s)))
    return mido.MidiFile(type=0, ticks_per_beat=TICKS_PER_BEAT, tracks=[track])


def rendered(midi_path: Path, soundfont: Path = SOUNDFONT) -> NDArray[np.float32]:
    """Render a MIDI file with FluidSynth to mono, its peak at `PEAK_DBFS`.

    Returns
    -------
    ndarray [shape=(n_frames,), float32]

    Raises
    ------
    FileNotFoundError
        FluidSynth is not installed.
    subprocess.CalledProcessError
        FluidSynth refused the file or the sound font.
    """
    with tempfile.TemporaryDirectory() as folder:
        wav_path = Path(folder, "take.wav")
        command = ["fluidsynth", "-ni", "-q", "-g", "0.5", "-r", str(RATE_HZ), "-O", "float"]
        command += ["-C", "no", *ROOM, "-F", str(wav_path), str(soundfont), str(midi_path)]
        subprocess.run(command, check=True, capture_output=True)
        stereo, _ = soundfile.read(wav_path, dtype="float32")
    n_frames = round(mido.MidiFile(midi_path).length * RATE_HZ)
    mono: NDArray[np.float32] = stereo[:n_frames].mean(axis=1)
    mono *= 10 ** (PEAK_DBFS / 20) / np.abs(mono).max()
    return mono


def main() -> None:
    """Write the MIDI file and the recording."""
    parser = argparse.ArgumentParser(description="Compose and render the bundled take.")
    parser.add_argument("--output", type=Path, default=FOLDER, help="folder to write to")
    parser.add_argument("--soundfont", type=Path, default=SOUNDFONT, help="FluidR3 GM")
    arguments = parser.parse_args()
    midi_path = arguments.output / f"{NAME}.mid"
    midi_file(performed()).save(midi_path)
    try:
        recording = rendered(midi_path, arguments.soundfont)
    except (FileNotFoundError, subprocess.CalledProcessError) as error:
        parser.exit(1, f"{error}: install fluidsynth and fluid-soundfont-gm, or give --soundfont\n")
    soundfile.write(arguments.output / f"{NAME}.flac", recording, RATE_HZ, "PCM_16")


if __name__ == "__main__":
    main()
