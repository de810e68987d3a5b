"""Transcriber: from what the listener published of one event to the event a memory learns.

One stream, one transcriber, one thread: the event loop's on stage, the learner's in training. Both
go through here, so that what one learns the other recognises. An event is *keyed* by what could be
heard of it by decision time (its ATTACK and its token); once it is over its BODY completes it by
what takes longer to hear: its consonance and its notes. The records are
`models.listener.EVENT_DTYPE`.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from oracle.beats import Beat
from oracle.event import DIM_INDEX, Event, EventTracker, Note, consonance
from oracle.rhythm import PHRASE_END_S

SHORTEST_NOTE_S: Final = 0.05
"""A note shorter than this is heard as a click, whatever instrument answers."""


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

    @property
    def beat(self) -> Beat | None:
        """The beat as believed at the newest onset, None while there is none to speak of."""
        return self._tracker.beat

    def attend(self, attack: np.void, token: int | None = None) -> NDArray[np.float32]:
        """Take an ATTACK, in the order of the stream, and return the frame it is looked up by.

        Parameters
        ----------
        token
            Of the window that ended at the decision frame; None if it was not encoded.
        """
        return self._tracker.track(
            float(attack["onset_frame"]) / self._rate_hz,
            pitch=float(attack["pitch"]),
            velocity=float(attack["velocity"]),
            token=token,
        )

    def complete(self, frame: NDArray[np.float32], attack: np.void, body: np.void) -> Event:
        """Make the event that is learned of what an ATTACK was looked up by and of its BODY."""
        completed = frame.copy()
        completed[DIM_INDEX["consonance"]] = consonance(float(body["roughness"]))
        duration_s = float(body["duration_frames"]) / self._rate_hz
        n_notes = int(body["n_notes"])
        return Event(
            frame=completed,
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
        """Attend to an ATTACK and complete it at once, for whom nothing is to look up between."""
        return self.complete(self.attend(attack, token), attack, body)
