"""What a state is worth to a criterion: the seven types as masks of 0…1, compiled.

Runs on the thread that navigates, without the GIL; never allocates. Functions that are called for
each state take as few arrays as they can: passing a tuple of forty costs 0.7 µs a call.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oracle._jit import kernel
from oracle.attributes import Measure
from oracle.criterion import (
    ABOVE,
    ABS_ABOVE,
    ABS_BELOW,
    ABS_GRADIENT,
    EQUAL,
    GRADIENT,
)

MET, NEAREST, DROPPED = range(3)

_TOKEN = int(Measure.TOKEN)
_CATEGORY = int(Measure.CATEGORY)
_PITCH = int(Measure.PITCH)
_PITCH_CLASS = int(Measure.PITCH_CLASS)
_REGISTER = int(Measure.REGISTER)


@kernel
def sounding(values: NDArray[np.float32], term: Any, state: int, transposition: int) -> float:
    """Return the attribute of a state as it sounds transposed, NaN where missing; kernel."""
    value = float(values[state, term["column"]])
    if transposition == 0 or math.isnan(value):
        return value
    measure = term["measure"]
    if measure == _PITCH:
        return value + transposition
    if measure == _PITCH_CLASS:
        return (value + transposition) % 12
    if measure == _REGISTER:
        pitch = float(values[state, term["pitch_column"]])
        return (round(pitch) + transposition) // 12 - 1.0
    return value


@kernel
def meets(values: NDArray[np.float32], term: Any, state: int, transposition: int) -> bool:
    """Whether a state meets a criterion, not a gradient, as asked; kernel."""
    value = sounding(values, term, state, transposition)
    target, kind = term["target"], term["type"]
    if kind == EQUAL:
        return bool(_apart(value, target, term["period"]) <= term["tolerance"])
    if kind in (ABS_ABOVE, ABS_BELOW):
        value = _apart(value, 0.0, term["period"])
    if kind in (ABOVE, ABS_ABOVE):
        return bool(value > target)
    return bool(value < target)


@kernel
def _apart(a: float, b: float, period: float) -> float:
    """Return how far two values are from each other, the shorter way round a circle; NaN is NaN."""
    apart = abs(a - b)
    return min(apart, abs(period - apart))


@kernel
def any_moves(terms: NDArray[np.void]) -> bool:
    """Whether transposing can change what one of these criteria finds; kernel."""
    for j in range(terms.size):  # noqa: SIM110, numba compiles no generator
        if terms[j]["measure"] >= _PITCH:
            return True
    return False


@kernel
def meets_all(
    values: NDArray[np.float32], terms: NDArray[np.void], state: int, transposition: int
) -> bool:
    """Whether a state meets all these criteria; kernel."""
    for j in range(terms.size):  # noqa: SIM110
        if not meets(values, terms[j], state, transposition):
            return False
    return True


@kernel
def n_labels_met(
    values: NDArray[np.float32],
    upcoming: NDArray[np.void],
    label_end: NDArray[np.int64],
    state: int,
    transposition: int,
    n_states: int,
) -> int:
    """Count the labels to come that the states after this one meet one after the other; kernel."""
    begin = 0
    for label in range(label_end.size):
        state += 1
        terms = upcoming[begin : label_end[label]]
        if state >= n_states or not meets_all(values, terms, state, transposition):
            return label
        begin = label_end[label]
    return int(label_end.size)


@kernel
def apply_mask(
    values: NDArray[np.float32],
    token_distance: NDArray[np.float64],
    term: Any,
    is_held: bool,
    rows: NDArray[np.void],
    mask: NDArray[np.float64],
) -> int:
    """Mask the candidates still possible, weigh their probabilities; kernel.

    Returns
    -------
    outcome
        MET as asked, or what took its place: NEAREST, or DROPPED (the mask is 1 throughout).
    """
    outcome = MET
    if term["type"] in (GRADIENT, ABS_GRADIENT):
        is_any = _grade(values, term, rows, mask)
    else:
        is_any = False
        for i in range(rows.size):
            is_met = meets(values, term, rows[i]["state"], rows[i]["transposition"])
            mask[i] = is_met
            is_any |= is_met and rows[i]["probability"] > 0
    if not is_any and not is_held:
        is_near = term["type"] == EQUAL and _take_nearest(values, token_distance, term, rows, mask)
        outcome = NEAREST if is_near else DROPPED
        if not is_near:
            mask[:] = 1.0
    weight = term["weight"]
    for i in range(rows.size):
        rows[i]["probability"] *= mask[i] * weight + 1 - weight
    return outcome


@kernel
def _grade(
    values: NDArray[np.float32], term: Any, rows: NDArray[np.void], mask: NDArray[np.float64]
) -> bool:
    """Mask by degree, the candidates still possible spanning 0…1; False where none has a value."""
    low, high = math.inf, -math.inf
    for i in range(rows.size):
        value = sounding(values, term, rows[i]["state"], rows[i]["transposition"])
        mask[i] = _apart(value, 0.0, term["period"]) if term["type"] == ABS_GRADIENT else value
        if rows[i]["probability"] > 0 and not math.isnan(value):
            low, high = min(low, mask[i]), max(high, mask[i])
    shape = term["shape"]
    for i in range(rows.size):
        if math.isnan(mask[i]):
            mask[i] = 0.0
        elif high > low:
            degree = min(max((mask[i] - low) / (high - low), 0.0), 1.0) ** abs(shape)
            mask[i] = degree if shape > 0 else 1 - degree
        else:
            mask[i] = 1.0
    return low <= high


@kernel
def _take_nearest(
    values: NDArray[np.float32],
    token_distance: NDArray[np.float64],
    term: Any,
    rows: NDArray[np.void],
    mask: NDArray[np.float64],
) -> bool:
    """Mask all but the nearest of the candidates still possible; False where none is comparable."""
    nearest = math.inf
    for i in range(rows.size):
        value = sounding(values, term, rows[i]["state"], rows[i]["transposition"])
        mask[i] = _distance(token_distance, term, value)
        if rows[i]["probability"] > 0:
            nearest = min(nearest, mask[i])
    for i in range(rows.size):
        mask[i] = mask[i] == nearest
    return nearest < math.inf


@kernel
def _distance(token_distance: NDArray[np.float64], term: Any, value: float) -> float:
    """Return how far a value is from the one asked for, infinity where that cannot be said."""
    measure, target = term["measure"], term["target"]
    k = len(token_distance)
    if math.isnan(value) or measure == _CATEGORY:
        return math.inf
    if measure == _TOKEN:
        is_known = value < k and target < k
        return float(token_distance[int(value), int(target)]) if is_known else math.inf
    return _apart(value, target, term["period"])
