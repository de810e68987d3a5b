"""Small memories whose answers are known, for the tests of this package."""

import math
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from oracle.event import DIM_INDEX, EVENT_DIMS, Event, EventTracker, Note
from oracle.memory import Memory
from oracle.provenance import Provenance

REPOSITORY = Path(__file__).resolve().parents[2]
PROVENANCE = Provenance(
    encoder='{"name": "test", "revision": "1"}',
    listener={"heard_ms": 20.0},
    created="2025-01-01T00:00:00Z",
    program_version="0",
    sources=("one.wav",),
)


def make_event(token: int = 0, pitch: float = math.nan, index: int = 0, **dims: float) -> Event:
    """Give an event with these dimensions; its one note is its pitch, if it has one."""
    frame = np.full(len(EVENT_DIMS), np.nan, np.float32)
    frame[0] = token
    for name, value in dims.items():
        frame[DIM_INDEX[name]] = value
    notes = () if math.isnan(pitch) else (Note(round(pitch), 80, 0.25),)
    return Event(
        frame=frame,
        notes=notes,
        pitch=pitch,
        level_db=-20.0,
        velocity=80.0,
        onset_s=index / 4,
        duration_s=0.25,
    )


def blank(**dims: float) -> NDArray[np.float32]:
    """Give a frame in which only the dimensions named were heard."""
    frame = np.full(len(EVENT_DIMS), np.nan, np.float32)
    for name, value in dims.items():
        frame[DIM_INDEX[name]] = value
    return frame


def make_memory(events: Sequence[Event], n_tokens: int = 16, threshold: float = 0.3) -> Memory:
    """Learn events with a codebook whose centroids lie on a line, one apart."""
    centroids = np.arange(n_tokens, dtype=np.float32)[:, np.newaxis]
    return Memory.from_events(
        events, centroids=centroids, threshold=threshold, provenance=PROVENANCE
    )


def melody(pitches: Sequence[float], tokens: Sequence[int] | None = None) -> list[Event]:
    """Give a melody in even notes as the tracker hears it; its tokens are its pitch classes."""
    tracker, events = EventTracker(), []
    for index, pitch in enumerate(pitches):
        token = int(pitch) % 12 if tokens is None else tokens[index]
        frame = tracker.track(index / 4, pitch=pitch)
        frame[DIM_INDEX["gesture_token"]] = token
        events.append(
            Event(
                frame=frame,
                notes=(Note(round(pitch), 80, 0.25),),
                pitch=pitch,
                level_db=-20.0,
                velocity=80.0,
                onset_s=index / 4,
                duration_s=0.25,
            )
        )
    return events


def run_without_jit(script: str) -> str:
    """Run a script with numba switched off and return what it printed."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script],
        cwd=REPOSITORY,
        env={"NUMBA_DISABLE_JIT": "1", "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()
