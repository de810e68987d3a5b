"""A request: what the next state is asked to be like, criterion by criterion.

Pure data, any thread. A request is a mapping from attribute to what is wanted of it, the most
important first:

    {"gesture_token": 142, "consonance": 0.8, "rhythm_ratio": [3, 2]}
    {"pitch_class": 7, "loudness": {"type": ">", "value": -20, "weight": 0.5}}

A bare value means `==` at weight 1; `oracle.criterion` says what each type does. A criterion of
weight 1 that is not a gradient is *hard*: states that meet it are looked for near the current
state, then in the whole memory. If none meets all hard criteria, each is kept, in the order named,
that a state meets together with those kept before it; the others are relaxed: `==` takes the
nearest, any other type counts for nothing. A criterion that `is_held` is never relaxed: rather
silence.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from operator import attrgetter
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from oracle.attributes import Attribute
from oracle.criterion import TERM_DTYPE, Criterion, term_of, unknown

ALIASES = {"density": "onset_density"}
N_REMEMBERED = 4096  # entries
NO_TERMS = np.zeros(0, TERM_DTYPE)
_KEYS = {field.name for field in fields(Criterion)} - {"attribute"}
_rank = attrgetter("rank")

Request = Mapping[str, Any] | Iterable[Criterion] | None
Known = Mapping[str, tuple[int, Attribute]]  # by name: its column in the attribute table, and it


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
            raise ValueError(unknown("request: attribute", criterion.attribute, {*known, *ALIASES}))
        column, attribute = known[name]
        pitch_column = known["pitch"][0] if "pitch" in known else column
        term = term_of(criterion, column, pitch_column, attribute)
        rank = 2 - criterion.is_hard - criterion.is_held
        return _Entry(rank, criterion, term)


def _criterion(name: str, wanted: object) -> Criterion:
    """Read one entry of a request mapping."""
    if not isinstance(wanted, Mapping):
        return Criterion(attribute=name, value=wanted)  # type: ignore[arg-type]
    for key in wanted:
        if key not in _KEYS:
            raise ValueError(unknown(f"request for {name}: key", key, _KEYS))
    return Criterion(attribute=name, **wanted)
