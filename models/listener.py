"""The listener: frames in, events out, causally, in one compiled call.

An event is an onset with what is heard of it: an ATTACK record as soon as `heard_ms` of it have sounded, a
BODY record once it is over. Whichever thread owns the listener runs it (live, the listener thread, which calls
`hear_kernel` without the interpreter). It never allocates while hearing, never looks at a clock, and
its answer depends on the frames alone, not on how they were cut into calls.
"""

from dataclasses import dataclass, fields
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from models.onset import (
    FRAMES_PER_S,
    OnsetState,
    _first_frame,
    _is_peak,
    _superflux,
    onset_state,
)
from models.pitch import _mcleod
from models.sonority import SonorityState, _chroma, _magnitudes, _salient_notes, sonority_state
from models.spectrum import FourierTables, fourier_tables

ATTACK, BODY = 0, 1
"""Kinds of record: what could be heard by decision time, and what was known when it was over."""

LOWEST_RATE_HZ, HIGHEST_RATE_HZ = 8000.0, 192000.0
MAX_NOTES = 4
SAMPLE_LIMIT = 8.0
"""Samples are limited to ±8 (18 dB above full scale); what is not finite counts as 0."""

EVENT_DTYPE = np.dtype(
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
        ("n_notes", np.int64),
        ("note_pitch", np.int16, (MAX_NOTES,)),
        ("note_velocity", np.int16, (MAX_NOTES,)),
        ("popped_ns", np.int64),
        ("published_ns", np.int64),
    ]
)
"""One record of the listener.

`onset_frame` is the first frame of the onset, `decision_frame` the first frame the record has not heard
(absolute positions); `duration_frames` is 0 in an ATTACK; `strength` is the spectral flux (0 if the pitch
changed without any); `pitch` a fractional MIDI pitch, NaN if none is clear, `clarity` 0…1; `level_db` RMS in
dBFS; `velocity` 1…127; `chroma` sums to 1 or is all 0; the first `n_notes` of `note_pitch`, `note_velocity`
are the notes. `popped_ns`, `published_ns` are 0 here and stamped by whoever carries the record. Packed: equal records are equal bytes.
"""

_LIVE_DTYPE = np.dtype(
    [
        ("position", np.int64),
        ("hop_index", np.int64),
        ("next_hop_frame", np.int64),
        ("phase", np.int64),
        ("attack_frame", np.int64),
        ("last_onset_frame", np.int64),
        ("body_heard", np.int64),
        ("peak_level_db", np.float64),
        ("loud_level_db", np.float64),
        ("loud_frame", np.int64),
        ("held_pitch", np.float64),
        ("new_pitch", np.float64),
        ("new_count", np.int64),
        ("n_voiced", np.int64),
        ("n_tracked", np.int64),
    ],
    align=True,
)
_IDLE, _ATTACK_DUE, _SOUNDING = 0, 1, 2


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenerConfig:
    """What the listener is asked to hear. The defaults serve all material.

    Parameters
    ----------
    heard_ms
        How much of an event has sounded when its ATTACK is published, 1…100.
    threshold
        Flux above the recent mean that makes an onset, in log₁₀ per band.
    refractory_ms
        Onsets closer than this are one event.
    gate_dbfs
        Sound below this RMS level begins no event and ends one.
    release_db
        A note is over when it has decayed this far below its loudest.
    max_event_s
        A note is at most this long.
    clarity
        A pitch counts from this McLeod clarity.
    note_share
        A further note of a chord must be at least this salient relative to the first.
    """

    heard_ms: float = 20.0
    threshold: float = 0.009
    refractory_ms: float = 30.0
    compression: float = 60.0
    reference_decay_db_per_s: float = 6.0
    gate_dbfs: float = -70.0
    release_db: float = 30.0
    max_event_s: float = 4.0
    clarity: float = 0.85
    note_share: float = 0.3

    def __post_init__(self) -> None:
        ranges = {
            "heard_ms": (1.0, 100.0),
            "threshold": (0.0, 10.0),
            "refractory_ms": (5.0, 1000.0),
            "compression": (1e-3, 1e6),
            "reference_decay_db_per_s": (0.0, 1000.0),
            "gate_dbfs": (-200.0, 0.0),
            "release_db": (1.0, 200.0),
            "max_event_s": (0.1, 60.0),
            "clarity": (0.0, 1.0),
            "note_share": (0.0, 1.0),
        }
        for field in fields(self):
            low, high = ranges[field.name]
            value = getattr(self, field.name)
            if not low <= value <= high:
                raise ValueError(f"{field.name} must be within {low:g}…{high:g}, got {value}")


class ListenerState(NamedTuple):
    """Everything the listener knows, as arrays and numbers that a nogil kernel can be handed."""

    history: NDArray[np.float64]  # ring of the newest frames
    live: NDArray[np.void]  # [shape=(1,)] the few numbers that change
    event: NDArray[np.void]  # [shape=(1,), EVENT_DTYPE] the event being heard
    onset: OnsetState
    short: FourierTables  # 46 ms, for the pitch of 23 ms
    long: FourierTables  # 93 ms, for attacks and chords
    sonority: SonorityState
    votes: NDArray[np.float64]  # [shape=(2, 128)] clarity and clarity × pitch by nearest pitch
    weights: NDArray[np.float64]  # [shape=(MAX_NOTES,)] salience of the notes
    rate_hz: float
    hop_frames: float
    heard_frames: int
    refractory_frames: int
    max_event_frames: int
    threshold: float
    gate_dbfs: float
    release_db: float
    clarity: float
    note_share: float


class Listener:
    """Hear events in a mono stream. One thread at a time.

    Parameters
    ----------
    rate_hz
        Rate of the stream, 8000…192000.
    config
        What to hear; the defaults serve all material.

    Raises
    ------
    ValueError
        If the rate is outside its range.
    """

    def __init__(self, rate_hz: float, config: ListenerConfig | None = None) -> None:
        if not LOWEST_RATE_HZ <= rate_hz <= HIGHEST_RATE_HZ:
            raise ValueError(
                f"rate_hz must be within {LOWEST_RATE_HZ:g}…{HIGHEST_RATE_HZ:g}, got {rate_hz}"
            )
        self.config = config or ListenerConfig()
        self.state = _listener_state(float(rate_hz), self.config)

    def hear(self, frames: NDArray[np.float32]) -> NDArray[np.void]:
        """Hear the next frames and return the records that became due, oldest first.

        Parameters
        ----------
        frames
            The next frames of the stream [shape=(n,), float32]; ±1 is full scale.

        Returns
        -------
        NDArray
            New records [shape=(n_records,), EVENT_DTYPE].

        Raises
        ------
        ValueError
            If `frames` is not one-dimensional.
        """
        if frames.ndim != 1:
            raise ValueError(f"frames must be one-dimensional, got shape {frames.shape}")
        frames = np.ascontiguousarray(frames, np.float32)
        records = np.zeros(self.max_records(frames.size), EVENT_DTYPE)
        return records[: hear_kernel(self.state, frames, records)]

    def max_records(self, n_frames: int) -> int:
        """Return how many records `n_frames` can bring at most: room `hear_kernel` must be given."""
        return 2 * (2 + n_frames // self.state.refractory_frames)


def _listener_state(rate_hz: float, config: ListenerConfig) -> ListenerState:
    """Precompute the tables for one rate and start before the first frame."""
    onset = onset_state(
        rate_hz,
        compression=config.compression,
        decay_db_per_s=config.reference_decay_db_per_s,
        floor_db=config.gate_dbfs,
    )
    n = onset.window.size
    live = np.zeros(1, _LIVE_DTYPE)
    live["next_hop_frame"] = round(rate_hz / FRAMES_PER_S)
    live["last_onset_frame"] = -(1 << 40)
    live["loud_level_db"] = -30.0
    heard_frames = max(1, round(config.heard_ms * 1e-3 * rate_hz))
    longest = 8 * n + 2 * max(heard_frames, n)
    return ListenerState(
        history=np.zeros(1 << (longest - 1).bit_length()),
        live=live,
        event=np.zeros(1, EVENT_DTYPE),
        onset=onset,
        short=fourier_tables(2 * n),
        long=fourier_tables(4 * n),
        sonority=sonority_state(4 * n),
        votes=np.zeros((2, 128)),
        weights=np.zeros(MAX_NOTES),
        rate_hz=rate_hz,
        hop_frames=rate_hz / FRAMES_PER_S,
        heard_frames=heard_frames,
        refractory_frames=max(heard_frames, round(config.refractory_ms * 1e-3 * rate_hz)),
        max_event_frames=round(config.max_event_s * rate_hz),
        threshold=config.threshold,
        gate_dbfs=config.gate_dbfs,
        release_db=config.release_db,
        clarity=config.clarity,
        note_share=config.note_share,
    )


@njit(nogil=True, cache=True, error_model="numpy")
def hear_kernel(
    state: ListenerState, frames: NDArray[np.float32], records: NDArray[np.void]
) -> int:
    """Hear `frames`, write the records that became due, return how many.

    For a thread that never takes the GIL. `records` [EVENT_DTYPE] must have room for
    `Listener.max_records(frames.size)`.
    """
    history, live = state.history, state.live[0]
    mask = history.size - 1
    n_records = 0
    i = 0
    while i < frames.size:
        until = live["next_hop_frame"]
        if live["phase"] == _ATTACK_DUE:
            until = min(until, live["attack_frame"])
        n = min(until - live["position"], frames.size - i)
        for j in range(n):
            sample = np.float64(frames[i + j])
            if not np.isfinite(sample):
                sample = 0.0
            sample = min(max(sample, -SAMPLE_LIMIT), SAMPLE_LIMIT)
            history[(live["position"] + j) & mask] = sample
        i += n
        live["position"] += n
        if live["phase"] == _ATTACK_DUE and live["position"] == live["attack_frame"]:
            n_records = _publish_attack(state, records, n_records)
        if live["position"] == live["next_hop_frame"]:
            live["hop_index"] += 1
            live["next_hop_frame"] = np.int64(np.round((live["hop_index"] + 1) * state.hop_frames))
            n_records = _hear_hop(state, records, n_records)
    return n_records


@njit(nogil=True, cache=True, error_model="numpy")
def _hear_hop(state: ListenerState, records: NDArray[np.void], n_records: int) -> int:
    """Look for an onset, and for the end of the sounding event, at a hop's last frame."""
    live, event = state.live[0], state.event[0]
    now = live["position"]
    n = state.onset.window.size
    flux = _superflux(state.onset, state.history, now, live["hop_index"])
    level_db = _level_db(state.history, now - n, now)
    if (
        live["phase"] != _ATTACK_DUE
        and level_db >= state.gate_dbfs
        and now - live["last_onset_frame"] >= state.refractory_frames
        and _is_peak(state.onset, live["hop_index"], state.threshold)
    ):
        earliest = max(now - n - n // 2, live["last_onset_frame"] + n // 4, 0)
        onset_frame = _first_frame(state.history, earliest, now)
        return _begin_event(state, onset_frame, flux, records, n_records)
    if live["phase"] == _SOUNDING:
        if live["hop_index"] & 1 and now - n >= event["onset_frame"]:
            _track_pitch(state, now - n, now)
        if not live["body_heard"] and now - event["onset_frame"] >= state.long.samples.size:
            _hear_body(state, now)
        live["peak_level_db"] = max(live["peak_level_db"], level_db)
        silence_db = max(state.gate_dbfs, live["peak_level_db"] - state.release_db)
        if level_db < silence_db or now - event["onset_frame"] >= state.max_event_frames:
            end = max(now - n // 2, event["onset_frame"] + 1)
            n_records = _publish_body(state, end, records, n_records)
    return n_records


@njit(nogil=True, cache=True, error_model="numpy")
def _begin_event(
    state: ListenerState,
    onset_frame: int,
    strength: float,
    records: NDArray[np.void],
    n_records: int,
) -> int:
    """End what sounds and begin an event; its ATTACK may be due at once."""
    live, event = state.live[0], state.event[0]
    if live["phase"] == _SOUNDING:
        n_records = _publish_body(state, onset_frame, records, n_records)
    event["onset_frame"] = onset_frame
    event["strength"] = strength
    live["phase"] = _ATTACK_DUE
    live["last_onset_frame"] = live["position"]
    live["attack_frame"] = max(onset_frame + state.heard_frames, live["position"])
    live["body_heard"] = 0
    live["n_voiced"] = 0
    live["n_tracked"] = 0
    live["held_pitch"] = np.nan
    live["new_count"] = 0
    live["peak_level_db"] = -400.0
    state.votes[:] = 0.0
    if live["attack_frame"] == live["position"]:
        n_records = _publish_attack(state, records, n_records)
    return n_records


@njit(nogil=True, cache=True, error_model="numpy")
def _publish_attack(state: ListenerState, records: NDArray[np.void], n_records: int) -> int:
    """Write the ATTACK of the current event from what has been heard of it."""
    live, event = state.live[0], state.event[0]
    now = live["position"]
    start = max(event["onset_frame"], now - state.long.samples.size // 2)
    pitch, clarity = _mcleod(state.long, state.history, start, now, state.rate_hz)
    _magnitudes(state.long, state.history, start, now, state.sonority.rise)
    _chroma(state.sonority.rise, state.rate_hz / state.long.samples.size, event["chroma"])
    event["kind"] = ATTACK
    event["decision_frame"] = now
    event["duration_frames"] = 0
    event["clarity"] = clarity
    event["pitch"] = pitch if clarity >= state.clarity else np.nan
    event["level_db"] = _level_db(state.history, start, now)
    event["velocity"] = _velocity(state, event["level_db"])
    event["n_notes"] = 0
    if clarity >= state.clarity:
        event["n_notes"] = 1
        event["note_pitch"][0] = np.int16(np.round(pitch))
        event["note_velocity"][0] = np.int16(np.round(event["velocity"]))
    records[n_records] = event
    live["phase"] = _SOUNDING
    return n_records + 1


@njit(nogil=True, cache=True, error_model="numpy")
def _publish_body(
    state: ListenerState, end_frame: int, records: NDArray[np.void], n_records: int
) -> int:
    """Write the BODY of the current event, which ends before `end_frame`."""
    live, event = state.live[0], state.event[0]
    if not live["body_heard"]:
        _hear_body(state, end_frame)
    event["kind"] = BODY
    event["decision_frame"] = live["position"]
    event["duration_frames"] = end_frame - event["onset_frame"]
    if live["peak_level_db"] > event["level_db"]:
        event["level_db"] = live["peak_level_db"]
        event["velocity"] = _velocity(state, event["level_db"])
    records[n_records] = event
    event["index"] += 1
    live["phase"] = _IDLE
    return n_records + 1


@njit(nogil=True, cache=True, error_model="numpy")
def _track_pitch(state: ListenerState, start: int, end: int) -> None:
    """Let the pitch of [start, end) vote for the pitch of the body."""
    live = state.live[0]
    pitch, clarity = _mcleod(state.short, state.history, start, end, state.rate_hz)
    live["n_tracked"] += 1
    if clarity >= state.clarity:
        nearest = min(max(np.int64(np.round(pitch)), 0), 127)
        state.votes[0, nearest] += clarity
        state.votes[1, nearest] += clarity * pitch
        live["n_voiced"] += 1


@njit(nogil=True, cache=True, error_model="numpy")
def _hear_body(state: ListenerState, end_frame: int) -> None:
    """Find the chroma and the notes of the current event in its first 93 ms or fewer."""
    live, event = state.live[0], state.event[0]
    onset_frame = event["onset_frame"]
    n = min(end_frame - onset_frame, state.long.samples.size)
    live["body_heard"] = 1
    sonority = state.sonority
    _magnitudes(state.long, state.history, onset_frame - n, onset_frame, sonority.before)
    _magnitudes(state.long, state.history, onset_frame, onset_frame + n, sonority.rise)
    bin_hz = state.rate_hz / state.long.samples.size
    _chroma(sonority.rise, bin_hz, event["chroma"])
    for k in range(sonority.rise.size):
        sonority.rise[k] = max(0.0, sonority.rise[k] - sonority.before[k])
    n_notes = _salient_notes(sonority, bin_hz, state.note_share, event["note_pitch"], state.weights)
    event["n_notes"] = n_notes
    for i in range(n_notes):
        event["note_velocity"][i] = np.int16(np.round(event["velocity"]))


@njit(nogil=True, cache=True, error_model="numpy")
def _level_db(history: NDArray[np.float64], start_frame: int, end_frame: int) -> float:
    """Return the RMS level of the frames [start, end) in dBFS, without their mean; ≥ −200."""
    mask = history.size - 1
    total, squares = 0.0, 0.0
    for frame in range(start_frame, end_frame):
        sample = history[frame & mask]
        total += sample
        squares += sample * sample
    n = end_frame - start_frame
    variance = squares / n - (total / n) ** 2
    return 10.0 * np.log10(max(variance, 1e-20))


@njit(nogil=True, cache=True, error_model="numpy")
def _velocity(state: ListenerState, level_db: float) -> float:
    """Place a level below the loudest of the recent past: 40 dB to the decade of velocity."""
    live = state.live[0]
    elapsed_s = (live["position"] - live["loud_frame"]) / state.rate_hz
    live["loud_level_db"] = max(level_db, live["loud_level_db"] - elapsed_s)
    live["loud_frame"] = live["position"]
    return min(max(112.0 * 10 ** ((level_db - live["loud_level_db"]) / 40.0), 1.0), 127.0)
