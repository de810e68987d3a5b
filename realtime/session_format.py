"""Session format: how a kept performance lies in its folder.

Pure; the recorder's thread writes by it and `realtime.session` reads by it. The sound lies in two
FLAC files: the first is to be listened to, the second makes it exact. What happened is a line of
JSON each, its ``kind`` first; the memories are there as they were before the first note. What goes
on after a gap, as where a disk was full for a while, lies in files of the next part's number.
"""

import json
import math
from dataclasses import asdict
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from oracle.trace import Trace

VERSION: Final = 3
AUDIO: Final = "input.flac"
REST: Final = "input.rest.flac"
LINES: Final = "session.jsonl"
MIDI: Final = "output.mid"

FULL_SCALE: Final = 1 << 23
_N_CANDIDATES: Final = 16


def memory_name(place: int) -> str:
    """Give the file name of a memory: ``start.memory``, ``start-2.memory``, …."""
    return f"start-{place + 1}.memory" if place else "start.memory"


def part_name(name: str, number: int) -> str:
    """Give a file's name in a part: ``input.flac``, ``input-2.flac``, …."""
    stem, dot, suffix = name.partition(".")
    return f"{stem}-{number}{dot}{suffix}" if number > 1 else name


def split(frames: NDArray[np.float32]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Split float frames into whole steps of 24 bits, and what is left in steps as fine again.

    What came from a converter leaves nothing. A rounded sound would not do: where there is next to
    silence before an onset, the listener hears it begin at another frame.
    """
    scaled = frames.astype(np.float64) * FULL_SCALE
    steps = np.round(np.clip(scaled, -FULL_SCALE, FULL_SCALE - 1))
    rest = np.round(np.clip(scaled - steps, -0.5, 0.5) * FULL_SCALE)
    return steps.astype(np.int32), rest.astype(np.int32)


def joined(frames: NDArray[np.float32], rest: NDArray[np.float32]) -> NDArray[np.float32]:
    """Join what `split` gave, as it is read from a file: steps over `FULL_SCALE`."""
    return (frames + rest.astype(np.float64) / FULL_SCALE).astype(np.float32)


def line(kind: str, values: dict[str, Any]) -> str:
    """Write what happened as a line; records, traces and what numpy has counted may be in it."""
    return json.dumps({"kind": kind, **values}, default=_plain) + "\n"


def _plain(value: Any) -> Any:
    """Give what happened in JSON's terms."""
    if isinstance(value, np.void):
        return {name: _known(value[name].tolist()) for name in value.dtype.names or ()}
    if isinstance(value, Trace):
        return _trace(value)
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} has no form in a line")


def _known(value: Any) -> Any:
    """Write what is missing as null, as JSON has no NaN."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _trace(trace: Trace) -> dict[str, Any]:
    """Give what a step was asked, considered and chose; of many candidates the likeliest."""
    order = np.argsort(-trace.candidates["probability"], kind="stable")[:_N_CANDIDATES]
    return {
        "request": [asdict(criterion) for criterion in trace.criteria],
        "state": trace.state,
        "why": None if trace.why is None else trace.why.name.lower(),
        "transposition_semitones": trace.transposition_semitones,
        "quality": trace.quality,
        "relaxed": [list(relaxation) for relaxation in trace.relaxed],
        "n_candidates": len(trace.candidates),
        "candidates": [
            dict(zip(trace.candidates.dtype.names or (), row.tolist(), strict=True))
            for row in trace.candidates[order]
        ],
    }
