"""Instruments to which no setting of onsets or pitch was tuned: seeded phrases, from FluidSynth.

Lines, legato lines, chords of up to three notes and dense ones of up to five, each instrument at a
tempo, a level and over a noise floor of its own, in a room. The truth is when a key goes down: a
bowed or blown sample is heard up to 60 ms later, and its overlap into the next is the sampler's.
Within 75 ms instead of 50 the clarinet's F is .79, not .51; the cello's stays .36: most of its
notes are missed. The jazz guitar is that of the take the first velocities were checked
with.
"""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mido
import numpy as np

from benchmarks._onsets import score_events, score_onsets
from benchmarks._recordings import Recording, merge_onsets
from models.listener import ListenerConfig
from takes.compose import RATE_HZ, SOUNDFONT, TICKS_PER_BEAT, rendered

TICKS_PER_S = 2 * TICKS_PER_BEAT
LEAD_S, END_S, TAIL_S = 0.5, 20.0, 1.0
STEPS = (-7, -5, -4, -3, -2, -1, 1, 2, 3, 4, 5, 7)
BEATS = (0.25, 0.5, 0.5, 1.0, 1.0, 1.5)
SHORTEST_S = 0.12
HUMAN_S = 0.008
REST_SHARE = 0.12
SOFTER_DB = (0.0, -6.0, -12.0, -24.0)
NOISE_DBFS = (-60.0, -70.0, -80.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Instrument:
    """A General MIDI program (from 0), its range, and how it is played."""

    name: str
    program: int
    lowest: int
    highest: int
    most_notes: int = 1
    gates: tuple[float, ...] = (0.6, 0.9)


LEGATO = (1.0,)
INSTRUMENTS = (
    Instrument(name="piano", program=0, lowest=45, highest=84, most_notes=3),
    Instrument(name="piano, dense", program=0, lowest=40, highest=80, most_notes=5),
    Instrument(name="electric piano", program=4, lowest=41, highest=79, most_notes=3),
    Instrument(name="vibraphone", program=11, lowest=53, highest=89),
    Instrument(name="marimba", program=12, lowest=48, highest=84),
    Instrument(name="nylon guitar", program=24, lowest=40, highest=76),
    Instrument(name="jazz guitar", program=26, lowest=43, highest=76, most_notes=3),
    Instrument(name="double bass", program=32, lowest=28, highest=50),
    Instrument(name="violin", program=40, lowest=55, highest=88, gates=LEGATO),
    Instrument(name="cello", program=42, lowest=36, highest=67, gates=LEGATO),
    Instrument(name="choir", program=53, lowest=50, highest=76, gates=LEGATO),
    Instrument(name="trumpet", program=56, lowest=55, highest=82),
    Instrument(name="alto saxophone", program=65, lowest=49, highest=80, gates=LEGATO),
    Instrument(name="clarinet", program=71, lowest=50, highest=84, gates=LEGATO),
    Instrument(name="flute", program=73, lowest=60, highest=93, gates=LEGATO),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stroke:
    """Notes struck together, seconds from the start."""

    start_s: float
    end_s: float
    pitches: tuple[int, ...]
    velocity: int


def phrase(instrument: Instrument, rng: np.random.Generator) -> list[Stroke]:
    """Make up 20 s of music: steps and small leaps, a rest now and then, no two strokes alike."""
    beat_s = 60.0 / rng.choice([66, 90, 120, 150])
    pitch = int(rng.integers(instrument.lowest + 5, instrument.highest - 5))
    now_s, strokes = LEAD_S, []
    while now_s < END_S:
        span_s = max(SHORTEST_S, float(beat_s * rng.choice(BEATS)))
        pitch = int(np.clip(pitch + rng.choice(STEPS), instrument.lowest, instrument.highest))
        n_notes = int(rng.integers(1, instrument.most_notes + 1))
        below = np.cumsum(rng.choice([3, 4, 5, 7], n_notes - 1))
        pitches = (pitch, *(pitch - int(b) for b in below if pitch - b >= instrument.lowest))
        start_s = now_s + float(rng.normal(0.0, HUMAN_S))
        strokes.append(
            Stroke(
                start_s=start_s,
                end_s=start_s + span_s * float(rng.choice(instrument.gates)),
                pitches=pitches,
                velocity=int(rng.integers(45, 115)),
            )
        )
        now_s += span_s * (2 if rng.random() < REST_SHARE else 1)
    return strokes


def _midi_file(program: int, strokes: list[Stroke]) -> mido.MidiFile:
    """Write the strokes down."""
    keys = [
        (round(time_s * TICKS_PER_S), kind, pitch, stroke.velocity)
        for stroke in strokes
        for time_s, kind in ((stroke.start_s, "note_on"), (stroke.end_s, "note_off"))
        for pitch in stroke.pitches
    ]
    track = mido.MidiTrack([mido.Message("program_change", program=program)])
    now = 0
    for tick, kind, pitch, velocity in sorted(keys):  # "note_off" before "note_on"
        track.append(mido.Message(kind, note=pitch, velocity=velocity, time=tick - now))
        now = tick
    track.append(mido.MetaMessage("end_of_track", time=round(TAIL_S * TICKS_PER_S)))
    return mido.MidiFile(type=0, ticks_per_beat=TICKS_PER_BEAT, tracks=[track])


def synthesise(instrument: Instrument, seed: int = 0) -> Recording:
    """Render one phrase; the same every time.

    Raises
    ------
    FileNotFoundError
        FluidSynth is not installed.
    """
    rng = np.random.default_rng([seed, instrument.program, instrument.most_notes])
    strokes = phrase(instrument, rng)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "phrase.mid")
        _midi_file(instrument.program, strokes).save(path)
        frames = rendered(path)
    frames *= np.float32(10 ** (rng.choice(SOFTER_DB) / 20))
    noise = rng.normal(0.0, 10 ** (rng.choice(NOISE_DBFS) / 20), frames.size)
    onsets_s = merge_onsets(np.array([stroke.start_s for stroke in strokes]))
    pitches = {stroke.start_s: tuple(map(float, stroke.pitches)) for stroke in strokes}
    return Recording(
        name=instrument.name,
        frames=(frames + noise).astype(np.float32),
        rate_hz=RATE_HZ,
        onsets_s=onsets_s,
        pitches=tuple(pitches[onset_s] for onset_s in onsets_s.tolist()),
    )


def score_synthesised() -> dict[str, Any]:
    """Score the onsets and the pitches of each instrument with the one default; {} without them."""
    rows: dict[str, Any] = {}
    if not SOUNDFONT.exists():
        return rows
    for instrument in INSTRUMENTS:
        recording = synthesise(instrument)
        onsets = score_onsets([recording])
        events = score_events(recording, ListenerConfig().heard_ms)
        rows[instrument.name] = {"precision": onsets.precision, "recall": onsets.recall}
        rows[instrument.name] |= {"f_measure": onsets.f_measure, **events}
    return rows
