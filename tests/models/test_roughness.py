"""Roughness of what sounds together."""

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from models.listener import BODY, Listener
from models.roughness import MAX_PEAKS, roughness

RATE_HZ = 44100


def complex_tones(pitches: Sequence[float]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return frequencies and amplitudes of tones of eleven harmonics, amplitude 1/n."""
    harmonic = np.arange(1, 12)
    hz = [440 * 2 ** ((pitch - 69) / 12) * harmonic for pitch in pitches]
    return np.concatenate(hz), np.concatenate([1 / harmonic] * len(pitches))


def sounding(pitches: Sequence[float], seconds: float) -> NDArray[np.float32]:
    """Return silence, the tones together, and silence."""
    t = np.arange(int(seconds * RATE_HZ)) / RATE_HZ
    hz, amplitude = complex_tones(pitches)
    swell = np.minimum(np.minimum(t / 0.002, (seconds - t) / 0.02), 1)
    tone = 0.05 * swell * (amplitude[:, None] * np.sin(2 * np.pi * hz[:, None] * t)).sum(axis=0)
    lead = np.zeros(RATE_HZ // 5)
    return np.concatenate([lead, tone, np.zeros(RATE_HZ // 2)]).astype(np.float32)


def heard(pitches: Sequence[float], seconds: float) -> float:
    """Return the roughness in the one BODY of the tones."""
    records = Listener(RATE_HZ).hear(sounding(pitches, seconds))
    (body,) = records[records["kind"] == BODY]
    return float(body["roughness"])


@pytest.mark.parametrize(
    ("hz", "amplitude"), [([], []), ([440.0], [0.0]), ([-1.0], [1.0]), ([np.nan], [1.0])]
)
def test_what_is_no_partial_is_refused(hz: list[float], amplitude: list[float]) -> None:
    """None, or one that is not above 0."""
    with pytest.raises(ValueError, match="hz and amplitude must be as many numbers > 0"):
        roughness(hz, amplitude)


def test_one_partial_is_not_rough() -> None:
    """Nor are two a third of an octave apart in the treble."""
    assert roughness([440.0], [1.0]) == 0
    assert roughness([2000.0, 2520.0], [1.0, 1.0]) == 0


@pytest.mark.parametrize(
    ("pitches", "value"), [([60.0, 64.0, 67.0], 0.1202), ([60.0, 63.0, 67.0], 0.1301)]
)
def test_triads_are_as_rough_as_published(pitches: Sequence[float], value: float) -> None:
    """C–E–G and C–E♭–G of eleven harmonics."""
    assert roughness(*complex_tones(pitches)) == pytest.approx(value, abs=5e-5)


def test_pure_tones_a_semitone_apart_are_as_rough_as_published() -> None:
    """At middle C."""
    assert roughness([261.6256, 277.1826], [1.0, 1.0]) == pytest.approx(0.499, abs=5e-4)


@pytest.mark.parametrize(("y", "value"), [(0.25, 1.0), (0.5, 0.5413), (1.0, 0.0397), (1.2001, 0.0)])
def test_the_curve_is_the_published_one(y: float, value: float) -> None:
    """Of the distance in critical bands; two equal partials weigh one half."""
    low_hz, high_hz = 440.0, 440.0
    for _ in range(50):  # the band's width is that at their mean
        high_hz = low_hz + y * 1.72 * (0.5 * (low_hz + high_hz)) ** 0.65
    assert 2 * roughness([low_hz, high_hz], [1.0, 1.0]) == pytest.approx(value, abs=5e-5)


def test_the_loudness_does_not_count() -> None:
    """Only the amplitudes' ratios."""
    hz, amplitude = complex_tones([60.0, 61.0])
    assert roughness(hz, 100 * amplitude) == pytest.approx(roughness(hz, amplitude))


def test_a_clash_is_heard_as_rougher_than_a_fifth_and_a_fifth_than_a_tone() -> None:
    """From the sound, in the order of the partials they are made of."""
    clash, fifth, tone = (heard(pitches, 0.4) for pitches in ([60, 61], [60, 67], [60]))
    assert clash > 2 * fifth
    assert fifth > tone >= 0


def test_a_triad_is_heard_as_rough_as_it_is() -> None:
    """From its strongest peaks in 186 ms of sound."""
    hz, amplitude = complex_tones([60.0, 64.0, 67.0])
    strongest = np.argsort(-amplitude, kind="stable")[:MAX_PEAKS]
    assert heard([60, 64, 67], 0.4) == pytest.approx(
        roughness(hz[strongest], amplitude[strongest]), rel=0.2
    )


def test_too_little_sound_has_no_roughness() -> None:
    """Under 60 ms it is missing, not some number in the middle."""
    assert np.isnan(heard([60, 64], 0.045))


def test_noise_has_no_roughness() -> None:
    """Its peaks are nobody's partials; and an ATTACK never knows."""
    noise = np.random.default_rng(0).normal(0, 0.1, RATE_HZ // 4)
    frames = np.concatenate([np.zeros(RATE_HZ // 5), noise, np.zeros(RATE_HZ // 2)])
    records = Listener(RATE_HZ).hear(frames.astype(np.float32))
    assert records.size >= 2
    assert np.all(np.isnan(records["roughness"]))


def sung(semitones: float) -> NDArray[np.float32]:
    """Return a note of eight harmonics with a vibrato of 6 Hz, between silences."""
    t = np.arange(RATE_HZ // 2) / RATE_HZ
    hz = 660 * 2 ** (semitones / 12 * np.sin(2 * np.pi * 6 * t))
    phase = 2 * np.pi * np.cumsum(hz) / RATE_HZ
    swell = np.minimum(np.minimum(t / 0.005, 1), (0.5 - t) / 0.05)
    tone = 0.15 * swell * sum(np.sin(k * phase) / k for k in range(1, 9))
    lead = np.zeros(RATE_HZ // 5)
    return np.concatenate([lead, tone, np.zeros(RATE_HZ // 2)]).astype(np.float32)


@pytest.mark.parametrize("semitones", [0.2, 0.5, 1.0])
def test_vibrato_is_no_clash(semitones: float) -> None:
    """The smeared partials of one voice: what cannot be told is missing."""
    records = Listener(RATE_HZ).hear(sung(semitones))
    heard_roughness = records[records["kind"] == BODY]["roughness"]
    assert heard_roughness.size >= 1
    assert not np.any(heard_roughness > heard([60, 61], 0.4))


@pytest.mark.parametrize("hz", [30.0, 6000.0, 9000.0])
def test_a_pure_tone_outside_the_band_is_not_rough(hz: float) -> None:
    """Its side lobes within are no partials."""
    t = np.arange(RATE_HZ // 2) / RATE_HZ
    swell = np.minimum(np.minimum(t / 0.005, 1), (0.5 - t) / 0.05)
    tone = 0.3 * swell * np.sin(2 * np.pi * hz * t)
    frames = np.concatenate([np.zeros(RATE_HZ // 5), tone, np.zeros(RATE_HZ // 2)])
    records = Listener(RATE_HZ).hear(frames.astype(np.float32))
    assert records.size >= 2
    assert not np.any(records["roughness"] > 0.01)
