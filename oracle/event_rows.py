"""What is kept of events beside their frames: when, how loud, which notes; growing columns.

One thread appends; any other may read rows that were there when it looked. It judges nothing: an
`Event` was refused or accepted when it was made.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from oracle.attribute_table import doubled
from oracle.event import Event, Note

EVENT_ROW = np.dtype(
    [
        ("onset_s", np.float64),
        ("duration_s", np.float64),
        ("pitch", np.float32),
        ("level_db", np.float32),
        ("velocity", np.float32),
        ("source", np.int32),
        ("first_note", np.int64),
        ("n_notes", np.int32),
    ]
)
NOTE_ROW = np.dtype([("pitch", np.uint8), ("velocity", np.uint8), ("duration_s", np.float64)])
_GROUPS = {"event": EVENT_ROW, "note": NOTE_ROW}


class EventRows:
    """Events without their frames, in the order they were added."""

    def __init__(self) -> None:
        self._events = np.zeros(64, EVENT_ROW)
        self._notes = np.zeros(64, NOTE_ROW)
        self._n_events = 0
        self._n_notes = 0

    def __len__(self) -> int:
        return self._n_events

    @property
    def events(self) -> NDArray[np.void]:
        """[shape=(n_events,), EVENT_ROW] one row an event."""
        return self._events[: self._n_events]

    def extend(self, events: Iterable[Event]) -> None:
        """Add events in order."""
        rows: list[tuple[float, ...]] = []
        notes: list[Note] = []
        for event in events:
            rows.append(
                (
                    event.onset_s,
                    event.duration_s,
                    event.pitch,
                    event.level_db,
                    event.velocity,
                    event.source,
                    self._n_notes + len(notes),
                    len(event.notes),
                )
            )
            notes.extend(event.notes)
        self._extend(np.array(rows, EVENT_ROW), np.array(notes, NOTE_ROW))

    def extend_from(self, other: "EventRows", first: int, end: int) -> None:
        """Add the events first … end − 1 of other rows, which may be growing."""
        rows = other._events[first:end].copy()
        if not len(rows):
            return
        first_note = int(rows["first_note"][0])
        end_note = int(rows["first_note"][-1] + rows["n_notes"][-1])
        rows["first_note"] += self._n_notes - first_note
        self._extend(rows, other._notes[first_note:end_note])

    def _extend(self, rows: NDArray[np.void], notes: NDArray[np.void]) -> None:
        n_events, n_notes = self._n_events + len(rows), self._n_notes + len(notes)
        if n_events > len(self._events):
            self._events = doubled(self._events, n_events)
        if n_notes > len(self._notes):
            self._notes = doubled(self._notes, n_notes)
        self._events[self._n_events : n_events] = rows
        self._notes[self._n_notes : n_notes] = notes
        self._n_events, self._n_notes = n_events, n_notes

    def notes(self, index: int) -> tuple[Note, ...]:
        """Return the notes of an event, none for a sound without pitch."""
        first = int(self._events["first_note"][index])
        rows = self._notes[first : first + int(self._events["n_notes"][index])]
        return tuple(Note(*row) for row in rows.tolist())

    def event(self, index: int, frame: NDArray[np.float32]) -> Event:
        """Return an event as it was added, given its frame."""
        row = self._events[index]
        return Event(
            frame=frame,
            notes=self.notes(index),
            pitch=float(row["pitch"]),
            level_db=float(row["level_db"]),
            velocity=float(row["velocity"]),
            onset_s=float(row["onset_s"]),
            duration_s=float(row["duration_s"]),
            source=int(row["source"]),
        )

    def columns(self) -> dict[str, NDArray[Any]]:
        """Return every column by name, ``event.…`` and ``note.…``."""
        notes = self._notes[: self._n_notes]
        return {
            **{f"event.{name}": self.events[name] for name in EVENT_ROW.names or ()},
            **{f"note.{name}": notes[name] for name in NOTE_ROW.names or ()},
        }

    @classmethod
    def from_columns(cls, columns: Mapping[str, NDArray[Any]]) -> Self:
        """Restore what `columns` gave.

        Raises
        ------
        ValueError
            A column is missing, of another type or length, or notes do not belong to events.
        """
        rows = {group: _rows(columns, group, dtype) for group, dtype in _GROUPS.items()}
        events, notes = rows["event"], rows["note"]
        ends = np.cumsum(events["n_notes"], dtype=np.int64)
        begins = ends - events["n_notes"]
        n_owned = int(ends[-1]) if len(ends) else 0
        if (events["n_notes"] < 0).any() or (events["first_note"] != begins).any():
            raise ValueError("events and notes do not belong together")
        if n_owned != len(notes):
            raise ValueError(f"{n_owned} notes belong to events, {len(notes)} are there")
        restored = cls()
        restored._extend(events, notes)
        return restored


def _rows(columns: Mapping[str, NDArray[Any]], group: str, dtype: np.dtype[Any]) -> NDArray[Any]:
    """Put the columns of a group into rows."""
    names = dtype.names or ()
    sizes = set()
    for name in names:
        column = columns.get(f"{group}.{name}")
        if column is None or column.dtype != dtype[name] or column.ndim != 1:
            raise ValueError(f"no proper {group}.{name}")
        sizes.add(len(column))
    if len(sizes) != 1:
        raise ValueError(f"columns of {group} have lengths {sorted(sizes)}")
    rows = np.empty(sizes.pop(), dtype)
    for name in names:
        rows[name] = columns[f"{group}.{name}"]
    return rows
