"""The listener's settings and memory, and the record it writes of an event.

Everything is arrays and plain numbers in one `NamedTuple`, so that a kernel without the interpreter
can be handed it. Built by whichever thread builds the listener; touched afterwards only by the one
that hears.
"""

import math
from dataclasses import dataclass, fields
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.first_frame import FirstFrameState, first_frame_state
from models.melody import MelodyState, melody_state
from models.onset import FRAMES_PER_S, OnsetState, onset_state
from models.roughness import RoughnessState, roughness_state
from models.sonority import SonorityState, sonority_state
from models.spectrum import FourierTables, fourier_tables

ATTACK: Final = 0
BODY: Final = 1
"""Kinds of record: what could be heard by decision time, and what was known when it was over."""
IDLE: Final = 0
ATTACK_DUE: Final = 1
SOUNDING: Final = 2
"""Phases: no event, one whose ATTACK is not due yet, one whose ATTACK is out."""

MAX_NOTES: Final = 4

EVENT_DTYPE: Final = np.dtype(
    [
        ("index", np.int64),
        ("kind", np.int64),
        ("onset_frame", np.int64),
        ("decision_frame", np.int64),
        ("duration_frames", np.int64),
        ("strength", np.float32),
        ("pitch", np.float32),
        ("clarity", np.float32),
        ("level_db", np.float32),
        ("velocity", np.float32),
        ("chroma", np.float32, (12,)),
        ("roughness", np.float32),
        ("n_notes", np.int64),
        ("note_pitch", np.int16, (MAX_NOTES,)),
        ("note_velocity", np.int16, (MAX_NOTES,)),
        ("popped_ns", np.int64),
        ("published_ns", np.int64),
    ]
)
"""One record of the listener, packed, so that equal records are equal bytes.

index              of the event, from 0; its ATTACK and its BODY share it
kind               ATTACK or BODY
onset_frame        first frame of the onset, counted from the first frame ever heard
decision_frame     first frame this record has not heard
duration_frames    of the event; 0 in an ATTACK
strength           spectral flux, mean rise of log₁₀ per band; 0 where only the pitch moved
pitch              fractional MIDI pitch of the one voice, else of the most salient note, else NaN
clarity            0…1, McLeod's, of the attack or averaged over the body
level_db           dBFS RMS, of the attack or of the loudest 23 ms
velocity           1…127, from the level below forte: the loudest so far, at first −12 dBFS
chroma             sums to 1 over the pitch classes from C, or all 0 where nothing is tonal, or an
                   ATTACK cannot tell yet; nor can it then tell a pitch or notes
roughness          Hutchinson & Knopoff's, of a BODY's first 186 ms; NaN in an ATTACK, in less than
                   60 ms of sound, where nothing is tonal, lies within 50…5000 Hz, or one clear
                   voice has moved in pitch
n_notes            how many of `note_pitch`, `note_velocity` hold a note, the most salient first
popped_ns          0 here, as is `published_ns`: stamped by whoever carries the record
"""

_LIVE_DTYPE = np.dtype(
    [
        ("position", np.int64),  # frames heard
        ("offset", np.float64),  # the constant in them
        ("hop_index", np.int64),
        ("next_hop_frame", np.int64),
        ("phase", np.int64),
        ("attack_frame", np.int64),  # where the ATTACK is due
        ("last_onset_frame", np.int64),  # where the last onset was detected
        ("is_body_heard", np.int64),  # whether 93 ms of the event are in
        ("is_roughness_heard", np.int64),  # and 186 ms
        ("n_tracked", np.int64),  # pitch tracks within the event, and the sum of their clarity
        ("clarity_sum", np.float64),
        ("peak_level_db", np.float64),  # of the event
        ("loudest_db", np.float64),  # of the recent past
        ("quietest_db", np.float64),
        ("forte_db", np.float64),  # the level that velocity is measured from
        ("flatness", np.float64),  # of the event's spectrum
    ],
    align=True,
)

OFFSET_HZ = 1.0
"""What moves slower is a constant offset."""
FIRST_FORTE_DBFS = -12.0
"""Before anything louder was heard; with it velocities correlate by .87 with the take's score."""

_RANGES = {
    "heard_ms": (1.0, 100.0),
    "threshold": (0.0, 10.0),
    "refractory_ms": (5.0, 1000.0),
    "gate_dbfs": (-150.0, 0.0),
    "margin_db": (0.0, 60.0),
    "range_db": (1.0, 150.0),
    "release_db": (1.0, 150.0),
    "max_event_s": (0.1, 60.0),
    "clarity": (0.0, 1.0),
    "tonal_clarity": (0.0, 1.0),
    "tonal_flatness": (0.0, 1.0),
    "note_share": (0.0, 1.0),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenerConfig:
    """What the listener is asked to hear. The defaults serve all material.

    Parameters
    ----------
    heard_ms
        How much of an event has sounded when its ATTACK is published, 1…100.
    threshold
        Flux above what the recent past explains that makes an onset, in log₁₀ per band.
    refractory_ms
        Onsets closer than this are one event; never less than `heard_ms`.
    gate_dbfs
        Sound below this RMS level begins no event and ends one.
    margin_db
        An onset is so much louder than the quietest of the recent past: noise of the room is not.
    range_db
        An onset is at most so much quieter than the loudest of the recent past.
    release_db
        An event is over when it has decayed this far below its loudest.
    max_event_s
        An event is at most this long.
    clarity
        From this McLeod clarity on, the sound is one voice and has that pitch.
    tonal_clarity, tonal_flatness
        Less clear than the one and of a spectrum flatter than the other, it has no pitch at all;
        in between, its notes are those of its spectrum.
    note_share
        A further note must be at least this salient relative to the first.

    Raises
    ------
    ValueError
        If a value is outside its range.
    """

    heard_ms: float = 12.0
    threshold: float = 0.007
    refractory_ms: float = 40.0
    gate_dbfs: float = -85.0
    margin_db: float = 4.0
    range_db: float = 36.0
    release_db: float = 30.0
    max_event_s: float = 4.0
    clarity: float = 0.95
    tonal_clarity: float = 0.55
    tonal_flatness: float = 0.005
    note_share: float = 0.5

    def __post_init__(self) -> None:
        for field in fields(self):
            low, high = _RANGES[field.name]
            value = getattr(self, field.name)
            if not low <= value <= high:
                raise ValueError(f"{field.name} must be within {low:g}…{high:g}, got {value}")


class ListenerState(NamedTuple):
    """Everything the listener knows, as arrays and numbers."""

    history: NDArray[np.float64]  # ring of the newest frames, a power of two
    live: NDArray[np.void]  # [shape=(1,)] the few numbers that change
    event: NDArray[np.void]  # [shape=(1,), EVENT_DTYPE] the event being heard
    onset: OnsetState
    first_frame: FirstFrameState
    melody: MelodyState
    votes: NDArray[np.float64]  # [shape=(2, 128)] count and sum of an event's clear pitches
    long: FourierTables  # 93 ms
    sonority: SonorityState
    roughness: RoughnessState  # 186 ms
    rate_hz: float
    offset_share: float  # by which the offset follows a frame
    hop_frames: float
    heard_frames: int
    refractory_frames: int
    max_event_frames: int
    threshold: float
    gate_dbfs: float
    margin_db: float
    range_db: float
    release_db: float
    clarity: float
    tonal_clarity: float
    tonal_flatness: float
    note_share: float


def listener_state(rate_hz: float, config: ListenerConfig) -> ListenerState:
    """Precompute the tables for one rate and stand before the first frame."""
    onset = onset_state(rate_hz, floor_dbfs=config.gate_dbfs)
    n_fft = onset.window.size
    heard_frames = max(1, round(config.heard_ms * 1e-3 * rate_hz))
    oldest_read = 4 * n_fft + 2 * max(heard_frames, n_fft)  # the longest windows and the way there
    live = np.zeros(1, _LIVE_DTYPE)
    live["next_hop_frame"] = round(rate_hz / FRAMES_PER_S)
    live["last_onset_frame"] = -(1 << 40)
    live["loudest_db"] = config.gate_dbfs
    live["quietest_db"] = config.gate_dbfs
    live["forte_db"] = FIRST_FORTE_DBFS
    return ListenerState(
        history=np.zeros(1 << (oldest_read - 1).bit_length()),
        live=live,
        event=np.zeros(1, EVENT_DTYPE),
        onset=onset,
        first_frame=first_frame_state(rate_hz, n_fft // 2),
        melody=melody_state(),
        votes=np.zeros((2, 128)),
        long=fourier_tables(2 * n_fft),
        sonority=sonority_state(2 * n_fft, MAX_NOTES),
        roughness=roughness_state(4 * n_fft),
        rate_hz=rate_hz,
        offset_share=1.0 - math.exp(-2.0 * math.pi * OFFSET_HZ / rate_hz),
        hop_frames=rate_hz / FRAMES_PER_S,
        heard_frames=heard_frames,
        refractory_frames=max(heard_frames, round(config.refractory_ms * 1e-3 * rate_hz)),
        max_event_frames=round(config.max_event_s * rate_hz),
        threshold=config.threshold,
        gate_dbfs=config.gate_dbfs,
        margin_db=config.margin_db,
        range_db=config.range_db,
        release_db=config.release_db,
        clarity=config.clarity,
        tonal_clarity=config.tonal_clarity,
        tonal_flatness=config.tonal_flatness,
        note_share=config.note_share,
    )
