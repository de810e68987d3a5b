from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.audio_file import TAIL_S, AudioFile
from models.errors import AudioFileError
from models.limits import MAX_CHANNELS

RATE_HZ = 48_000


def tone(n_frames: int, rate_hz: int = RATE_HZ) -> NDArray[np.float32]:
    """Give a 440 Hz sine at half of full scale."""
    return (0.5 * np.sin(2 * np.pi * 440 * np.arange(n_frames) / rate_hz)).astype(np.float32)


def write(path: Path, frames: NDArray[np.float32], rate_hz: int = RATE_HZ) -> Path:
    """Write a file in the format its suffix names; floats stay floats in WAV."""
    soundfile.write(path, frames, rate_hz, subtype="FLOAT" if path.suffix == ".wav" else None)
    return path


def read(path: Path, tail_s: float = 0.0) -> NDArray[np.float32]:
    """Join the blocks of a file."""
    return np.concatenate(list(AudioFile(path).blocks(1000, tail_s=tail_s)))


def test_a_file_of_one_frame_is_one_block_of_one_frame(tmp_path: Path) -> None:
    """The shortest recording there is, is one."""
    path = write(tmp_path / "one.wav", np.array([0.25], np.float32))
    assert [block.tolist() for block in AudioFile(path).blocks(64)] == [[0.25]]


def test_the_last_block_is_as_long_as_what_is_left(tmp_path: Path) -> None:
    """Blocks are full but for the last."""
    path = write(tmp_path / "a.wav", tone(250))
    assert [len(block) for block in AudioFile(path).blocks(100)] == [100, 100, 50]


def test_the_tail_is_silence_after_the_last_frame(tmp_path: Path) -> None:
    """Nothing of the recording is lost to the tail, and no block is cut where it begins."""
    sound = tone(1050)
    path = write(tmp_path / "a.wav", sound)
    frames = read(path, tail_s=TAIL_S)
    assert len(frames) == 1050 + round(TAIL_S * RATE_HZ)
    assert np.array_equal(frames[:1050], sound)
    assert not frames[1050:].any()


@given(block_frames=st.integers(1, 700), tail_frames=st.integers(0, 300))
def test_how_it_is_cut_into_blocks_changes_no_frame(
    tmp_path_factory: pytest.TempPathFactory, block_frames: int, tail_frames: int
) -> None:
    """Any block length gives the same stream, at stereo too."""
    path = tmp_path_factory.getbasetemp() / "cut.wav"
    if not path.exists():
        write(path, np.stack([tone(601), tone(602)[1:]], axis=1))
    tail_s = tail_frames / RATE_HZ
    whole = np.concatenate(list(AudioFile(path).blocks(10_000, tail_s=tail_s)))
    cut = np.concatenate(list(AudioFile(path).blocks(block_frames, tail_s=tail_s)))
    assert np.array_equal(whole, cut)
    assert len(whole) == 601 + tail_frames


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".ogg", ".mp3", ".aiff"])
def test_every_usual_format_is_read(tmp_path: Path, suffix: str) -> None:
    """The tone comes back in place and as long as it was written, in blocks of any length."""
    sound = tone(RATE_HZ)
    path = write(tmp_path / f"a{suffix}", sound)
    file = AudioFile(path)
    frames = read(path)
    assert (file.rate_hz, file.n_channels, file.n_frames) == (RATE_HZ, 1, RATE_HZ)
    assert file.duration_s == 1.0
    assert frames.dtype == np.float32
    assert len(frames) == RATE_HZ
    assert np.abs(frames - sound).max() < (0.02 if suffix in {".ogg", ".mp3"} else 2**-15)


@pytest.mark.parametrize("rate_hz", [8_000, 44_100, 96_000, 192_000])
def test_rates_from_8_to_192_khz_are_read(tmp_path: Path, rate_hz: int) -> None:
    """The bounds belong to the range."""
    assert AudioFile(write(tmp_path / "a.wav", tone(100), rate_hz)).rate_hz == rate_hz


@pytest.mark.parametrize("n_channels", [1, 2, 5, MAX_CHANNELS])
def test_the_mix_is_the_mean_and_a_channel_is_itself(tmp_path: Path, n_channels: int) -> None:
    """Channel c of the file holds the constant c/64."""
    levels = np.arange(1, n_channels + 1, dtype=np.float32) / 64
    path = write(tmp_path / "a.wav", np.tile(levels, (100, 1)))
    file = AudioFile(path)
    assert np.allclose(next(file.blocks(100)), levels.mean(), rtol=1e-6)
    for channel in range(1, n_channels + 1):
        block = next(file.blocks(100, channel))
        assert block.flags.c_contiguous
        assert (block == levels[channel - 1]).all()


def test_a_file_can_be_read_again(tmp_path: Path) -> None:
    """Each call of blocks starts at the first frame."""
    file = AudioFile(write(tmp_path / "a.wav", tone(100)))
    assert np.array_equal(next(file.blocks(50)), next(file.blocks(50)))


def test_a_recording_whose_header_overstates_it_is_read_to_its_end(shared_data: Path) -> None:
    """An MP3 of the world: its estimated length is 26 ms too long, and that is no damage."""
    file = AudioFile(shared_data / "piano" / "mozart_k265_var1.mp3")
    n_frames = sum(len(block) for block in file.blocks(4096))
    assert 0 < file.n_frames - n_frames < 0.05 * file.rate_hz


def test_a_missing_file_is_refused_by_name(tmp_path: Path) -> None:
    """The sentence names the path."""
    with pytest.raises(AudioFileError, match=r"gone\.wav is not a file"):
        AudioFile(tmp_path / "gone.wav")


def test_a_folder_is_refused(tmp_path: Path) -> None:
    """A folder is no recording."""
    with pytest.raises(AudioFileError, match="is not a file"):
        AudioFile(tmp_path)


@pytest.mark.parametrize("content", [b"", b"this is no audio" * 100])
@pytest.mark.parametrize("suffix", [".wav", ".raw", ".txt"])
def test_what_is_not_audio_is_refused(tmp_path: Path, content: bytes, suffix: str) -> None:
    """Empty files, text and headerless bytes get the same sentence."""
    path = tmp_path / f"a{suffix}"
    path.write_bytes(content)
    with pytest.raises(AudioFileError, match="cannot be read as audio: convert it"):
        AudioFile(path)


def test_a_file_of_no_frames_is_refused(tmp_path: Path) -> None:
    """A header alone is no recording."""
    with pytest.raises(AudioFileError, match="holds no audio"):
        AudioFile(write(tmp_path / "a.wav", tone(0)))


@pytest.mark.parametrize("rate_hz", [7_999, 192_001, 384_000])
def test_other_rates_are_refused(tmp_path: Path, rate_hz: int) -> None:
    """The sentence names the rate and the range."""
    with pytest.raises(AudioFileError, match=f"{rate_hz} Hz: convert it to one from 8000"):
        AudioFile(write(tmp_path / "a.wav", tone(100), rate_hz))


def test_33_channels_are_refused(tmp_path: Path) -> None:
    """One more than there may be."""
    with pytest.raises(AudioFileError, match="33 channels: mix it down to at most 32"):
        AudioFile(write(tmp_path / "a.wav", np.zeros((10, 33), np.float32)))


def test_a_channel_the_file_lacks_is_refused_before_reading(tmp_path: Path) -> None:
    """The call itself raises, not the first block."""
    file = AudioFile(write(tmp_path / "a.wav", np.zeros((10, 2), np.float32)))
    with pytest.raises(AudioFileError, match="no channel 3: choose one from 1 to 2"):
        file.blocks(10, 3)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 8.001, 32_767.0])
def test_values_that_are_no_audio_are_refused_where_they_are(tmp_path: Path, value: float) -> None:
    """The blocks before are given; the sentence names the second."""
    frames = tone(2 * RATE_HZ)
    frames[RATE_HZ + 5] = value
    blocks = AudioFile(write(tmp_path / "a.wav", frames)).blocks(RATE_HZ)
    assert np.array_equal(next(blocks), frames[:RATE_HZ])
    with pytest.raises(AudioFileError, match=r"values at 1\.0 s that are no audio"):
        next(blocks)


def test_nan_in_another_channel_does_no_harm(tmp_path: Path) -> None:
    """A broken second channel does not silence the first."""
    frames = np.stack([tone(100), np.full(100, np.nan, np.float32)], axis=1)
    file = AudioFile(write(tmp_path / "a.wav", frames))
    assert np.array_equal(next(file.blocks(100, 1)), tone(100))


def damage(path: Path) -> Path:
    """Overwrite 2000 bytes in the middle with noise."""
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 2000] = np.random.default_rng(0).bytes(2000)
    path.write_bytes(content)
    return path


def cut_off(path: Path) -> Path:
    """Write ten seconds and keep the first six tenths of the bytes."""
    write(path, tone(10 * RATE_HZ))
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    return path


def test_a_file_cut_off_is_refused_where_it_ends(tmp_path: Path) -> None:
    """FLAC's header knows how long the recording should have been."""
    with pytest.raises(AudioFileError, match=r"is damaged at [3-6]\.\d s"):
        read(cut_off(tmp_path / "a.flac"))


@pytest.mark.parametrize("suffix", [".wav", ".aiff", ".ogg", ".mp3"])
def test_a_file_cut_off_is_read_as_far_as_it_goes(tmp_path: Path, suffix: str) -> None:
    """Where the format does not know its length for sure, what is left is the recording."""
    assert 4 * RATE_HZ < len(read(cut_off(tmp_path / f"a{suffix}"))) < 7 * RATE_HZ


def test_a_recording_that_ends_before_its_header_says_is_refused(tmp_path: Path) -> None:
    """An Ogg file damaged in the middle just stops there."""
    path = damage(write(tmp_path / "a.ogg", tone(10 * RATE_HZ)))
    with pytest.raises(AudioFileError, match=r"a\.ogg breaks off at [3-7]\.\d s"):
        read(path)


def test_damage_in_the_middle_is_refused_where_it_is(tmp_path: Path) -> None:
    """FLAC knows its own checksums."""
    path = damage(write(tmp_path / "a.flac", tone(10 * RATE_HZ)))
    with pytest.raises(AudioFileError, match=r"a\.flac is damaged at"):
        read(path)


def test_settings_out_of_range_are_named(tmp_path: Path) -> None:
    """Name, value, need."""
    file = AudioFile(write(tmp_path / "a.wav", tone(10)))
    with pytest.raises(ValueError, match="block_frames is 0, needs at least 1"):
        file.blocks(0)
    with pytest.raises(ValueError, match=r"tail_s is -1\.0, needs 0 or more"):
        file.blocks(10, tail_s=-1.0)
    with pytest.raises(ValueError, match="tail_s is nan"):
        file.blocks(10, tail_s=float("nan"))
    with pytest.raises(ValueError, match="channel is 0, needs"):
        file.blocks(10, 0)
