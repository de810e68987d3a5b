"""An event's two records: what its attack says by decision time, and its body once it is over.

Compiled for the listener's thread; it never allocates. One clear voice is answered by the pitch
method, several by the spectrum, and what is not tonal by no pitch at all: a wrong note sounds worse
than a missing one.
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from models.listener_state import ATTACK, BODY, IDLE, MAX_NOTES, SOUNDING, ListenerState
from models.melody import _has_glided
from models.pitch import _mcleod, _pitch_to_hz
from models.roughness import _heard_roughness
from models.sonority import SINE, _chroma, _flatness, _salient_notes, _subtract_held
from models.spectrum import _magnitudes

LOUDEST_VELOCITY = 112.0
VELOCITY_DB_PER_DECADE = 40.0
"""Velocity falls by ten in 40 dB, as most instruments render it."""
AGREEMENT = 0.6
"""A body is one voice when so many of its tracks are clear and about the same."""
APART_S = 0.02
"""In so much sound the spectrum tells new notes from held ones; in less …"""
STAND_OUT_DB = 3.0
"""… what begins must be so much louder than what was, or its notes are not known yet: after 12 ms
.83 of the piano's are right where it is, .44 where it is not."""
LEAST_PERIODS = 3.0
"""A note of the spectrum has been heard for so many periods, else it is not known yet: after 12 ms
none of the piano's that was lower was right."""
LEAST_ROUGH_S = 0.06
"""In less sound, partials that are rough together are not told apart."""
REFINEMENT_SEMITONES = 0.5
"""So near a note of the spectrum the pitch method says where in the semitone it lies."""


@njit(nogil=True, cache=True, error_model="numpy")
def _publish_attack(state: ListenerState, records: NDArray[np.void], n_records: int) -> int:
    """Write the ATTACK of the current event from what has been heard of it."""
    live, event = state.live[0], state.event[0]
    now = live["position"]
    start = max(event["onset_frame"], now - state.long.samples.size // 2)
    event["kind"] = ATTACK
    event["decision_frame"] = now
    event["duration_frames"] = 0
    event["roughness"] = np.nan
    event["level_db"] = _level_db(state.history, start, now)
    event["velocity"] = _velocity(state)
    pitch, clarity = _mcleod(state.long, state.history, start, now, state.rate_hz)
    _hear_notes(state, now)
    if not _stands_out(state, start, now):
        pitch = np.nan
        event["n_notes"] = 0
        event["chroma"][:] = 0.0
    _settle_notes(state, pitch, clarity)
    records[n_records] = event
    live["phase"] = SOUNDING
    return n_records + 1


@njit(nogil=True, cache=True, error_model="numpy")
def _publish_body(
    state: ListenerState, end_frame: int, records: NDArray[np.void], n_records: int
) -> int:
    """Write the BODY of the current event, which ends before `end_frame`."""
    live, event = state.live[0], state.event[0]
    if live["is_body_heard"] == 0:
        _hear_notes(state, end_frame)
    if live["is_roughness_heard"] == 0:
        _hear_roughness(state, end_frame)
    event["kind"] = BODY
    event["decision_frame"] = live["position"]
    event["duration_frames"] = end_frame - event["onset_frame"]
    if live["peak_level_db"] > event["level_db"]:
        event["level_db"] = live["peak_level_db"]
        event["velocity"] = _velocity(state)
    pitch, clarity = np.float64(event["pitch"]), np.float64(event["clarity"])
    if live["n_tracked"] > 0:
        pitch, clarity = _tracked_pitch(state)
    _settle_notes(state, pitch, clarity)
    records[n_records] = event
    event["index"] += 1
    live["phase"] = IDLE
    return n_records + 1


@njit(nogil=True, cache=True, error_model="numpy")
def _stands_out(state: ListenerState, start_frame: int, end_frame: int) -> bool:
    """Say whether the frames [start, end) are the event's own, rather than what it began over."""
    n = end_frame - start_frame
    if n >= APART_S * state.rate_hz:
        return True
    before_db = _level_db(state.history, start_frame - n, start_frame)
    return bool(_level_db(state.history, start_frame, end_frame) >= before_db + STAND_OUT_DB)


@njit(nogil=True, cache=True, error_model="numpy")
def _tracked_pitch(state: ListenerState) -> tuple[float, float]:
    """Return the pitch most tracks of the event agree on, and the clarity of it as one voice."""
    live, votes = state.live[0], state.votes
    nearest = min(max(int(np.argmax(votes[0])), 1), 126)
    n_agreeing, total = 0.0, 0.0
    for pitch in range(nearest - 1, nearest + 2):
        n_agreeing += votes[0, pitch]
        total += votes[1, pitch]
    clarity = live["clarity_sum"] / live["n_tracked"]
    if n_agreeing < AGREEMENT * live["n_tracked"]:
        return np.nan, min(clarity, np.nextafter(state.clarity, 0.0))
    return total / n_agreeing, max(clarity, state.clarity)


@njit(nogil=True, cache=True, error_model="numpy")
def _hear_notes(state: ListenerState, end_frame: int) -> None:
    """Find chroma, flatness and notes of what has sounded from the onset to `end_frame`."""
    event, sonority = state.event[0], state.sonority
    onset_frame = event["onset_frame"]
    n = min(end_frame - onset_frame, state.long.samples.size)
    bin_hz = state.rate_hz / state.long.samples.size
    _magnitudes(state.long, state.history, onset_frame - n, onset_frame, SINE, sonority.before)
    _magnitudes(state.long, state.history, onset_frame, onset_frame + n, SINE, sonority.rise)
    _chroma(sonority.rise, bin_hz, event["chroma"])
    state.live[0]["flatness"] = _flatness(sonority.rise, bin_hz)
    _subtract_held(sonority)
    lobe_hz = 2.0 * state.rate_hz / n
    event["n_notes"] = _salient_notes(
        sonority, bin_hz, lobe_hz, state.note_share, event["note_pitch"]
    )
    lowest_hz = LEAST_PERIODS * state.rate_hz / n
    if event["n_notes"] > 0 and _pitch_to_hz(np.float64(event["note_pitch"][0])) < lowest_hz:
        event["n_notes"] = 0


@njit(nogil=True, cache=True, error_model="numpy")
def _hear_roughness(state: ListenerState, end_frame: int) -> None:
    """Measure the roughness of the event's first 186 ms, or of fewer if it ends before.

    Vibrato or a glide smears the partials of one voice into peaks that would count as a clash.
    """
    onset_frame = state.event[0]["onset_frame"]
    n = min(end_frame - onset_frame, state.roughness.fourier.samples.size)
    if n >= LEAST_ROUGH_S * state.rate_hz:
        state.event[0]["roughness"] = _heard_roughness(
            state.roughness, state.history, onset_frame, onset_frame + n, state.rate_hz
        )
    if _has_glided(state.melody, state.live[0]["n_tracked"], state.clarity):
        state.event[0]["roughness"] = np.nan


@njit(nogil=True, cache=True, error_model="numpy")
def _settle_notes(state: ListenerState, pitch: float, clarity: float) -> None:
    """Decide by clarity between one voice, the notes of the spectrum, and none."""
    event = state.event[0]
    event["clarity"] = clarity
    if clarity >= state.clarity and not np.isnan(pitch):
        event["n_notes"] = 1
        event["note_pitch"][0] = int(np.round(pitch))
    elif clarity < state.tonal_clarity and state.live[0]["flatness"] > state.tonal_flatness:
        event["n_notes"] = 0
        event["chroma"][:] = 0.0
        event["roughness"] = np.nan
    for i in range(MAX_NOTES):
        if i >= event["n_notes"]:
            event["note_pitch"][i] = 0
            event["note_velocity"][i] = 0
        else:
            event["note_velocity"][i] = int(np.round(event["velocity"]))
    event["pitch"] = np.nan
    if event["n_notes"] > 0:
        note = np.float64(event["note_pitch"][0])
        event["pitch"] = pitch if abs(pitch - note) <= REFINEMENT_SEMITONES else note


@njit(nogil=True, cache=True, error_model="numpy")
def _velocity(state: ListenerState) -> float:
    """Place the event's level below forte."""
    event, live = state.event[0], state.live[0]
    below_db = event["level_db"] - live["forte_db"]
    velocity = LOUDEST_VELOCITY * 10 ** (below_db / VELOCITY_DB_PER_DECADE)
    return float(min(max(velocity, 1.0), 127.0))


@njit(nogil=True, cache=True, error_model="numpy")
def _level_db(history: NDArray[np.float64], start_frame: int, end_frame: int) -> float:
    """Return the RMS level of the frames [start, end) in dBFS without their mean, at least −200."""
    mask = history.size - 1
    total, squares = 0.0, 0.0
    for frame in range(start_frame, end_frame):
        sample = history[frame & mask]
        total += sample
        squares += sample * sample
    n = end_frame - start_frame
    variance = squares / n - (total / n) ** 2
    return float(10.0 * np.log10(max(variance, 1e-20)))


@njit(nogil=True, cache=True, error_model="numpy")
def _brightness_hz(
    history: NDArray[np.float64], start_frame: int, end_frame: int, rate_hz: float
) -> float:
    """Return the frequency of the sine that changes as much from frame to frame as [start, end)."""
    mask = history.size - 1
    total, squares, changes = 0.0, 0.0, 0.0
    for frame in range(start_frame, end_frame):
        sample = history[frame & mask]
        total += sample
        squares += sample * sample
        changes += (sample - history[(frame - 1) & mask]) ** 2
    variance = squares - total * total / (end_frame - start_frame)
    if variance <= 1e-20:
        return 0.0
    return float(rate_hz / np.pi * np.arcsin(min(0.5 * np.sqrt(changes / variance), 1.0)))
