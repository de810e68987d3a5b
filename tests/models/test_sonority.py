"""Sonority: chroma and the notes of a chord."""

import os
import subprocess
import sys

import numpy as np
import pytest
from numpy.typing import NDArray

from models.sonority import (
    SINE,
    _chroma,
    _flatness,
    _salient_notes,
    _subtract_held,
    sonority_state,
)
from models.spectrum import _magnitudes, fourier_tables

RATE_HZ = 44100.0
N = 4096
BIN_HZ = RATE_HZ / N


def tones(*pitches: float, brightness: float = 0.7) -> NDArray[np.float64]:
    """Return N frames of harmonic tones, phases seeded."""
    rng = np.random.default_rng(0)
    t = np.arange(N) / RATE_HZ
    frames = np.zeros(N)
    for pitch in pitches:
        hz = 440 * 2 ** ((pitch - 69) / 12)
        for harmonic in range(1, 11):
            if harmonic * hz < 15000:
                phase = rng.uniform(0, 2 * np.pi)
                level = brightness ** (harmonic - 1)
                frames += level * np.sin(2 * np.pi * hz * harmonic * t + phase)
    return frames


def notes_of(struck: NDArray[np.float64], held: NDArray[np.float64] | None = None) -> set[int]:
    """Return the notes found in what was struck over what was held."""
    state, tables = sonority_state(N, 4), fourier_tables(N)
    if held is not None:
        _magnitudes(tables, held, 0, N, SINE, state.before)
    _magnitudes(tables, struck if held is None else struck + held, 0, N, SINE, state.rise)
    _subtract_held(state)
    pitches = np.zeros(4, np.int16)
    n_notes = _salient_notes(state, BIN_HZ, 2 * BIN_HZ, 0.5, pitches)
    return set(pitches[:n_notes].tolist())


def chroma_of(frames: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return the chroma of N frames."""
    magnitudes = np.zeros(N // 2 + 1)
    _magnitudes(fourier_tables(N), frames, 0, N, SINE, magnitudes)
    chroma = np.zeros(12, np.float32)
    _chroma(magnitudes, BIN_HZ, chroma)
    return chroma


def test_silence_has_neither_chroma_nor_notes() -> None:
    """All zero, none."""
    assert not np.any(chroma_of(np.zeros(N)))
    assert notes_of(np.zeros(N)) == set()


def test_a_sine_of_amplitude_one_has_magnitude_one() -> None:
    """On a bin; between two bins it is at most 1.6 dB less."""
    magnitudes = np.zeros(N // 2 + 1)
    _magnitudes(
        fourier_tables(N), np.sin(2 * np.pi * 50 * np.arange(N) / N), 0, N, SINE, magnitudes
    )
    assert magnitudes.max() == pytest.approx(1.0, abs=0.01)


@pytest.mark.parametrize("pitch", [48, 60, 69, 71, 84])
def test_one_tone_is_one_note_however_bright(pitch: int) -> None:
    """No overtone is reported as a note."""
    for brightness in (0.0, 0.5, 0.8):
        assert notes_of(tones(pitch, brightness=brightness)) == {pitch}


@pytest.mark.parametrize("chord", [(60, 64, 67), (57, 60, 64), (55, 62, 71), (60, 67), (60, 69)])
def test_the_notes_of_a_chord_are_found(chord: tuple[int, ...]) -> None:
    """Triads, a fifth, a sixth."""
    assert notes_of(tones(*chord)) == set(chord)


def test_a_strong_second_harmonic_is_no_note_of_its_own() -> None:
    """As on a guitar string: the octave sounds louder than the note."""
    t = np.arange(N) / RATE_HZ
    string = [level * np.sin(2 * np.pi * 220 * (h + 1) * t) for h, level in enumerate([1, 3, 1])]
    assert notes_of(np.asarray(np.sum(string, axis=0))) == {57}


def test_a_held_note_is_not_struck_anew() -> None:
    """Only the one that joined."""
    assert notes_of(tones(76), held=tones(60)) == {76}


def test_chroma_sums_to_one_and_holds_the_pitch_class() -> None:
    """A pure A and a C major triad."""
    chroma = chroma_of(tones(69, brightness=0.0))
    assert chroma.sum() == pytest.approx(1.0, abs=1e-6)
    assert chroma[9] == pytest.approx(1.0, abs=1e-3)
    triad = chroma_of(tones(60, 64, 67, brightness=0.5))
    assert set(np.argsort(triad)[-3:]) == {0, 4, 7}


def test_noise_is_flat_and_tones_are_not() -> None:
    """By two orders of magnitude, whatever the gain."""
    noise = np.random.default_rng(0).normal(size=N)
    magnitudes = np.zeros(N // 2 + 1)
    flatness = []
    for frames in (noise, 1e-3 * noise, tones(60, 64, 67)):
        _magnitudes(fourier_tables(N), frames, 0, N, SINE, magnitudes)
        flatness.append(_flatness(magnitudes, BIN_HZ))
    assert flatness[0] == pytest.approx(flatness[1], rel=1e-6)
    assert flatness[0] > 0.3 > 100 * flatness[2]


def test_the_kernels_run_without_the_compiler() -> None:
    """A sine's pitch class in plain Python."""
    code = (
        "import numpy as np\n"
        "from models.sonority import SINE, _chroma\n"
        "from models.spectrum import _magnitudes, fourier_tables\n"
        "frames = np.sin(2 * np.pi * 440 * np.arange(1024) / 8000)\n"
        "magnitudes, chroma = np.zeros(513), np.zeros(12, np.float32)\n"
        "_magnitudes(fourier_tables(1024), frames, 0, 1024, SINE, magnitudes)\n"
        "_chroma(magnitudes, 8000 / 1024, chroma)\n"
        "assert chroma[9] > 0.99, chroma\n"
    )
    environment = {**os.environ, "NUMBA_DISABLE_JIT": "1"}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)
