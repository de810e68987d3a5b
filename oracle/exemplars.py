"""Exemplars: moments of the recordings a memory was learned from, cut out to be heard.

Runs where the caller is. Each recording is read once, from its start to its last moment wanted, and
never held whole. A recording that is no longer where it could be expected is not an error.
"""

import io
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from models.audio_file import AudioFile
from models.errors import ModelsError
from oracle.provenance import Provenance
from oracle.recordings import content_sha256

RATE_HZ: Final = 22_050
LEAD_S: Final = 0.02
SHORTEST_S: Final = 0.25
LONGEST_S: Final = 1.0
_FADE_S: Final = 0.01
_BLOCK_FRAMES: Final = 65_536


class Span(NamedTuple):
    """A moment of a recording."""

    begin_s: float
    end_s: float


def span_of(onset_s: float, duration_s: float) -> Span:
    """Give the moment in which an event can be heard: a little before it, and not too long."""
    length_s = min(max(duration_s, SHORTEST_S), LONGEST_S)
    return Span(max(0.0, onset_s - LEAD_S), onset_s + length_s)


def locate(
    provenance: Provenance, places: Iterable[Path], lasts_s: Mapping[int, float]
) -> dict[int, AudioFile]:
    """Find the recordings that a memory was learned from, by their place in its list.

    They are known by name and content. Where a memory has kept no hash, of a name that several
    recordings have only one that is long enough can be told to be meant; where there are more,
    none is taken.

    Parameters
    ----------
    provenance
        The memory's.
    places
        Recordings, or folders that are searched through and through.
    lasts_s
        When the last event of each source begins: what ends before is another recording.
    """
    named: dict[str, set[Path]] = {Path(source).name: set() for source in provenance.sources}
    for place in places:
        for path in place.rglob("*") if place.is_dir() else [place]:
            with suppress(OSError):  # in a folder that may be listed and not entered
                if path.name in named and path.is_file():
                    named[path.name].add(path.resolve())
    located = {}
    origins = zip(provenance.sources, provenance.source_sha256, strict=True)
    for index, (source, sha256) in enumerate(origins):
        there = sorted(named[Path(source).name])
        fitting = [
            file for path in there if (file := _if_meant(path, sha256, lasts_s.get(index, 0.0)))
        ]
        if len(fitting) == 1 or (fitting and sha256):
            located[index] = fitting[0]
    return located


def _if_meant(path: Path, sha256: str, lasts_s: float) -> AudioFile | None:
    """Open a file of the right name if its content is right, or else its length; or give None."""
    try:
        if sha256 and content_sha256(path) != sha256:
            return None
        file = AudioFile(path)
    except ModelsError:  # it cannot be read, or is no recording: then another one is meant
        return None
    is_long_enough = file.is_length_estimated or file.duration_s > lasts_s
    return file if sha256 or is_long_enough else None


def cut(file: AudioFile, spans: Iterable[Span]) -> Mapping[Span, bytes]:
    """Cut moments out of a recording, each a small FLAC file; what lies behind its end is left out.

    Raises
    ------
    AudioFileError
        The recording is damaged.
    """
    waiting = sorted(set(spans))
    pieces: dict[Span, list[NDArray[np.float32]]] = {span: [] for span in waiting}
    position = 0
    for block in file.blocks(_BLOCK_FRAMES):
        end = position + block.size
        for span in waiting:
            first, last = (round(moment_s * file.rate_hz) for moment_s in span)
            if first < end:
                pieces[span].append(block[max(0, first - position) : max(0, last - position)])
        waiting = [span for span in waiting if round(span.end_s * file.rate_hz) > end]
        if not waiting:
            break
        position = end
    return {
        span: _flac(np.concatenate(parts), file.rate_hz)
        for span, parts in pieces.items()
        if sum(part.size for part in parts)
    }


def _flac(frames: NDArray[np.float32], rate_hz: int) -> bytes:
    """Encode frames with soft ends, at no more than `RATE_HZ`."""
    if rate_hz > RATE_HZ:
        frames = soxr.resample(frames, rate_hz, RATE_HZ)
        rate_hz = RATE_HZ
    n_fade = min(round(_FADE_S * rate_hz), frames.size // 2)
    frames = frames.copy()
    ramp = np.linspace(0, 1, n_fade, dtype=np.float32)
    frames[:n_fade] *= ramp
    frames[frames.size - n_fade :] *= ramp[::-1]
    content = io.BytesIO()
    soundfile.write(content, frames, rate_hz, format="FLAC", subtype="PCM_16")
    return content.getvalue()
