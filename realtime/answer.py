"""Answer: what is played to one event, or as one note of a phrase, and what led to it.

Plain data; the loop thread makes it, any may read it.
"""

from dataclasses import dataclass, field
from typing import Final

from oracle.event import Note
from oracle.trace import Trace
from realtime.modes import Turn

NO_STATE: Final = "no state answers"
REST: Final = "rest"
LEADING: Final = "leading"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What to play to one event, or as one note of a phrase.

    Attributes
    ----------
    notes
        To begin now, together, the one that leads first; none is silence.
    state
        Where they come from; None in silence.
    relaxed
        What of the request was not met as asked.
    why
        What led to the state, or why there is silence.
    trace
        What was asked, considered and chosen; None if nobody did.
    turn
        The change of mode that came with this event, if one did.
    transposition_semitones
        By how much the notes were moved from those of the state.
    """

    notes: tuple[Note, ...]
    state: int | None
    relaxed: tuple[str, ...]
    why: str
    trace: Trace | None = field(default=None, compare=False)
    turn: Turn | None = None
    transposition_semitones: int = 0


def silence(why: str, *, trace: Trace | None = None, turn: Turn | None = None) -> Answer:
    """Answer with nothing, for a reason."""
    return Answer(
        notes=(),
        state=None,
        relaxed=relaxed_of(trace) if trace else (),
        why=why,
        trace=trace,
        turn=turn,
    )


def relaxed_of(trace: Trace) -> tuple[str, ...]:
    """Name what was not met as asked."""
    return tuple(relaxation.what for relaxation in trace.relaxed)
