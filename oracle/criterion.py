"""A criterion: what is asked of one attribute of the next state, and how kernels take it.

Pure data, any thread. The seven types (after Brandtsegg and Formo's probabilistic logic) give each
candidate a mask of 0…1:

| type       | mask                                                                            |
|------------|---------------------------------------------------------------------------------|
| `==`       | 1 within the attribute's tolerance of the value; where no candidate is, 1 for   |
|            | the nearest: tokens by their centroids, pitch classes around the octave,        |
|            | rhythm ratios by log2                                                           |
| `>` `<`    | 1 above, below the value                                                        |
| `abs >` `abs <` | 1 where the magnitude is above, below the value                            |
| `gradient` | the value, scaled so that the candidates span 0…1, to the power of abs(shape);  |
|            | 1 − that where shape is negative                                                |
| `gr_abs`   | the same of the magnitude                                                       |

Beat phase and pitch class lie on a circle, whose end is next to its beginning: `==` goes the
shorter way round, and the magnitude is how far from 0 a value is, at most half the way round.
Nothing on it is above or below another, so `>`, `<` and `gradient` are refused.

A candidate's probability is multiplied by mask · weight + 1 − weight. What is missing in a state
meets nothing.
"""

import difflib
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from oracle.attributes import Attribute

TYPES = ("==", ">", "<", "abs >", "abs <", "gradient", "gr_abs")
_OF_LINES = (">", "<", "gradient")
EQUAL, ABOVE, BELOW, ABS_ABOVE, ABS_BELOW, GRADIENT, ABS_GRADIENT = range(len(TYPES))
_TYPE_INDEX = {name: index for index, name in enumerate(TYPES)}
RATIO_TERM_MAX = 64
_REAL = (int, float, np.number)

# A criterion as kernels take it: what to read of a state and what to compare it with.
TERM_DTYPE = np.dtype(
    [
        ("column", np.int64),  # of the attribute table
        ("pitch_column", np.int64),  # where the pitch is that a transposed register follows from
        ("measure", np.int64),
        ("type", np.int64),
        ("target", np.float64),
        ("tolerance", np.float64),
        ("period", np.float64),
        ("weight", np.float64),
        ("shape", np.float64),
    ]
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Criterion:
    """What is asked of one attribute; the module says what each type means.

    Parameters
    ----------
    attribute
        Its name.
    type
        One of `TYPES`.
    value
        In the attribute's unit; a rhythm ratio as [p, q] or as p / q. None for a gradient.
    weight
        0 (asks nothing) … 1 (hard, unless a gradient).
    shape
        Of a gradient: not 0; larger favours the extreme, negative the low end.
    is_held
        Never relaxed.

    Raises
    ------
    ValueError
        The type is unknown, or weight, shape or is_held do not go with it.
    """

    attribute: str
    type: str = "=="
    value: float | Sequence[float] | None = None
    weight: float = 1.0
    shape: float | None = None
    is_held: bool = False

    def __post_init__(self) -> None:
        """Refuse what the attribute need not be known for."""
        if self.type not in TYPES:
            raise ValueError(unknown(f"{self._where}: type", self.type, TYPES))
        if not _is_number(self.weight) or not 0 <= self.weight <= 1:
            raise ValueError(f"{self._where}: weight must be 0…1, got {self.weight!r}")
        if self.is_gradient:
            if self.value is not None:
                raise ValueError(f"{self._where}: a gradient takes a shape and no value")
            if self.shape is not None and (not _is_number(self.shape) or self.shape == 0):
                raise ValueError(
                    f"{self._where}: shape must be a number other than 0, got {self.shape!r}"
                )
        elif self.shape is not None:
            raise ValueError(f"{self._where}: only gradients have a shape")
        if self.is_held and not self.is_hard:
            raise ValueError(
                f"{self._where}: only a hard criterion (weight 1, no gradient) can be held"
            )

    @property
    def _where(self) -> str:
        """Name the criterion in an error; a step has no time to write what it does not say."""
        return f"request for {self.attribute}"

    @property
    def is_gradient(self) -> bool:
        """Whether it favours by degree instead of telling apart."""
        return self.type in ("gradient", "gr_abs")

    @property
    def is_hard(self) -> bool:
        """Whether only states that meet it will do."""
        return self.weight == 1 and not self.is_gradient


def term_of(criterion: Criterion, column: int, pitch_column: int, attribute: Attribute) -> bytes:
    """Lay a criterion out as kernels take it: one TERM_DTYPE's bytes.

    Parameters
    ----------
    column, pitch_column
        Of the attribute table: where the attribute is, and the pitch, or again the attribute where
        there is none.

    Raises
    ------
    ValueError
        The value is none that the attribute can have, or the type none that suits it.
    """
    term = (
        column,
        pitch_column,
        attribute.measure,
        _TYPE_INDEX[criterion.type],
        _target(criterion, attribute),
        attribute.tolerance,
        attribute.period,
        criterion.weight,
        1.0 if criterion.shape is None else criterion.shape,
    )
    return np.array(term, TERM_DTYPE).tobytes()


def _target(criterion: Criterion, attribute: Attribute) -> float:
    """Return the number that states are compared with."""
    if criterion.type != "==" and attribute.measure.is_category:
        raise ValueError(
            f"{criterion._where}: type must be '==' for a category, got {criterion.type!r}"
        )
    if criterion.type in _OF_LINES and attribute.is_circle:
        raise ValueError(
            f"{criterion._where}: type must be '==', 'abs >', 'abs <' or 'gr_abs', as on a circle "
            f"nothing is above or below, got {criterion.type!r}"
        )
    if criterion.is_gradient:
        return 0.0
    value: Any = criterion.value
    if attribute.name == "rhythm_ratio":
        return _log2_ratio(criterion)
    unit = attribute.unit
    if not _is_number(value):
        raise ValueError(f"{criterion._where}: value must be a number ({unit}), got {value!r}")
    if not attribute.low <= value <= attribute.high:
        limits = f"{attribute.low:g}…{attribute.high:g}"
        raise ValueError(f"{criterion._where}: value must be {limits} ({unit}), got {value!r}")
    if attribute.is_whole and value != round(value):
        raise ValueError(f"{criterion._where}: value must be whole ({unit}), got {value!r}")
    return attribute.in_period(float(value)) if criterion.type == "==" else float(value)


def _log2_ratio(criterion: Criterion) -> float:
    """Return log2(p / q) of a ratio written [p, q] or as one number."""
    value: Any = criterion.value
    if _is_number(value) and 1 / RATIO_TERM_MAX <= value <= RATIO_TERM_MAX:
        return math.log2(value)
    if isinstance(value, Sequence) and not isinstance(value, str) and len(value) == 2:
        p, q = value
        if all(_is_number(n) and n == round(n) and 1 <= n <= RATIO_TERM_MAX for n in (p, q)):
            return math.log2(p / q)
    raise ValueError(
        f"{criterion._where}: value must be [p, q] of whole numbers 1…{RATIO_TERM_MAX}, or p / q, "
        f"got {value!r}"
    )


def _is_number(value: object) -> bool:
    """Whether a value is a finite real number; true and false are none."""
    is_real = isinstance(value, _REAL) and not isinstance(value, bool)
    return is_real and math.isfinite(value)  # type: ignore[arg-type]


def unknown(what: str, name: object, known: Iterable[str]) -> str:
    """Say that a name is not known, and which known one is nearest."""
    near = difflib.get_close_matches(str(name), sorted(known), n=1, cutoff=0.4)
    hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(sorted(known))}"
    return f"{what} {name!r} is unknown: {hint}"
