"""A trace: what one step considered, what it chose and why.

Plain data and one pure function; the thread that navigates makes it, any may read it.
"""

from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from oracle import _near
from oracle._masks import MET, NEAREST
from oracle._scene import Choice, Scratch
from oracle.criterion import Criterion


class Origin(Enum):
    """What led to a candidate."""

    CONTINUATION = _near.CONTINUATION
    TRANSITION = _near.TRANSITION
    SUFFIX_LINK = _near.SUFFIX_LINK
    REVERSE_LINK = _near.REVERSE_LINK
    CLUSTER = _near.CLUSTER
    LOOK_UP = _near.LOOK_UP


_ORIGINS = {origin.value: origin for origin in Origin}  # calling an Enum takes a µs


class Relaxation(NamedTuple):
    """Something that was asked and not met: the attribute or "taboo", and what was done."""

    what: str
    how: str  # "nearest" or "dropped"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Trace:
    """One step: what was considered, what was chosen and why.

    Parameters
    ----------
    state
        The state chosen, None for silence.
    transposition_semitones
        By how much what it plays is to be moved.
    why
        What led to it; None for silence.
    quality
        Share of the request, by weight, that it meets as asked, 0…1; 1 where nothing was asked.
    relaxed
        What was not met as asked.
    criteria
        The request, in the order it was applied; one row of `masks` each.
    candidates
        [shape=(n,), CANDIDATE_DTYPE] the states considered: the value of their `Origin`, the
        length of their past in common with the current state (to 32), by how much they are
        transposed, whether they were chosen a short while ago, and their probability (sum 1).
    masks
        [shape=(n_criteria, n), float64] what each criterion made of each candidate, 0…1.
    """

    state: int | None
    transposition_semitones: int
    why: Origin | None
    quality: float
    relaxed: tuple[Relaxation, ...]
    criteria: tuple[Criterion, ...]
    candidates: NDArray[np.void]
    masks: NDArray[np.float64]


def trace_of(
    choice: Choice, scratch: Scratch, criteria: tuple[Criterion, ...], min_quality: float
) -> Trace:
    """Copy out what the step considered and judge what it chose."""
    is_none = choice.chosen < 0
    is_silent = is_none or choice.quality < min_quality
    relaxed: list[Relaxation] = []
    if is_none:
        relaxed += [Relaxation(c.attribute, "dropped") for c in criteria if c.is_hard]
    elif scratch.outcomes.any():
        relaxed += [
            Relaxation(criterion.attribute, "nearest" if outcome == NEAREST else "dropped")
            for criterion, outcome in zip(criteria, scratch.outcomes.tolist(), strict=True)
            if outcome != MET
        ]
    if choice.is_taboo_relaxed:
        relaxed.append(Relaxation("taboo", "dropped"))
    return Trace(
        state=None if is_silent else choice.state,
        transposition_semitones=0 if is_silent else choice.transposition,
        why=None if is_silent else _ORIGINS[choice.origin],
        quality=choice.quality,
        relaxed=tuple(relaxed),
        criteria=criteria,
        candidates=scratch.rows[: choice.n_candidates].copy(),
        masks=scratch.masks[:, : choice.n_candidates].copy(),
    )
