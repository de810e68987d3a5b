"""Settings: a TOML file read strictly, table by table, into frozen dataclasses.

Runs at start only. Every stage owns its dataclass; this module knows none of them. It never
guesses: an unknown key, a wrong type or a value out of range is refused, naming the place and the
need.
"""

import dataclasses
import difflib
import math
import tomllib
import types
import typing
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any, Final, Literal, TypeVar

from models.errors import ModelsError

DEFAULT_PATH: Final = Path("config.toml")

T = TypeVar("T")


class SettingsError(ModelsError):
    """Raised when a settings file cannot be used; the message says where and what to change."""


def read_settings(
    cls: type[T],
    path: Path | None = None,
    *,
    others: Collection[str] = (),
    base: T | None = None,
) -> T:
    """Read a settings file into `cls`, a frozen dataclass with one stage's dataclass a table.

    Parameters
    ----------
    path
        None for ``config.toml`` in the current folder, or the defaults where there is none.
    others
        Tables that may be there too, but are somebody else's to read.
    base
        What keys left out keep; the defaults if None.

    Raises
    ------
    SettingsError
        The file cannot be read, a table or key is unknown, or a value does not fit.
    """
    base = base or cls()
    if path is None and not DEFAULT_PATH.exists():
        return base
    path = path or DEFAULT_PATH
    stages = typing.get_type_hints(cls)
    tables = read_tables(path)
    for name in tables:
        if name not in stages and name not in others:
            raise SettingsError(_unknown(str(path), "table", name, {*stages, *others}))
    return dataclasses.replace(  # type: ignore[type-var]
        base,
        **{
            name: settings_from_table(stages[name], table, f"{path} [{name}]", getattr(base, name))
            for name, table in tables.items()
            if name in stages
        },
    )


def read_tables(path: Path) -> dict[str, Any]:
    """Read a TOML file into its tables.

    Raises
    ------
    SettingsError
        The file is missing, unreadable or not TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SettingsError(f"There is no settings file at {path}; check the path.") from None
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise SettingsError(f"{path} cannot be read ({why}); check the file.") from None
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{path} is not valid TOML: {error}.") from None


def settings_from_table(cls: type[T], table: object, where: str, base: T | None = None) -> T:
    """Build the frozen dataclass `cls` from a TOML table.

    Parameters
    ----------
    where
        What to call the table in a message, such as ``config.toml [listener]``.
    base
        What keys left out keep; their defaults if None.

    Raises
    ------
    SettingsError
        A key is unknown (the nearest known one is named), a value has the wrong type, or the
        dataclass refuses it.
    """
    if not isinstance(table, Mapping):
        raise SettingsError(f"{where} must be a table, got {table!r}.")
    hints = typing.get_type_hints(cls)
    known = [field.name for field in dataclasses.fields(cls)]  # type: ignore[arg-type]
    values = {}
    for key, value in table.items():
        if key not in known:
            raise SettingsError(_unknown(where, "key", key, known))
        values[key] = _checked(value, hints[key], f"{where} {key}")
    try:
        return cls(**values) if base is None else dataclasses.replace(base, **values)  # type: ignore[type-var]
    except ValueError as error:
        raise SettingsError(f"{where}: {error}") from None


def _unknown(where: str, kind: str, name: str, known: Iterable[str]) -> str:
    """Say that `name` is not known, and which known one is nearest."""
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(names)}."
    return f"{where} has no {kind} {name!r}: {hint}"


def _checked(value: object, hint: Any, where: str) -> object:
    """Return `value` as the type `hint` asks for, or refuse it."""
    origin = typing.get_origin(hint)
    choices = typing.get_args(hint)
    if origin is Literal:
        if value in choices:
            return value
        names = ", ".join(map(repr, choices))
        raise SettingsError(f"{where} must be one of {names}, got {value!r}.")
    if origin in (types.UnionType, typing.Union):
        for choice in choices:
            try:
                return _checked(value, choice, where)
            except SettingsError:
                continue
        names = " or ".join(_name(choice) for choice in choices if choice is not type(None))
        raise SettingsError(f"{where} must be {names}, got {value!r}.")
    if origin is tuple and isinstance(value, list):
        return tuple(_checked(item, choices[0], where) for item in value)
    if hint is float and type(value) is int and abs(value) <= 2**53:
        return float(value)
    if type(value) is not hint or (isinstance(value, float) and not math.isfinite(value)):
        raise SettingsError(f"{where} must be {_name(hint)}, got {value!r}.")
    return value


def _name(hint: Any) -> str:
    """Name a type as a person writing TOML knows it."""
    if typing.get_origin(hint) is Literal:
        return " or ".join(map(repr, typing.get_args(hint)))
    if typing.get_origin(hint) is tuple:
        return f"a list, each {_name(typing.get_args(hint)[0])}"
    plain = {str: "a string", int: "a whole number", float: "a number", bool: "true or false"}
    return plain.get(hint, str(hint))
