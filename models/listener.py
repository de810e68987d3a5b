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

from models.event import (
    _brightness_hz,
    _hear_notes,
    _hear_roughness,
    _level_db,
    _publish_attack,
    _publish_body,
)
from models.first_frame import _first_frame
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
from models.melody import (
    BREATH_DB,
    BRIGHT_HZ,
    LEVELS,
    TRACK_HOPS,
    _begin_note,
    _follow_melody,
    _has_tone,
    _is_struck_anew,
    _is_sung,
    _late_frame,
    _tracks_since_move,
)
from models.onset import FRAMES_PER_S, _is_peak, _stands_out, _superflux
from models.pitch import _mcleod

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

TINY = 1e-30
"""An offset that decays in silence is 0 from here on: denormal numbers are slow."""
RISE_S = 0.006
BRIGHT_S = 0.008
"""How much of the newest sound says how loud and how bright an onset is."""
EXTREMES_DB_PER_S = 2.0
"""The loudest and the quietest level of the recent past are forgotten so fast."""
ROOM_S = 0.1
"""After so much of a stream its level is the room's …"""
ROOM_DBFS = -50.0
"""… unless it is louder: rooms and their microphones hiss no more, so it began with music."""
NEAR_DB = 12.0
"""So near the quietest it may be the room that stirs: its rumble goes up and down by as much."""
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
        return records[:n_records].copy()  # who keeps a record keeps no room for others

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
    live = state.live[0]
    n_records = 0
    i = 0
    while i < frames.size:
        until = live["next_hop_frame"]
        if live["phase"] == ATTACK_DUE:
            until = min(until, live["attack_frame"])
        n = min(until - live["position"], frames.size - i)
        _take_in(state, frames[i : i + n])
        i += n
        if live["phase"] == ATTACK_DUE and live["position"] == live["attack_frame"]:
            n_records = _publish_attack(state, records, n_records)
        if live["position"] == live["next_hop_frame"]:
            n_records = _hear_hop(state, records, n_records)
            live["hop_index"] += 1
            live["next_hop_frame"] = int(np.round((live["hop_index"] + 1) * state.hop_frames))
    return n_records


@njit(nogil=True, cache=True, error_model="numpy")
def _take_in(state: ListenerState, frames: NDArray[np.float32]) -> None:
    """Write frames to the history without their constant offset.

    It is the mean of all frames as long as they are few, so exact from the first on: an offset
    makes no onset where the stream begins.
    """
    history, live = state.history, state.live[0]
    mask, position, offset = history.size - 1, live["position"], live["offset"]
    for j in range(frames.size):
        is_sound = abs(frames[j]) <= MAX_MAGNITUDE  # NaN is not
        sample = float(frames[j]) if is_sound else 0.0
        offset += max(1.0 / (position + 1), state.offset_share) * (sample - offset)
        if abs(offset) < TINY:
            offset = 0.0
        history[position & mask] = sample - offset
        position += 1
    live["position"], live["offset"] = position, offset


@njit(nogil=True, cache=True, error_model="numpy")
def _hear_hop(state: ListenerState, records: NDArray[np.void], n_records: int) -> int:
    """Look for an onset, else for the end of the event, at a hop's last frame."""
    live = state.live[0]
    now, hop_index = live["position"], live["hop_index"]
    n = state.onset.window.size // 2
    flux = _superflux(state.onset, state.history, now, hop_index)
    level_db = _level_db(state.history, now - n, now)
    _follow_level(state, level_db)
    state.melody.level_db[hop_index % LEVELS] = level_db
    has_tracked = hop_index % TRACK_HOPS == 0
    if has_tracked:
        _track_pitch(state, now - n, now, level_db)
    if _can_begin(state, level_db):
        onset_frame, strength = _find_onset(state, flux, level_db, has_tracked)
        if onset_frame >= 0 and _level_db(state.history, onset_frame, now) >= state.gate_dbfs:
            n_records = _begin_event(state, onset_frame, strength, records, n_records)
    if live["phase"] == SOUNDING:
        n_records = _hear_end(state, level_db, records, n_records)
    return n_records


@njit(nogil=True, cache=True, error_model="numpy")
def _follow_level(state: ListenerState, level_db: float) -> None:
    """Follow the loudest and the quietest level of the recent past.

    What a stream begins in is its room, if it is soft enough for one.
    """
    live = state.live[0]
    step_db = EXTREMES_DB_PER_S / FRAMES_PER_S
    is_room = 0 <= live["position"] - ROOM_S * state.rate_hz < state.hop_frames
    live["loudest_db"] = max(live["loudest_db"] - step_db, level_db)
    quietest_db = ROOM_DBFS if is_room else live["quietest_db"] + step_db
    live["quietest_db"] = min(quietest_db, max(level_db, state.gate_dbfs))
    live["forte_db"] = max(live["forte_db"] - FORTE_DB_PER_S / FRAMES_PER_S, level_db)


@njit(nogil=True, cache=True, error_model="numpy")
def _can_begin(state: ListenerState, level_db: float) -> bool:
    """Say whether an event may begin now: neither too soon nor too soft."""
    live = state.live[0]
    since = live["position"] - live["last_onset_frame"]
    if live["phase"] == ATTACK_DUE or since < state.refractory_frames:
        return False
    return bool(level_db >= _softest_db(state))


@njit(nogil=True, cache=True, error_model="numpy")
def _softest_db(state: ListenerState) -> float:
    """Return the level below which nothing begins."""
    live = state.live[0]
    return float(max(live["loudest_db"] - state.range_db, live["quietest_db"] + state.margin_db))


@njit(nogil=True, cache=True, error_model="numpy")
def _track_pitch(state: ListenerState, start: int, end: int, level_db: float) -> None:
    """Track the pitch of [start, end), which votes for the event's pitch if it lies within."""
    live = state.live[0]
    pitch, clarity = _mcleod(state.onset.fourier, state.history, start, end, state.rate_hz)
    _follow_melody(state.melody, pitch, clarity, level_db >= _softest_db(state), state.clarity)
    if live["phase"] == IDLE or start < state.event[0]["onset_frame"]:
        return
    live["n_tracked"] += 1
    live["clarity_sum"] += clarity
    if clarity >= state.clarity:
        nearest = min(max(int(np.round(pitch)), 0), 127)
        state.votes[0, nearest] += 1.0
        state.votes[1, nearest] += pitch


@njit(nogil=True, cache=True, error_model="numpy")
def _find_onset(
    state: ListenerState, flux: float, level_db: float, has_tracked: bool
) -> tuple[int, float]:
    """Return first frame and strength of an onset detected now; (−1, 0) if there is none."""
    live = state.live[0]
    now, n = live["position"], state.onset.window.size // 2
    earliest = max(live["last_onset_frame"], 0)
    if _is_peak(state.onset, live["hop_index"], state.threshold) and _is_played(state, level_db):
        onset_frame = _first_frame(state.first_frame, state.history, max(earliest, now - n), now)
        if not _is_sung(state.melody) or _is_sung_note(state, onset_frame, level_db):
            return onset_frame, flux
    if has_tracked:
        onset_frame = _late_frame(state.melody, state.clarity)
        if onset_frame >= 0:
            return onset_frame, flux
        back = _tracks_since_move(state.melody, state.clarity)
        if back >= 0:
            since = int(back * TRACK_HOPS * state.hop_frames) + n
            return max(earliest, now - since), 0.0
    return -1, 0.0


@njit(nogil=True, cache=True, error_model="numpy")
def _is_played(state: ListenerState, level_db: float) -> bool:
    """Say whether a peak of the flux is more than the room stirring."""
    live = state.live[0]
    return bool(
        level_db >= live["quietest_db"] + NEAR_DB
        or _has_tone(state.melody, state.clarity)
        or _stands_out(state.onset, live["hop_index"])
    )


@njit(nogil=True, cache=True, error_model="numpy")
def _is_sung_note(state: ListenerState, onset_frame: int, level_db: float) -> bool:
    """Say whether an onset while somebody sings is a note: no consonant, no breath, no vowel."""
    live = state.live[0]
    now, history = live["position"], state.history
    if level_db < live["loudest_db"] - BREATH_DB:
        return False
    if _brightness_hz(history, now - int(BRIGHT_S * state.rate_hz), now, state.rate_hz) > BRIGHT_HZ:
        return False
    newest_db = _level_db(history, now - int(RISE_S * state.rate_hz), now)
    return bool(
        _is_struck_anew(state.melody, onset_frame, live["hop_index"], newest_db, state.clarity)
    )


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
    _begin_note(state.melody)
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
