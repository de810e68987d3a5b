from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from models.audio_file import TAIL_S, AudioFile
from models.codebook import Codebook, CodebookConfig
from models.errors import AudioFileError
from models.hearing import Heard, hear
from oracle.checkpoint import Checkpoint
from oracle.errors import TrainingError
from oracle.learning import learn, learn_codebook, perplexity
from oracle.memory import Memory
from oracle.recordings import content_sha256, find_recordings
from oracle.train_config import TrainConfig, TrainingConfig
from oracle.training import Training
from tests.commands import N_NOTES, RATE_HZ, phrase, recorded
from tests.fakes import FakeEncoder

PITCHES = [57, 61, 64, 69, 64, 61, 57, 61]


def written(path: Path, audio: NDArray[np.float64], rate_hz: int = RATE_HZ) -> list[AudioFile]:
    """Record something."""
    soundfile.write(path, audio, rate_hz)
    return [AudioFile(path)]


def learned(files: list[AudioFile], **training: object) -> Memory:
    """Learn with a fake encoder."""
    memory, _ = learn(files, Training(encoder=FakeEncoder(), **training))  # type: ignore[arg-type]
    return memory


def pitches(memory: Memory) -> list[int]:
    """Give the pitches of all notes."""
    return [note.pitch for s in range(1, memory.n_events + 1) for note in memory.notes(s)]


def at_most(n: int) -> TrainConfig:
    """Want so many events."""
    return TrainConfig(training=TrainingConfig(max_events=n))


def test_silence_cannot_be_learned(tmp_path: Path) -> None:
    """The sentence names the first recordings, counts the others, and says what to try."""
    for i in range(5):
        written(tmp_path / f"{i}.wav", np.zeros(RATE_HZ))
    with pytest.raises(TrainingError, match=r"2\.wav and 2 more: the sound is missing or quieter"):
        learned([*find_recordings([tmp_path]).files])


def test_noise_without_a_note_cannot_be_learned(tmp_path: Path) -> None:
    """A memory with nothing to answer is none."""
    noise = np.random.default_rng(0).normal(0, 0.1, RATE_HZ)
    noise[: RATE_HZ // 2] = 0
    with pytest.raises(TrainingError, match="No note was heard"):
        learned(written(tmp_path / "noise.wav", noise))


def test_a_single_note_can_be_learned(tmp_path: Path) -> None:
    """One event, in a second, is a memory too, and what it lacks is told."""
    told: list[str] = []
    audio = phrase(n_notes=1)[:RATE_HZ]
    assert learned(written(tmp_path / "one.wav", audio), tell=told.append).n_events == 1
    assert len(told) == 2


def test_every_note_becomes_an_event(tmp_path: Path) -> None:
    """Eight plucks are eight states with a note each, at the right pitches."""
    memory = learned([AudioFile(recorded(tmp_path / "solo.wav"))])
    assert memory.n_events == N_NOTES
    assert pitches(memory) == PITCHES


@pytest.mark.parametrize("rate_hz", [44_100, 96_000])
def test_what_was_recorded_otherwise_is_heard_alike(tmp_path: Path, rate_hz: int) -> None:
    """In several channels, at a high rate, and clipped."""
    audio = np.clip(1.5 * phrase(rate_hz), -0.4, 0.4)[:, None] * [1.0, 0.9, 0.8]
    assert pitches(learned(written(tmp_path / "solo.wav", audio, rate_hz))) == PITCHES


def test_an_offset_is_a_click_where_the_recording_ends_and_nothing_else(tmp_path: Path) -> None:
    """The notes on top of it are what they are without."""
    memory = learned(written(tmp_path / "solo.wav", phrase() + 0.1))
    assert pitches(memory)[:N_NOTES] == PITCHES
    assert memory.n_events <= N_NOTES + 1


def test_each_event_knows_its_recording(tmp_path: Path) -> None:
    """Several recordings, at rates of their own, are one memory with provenance."""
    files = [recorded(tmp_path / "a.wav"), recorded(tmp_path / "b.flac", 48_000)]
    memory = learned([AudioFile(file) for file in files])
    sources = [memory.event(state).source for state in range(1, memory.n_events + 1)]
    assert sources == [0] * N_NOTES + [1] * N_NOTES
    assert memory.provenance.sources == ("a.wav", "b.flac")
    assert memory.provenance.source_sha256 == tuple(map(content_sha256, files))


def test_a_recording_that_changes_while_it_is_heard_is_left_out(tmp_path: Path) -> None:
    """What was heard of it is of no recording that there is."""
    recorded(tmp_path / "a.wav")
    file, takes = AudioFile(tmp_path / "a.wav"), written(tmp_path / "b.wav", phrase())

    def show(doing: str, done: float, total: float) -> None:
        if "a.wav" in doing:
            file.path.write_bytes(file.path.read_bytes() + b"more")

    training = Training(encoder=FakeEncoder(), show=show)
    memory, made = learn([file, *takes], training)
    assert memory.provenance.sources == ("b.wav",)
    damage = f"{file.path} changed while it was heard: learn it once more"
    assert made.material.damaged == [damage]


def test_what_is_wrong_with_a_recording_is_kept_beside_what_was_heard(tmp_path: Path) -> None:
    """Silent, too soft, clipped, off its zero line, or nothing; the same after a stop."""
    sounds = {
        "silent": np.zeros(RATE_HZ),
        "soft": 1e-5 * phrase(),
        "clipped": np.clip(20 * phrase(), -1, 1),
        "offset": phrase() + 0.05,
        "sound": phrase(),
    }
    files = [file for name in sounds for file in written(tmp_path / f"{name}.wav", sounds[name])]
    (tmp_path / "kept").mkdir()
    for _ in range(2):
        training = Training(encoder=FakeEncoder(), checkpoint=Checkpoint(tmp_path / "kept"))
        memory, made = learn(files, training)
        wrong = {recording.path.stem: recording.wrong for recording in made.material.recordings}
        assert wrong["silent"].startswith("Every sample is 0")
        assert "below [listener] gate_dbfs" in wrong["soft"]
        assert wrong["clipped"].startswith("The input clips (")
        assert "off its zero line by +0.05" in wrong["offset"]
        assert wrong["sound"] == ""
    assert {event.source for event in map(memory.event, range(1, memory.n_events + 1))} == {2, 3, 4}


def test_a_damaged_one_among_several_is_left_out_whole(tmp_path: Path) -> None:
    """Nothing of what was heard before the damage is learned."""
    for name in ("a.flac", "b.flac"):
        recorded(tmp_path / name)
    whole = (tmp_path / "a.flac").read_bytes()
    (tmp_path / "a.flac").write_bytes(whole[: len(whole) // 2])
    memory, made = learn(find_recordings([tmp_path]).files, Training(encoder=FakeEncoder()))
    assert memory.provenance.sources == ("b.flac",)
    assert pitches(memory) == PITCHES
    assert [str(tmp_path / "a.flac") in why for why in made.material.damaged] == [True]
    with pytest.raises(AudioFileError, match=r"a\.flac .* export it anew"):
        learned([AudioFile(tmp_path / "a.flac")])


def test_no_more_events_are_learned_than_are_wanted(tmp_path: Path) -> None:
    """The first ones, and what is not needed is not even heard."""
    told: list[str] = []
    files = [AudioFile(recorded(tmp_path / name)) for name in ("a.wav", "b.wav", "c.wav")]
    memory = learned(files, config=at_most(11), tell=told.append)
    assert pitches(memory) == PITCHES + PITCHES[:3]
    assert memory.provenance.sources == ("a.wav", "b.wav")
    assert "11 events were wanted: 1 of 3 recordings were not heard" in told


def test_progress_reaches_the_end(tmp_path: Path) -> None:
    """Each stage is shown, and what is heard, up to the end of the recording and its tail."""
    shown: list[tuple[str, float, float]] = []
    file = AudioFile(recorded(tmp_path / "solo.wav"))
    learned([file], show=lambda *what: shown.append(what))
    assert [*dict.fromkeys(doing for doing, _, _ in shown)] == [
        "hearing solo.wav (1 of 1)",
        "finding gestures",
        "making events",
        "finding repeats",
    ]
    heard = [(done, total) for doing, done, total in shown if doing.startswith("hearing")]
    assert heard[-1] == pytest.approx((4.0 + TAIL_S, 4.0 + TAIL_S))


def test_given_gestures_are_used(tmp_path: Path) -> None:
    """Two memories with one codebook call the same sound by the same token."""
    files = [AudioFile(recorded(tmp_path / name, rate)) for name, rate in (("a.wav", RATE_HZ),)]
    training = Training(
        encoder=FakeEncoder(), config=TrainConfig(codebook=CodebookConfig(n_tokens=2))
    )
    codebook = learn_codebook(files * 2, training).codebook
    assert codebook.n_tokens == 2
    one, _ = learn(files, training, codebook)
    two, _ = learn(files * 2, training, codebook)
    assert one.codebook_sha256 == two.codebook_sha256
    assert np.array_equal(two.tokens, np.tile(one.tokens, 2))
    assert set(one.tokens) == {0, 1}


class Killed(BaseException):
    """Ends a training at once, as a kill does."""


STOPS = [("hear", 0), ("hear", 1), ("train_codebook", 0), ("find_threshold", 0), ("from_events", 0)]


@pytest.mark.parametrize(("stage", "n_before"), STOPS)
def test_stopped_at_any_stage_and_gone_on_with_it_is_the_same_to_the_byte(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stage: str, n_before: int
) -> None:
    """And what was made is not made again."""
    files = [AudioFile(recorded(tmp_path / f"{i}.wav", 16_000 + 8000 * i)) for i in range(3)]
    undisturbed, encoder = FakeEncoder(), FakeEncoder()
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "0")
    learn(files, Training(encoder=undisturbed))[0].save(tmp_path / "undisturbed.memory")

    checkpoint = Checkpoint(tmp_path / "kept")
    checkpoint.folder.mkdir()  # type: ignore[union-attr]
    training = Training(encoder=encoder, checkpoint=checkpoint)
    where = {"hear": "oracle.material.hear", "from_events": "oracle.memory.Memory.from_events"}
    calls = iter(range(10))

    def kill(*arguments: Any, **settings: Any) -> Iterator[Heard]:
        if next(calls) == n_before:
            raise Killed
        return hear(*arguments, **settings)

    with monkeypatch.context() as patched:
        patched.setattr(where.get(stage, f"oracle.learning.{stage}"), kill)
        with pytest.raises(Killed):
            learn(files, training)
    learn(files, training)[0].save(tmp_path / "resumed.memory")
    bytes_of = [(tmp_path / f"{name}.memory").read_bytes() for name in ("undisturbed", "resumed")]
    assert bytes_of[0] == bytes_of[1]
    assert encoder.n_windows_seen == undisturbed.n_windows_seen


def test_what_was_heard_is_of_use_to_another_training(tmp_path: Path) -> None:
    """Another codebook, one more recording: only what is new is heard."""
    files = [AudioFile(recorded(tmp_path / f"{i}.wav", 16_000 + 8000 * i)) for i in range(2)]
    (tmp_path / "kept").mkdir()
    told: list[str] = []
    encoder = FakeEncoder()
    training = Training(encoder=encoder, checkpoint=Checkpoint(tmp_path / "kept"), tell=told.append)
    learn(files[:1], training)
    assert not any("goes on" in said for said in told)
    n_seen = encoder.n_windows_seen
    learn(files, training, Codebook(np.eye(8, dtype=np.float32)))
    assert encoder.n_windows_seen == 2 * n_seen
    assert "An earlier training goes on: it had heard 1 of 2 recordings" in told


def test_perplexity_counts_equal_shares() -> None:
    """Four gestures equally often are four, one alone is one."""
    assert perplexity([1, 2, 3, 4]) == pytest.approx(4.0)
    assert perplexity([7, 7, 7]) == pytest.approx(1.0)
    assert 1 < perplexity([1, 1, 1, 2]) < 2
