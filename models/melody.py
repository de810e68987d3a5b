"""Melody: the pitch of the recent past, and what makes a note where somebody sings.

Compiled for the listener's thread; it never allocates. Sung, blown and bowed notes often begin by
nothing but another pitch. And where a voice sings, the spectrum rises for much that is no note: for
breath, for consonants, for the vowel after them. Keys and frets hold a pitch still and a voice does
not, which tells when to look closer at an onset.
"""

from typing import Final, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

TRACK_HOPS: Final = 2
"""The pitch is tracked every 10 ms."""
TRACKS: Final = 32
LEVELS: Final = 16
GLIDE_SEMITONES: Final = 0.3
"""So far a pitch moves in vibrato and in a glide, but not in a struck or blown tone."""

CLEAR_TRACKS: Final = 8
"""A tone sounds, or did just now, if one of so many tracks is clear."""
STEADY_TRACKS: Final = 4
STEADY_SEMITONES: Final = 0.4
"""A pitch is steady when so many tracks in a row are clear and within so many semitones."""
MOVE_SEMITONES: Final = 0.7
"""A steady pitch that far from the held one is another note …"""
HELD_RATE: Final = 0.1
"""… while the held one follows a drift by this share per track."""
MOVE_TRACKS: Final = 20
"""A move takes no longer than 200 ms."""

STILL_SEMITONES: Final = 0.02
"""A pitch that moves less in 10 ms is still. Medians: singing .05 to .15, strings with vibrato .03,
blown .003 to .025, plucked and struck .001 to .01."""
SUNG_SHARE: Final = 0.4
"""Somebody sings when the pitch is clear and not still in so many of the recent tracks. The singer
stays above .5; a piano stays below .1, drums at 0, vibraphone, trumpet and saxophone below .3."""
SUNG_RATE: Final = 0.007
"""What is recent is forgotten by this share per track, in 1.4 s."""

BRIGHT_HZ: Final = 2200.0
"""Sung tones have their centre below: what is brighter is a consonant."""
BREATH_DB: Final = 25.0
"""Softer than the loudest by so much it is breath."""
RISE_DB: Final = 3.0
"""A tone that sounds already is struck anew when it rises so much …"""
SOUNDING_HOPS: Final = (4, 14)
"""… over what sounded 20 to 70 ms before …"""
LATE_TRACKS: Final = (2, 7)
"""… or when 20 to 70 ms later …"""
LATE_SEMITONES: Final = 0.6
"""… its pitch has moved so far."""

_LIVE_DTYPE = np.dtype(
    [
        ("n_tracks", np.int64),
        ("sung_share", np.float64),
        ("held_pitch", np.float64),  # NaN before one is steady
        ("late_track", np.int64),  # when an onset was put off, −1 if none is
        ("late_frame", np.int64),  # its first frame
        ("late_pitch", np.float64),  # what sounded before it
    ],
    align=True,
)


class MelodyState(NamedTuple):
    """The recent pitches and levels."""

    pitch: NDArray[np.float64]  # [shape=(TRACKS,)] ring by track
    clarity: NDArray[np.float64]  # [shape=(TRACKS,)] ring by track
    level_db: NDArray[np.float64]  # [shape=(LEVELS,)] ring by hop
    live: NDArray[np.void]  # [shape=(1,)]


def melody_state() -> MelodyState:
    """Make a melody of which nothing was heard."""
    live = np.zeros(1, _LIVE_DTYPE)
    live["held_pitch"] = np.nan
    live["late_track"] = -1
    return MelodyState(np.full(TRACKS, np.nan), np.zeros(TRACKS), np.full(LEVELS, -200.0), live)


@njit(nogil=True, cache=True)
def _follow_melody(
    melody: MelodyState, pitch: float, clarity: float, is_sound: bool, clear: float
) -> None:
    """Take in the next track; if it is loud enough to be a sound it says whether one sings."""
    live = melody.live[0]
    newest, before = live["n_tracks"] % TRACKS, (live["n_tracks"] - 1) % TRACKS
    melody.pitch[newest] = pitch
    melody.clarity[newest] = clarity
    live["n_tracks"] += 1
    if is_sound:
        moved = abs(pitch - melody.pitch[before])
        is_gliding = min(clarity, melody.clarity[before]) >= clear and (
            STILL_SEMITONES <= moved < MOVE_SEMITONES
        )
        live["sung_share"] += SUNG_RATE * ((1.0 if is_gliding else 0.0) - live["sung_share"])


@njit(nogil=True, cache=True)
def _has_glided(melody: MelodyState, n_newest: int, clear: float) -> bool:
    """Say whether the newest tracks are all clear, so of one voice, and its pitch moved."""
    lowest, highest = np.inf, -np.inf
    for back in range(min(n_newest, TRACKS)):
        track = (melody.live[0]["n_tracks"] - 1 - back) % TRACKS
        if not melody.clarity[track] >= clear:
            return False
        lowest = min(lowest, melody.pitch[track])
        highest = max(highest, melody.pitch[track])
    return bool(highest - lowest >= GLIDE_SEMITONES)


@njit(nogil=True, cache=True)
def _has_tone(melody: MelodyState, clear: float) -> bool:
    """Say whether a tone sounds, or did just now."""
    for back in range(CLEAR_TRACKS):
        if melody.clarity[(melody.live[0]["n_tracks"] - 1 - back) % TRACKS] >= clear:
            return True
    return False


@njit(nogil=True, cache=True)
def _begin_note(melody: MelodyState) -> None:
    """Forget what the last note was held at."""
    live = melody.live[0]
    live["held_pitch"] = np.nan
    live["late_track"] = -1


@njit(nogil=True, cache=True)
def _is_sung(melody: MelodyState) -> bool:
    """Say whether somebody sings."""
    return bool(melody.live[0]["sung_share"] >= SUNG_SHARE)


@njit(nogil=True, cache=True)
def _sounded_before(melody: MelodyState, hop_index: int, clear: float) -> tuple[float, float]:
    """Return level and pitch of the clear tone that sounded 20 to 70 ms ago; NaN if none did."""
    n_tracks = melody.live[0]["n_tracks"]
    first, last = SOUNDING_HOPS
    for back in range(first // TRACK_HOPS, last // TRACK_HOPS + 1):
        track = (n_tracks - 1 - back) % TRACKS
        if melody.clarity[track] >= clear:
            level_db = -np.inf
            for hop in range(hop_index - last, hop_index - first + 1):
                level_db = max(level_db, melody.level_db[hop % LEVELS])
            return level_db, melody.pitch[track]
    return np.nan, np.nan


@njit(nogil=True, cache=True)
def _is_struck_anew(
    melody: MelodyState, onset_frame: int, hop_index: int, level_db: float, clear: float
) -> bool:
    """Say whether an onset while somebody sings rises from what sounded; if not, put it off."""
    live = melody.live[0]
    before_db, pitch = _sounded_before(melody, hop_index, clear)
    if np.isnan(before_db) or level_db >= before_db + RISE_DB:
        return True
    live["late_track"], live["late_frame"], live["late_pitch"] = (
        live["n_tracks"],
        onset_frame,
        pitch,
    )
    return False


@njit(nogil=True, cache=True)
def _late_frame(melody: MelodyState, clear: float) -> int:
    """Return the first frame of the onset that was put off if its pitch has moved, else −1."""
    live = melody.live[0]
    newest = live["n_tracks"] - 1
    since = newest - live["late_track"]
    if live["late_track"] < 0 or not LATE_TRACKS[0] <= since <= LATE_TRACKS[1]:
        return -1
    for track in (newest, newest - 1):
        moved = abs(melody.pitch[track % TRACKS] - live["late_pitch"])
        if melody.clarity[track % TRACKS] < clear or moved < LATE_SEMITONES:
            return -1
    drift = abs(melody.pitch[newest % TRACKS] - melody.pitch[(newest - 1) % TRACKS])
    return int(live["late_frame"]) if drift < STEADY_SEMITONES else -1


@njit(nogil=True, cache=True)
def _steady_pitch(melody: MelodyState, clear: float) -> float:
    """Return the middle of the newest pitches if all are clear and steady, else NaN."""
    n_tracks = melody.live[0]["n_tracks"]
    lowest, highest = np.inf, -np.inf
    for track in range(n_tracks - STEADY_TRACKS, n_tracks):
        if melody.clarity[track % TRACKS] < clear:
            return np.nan
        lowest = min(lowest, melody.pitch[track % TRACKS])
        highest = max(highest, melody.pitch[track % TRACKS])
    return 0.5 * (lowest + highest) if highest - lowest <= STEADY_SEMITONES else np.nan


@njit(nogil=True, cache=True)
def _tracks_since_move(melody: MelodyState, clear: float) -> int:
    """Return how many tracks ago the held pitch was last heard if another is steady now, else −1.

    Octaves and twelfths are left out: there the pitch method may be mistaken.
    """
    live = melody.live[0]
    pitch, held = _steady_pitch(melody, clear), live["held_pitch"]
    if np.isnan(pitch) or np.isnan(held):
        if np.isnan(held):
            live["held_pitch"] = pitch
        return -1
    interval = abs(pitch - held)
    if interval < MOVE_SEMITONES:
        live["held_pitch"] += HELD_RATE * (pitch - held)
        return -1
    if min(abs(interval - 12), abs(interval - 19), abs(interval - 24)) <= 0.5:
        return -1
    for back in range(STEADY_TRACKS, MOVE_TRACKS):
        track = (live["n_tracks"] - 1 - back) % TRACKS
        was = melody.pitch[track]
        if melody.clarity[track] >= clear and abs(was - held) <= abs(was - pitch):
            return back
    return MOVE_TRACKS
