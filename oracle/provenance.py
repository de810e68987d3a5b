"""Provenance: how a memory or a codebook came to be, kept in its file. Plain data, any thread."""

import hashlib
import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oracle.errors import OracleError


class DateError(OracleError):
    """Raised when the environment gives a date that is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """How a memory came to be: what a performance must hear alike, and where it is from.

    Parameters
    ----------
    encoder
        JSON of the encoder's spec: what embeddings, centroids and tokens belong to.
    listener
        The listener's settings by name, `heard_ms` among them; a file from before they were all
        kept has only that.
    created
        Date and time, ISO 8601; given, so that the same content is the same file.
    program_version
        Of the program that learned it.
    sources
        What it was learned from; an event's `source` is a place in this list.
    source_sha256
        Of each source's file, hexadecimal, by which it is told from others of its name; empty
        for what was no file, such as playing, or was learned before hashes were kept.

    Raises
    ------
    ValueError
        The encoder is not JSON, the listener's settings are none, or there are more hashes than
        sources.
    """

    encoder: str
    listener: Mapping[str, float]
    created: str = ""
    program_version: str = ""
    sources: tuple[str, ...] = ()
    source_sha256: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what no training could have said."""
        json.loads(self.encoder)
        if "heard_ms" not in self.listener:
            raise ValueError("listener lacks 'heard_ms'")
        for name, value in self.listener.items():
            if not math.isfinite(value):
                raise ValueError(f"{name} must be finite, got {value}")
        # 20 and 20.0 are the same bytes
        listener = {name: float(value) for name, value in self.listener.items()}
        object.__setattr__(self, "listener", listener)
        n_unknown = len(self.sources) - len(self.source_sha256)
        if n_unknown < 0:
            raise ValueError(f"{len(self.source_sha256)} hashes for {len(self.sources)} sources")
        object.__setattr__(self, "source_sha256", self.source_sha256 + ("",) * n_unknown)

    @property
    def heard_ms(self) -> float:
        """How much of an event had been heard when it was keyed."""
        return self.listener["heard_ms"]


def todays_fields(values: Mapping[str, Any]) -> dict[str, Any]:
    """Name what a file says of its provenance as `Provenance` does, also an older file."""
    fields = dict(values)
    if "heard_ms" in fields:
        fields["listener"] = {"heard_ms": fields.pop("heard_ms")}
        fields.pop("hop_ms", None)
    for name in ("sources", "source_sha256"):
        if isinstance(fields.setdefault(name, []), list):
            fields[name] = tuple(fields[name])
    return fields


def codebook_sha256(centroids: NDArray[np.float32]) -> str:
    """Return the hash that tells codebooks apart, hexadecimal."""
    return hashlib.sha256(centroids.tobytes()).hexdigest()


def now_s() -> int:
    """Seconds since 1970, or ``SOURCE_DATE_EPOCH``'s, by which builds are made reproducible.

    Raises
    ------
    DateError
        The variable is there and is no number of seconds.
    """
    given = os.environ.get("SOURCE_DATE_EPOCH")
    try:
        return int(datetime.now(UTC).timestamp() if given is None else given)
    except ValueError:
        raise DateError(
            f"SOURCE_DATE_EPOCH is {given!r}, which is no number of seconds: correct or unset it."
        ) from None


def iso_date(since_1970_s: int) -> str:
    """Write a moment as ISO 8601 in UTC."""
    return datetime.fromtimestamp(since_1970_s, UTC).isoformat(timespec="seconds")
