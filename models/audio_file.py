"""A recording on disk, streamed as mono blocks.

Training and the file input of a performance read recordings through this one class, so both get
the same frames. It runs in whichever thread reads it, holds one block at a time however long the
recording is, and never resamples or normalises.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final, Literal

import numpy as np
import soundfile
from numpy.typing import NDArray

from models.errors import AudioFileError
from models.limits import MAX_CHANNELS, MAX_MAGNITUDE, MAX_RATE_HZ, MIN_RATE_HZ

Channel = int | Literal["mix"]

SUFFIXES: Final = (
    ".aif", ".aifc", ".aiff", ".au", ".bwf", ".caf", ".flac",
    ".mp3", ".oga", ".ogg", ".opus", ".rf64", ".w64", ".wav",
)  # fmt: skip
"""How the names of recordings end, in lower case; what else libsndfile reads can be named too."""

TAIL_S = 1.0
"""Silence to append to a recording so that its last note is heard out."""


class ForwardFile(soundfile.SoundFile):
    """A SoundFile that only reads on.

    soundfile seeks to where it already is after every read. In MP3 that loses the decoder's bit
    reservoir: read in blocks of 1000 frames, a quiet passage at a variable bit rate is silent.
    """

    def seekable(self) -> bool:
        """Tell soundfile not to seek."""
        return False


class AudioFile:
    """One recording, in any format and rate that libsndfile reads.

    Opening reads the header only; every call of `blocks` reads the file anew.

    Parameters
    ----------
    path
        WAV, FLAC, Ogg, MP3, AIFF, …

    Attributes
    ----------
    path : Path
    rate_hz : int
    n_channels : int
    n_frames : int
        As the header has it; a WAV or AIFF file that was cut off counts what is left of it.
    is_length_estimated : bool
        Whether that is an estimate, as in MP3 (libsndfile's issue 1001).

    Raises
    ------
    AudioFileError
        No such file, not audio, no frames, or a rate or number of channels out of range.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        if not self.path.is_file():
            raise AudioFileError(f"{self.path} is not a file: check the name of the recording")
        with self._open() as file:
            self.rate_hz: int = file.samplerate
            self.n_channels: int = file.channels
            self.n_frames: int = file.frames
            self.is_length_estimated = file.format == "MP3"
        if not MIN_RATE_HZ <= self.rate_hz <= MAX_RATE_HZ:
            raise AudioFileError(
                f"{self.path} has a rate of {self.rate_hz} Hz: "
                f"convert it to one from {MIN_RATE_HZ} to {MAX_RATE_HZ} Hz"
            )
        if not 1 <= self.n_channels <= MAX_CHANNELS:
            raise AudioFileError(
                f"{self.path} has {self.n_channels} channels: mix it down to at most {MAX_CHANNELS}"
            )
        if self.n_frames < 1:
            raise AudioFileError(f"{self.path} holds no audio: choose another recording")

    @property
    def duration_s(self) -> float:
        """Length of the recording in seconds."""
        return self.n_frames / self.rate_hz

    def blocks(
        self, block_frames: int, channel: Channel = "mix", *, tail_s: float = 0.0
    ) -> Iterator[NDArray[np.float32]]:
        """Read the recording from its start.

        Parameters
        ----------
        block_frames
            Frames in a block, at least 1; the last block may be shorter.
        channel
            ``"mix"`` for the mean of all channels, or one channel counted from 1.
        tail_s
            Seconds of silence after the last frame.

        Yields
        ------
        ndarray[shape=(n,), float32]
            Contiguous and the caller's own; full scale is ±1.

        Raises
        ------
        ValueError
            A block below 1 frame, a negative tail, or a channel that is neither ``"mix"`` nor ≥ 1.
        AudioFileError
            The recording lacks the channel, is damaged, ends early, or holds NaN or values that
            are no audio. Blocks before the damage have been given by then.
        """
        if block_frames < 1:
            raise ValueError(f"block_frames is {block_frames}, needs at least 1")
        if not tail_s >= 0.0:
            raise ValueError(f"tail_s is {tail_s}, needs 0 or more")
        if channel != "mix" and not (isinstance(channel, int) and channel >= 1):
            raise ValueError(f'channel is {channel!r}, needs "mix" or a number from 1')
        if channel != "mix" and channel > self.n_channels:
            raise AudioFileError(
                f"{self.path} has no channel {channel}: choose one from 1 to {self.n_channels}"
            )
        return self._stream(block_frames, channel, round(tail_s * self.rate_hz))

    def _stream(
        self, block_frames: int, channel: Channel, tail_frames: int
    ) -> Iterator[NDArray[np.float32]]:
        position = 0
        with self._open() as file:
            while len(block := self._read(file, block_frames, position, channel)) == block_frames:
                yield block
                position += block_frames
        if position + len(block) < self.n_frames and not self.is_length_estimated:
            at_s = (position + len(block)) / self.rate_hz
            raise AudioFileError(f"{self.path} breaks off at {at_s:.1f} s: export it anew")
        n_left = len(block) + tail_frames
        while n_left > 0:
            block = np.pad(block, (0, min(block_frames, n_left) - len(block)))
            yield block
            n_left -= len(block)
            block = block[:0]

    def _open(self) -> soundfile.SoundFile:
        try:
            return ForwardFile(self.path)
        # TypeError is what soundfile says of headerless .raw files
        except (soundfile.LibsndfileError, OSError, TypeError) as error:
            raise AudioFileError(
                f"{self.path} cannot be read as audio: convert it to WAV or FLAC"
            ) from error

    def _read(
        self, file: soundfile.SoundFile, n_frames: int, position: int, channel: Channel
    ) -> NDArray[np.float32]:
        at = f"at {position / self.rate_hz:.1f} s"
        try:
            frames: NDArray[np.float32] = file.read(n_frames, dtype="float32", always_2d=True)
        except soundfile.LibsndfileError as error:
            raise AudioFileError(f"{self.path} is damaged {at}: export it anew") from error
        mono = frames.mean(axis=1) if channel == "mix" else frames[:, channel - 1].copy()
        # written so that NaN fails too
        if not np.abs(mono).max(initial=0.0) <= MAX_MAGNITUDE:
            raise AudioFileError(f"{self.path} holds values {at} that are no audio: export it anew")
        return mono
