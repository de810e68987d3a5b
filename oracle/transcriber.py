"""Transcriber: from what the listener published of one event to the event a memory learns.

One stream, one transcriber, one thread: the event loop's on stage, the learner's in training. Both
go through here, so that what one learns the other recognises. An event is attended to at its
ATTACK, whether or not it will be learned: its rhythm and its place in the melody are known then.
Once it is over it is completed by what takes longer: its token, its consonance and its notes. The
records are `models.listener.EVENT_DTYPE`.
"""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from oracle.beats import Beat
from oracle.event import DIM_INDEX, Event, EventTracker, Note, consonance
from oracle.rhythm import PHRASE_END_S

SHORTEST_NOTE_S: Final = 0.05
"""A note shorter than this is heard as a click, whatever instrument answers."""


class Attended(NamedTuple):
    """What is known of an event at its ATTACK.

    Attributes
    ----------
    attack
        The record.
    frame
        [shape=(15,), float32] by `oracle.event.EVENT_DIMS`; token and consonance are still missing.
    beat
        As believed at this onset, None while there is none to speak of.
    """

    attack: np.void
    frame: NDArray[np.float32]
    beat: Beat | None


class Transcriber:
    """Makes events of one stream's records.

    Parameters
    ----------
    rate_hz
        Of the frames that the records count.
    source
        Which recording of the memory's provenance this is.
    """

    def __init__(self, rate_hz: float, source: int = 0) -> None:
        self._rate_hz = rate_hz
        self._source = source
        self._tracker = EventTracker()

    @staticmethod
    def warm_up() -> None:
        """Compile the kernels, or load them from the cache, on a stream of its own."""
        tracker = EventTracker()
        for onset_s in (0.0, 0.5, 1.0, 1.5 + PHRASE_END_S):
            tracker.track(onset_s, pitch=60.0, velocity=64.0)

    def attend(self, attack: np.void) -> Attended:
        """Take an ATTACK, in the order of the stream.

        Raises
        ------
        ValueError
            Its onset is not later than the one before; nothing is taken.
        """
        frame = self._tracker.track(
            float(attack["onset_frame"]) / self._rate_hz,
            pitch=float(attack["pitch"]),
            velocity=float(attack["velocity"]),
        )
        return Attended(attack, frame, self._tracker.beat)

    def complete(self, attended: Attended, body: np.void, token: int | None) -> Event:
        """Make the event that is learned of what was attended to, of its BODY and its token.

        Parameters
        ----------
        token
            Of the window that ended at the decision frame; None if it was not encoded.
        """
        attack, frame = attended.attack, attended.frame.copy()
        if token is not None:
            frame[DIM_INDEX["gesture_token"]] = token
        frame[DIM_INDEX["consonance"]] = consonance(float(body["roughness"]))
        duration_s = float(body["duration_frames"]) / self._rate_hz
        n_notes = int(body["n_notes"])
        return Event(
            frame=frame,
            notes=tuple(
                Note(int(pitch), int(velocity), max(duration_s, SHORTEST_NOTE_S))
                for pitch, velocity in zip(
                    body["note_pitch"][:n_notes], body["note_velocity"][:n_notes], strict=True
                )
            ),
            pitch=float(attack["pitch"]),
            level_db=float(attack["level_db"]),
            velocity=float(attack["velocity"]),
            onset_s=float(attack["onset_frame"]) / self._rate_hz,
            duration_s=duration_s,
            source=self._source,
        )

    def transcribe(self, attack: np.void, body: np.void, token: int | None) -> Event:
        """Attend to an ATTACK and complete it at once, for whom nothing happens in between."""
        return self.complete(self.attend(attack), body, token)
