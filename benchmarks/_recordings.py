"""Recordings with truth: what the listener's benchmark reads, and tones planted by itself."""

from dataclasses import dataclass
from pathlib import Path

import mido
import numpy as np
import soundfile
from numpy.typing import NDArray

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
MERGE_S = 0.03
SOLO_PITCH = {"A4": 69.0, "B3": 59.0, "C6": 84.0, "E4": 64.0, "C3": 60.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """Mono frames with the onsets to be found, and for each the MIDI pitches struck, if known."""

    name: str
    frames: NDArray[np.float32]
    rate_hz: int
    onsets_s: NDArray[np.float64]
    pitches: tuple[tuple[float, ...], ...] = ()


def merge_onsets(times_s: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the sorted times without those that follow a kept one within 30 ms."""
    kept: list[float] = []
    for time_s in np.sort(times_s):
        if not kept or time_s - kept[-1] > MERGE_S:
            kept.append(float(time_s))
    return np.array(kept)


def read_mono(path: Path) -> tuple[NDArray[np.float32], int]:
    """Return a file's frames, channels averaged, and their rate."""
    frames, rate_hz = soundfile.read(path, dtype="float32", always_2d=True)
    return frames.mean(axis=1, dtype=np.float32), rate_hz


def read_drums(data: Path = DATA) -> list[Recording]:
    """Return the drum tracks with their annotated strokes."""
    recordings = []
    for path in sorted((data / "drums").glob("*.flac")):
        lines = path.with_suffix(".onsets.txt").read_text().splitlines()
        times_s = np.array([float(line.split()[0]) for line in lines if line.strip()])
        frames, rate_hz = read_mono(path)
        recordings.append(
            Recording(
                name=path.stem, frames=frames, rate_hz=rate_hz, onsets_s=merge_onsets(times_s)
            )
        )
    return recordings


def read_piano(data: Path = DATA) -> list[Recording]:
    """Return the piano take with the notes its MIDI file strikes."""
    path = data / "piano" / "mozart_k265_var1.mp3"
    strikes: list[tuple[float, int]] = []
    now_s = 0.0
    for message in mido.MidiFile(path.with_suffix(".mid")):
        now_s += message.time
        if message.type == "note_on" and message.velocity > 0:
            strikes.append((now_s, message.note))
    onsets_s = merge_onsets(np.array([time_s for time_s, _ in strikes]))
    pitches = tuple(
        tuple(float(note) for time_s, note in strikes if 0 <= time_s - onset_s <= MERGE_S)
        for onset_s in onsets_s
    )
    frames, rate_hz = read_mono(path)
    return [
        Recording(name="piano", frames=frames, rate_hz=rate_hz, onsets_s=onsets_s, pitches=pitches)
    ]


def read_voice(data: Path = DATA) -> list[Recording]:
    """Return the solo voice with the starts and pitches of its annotated notes."""
    path = data / "voice" / "vocadito_1.flac"
    notes = np.loadtxt(path.with_name("vocadito_1_notesA1.csv"), delimiter=",")
    frames, rate_hz = read_mono(path)
    pitches = tuple((float(69 + 12 * np.log2(hz / 440)),) for hz in notes[:, 1])
    return [
        Recording(
            name="voice", frames=frames, rate_hz=rate_hz, onsets_s=notes[:, 0], pitches=pitches
        )
    ]


def planted_tones(rise_s: float, rate_hz: int = 44100, n_tones: int = 60) -> Recording:
    """Return decaying tones that begin at known frames over noise at −66 dBFS, seeded."""
    rng = np.random.default_rng(0)
    onsets = np.cumsum(rng.integers(int(0.25 * rate_hz), int(0.6 * rate_hz), n_tones))
    frames = rng.normal(0, 5e-4, onsets[-1] + rate_hz)
    for onset in onsets:
        n = min(rate_hz, frames.size - onset)
        t = np.arange(n) / rate_hz
        hz = 440 * 2 ** (rng.integers(-24, 25) / 12)
        tone = sum(np.sin(2 * np.pi * hz * k * t) / k for k in range(1, 6) if hz * k < 10000)
        swell = np.minimum(t / rise_s, 1.0) * np.exp(-t / 0.15)
        frames[onset : onset + n] += 0.1 * rng.uniform(0.3, 1) * swell * tone
    return Recording(
        name=f"planted tones, rising in {rise_s * 1e3:g} ms",
        frames=frames.astype(np.float32),
        rate_hz=rate_hz,
        onsets_s=onsets / rate_hz,
    )


def read_solo(data: Path = DATA) -> list[Recording]:
    """Return the solo tones whose files name their pitch, with that pitch.

    C3 is the organ's name for what sounds at 262 Hz.
    """
    recordings = []
    for path in sorted((data / "solo").glob("*-??.flac")):
        frames, rate_hz = read_mono(path)
        recordings.append(
            Recording(
                name=path.stem,
                frames=frames,
                rate_hz=rate_hz,
                onsets_s=np.zeros(1),
                pitches=((SOLO_PITCH[path.stem[-2:]],),),
            )
        )
    return recordings
