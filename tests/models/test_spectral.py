import os
import subprocess
import sys
import threading
from pathlib import Path

import mido
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.audio_file import AudioFile
from models.encoder import Encoder
from models.spectral import (
    ATTACK,
    CHROMA,
    DIM,
    MODULATION,
    N_MODULATIONS,
    N_MOVING_BANDS,
    RATE_HZ,
    RISE,
    WINDOW_FRAMES,
    SpectralEncoder,
)
from models.windows import WindowCutter

TIME_S = np.arange(-WINDOW_FRAMES, 0) / RATE_HZ
HEARD_S = 0.02


@pytest.fixture(scope="module")
def encoder() -> SpectralEncoder:
    """Give one encoder: it keeps nothing between windows."""
    return SpectralEncoder()


def note(pitch: float, start_s: float = -HEARD_S, end_s: float = 0.0) -> NDArray[np.float32]:
    """Give a note of eight harmonics, its times counted from the window's end."""
    hz = 440 * 2 ** ((pitch - 69) / 12)
    harmonics = np.arange(1, 9)[:, None]
    wave = (np.sin(2 * np.pi * harmonics * hz * (TIME_S - start_s)) / harmonics).sum(axis=0)
    sounding = (start_s <= TIME_S) & (end_s > TIME_S)
    decay = np.exp(-3 * np.maximum(TIME_S - start_s, 0))
    tone: NDArray[np.float32] = (0.1 * wave * decay * sounding).astype(np.float32)
    return tone


def embed(encoder: Encoder, *windows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Embed windows given one by one."""
    return encoder.encode(np.stack(windows))


def distance(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    """Measure how far apart two embeddings are."""
    return float(np.linalg.norm(a - b))


def test_silence_embeds_to_zeros(encoder: SpectralEncoder) -> None:
    """Nothing is all there is."""
    assert not embed(encoder, np.zeros(WINDOW_FRAMES, np.float32)).any()


def test_a_constant_is_silence(encoder: SpectralEncoder) -> None:
    """An offset in the sound card is no sound."""
    assert not embed(encoder, np.full(WINDOW_FRAMES, 0.5, np.float32)).any()


def test_noise_under_the_floor_is_near_silence(encoder: SpectralEncoder) -> None:
    """At −130 dBFS nothing is heard, whatever its shape."""
    noise = np.random.default_rng(0).standard_normal(WINDOW_FRAMES).astype(np.float32)
    quiet, loud = embed(encoder, noise * np.float32(10 ** (-130 / 20)), noise * np.float32(0.1))
    assert np.linalg.norm(quiet) < np.linalg.norm(loud) / 50


def test_the_loudest_there_is_stays_finite(encoder: SpectralEncoder) -> None:
    """A full-scale square wave, as clipping makes it, and single frames at full scale."""
    square = np.sign(np.sin(2 * np.pi * 100 * TIME_S) + 1e-9).astype(np.float32)
    click = np.zeros(WINDOW_FRAMES, np.float32)
    click[-1] = 1.0
    assert np.isfinite(embed(encoder, square, click, -100 * square)).all()


@given(gain_db=st.floats(-50.0, 20.0), pitch=st.floats(40.0, 90.0))
def test_soft_and_loud_versions_of_a_gesture_embed_alike(
    encoder: SpectralEncoder, gain_db: float, pitch: float
) -> None:
    """Over 70 dB a note moves less than a tenth of the way to its neighbour by a whole tone."""
    gesture = note(pitch - 5, -0.3) + note(pitch)
    gain = np.float32(10 ** (gain_db / 20))
    other = note(pitch - 5, -0.3) + note(pitch + 2)
    reference, scaled, moved = embed(encoder, gesture, gain * gesture, other)
    assert distance(reference, scaled) < distance(reference, moved) / 10


def test_an_offset_changes_next_to_nothing(encoder: SpectralEncoder) -> None:
    """A tenth of full scale of direct current under a note."""
    clean, offset, other = embed(encoder, note(60), note(60) + np.float32(0.1), note(62))
    assert distance(clean, offset) < distance(clean, other) / 20


@given(n=st.integers(1, 5), seed=st.integers(0, 99))
def test_a_window_does_not_depend_on_its_batch(encoder: SpectralEncoder, n: int, seed: int) -> None:
    """Bit for bit the same alone, in any place of a batch, and after other windows."""
    windows = np.random.default_rng(seed).standard_normal((n, WINDOW_FRAMES)).astype(np.float32)
    together = encoder.encode(windows)
    alone = np.concatenate([encoder.encode(windows[i : i + 1]) for i in reversed(range(n))])
    assert np.array_equal(together, alone[::-1])


def test_the_new_note_counts_more_than_the_one_that_rings(encoder: SpectralEncoder) -> None:
    """E over C is nearer to E over A than to G over C, 20 ms after its start."""
    over_c, over_a = note(48, -0.4), note(57, -0.4)
    e_over_c, e_over_a, g_over_c = embed(
        encoder, over_c + note(64), over_a + note(64), over_c + note(67)
    )
    assert distance(e_over_c, e_over_a) < 0.8 * distance(e_over_c, g_over_c)


def test_a_held_note_has_no_rise(encoder: SpectralEncoder) -> None:
    """What sounded before is not new: its rise is a sixth of a beginning's, as energy."""
    beginning, held = embed(encoder, note(60), note(60, -0.4))
    assert np.square(held[RISE]).sum() < np.square(beginning[RISE]).sum() / 6


@pytest.mark.parametrize("pitch", [57, 64, 69, 76, 88])
def test_the_rise_is_strongest_at_the_pitch(encoder: SpectralEncoder, pitch: int) -> None:
    """Semitone bands count from A1, pitch 33; 20 ms tell the pitch to about a tone."""
    sine = np.where(
        TIME_S >= -HEARD_S, np.sin(2 * np.pi * 440 * 2 ** ((pitch - 69) / 12) * TIME_S), 0
    )
    (embedding,) = embed(encoder, sine.astype(np.float32))
    assert abs(int(embedding[RISE].argmax()) - (pitch - 33)) <= 2


def test_chroma_is_the_same_an_octave_higher(encoder: SpectralEncoder) -> None:
    """Octaves are nearer in chroma than a tritone is."""
    low, high, tritone = embed(encoder, note(72), note(84), note(78))
    assert distance(low[CHROMA], high[CHROMA]) < distance(low[CHROMA], tritone[CHROMA]) / 2


@pytest.mark.parametrize("cycles", [2, 3, 4, 5])
def test_tremolo_shows_at_its_rate(encoder: SpectralEncoder, cycles: int) -> None:
    """A noise that swells n times in the window peaks at the nth modulation of each band."""
    noise = 0.1 * np.random.default_rng(0).standard_normal(WINDOW_FRAMES)
    swell = 1.05 + np.sin(2 * np.pi * cycles * TIME_S / 0.5)
    (embedding,) = embed(encoder, (noise * swell).astype(np.float32))
    modulation = embedding[MODULATION].reshape(N_MOVING_BANDS, N_MODULATIONS)
    assert modulation.mean(axis=0).argmax() + 1 == cycles


def test_two_threads_with_their_own_encoders_agree() -> None:
    """Nothing is shared behind their backs."""
    windows = np.random.default_rng(0).standard_normal((50, WINDOW_FRAMES)).astype(np.float32)
    results: list[NDArray[np.float32]] = []
    threads = [
        threading.Thread(target=lambda: results.append(SpectralEncoder().encode(windows)))
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert np.array_equal(results[0], results[1])


def test_other_windows_are_refused(encoder: SpectralEncoder) -> None:
    """Name, value, need."""
    with pytest.raises(ValueError, match=r"windows has shape \(1, 5\), needs \(1 or more, 12000\)"):
        encoder.encode(np.zeros((1, 5), np.float32))
    with pytest.raises(ValueError, match=r"windows has shape \(0, 12000\)"):
        encoder.encode(np.zeros((0, WINDOW_FRAMES), np.float32))
    with pytest.raises(ValueError, match="windows holds NaN or infinity"):
        encoder.encode(np.full((1, WINDOW_FRAMES), np.nan, np.float32))


def test_the_spec_says_what_comes_out(encoder: SpectralEncoder) -> None:
    """24 kHz, half a second, and as many values as the embedding has."""
    assert (encoder.spec.rate_hz, encoder.spec.window_s) == (24_000, 0.5)
    assert embed(encoder, note(60)).shape == (1, DIM) == (1, encoder.spec.dim)
    assert encoder.spec == SpectralEncoder().spec
    assert encoder.spec.name == "spectral"
    assert encoder.notice == ""


Label = frozenset[str | int]


def merged(notes: list[tuple[float, str | int]]) -> list[tuple[float, Label]]:
    """Gather what begins within 30 ms into one event."""
    events: list[tuple[float, Label]] = []
    for onset_s, label in sorted(notes):
        if events and onset_s - events[-1][0] < 0.03:
            events[-1] = (events[-1][0], events[-1][1] | {label})
        else:
            events.append((onset_s, frozenset({label})))
    return events


def agreement(
    recording: Path, events: list[tuple[float, Label]], part: slice = slice(None)
) -> tuple[float, float]:
    """Compare each event's labels with its nearest neighbour's, and with everybody's (chance).

    Labels are compared by Jaccard's index; windows end 20 ms after an onset.
    """
    file = AudioFile(recording)
    encoder = SpectralEncoder()
    cutter = WindowCutter(file.rate_hz, encoder.spec)
    audio = np.concatenate([np.zeros(cutter.n_frames, np.float32), *file.blocks(1 << 16)])
    ends = [round((onset_s + HEARD_S) * file.rate_hz) for onset_s, _ in events]
    windows = np.stack([cutter.cut(audio[end : end + cutter.n_frames]) for end in ends])
    embeddings = encoder.encode(windows)[:, part]
    distances = np.linalg.norm(embeddings[:, None] - embeddings[None], axis=2)
    alike = np.array([[len(a & b) / len(a | b) for _, b in events] for _, a in events])
    others = ~np.eye(len(events), dtype=bool)
    distances[~others] = np.inf
    return float(alike[np.arange(len(events)), distances.argmin(axis=1)].mean()), float(
        alike[others].mean()
    )


@pytest.mark.parametrize("name", ["80sRock", "Beatles", "Country1", "Hendrix", "Reggae", "Rock"])
def test_the_nearest_neighbour_of_a_drum_is_the_same_drum(shared_data: Path, name: str) -> None:
    """At least .80 of each track (measured .86–1.00, chance .26–.66)."""
    lines = (shared_data / "drums" / f"{name}.onsets.txt").read_text().splitlines()
    hits = [(float(line.split()[0]), line.split()[1]) for line in lines if line.strip()]
    found, chance = agreement(shared_data / "drums" / f"{name}.flac", merged([*hits]))
    assert found >= 0.80
    assert found >= chance + 0.25


def piano_events(shared_data: Path) -> list[tuple[float, Label]]:
    """Read the notes of the piano recording."""
    midi = mido.MidiFile(shared_data / "piano" / "mozart_k265_var1.mid")
    notes: list[tuple[float, str | int]] = []
    # decoded by libsndfile the MP3 sounds about 20 ms after its MIDI (peaks of spectral flux)
    now_s = 0.02
    for message in midi:
        now_s += message.time
        if message.type == "note_on" and message.velocity > 0:
            notes.append((now_s, message.note))
    return merged(notes)


def test_the_nearest_neighbour_of_a_piano_note_is_the_same_note(shared_data: Path) -> None:
    """At least .80 of pitches agree (measured .88, chance .07), and the rise is what does it."""
    recording = shared_data / "piano" / "mozart_k265_var1.mp3"
    events = piano_events(shared_data)
    found, chance = agreement(recording, events)
    by_attack, _ = agreement(recording, events, ATTACK)
    assert found >= 0.80
    assert chance < 0.10
    assert found >= by_attack + 0.10


def test_without_the_compiler_the_embedding_is_the_same(encoder: SpectralEncoder) -> None:
    """The kernels are Python too: the sum of an embedding agrees to float32."""
    script = (
        "import numpy as np\n"
        "from models.spectral import SpectralEncoder, WINDOW_FRAMES\n"
        "noise = np.random.default_rng(0).standard_normal((1, WINDOW_FRAMES)).astype(np.float32)\n"
        "print(SpectralEncoder().encode(noise)[0].tolist())\n"
    )
    printed = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "NUMBA_DISABLE_JIT": "1"},
        capture_output=True,
        check=True,
        text=True,
    ).stdout
    noise = np.random.default_rng(0).standard_normal(WINDOW_FRAMES).astype(np.float32)
    plain = [float(value) for value in printed.strip("[]\n").split(",")]
    assert np.allclose(embed(encoder, noise)[0], plain, atol=1e-5)
