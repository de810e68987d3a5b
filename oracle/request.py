"""A request: what the next state is asked to be like, criterion by criterion.

Pure data, any thread. A request is a mapping from attribute to what is wanted of it, the most
important first:

    {"gesture_token": 142, "consonance": 0.8, "rhythm_ratio": [3, 2]}
    {"pitch_class": 7, "loudness": {"type": ">", "value": -20, "weight": 0.5}}

A bare value means `==` at weight 1. The seven types (after Brandtsegg and Formo's probabilistic
logic) give each candidate a mask of 0…1:

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

A candidate's probability is multiplied by mask · weight + 1 − weight. What is missing in a state
meets nothing. A criterion of weight 1 that is not a gradient is *hard*: states that meet it are
looked for near the current state, then in the whole memory. If none meets all hard criteria, each
is kept, in the order named, that a state meets together with those kept before it; the others are
relaxed: `==` takes the nearest, any other type counts for nothing. A criterion that `is_held` is
never relaxed: rather silence.
"""

import difflib
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from operator import attrgetter
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from oracle.attributes import Attribute

TYPES = ("==", ">", "<", "abs >", "abs <", "gradient", "gr_abs")
EQUAL, ABOVE, BELOW, ABS_ABOVE, ABS_BELOW, GRADIENT, ABS_GRADIENT = range(len(TYPES))
_TYPE_INDEX = {name: index for index, name in enumerate(TYPES)}
ALIASES = {"density": "onset_density"}
RATIO_TERM_MAX = 64
_REAL = (int, float, np.number)


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
            raise ValueError(_unknown(f"{self._where}: type", self.type, TYPES))
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


_KEYS = {field.name for field in fields(Criterion)} - {"attribute"}

Request = Mapping[str, Any] | Iterable[Criterion] | None
Known = Mapping[str, tuple[int, Attribute]]  # by name: its column in the attribute table, and it


# A criterion as kernels take it: what to read of a state and what to compare it with.
TERM_DTYPE = np.dtype(
    [
        ("column", np.int64),  # of the attribute table
        ("pitch_column", np.int64),  # where the pitch is that a transposed register follows from
        ("measure", np.int64),
        ("type", np.int64),
        ("target", np.float64),
        ("tolerance", np.float64),
        ("weight", np.float64),
        ("shape", np.float64),
    ]
)
NO_TERMS = np.zeros(0, TERM_DTYPE)
N_REMEMBERED = 4096  # entries
_rank = attrgetter("rank")


class Reading(NamedTuple):
    """A request as it was read: held criteria first, then hard, then soft."""

    criteria: tuple[Criterion, ...]
    terms: NDArray[np.void]  # (n_criteria,), TERM_DTYPE
    n_held: int
    n_hard: int  # the held included


class _Entry(NamedTuple):
    """One criterion, its place among others (0 held, 1 hard, 2 soft) and its term's bytes."""

    rank: int
    criterion: Criterion
    term: bytes


class RequestReader:
    """Reads requests for one attribute table and remembers entries it has read; one thread.

    Reading a criterion anew costs some 4 µs.

    Parameters
    ----------
    known
        What there is to ask for: `AttributeTable.known`.
    always
        Criteria that come before those of every request.
    """

    def __init__(self, known: Known, always: Iterable[Criterion] = ()) -> None:
        self._known = known
        self._always = [self._entry(criterion) for criterion in always]
        self._remembered: dict[tuple[object, ...], _Entry] = {}

    def read(self, request: Request) -> Reading:
        """Read a request in any of its forms.

        Parameters
        ----------
        request
            A mapping as in the module's examples, or criteria, or None: nothing is asked.

        Raises
        ------
        ValueError
            A name, type, key or value is not known or out of range; the nearest known is named.
        """
        entries = self._always.copy()
        if isinstance(request, Mapping):
            entries += [self._named_entry(name, wanted) for name, wanted in request.items()]
        elif request is not None:
            entries += [self._entry(criterion) for criterion in request]
        entries.sort(key=_rank)
        ranks = [entry.rank for entry in entries]
        terms = bytearray().join([entry.term for entry in entries])
        return Reading(
            criteria=tuple([entry.criterion for entry in entries]),
            terms=np.frombuffer(terms, TERM_DTYPE) if entries else NO_TERMS,
            n_held=ranks.count(0),
            n_hard=len(ranks) - ranks.count(2),
        )

    def _named_entry(self, name: str, wanted: object) -> _Entry:
        """Read one entry of a request mapping, or remember it."""
        # 1, 1.0 and True are equal, but not all of them are numbers
        key: tuple[object, ...] = (name, type(wanted), wanted)
        if isinstance(wanted, dict):
            key = (name, *wanted, *wanted.values(), *map(type, wanted.values()))
        try:
            entry = self._remembered.get(key)
        except TypeError:  # a list, which may change
            return self._entry(_criterion(name, wanted))
        if entry is None:
            entry = self._entry(_criterion(name, wanted))
            if not isinstance(entry.criterion.value, Sequence):
                if len(self._remembered) == N_REMEMBERED:
                    self._remembered.clear()
                self._remembered[key] = entry
        return entry

    def _entry(self, criterion: Criterion) -> _Entry:
        """Look up what a criterion asks for and lay it out as kernels take it."""
        known = self._known
        if not isinstance(criterion, Criterion):
            raise ValueError(f"a request is a mapping or criteria, got {criterion!r} in it")
        name = criterion.attribute
        if name not in known:
            name = ALIASES.get(name, name)
        if name not in known:
            raise ValueError(
                _unknown("request: attribute", criterion.attribute, {*known, *ALIASES})
            )
        column, attribute = known[name]
        term = (
            column,
            known["pitch"][0] if "pitch" in known else column,
            attribute.measure,
            _TYPE_INDEX[criterion.type],
            _target(criterion, attribute),
            attribute.tolerance,
            criterion.weight,
            1.0 if criterion.shape is None else criterion.shape,
        )
        rank = 2 - criterion.is_hard - criterion.is_held
        return _Entry(rank, criterion, np.array(term, TERM_DTYPE).tobytes())


def _criterion(name: str, wanted: object) -> Criterion:
    """Read one entry of a request mapping."""
    if not isinstance(wanted, Mapping):
        return Criterion(attribute=name, value=wanted)  # type: ignore[arg-type]
    for key in wanted:
        if key not in _KEYS:
            raise ValueError(_unknown(f"request for {name}: key", key, _KEYS))
    return Criterion(attribute=name, **wanted)


def _target(criterion: Criterion, attribute: Attribute) -> float:
    """Return the number that states are compared with."""
    if criterion.type != "==" and attribute.measure.is_category:
        raise ValueError(
            f"{criterion._where}: type must be '==' for a category, got {criterion.type!r}"
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
    return float(value)


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


def _unknown(what: str, name: object, known: Iterable[str]) -> str:
    """Say that a name is not known, and which known one is nearest."""
    near = difflib.get_close_matches(str(name), sorted(known), n=1, cutoff=0.4)
    hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(sorted(known))}"
    return f"{what} {name!r} is unknown: {hint}"
