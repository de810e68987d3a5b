from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.audio_file import TAIL_S, AudioFile
from models.hearing import Heard, hear, require_time_to_hear
from models.listener import ATTACK, BODY, Listener, ListenerConfig
from models.settings import SettingsError
from models.spectral import SpectralEncoder
from models.windows import WindowCutter
from tests.fakes import FakeEncoder

RATE_HZ = 48_000
CONFIG = ListenerConfig()


def plucks(onsets_s: Iterable[float], duration_s: float) -> NDArray[np.float32]:
    """Give decaying tones, each of another pitch."""
    time_s = np.arange(round(duration_s * RATE_HZ)) / RATE_HZ
    audio = np.zeros(len(time_s))
    for i, onset_s in enumerate(onsets_s):
        since_s = time_s - onset_s
        hz = 220 * 2 ** (i / 12)
        audio += (
            (since_s >= 0) * np.exp(-8 * np.maximum(since_s, 0)) * np.sin(2 * np.pi * hz * since_s)
        )
    return (0.3 * audio).astype(np.float32)


PHRASE = plucks([0.1, 0.5, 0.9, 1.2, 1.6], 3.0)


def cut_up(audio: NDArray[np.float32], lengths: Iterable[int]) -> list[NDArray[np.float32]]:
    """Cut audio into blocks of these lengths and a last one with the rest."""
    return np.split(audio, np.minimum(np.cumsum([*lengths]), len(audio)))


def as_bytes(events: Iterable[Heard]) -> list[tuple[bytes, bytes, bytes]]:
    """Make events comparable, bit for bit."""
    return [(e.attack.tobytes(), e.body.tobytes(), e.embedding.tobytes()) for e in events]


def test_nothing_is_heard_in_nothing_and_in_silence() -> None:
    """No blocks, an empty one, and a second of zeros."""
    encoder = FakeEncoder()
    assert [*hear([], RATE_HZ, CONFIG, encoder)] == []
    assert [*hear([np.zeros(0, np.float32)], RATE_HZ, CONFIG, encoder)] == []
    assert [*hear([np.zeros(RATE_HZ, np.float32)], RATE_HZ, CONFIG, encoder)] == []
    assert encoder.n_windows_seen == 0


def test_every_event_has_its_attack_its_body_and_its_embedding() -> None:
    """Five plucks, in order, each record with its own."""
    events = [*hear([PHRASE], RATE_HZ, CONFIG, FakeEncoder())]
    assert [int(event.attack["index"]) for event in events] == [0, 1, 2, 3, 4]
    for event in events:
        assert (event.attack["kind"], event.body["kind"]) == (ATTACK, BODY)
        assert event.attack["index"] == event.body["index"]
        assert event.attack["onset_frame"] == event.body["onset_frame"]
        assert event.body["duration_frames"] > 0


def test_a_window_ends_where_its_attack_was_decided() -> None:
    """A twin that hears the whole recording at once cuts the same windows out of it."""
    encoder = SpectralEncoder()
    cutter = WindowCutter(RATE_HZ, encoder.spec)
    padded = np.concatenate([np.zeros(cutter.n_frames, np.float32), PHRASE])
    records = Listener(RATE_HZ, CONFIG).hear(PHRASE)
    attacks = records[records["kind"] == ATTACK]
    events = [*hear(cut_up(PHRASE, [10_000] * 20), RATE_HZ, CONFIG, encoder)]
    assert len(events) == len(attacks) == 5
    for event, attack in zip(events, attacks, strict=True):
        end = int(attack["decision_frame"])
        window = cutter.cut(padded[end : end + cutter.n_frames])
        assert np.array_equal(event.embedding, encoder.encode(window[None])[0])
        assert event.attack.tobytes() == attack.tobytes()


@settings(max_examples=20, deadline=None)
@given(
    lengths=st.lists(st.integers(0, 30_000), max_size=12),
    batch_size=st.integers(1, 7),
)
def test_blocks_and_batches_change_nothing(lengths: list[int], batch_size: int) -> None:
    """Bit for bit the same events, however the recording is cut and its windows are gathered."""
    encoder = FakeEncoder(window_s=0.3)
    whole = as_bytes(hear([PHRASE], RATE_HZ, CONFIG, encoder))
    blocks = cut_up(PHRASE, lengths)
    assert as_bytes(hear(blocks, RATE_HZ, CONFIG, encoder, batch_size=batch_size)) == whole


def test_events_come_while_the_recording_is_still_being_read() -> None:
    """Memory is bounded: what is encoded and over is given before the next block is asked for."""
    n_read = 0

    def blocks() -> Iterable[NDArray[np.float32]]:
        nonlocal n_read
        for block in cut_up(PHRASE, [4800] * 30):
            n_read += 1
            yield block

    events = hear(blocks(), RATE_HZ, CONFIG, FakeEncoder(), batch_size=1)
    next(iter(events))
    assert n_read <= 7  # the second onset, at 0.5 s, ends the first event


def test_an_event_that_is_not_over_is_left_out_unless_silence_ends_it() -> None:
    """A recording faded out in its last note."""
    cut_off = PHRASE[: round(1.7 * RATE_HZ)].copy()
    cut_off[-2400:] *= np.linspace(1, 0, 2400, dtype=np.float32)
    tail = np.zeros(round(TAIL_S * RATE_HZ), np.float32)
    assert len([*hear([cut_off], RATE_HZ, CONFIG, FakeEncoder())]) == 4
    assert len([*hear([cut_off, tail], RATE_HZ, CONFIG, FakeEncoder())]) == 5


@pytest.mark.parametrize("rate_hz", [8_000, 44_100, 192_000])
def test_other_rates_are_heard_too(rate_hz: int) -> None:
    """A pluck at any rate is one event, and its window holds its beginning and little else."""
    time_s = np.arange(3 * rate_hz) / rate_hz - 0.5
    pluck = (time_s >= 0) * np.exp(-8 * np.maximum(time_s, 0)) * np.sin(2 * np.pi * 440 * time_s)
    (event,) = hear(
        [(0.3 * pluck).astype(np.float32)], rate_hz, CONFIG, FakeEncoder(window_s=0.2, dim=4)
    )
    assert abs(event.attack["onset_frame"] / rate_hz - 0.5) < 0.01
    assert event.embedding[3] > 10 * event.embedding[:3].max()


def test_tokens_material_of_a_recording_is_finite_and_full(shared_data: Path) -> None:
    """Every onset of the drums that the listener finds becomes an embedding."""
    file = AudioFile(shared_data / "drums" / "Rock.flac")
    encoder = SpectralEncoder()
    blocks = file.blocks(file.rate_hz, tail_s=TAIL_S)
    events = [*hear(blocks, file.rate_hz, CONFIG, encoder)]
    lines = (shared_data / "drums" / "Rock.onsets.txt").read_text().split("\n")
    n_hits = len({line.split()[0] for line in lines if line.strip()})
    assert len(events) > n_hits / 2
    embeddings = np.stack([event.embedding for event in events])
    assert np.isfinite(embeddings).all()
    assert embeddings.any(axis=1).all()


def test_settings_out_of_range_are_named_before_anything_is_read() -> None:
    """The call itself raises, not the first event."""
    with pytest.raises(ValueError, match="batch_size is 0, needs at least 1"):
        hear([], RATE_HZ, CONFIG, FakeEncoder(), batch_size=0)
    with pytest.raises(ValueError, match="rate_hz"):
        hear([], 7_999, CONFIG, FakeEncoder())


def test_hearing_must_leave_the_listener_time() -> None:
    """What a memory heard is refused from listen_ms on, by the memory's name."""
    require_time_to_hear(25.9, 26.0, "solo.memory")
    with pytest.raises(SettingsError, match=r"solo\.memory hears 26 ms of a note"):
        require_time_to_hear(26.0, 26.0, "solo.memory")
