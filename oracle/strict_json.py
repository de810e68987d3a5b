"""Strict JSON: each value of a file is what it must be, or is refused by name.

Pure functions, any thread. JSON's own reader takes the last of two members of one name, and NaN,
which JSON has not; in Python true is a number and a text is a list of texts. Nothing of that here.
"""

import json
import math
from collections.abc import Mapping
from typing import Any


def parse(content: bytes) -> Any:
    """Read JSON.

    Raises
    ------
    ValueError, RecursionError
        It is none, a name occurs twice in one object, or it is nested too deeply.
    """
    return json.loads(content, object_pairs_hook=_once, parse_constant=_refuse_constant)


def dumped(value: Any) -> str:
    """Write JSON.

    Raises
    ------
    ValueError
        A number is infinite or NaN.
    """
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def or_null(value: float) -> float | None:
    """Give a number as JSON has it, which knows neither NaN nor ∞."""
    return value if math.isfinite(value) else None


def named(record: Any, names: set[str], what: str) -> Mapping[str, Any]:
    """Take an object that has exactly these names.

    Raises
    ------
    TypeError, ValueError
        It is no object, or lacks a name or has another; as `what` it is named in the message.
    """
    given = set(mapping(record, what))
    if given != names:
        lacking, unknown = sorted(names - given), sorted(given - names)
        need = f"lacks {lacking[0]!r}" if lacking else f"has an unknown {unknown[0]!r}"
        raise ValueError(f"{what} {need}")
    return record  # type: ignore[no-any-return]


def mapping(value: Any, what: str) -> Mapping[str, Any]:
    """Take an object, or raise TypeError."""
    if not isinstance(value, dict):
        raise TypeError(f"{what} must be an object, got {type(value).__name__}")
    return value


def listed(value: Any, what: str) -> list[Any]:
    """Take a list, or raise TypeError."""
    if not isinstance(value, list):
        raise TypeError(f"{what} must be a list, got {type(value).__name__}")
    return value


def text(value: Any, what: str) -> str:
    """Take a text, or raise TypeError."""
    if not isinstance(value, str):
        raise TypeError(f"{what} must be text, got {value!r}")
    return value


def whole(value: Any, what: str) -> int:
    """Take a whole number, or raise TypeError."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{what} must be a whole number, got {value!r}")
    return value


def number(value: Any, what: str) -> float:
    """Take a number, or raise TypeError."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise TypeError(f"{what} must be a number, got {value!r}")
    return float(value)


def number_or(null: float, value: Any, what: str) -> float:
    """Take a number, or what null stands for, or raise TypeError."""
    return null if value is None else number(value, what)


def numbers(values: Any, what: str) -> list[float]:
    """Take a list of numbers, or raise TypeError."""
    return [number(value, what) for value in listed(values, what)]


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Make an object of its members, each named once."""
    record = dict(pairs)
    if len(record) < len(pairs):
        raise ValueError("a name occurs twice in one object")
    return record


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")
