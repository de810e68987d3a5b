"""Event lines: what was heard of an event, as a line for a player and as a JSON object.

Pure. What is missing is a dash in the line and left out of the object.
"""

import math
from typing import Any, Final

from oracle.event import EVENT_DIMS, Event
from oracle.graph_file import note_name

HEADINGS: Final = "    time  pitch  cents  vel   dBFS  lasts  token  conson.  ratio  bpm"


def event_object(event: Event) -> dict[str, Any]:
    """Give an event's numbers by name, those that are there."""
    said = {
        "onset_s": event.onset_s,
        "duration_s": event.duration_s,
        "pitch": event.pitch,
        "velocity": event.velocity,
        "level_db": event.level_db,
        **_dimensions(event),
    }
    rounded = {name: round(value, 6) for name, value in said.items() if math.isfinite(value)}
    return rounded | {"notes": [note.pitch for note in event.notes]}


def event_line(event: Event) -> str:
    """Give an event's numbers under `HEADINGS`."""
    heard = _dimensions(event)
    pitch = None if math.isnan(event.pitch) else round(event.pitch)
    ratio = heard["ratio_p"], heard["ratio_q"]
    cells = (
        f"{event.onset_s:8.3f}",
        f"{'–' if pitch is None else note_name(pitch):<5}",
        _cell(math.nan if pitch is None else 100 * (event.pitch - pitch), 5, "+.0f"),
        _cell(event.velocity, 3, ".0f"),
        _cell(event.level_db, 5, ".1f"),
        _cell(event.duration_s, 5, ".2f"),
        _cell(heard["gesture_token"], 5, ".0f"),
        _cell(heard["consonance"], 7, ".2f"),
        f"{'–' if math.isnan(sum(ratio)) else '{:g}:{:g}'.format(*ratio):>5}",
        _cell(2 ** heard["log2_tempo"], 3, ".0f"),
    )
    return "  ".join(cells)


def _dimensions(event: Event) -> dict[str, float]:
    return {dim.name: float(value) for dim, value in zip(EVENT_DIMS, event.frame, strict=True)}


def _cell(number: float, width: int, form: str) -> str:
    """Format a number, or a dash as wide."""
    return f"{f'{number:{form}}' if math.isfinite(number) else '–':>{width}}"
