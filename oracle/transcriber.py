"""Transcriber: from what the listener published of one event to the event a memory learns.

One stream, one transcriber, one thread: the event loop's on stage, the learner's in training. Both
go through here, so that what one learns the other recognises. An event is *keyed* by what could be
heard of it by decision time (its ATTACK and its token) and carries the notes as they were known
when it was over (its BODY). The records are `models.listener.EVENT_DTYPE`.
"""

from typing import Final

import numpy as np

from oracle.event import Event, EventTracker, Note

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

    def transcribe(self, attack: np.void, body: np.void, token: int | None) -> Event:
        """Make the event of an ATTACK and its BODY; call it in the order of the stream.

        Parameters
        ----------
        token
            Of the window that ended at the decision frame; None if it was not encoded.
        """
        onset_s = float(attack["onset_frame"]) / self._rate_hz
        pitch, velocity = float(attack["pitch"]), float(attack["velocity"])
        frame = self._tracker.track(onset_s, pitch=pitch, velocity=velocity, token=token)
        duration_s = float(body["duration_frames"]) / self._rate_hz
        n_notes = int(body["n_notes"])
        return Event(
            frame=frame,
            notes=tuple(
                Note(int(note_pitch), int(note_velocity), max(duration_s, SHORTEST_NOTE_S))
                for note_pitch, note_velocity in zip(
                    body["note_pitch"][:n_notes], body["note_velocity"][:n_notes], strict=True
                )
            ),
            pitch=pitch,
            level_db=float(attack["level_db"]),
            velocity=velocity,
            onset_s=onset_s,
            duration_s=duration_s,
            source=self._source,
        )
