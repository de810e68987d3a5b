"""The listener: frames in, events out, causally, in one compiled call.

An event is an onset with what is heard of it: an ATTACK record as soon as `heard_ms` of it have
sounded, a BODY record once it is over. Whichever thread owns the listener runs it; live that is the
listener thread, which calls `hear_kernel` without the interpreter. It never allocates while
hearing, never looks at a clock, and its answer depends on the frames alone, not on how they were
cut into calls.
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from models.event import _hear_notes, _hear_roughness, _level_db, _publish_attack, _publish_body
from models.limits import MAX_MAGNITUDE, MAX_RATE_HZ, MIN_RATE_HZ
from models.listener_state import (
    ATTACK,
    ATTACK_DUE,
    BODY,
    EVENT_DTYPE,
    IDLE,
    MAX_NOTES,
    SOUNDING,
    ListenerConfig,
    ListenerState,
    listener_state,
)
from models.onset import FRAMES_PER_S, _first_frame, _is_peak, _superflux
from models.pitch import STEADY_TRACKS, _mcleod, _steady_pitch

__all__ = [
    "ATTACK",
    "BODY",
    "EVENT_DTYPE",
    "MAX_NOTES",
    "Listener",
    "ListenerConfig",
    "ListenerState",
    "hear_kernel",
]

TRACK_HOPS = 2
"""The pitch is tracked every 10 ms."""
MOVE_SEMITONES = 0.7
"""A steady pitch that far from the held one is another note …"""
HELD_RATE = 0.1
"""… while the held one follows a drift by this share per track."""
EXTREMES_DB_PER_S = 2.0
"""The loudest and the quietest level of the recent past are forgotten so fast."""
FORTE_DB_PER_S = 0.1
"""What forte is is forgotten slowly: a rest makes no pianissimo loud."""


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
        if not MIN_RATE_HZ <= rate_hz <= MAX_RATE_HZ:
            raise ValueError(f"rate_hz must be within {MIN_RATE_HZ}…{MAX_RATE_HZ}, got {rate_hz}")
        self.config = config or ListenerConfig()
        self.state = listener_state(float(rate_hz), self.config)

    def hear(self, frames: NDArray[np.float32]) -> NDArray[np.void]:
        """Hear the next frames and return the records that became due, oldest first.

        Parameters
        ----------
        frames
            The next frames of the stream [shape=(n,), float32]; ±1 is full scale. What is beyond
            `MAX_MAGNITUDE`, or NaN, is heard as 0.

        Returns
        -------
        NDArray
            New records [shape=(n_records,), EVENT_DTYPE]: of each event one ATTACK, then one BODY.

        Raises
        ------
        ValueError
            If `frames` is not one-dimensional.
        """
        if frames.ndim != 1:
            raise ValueError(f"frames must be one-dimensional, got shape {frames.shape}")
        records = np.zeros(self.max_records(frames.size), EVENT_DTYPE)
        n_records = hear_kernel(self.state, np.ascontiguousarray(frames, np.float32), records)
        return records[:n_records]

    def max_records(self, n_frames: int) -> int:
        """Return how many records `n_frames` bring at most: what `hear_kernel` needs room for."""
        return 2 * (2 + n_frames // self.state.refractory_frames)


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
        if live["phase"] == ATTACK_DUE:
            until = min(until, live["attack_frame"])
        n = min(until - live["position"], frames.size - i)
        for j in range(n):
            sample = frames[i + j]
            is_sound = abs(sample) <= MAX_MAGNITUDE  # NaN is not
            history[(live["position"] + j) & mask] = sample if is_sound else np.float32(0.0)
        i += n
        live["position"] += n
        if live["phase"] == ATTACK_DUE and live["position"] == live["attack_frame"]:
            n_records = _publish_attack(state, records, n_records)
        if live["position"] == live["next_hop_frame"]:
            n_records = _hear_hop(state, records, n_records)
            live["hop_index"] += 1
            live["next_hop_frame"] = int(np.round((live["hop_index"] + 1) * state.hop_frames))
    return n_records


@njit(nogil=True, cache=True, error_model="numpy")
def _hear_hop(state: ListenerState, records: NDArray[np.void], n_records: int) -> int:
    """Look for an onset, else for the end of the event, at a hop's last frame."""
    live = state.live[0]
    now, hop_index = live["position"], live["hop_index"]
    n = state.onset.window.size // 2
    flux = _superflux(state.onset, state.history, now, hop_index)
    level_db = _level_db(state.history, now - n, now)
    _follow_level(state, level_db)
    has_tracked = hop_index % TRACK_HOPS == 0
    if has_tracked:
        _track_pitch(state, now - n, now)
    if _can_begin(state, level_db):
        earliest = max(live["last_onset_frame"], 0)
        if _is_peak(state.onset, hop_index, state.threshold):
            earliest = max(earliest, now - n)
            onset_frame = _first_frame(state.history, earliest, now)
            n_records = _begin_event(state, onset_frame, flux, records, n_records)
        elif has_tracked and _has_pitch_moved(state):
            since = int((STEADY_TRACKS - 1) * TRACK_HOPS * state.hop_frames) + n // 2
            n_records = _begin_event(state, max(earliest, now - since), 0.0, records, n_records)
    if live["phase"] == SOUNDING:
        n_records = _hear_end(state, level_db, records, n_records)
    return n_records


@njit(nogil=True, cache=True, error_model="numpy")
def _follow_level(state: ListenerState, level_db: float) -> None:
    """Follow the loudest and the quietest level of the recent past."""
    live = state.live[0]
    step_db = EXTREMES_DB_PER_S / FRAMES_PER_S
    live["loudest_db"] = max(live["loudest_db"] - step_db, level_db)
    live["quietest_db"] = min(live["quietest_db"] + step_db, max(level_db, state.gate_dbfs))
    live["forte_db"] = max(live["forte_db"] - FORTE_DB_PER_S / FRAMES_PER_S, level_db)


@njit(nogil=True, cache=True, error_model="numpy")
def _can_begin(state: ListenerState, level_db: float) -> bool:
    """Say whether an event may begin now: neither too soon nor too soft."""
    live = state.live[0]
    since = live["position"] - live["last_onset_frame"]
    if live["phase"] == ATTACK_DUE or since < state.refractory_frames:
        return False
    softest_db = max(live["loudest_db"] - state.range_db, live["quietest_db"] + state.margin_db)
    return bool(level_db >= softest_db)


@njit(nogil=True, cache=True, error_model="numpy")
def _track_pitch(state: ListenerState, start: int, end: int) -> None:
    """Track the pitch of [start, end), which votes for the event's pitch if it lies within."""
    live = state.live[0]
    pitch, clarity = _mcleod(state.onset.fourier, state.history, start, end, state.rate_hz)
    slot = live["hop_index"] // TRACK_HOPS % STEADY_TRACKS
    state.track.pitch[slot] = pitch
    state.track.clarity[slot] = clarity
    if live["phase"] == IDLE or start < state.event[0]["onset_frame"]:
        return
    live["n_tracked"] += 1
    live["clarity_sum"] += clarity
    if clarity >= state.clarity:
        nearest = min(max(int(np.round(pitch)), 0), 127)
        state.votes[0, nearest] += 1.0
        state.votes[1, nearest] += pitch


@njit(nogil=True, cache=True, error_model="numpy")
def _has_pitch_moved(state: ListenerState) -> bool:
    """Say whether a steady pitch has replaced the one that was held, as sung and bowed notes do.

    Octaves and twelfths are left out: there the pitch method may be mistaken.
    """
    live = state.live[0]
    pitch = _steady_pitch(state.track, state.clarity)
    if np.isnan(pitch):
        return False
    if np.isnan(live["held_pitch"]):
        live["held_pitch"] = pitch
        return False
    interval = abs(pitch - live["held_pitch"])
    if interval < MOVE_SEMITONES:
        live["held_pitch"] += HELD_RATE * (pitch - live["held_pitch"])
        return False
    return bool(min(abs(interval - 12), abs(interval - 19), abs(interval - 24)) > 0.5)


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
    if live["phase"] == SOUNDING:
        n_records = _publish_body(state, onset_frame, records, n_records)
    event["onset_frame"] = onset_frame
    event["strength"] = strength
    live["phase"] = ATTACK_DUE
    live["last_onset_frame"] = live["position"]
    live["attack_frame"] = max(onset_frame + state.heard_frames, live["position"])
    live["is_body_heard"] = 0
    live["is_roughness_heard"] = 0
    live["n_tracked"] = 0
    live["clarity_sum"] = 0.0
    live["peak_level_db"] = -np.inf
    live["held_pitch"] = _steady_pitch(state.track, state.clarity) if strength == 0.0 else np.nan
    state.votes[:] = 0.0
    if live["attack_frame"] == live["position"]:
        n_records = _publish_attack(state, records, n_records)
    return n_records


@njit(nogil=True, cache=True, error_model="numpy")
def _hear_end(
    state: ListenerState, level_db: float, records: NDArray[np.void], n_records: int
) -> int:
    """Hear the notes and the roughness of what sounds when they are due; end it when it is over."""
    live = state.live[0]
    now, onset_frame = live["position"], state.event[0]["onset_frame"]
    if live["is_body_heard"] == 0 and now - onset_frame >= state.long.samples.size:
        _hear_notes(state, now)
        live["is_body_heard"] = 1
    if (
        live["is_roughness_heard"] == 0
        and now - onset_frame >= state.roughness.fourier.samples.size
    ):
        _hear_roughness(state, now)
        live["is_roughness_heard"] = 1
    live["peak_level_db"] = max(live["peak_level_db"], level_db)
    silence_db = max(state.gate_dbfs, live["peak_level_db"] - state.release_db)
    if level_db < silence_db or now - onset_frame >= state.max_event_frames:
        end_frame = max(now - state.onset.window.size // 4, onset_frame + 1)
        n_records = _publish_body(state, end_frame, records, n_records)
    return n_records
