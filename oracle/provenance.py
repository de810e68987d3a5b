"""Provenance: how a memory or a codebook came to be, kept in its file. Plain data, any thread."""

import json
import os
from dataclasses import dataclass
from datetime import UTC, datetime

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
    heard_ms
        How much of an event had been heard when it was keyed.
    hop_ms
        Time from window to window, 0 where every event has a window of its own.
    created
        Date and time, ISO 8601; given, so that the same content is the same file.
    program_version
        Of the program that learned it.
    sources
        What it was learned from; an event's `source` is a place in this list.

    Raises
    ------
    ValueError
        The encoder is not JSON, or a time is negative.
    """

    encoder: str
    heard_ms: float
    hop_ms: float = 0.0
    created: str = ""
    program_version: str = ""
    sources: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what no training could have said."""
        json.loads(self.encoder)
        for name, value in (("heard_ms", self.heard_ms), ("hop_ms", self.hop_ms)):
            if not 0 <= value < float("inf"):
                raise ValueError(f"{name} must be finite and ≥ 0, got {value}")
            object.__setattr__(self, name, float(value))  # 20 and 20.0 are the same bytes


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
