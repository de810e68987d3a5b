"""A memory as JSON: everything that it knows, one event a line, to be read by people and programs.

Runs where the caller is, off the hot path. Reading learns the events anew and holds the links it
finds against those in the file, so that what comes back is what was written, to the byte, or
nothing. It never guesses: what is missing, unknown or of another type is refused.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np

from oracle import strict_json as strict
from oracle.errors import OracleError
from oracle.event import DIM_INDEX, EVENT_DIMS, Event, Note
from oracle.event_metric import token_distances
from oracle.memory import Memory
from oracle.memory_file import MemoryFileError, write_whole
from oracle.metrics import EventMetric
from oracle.provenance import Provenance

FORMAT = "musichal memory"
FORMAT_VERSION = 2

_HEAD = {"format", "format_version", "provenance", "threshold", "dims", "centroids", "events"}
_DIM = {"name", "unit", "scale", "weight", "period"}
_EVENT = {
    "state", "onset_s", "duration_s", "source", "pitch", "level_db", "velocity", "frame", "notes",
    "suffix_link", "lrs", "transitions",
}  # fmt: skip


def write_json(memory: Memory, path: Path) -> None:
    """Write a memory as JSON, whole or not at all.

    What is missing is null, as is what is infinite, a threshold or the period of a line; `frame`
    has the dimensions heard; a source that is known by its name only has "" for its hash.
    `transitions` leave a state; those of the root lead to each state whose suffix link it is.

    Raises
    ------
    MemoryFileError
        It cannot be written there; what was there is untouched.
    """
    write_whole(path, (line.encode(errors="surrogatepass") for line in _lines(memory)))


def read_json(path: Path) -> Memory:
    """Read a memory that `write_json` wrote; saved, it is the bytes that the first one saves.

    Raises
    ------
    MemoryFileError
        There is none, it is of another format, or it was changed into what no memory can be.
    """
    try:
        content = strict.parse(path.read_bytes())
    except FileNotFoundError:
        raise MemoryFileError(
            f"There is no file {path}: export one with `python -m oracle.export`."
        ) from None
    except OSError as error:
        raise MemoryFileError(
            f"{path} cannot be read ({error.strerror}): check the path and its permissions."
        ) from None
    except (ValueError, RecursionError) as error:
        raise _refused(path, str(error) or "nested too deeply") from None
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise _refused(path, f"its format is not {FORMAT!r}")
    if content.get("format_version") != FORMAT_VERSION:
        raise MemoryFileError(
            f"{path} has format version {content.get('format_version')}, this program reads "
            f"{FORMAT_VERSION}: export the memory anew."
        )
    try:
        return _memory(content)
    except (ValueError, TypeError, OverflowError, OracleError) as error:
        raise _refused(path, str(error)) from None


def _lines(memory: Memory) -> Iterator[str]:
    """Give the file line by line."""
    metric = memory.metric
    threshold = memory.oracle.threshold
    numbers = (metric.scale.tolist(), metric.weight.tolist(), metric.period.tolist())
    head = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "provenance": asdict(memory.provenance),
        "threshold": strict.or_null(threshold),
        "dims": [
            dim._asdict() | {"scale": scale, "weight": weight, "period": strict.or_null(period)}
            for dim, scale, weight, period in zip(EVENT_DIMS, *numbers, strict=True)
        ],
        "centroids": memory.centroids.tolist(),
    }
    yield "{\n"
    for name, value in head.items():
        yield f"{strict.dumped(name)}: {strict.dumped(value)},\n"
    yield '"events": ['
    for state in range(1, memory.n_events + 1):
        separator = "\n" if state == 1 else ",\n"
        yield separator + strict.dumped(_described(memory, state))
    yield "\n]\n}\n"


def _described(memory: Memory, state: int) -> dict[str, Any]:
    """Say all that is known of a state, by name."""
    event = memory.event(state)
    oracle = memory.oracle.arrays()
    heard = zip(EVENT_DIMS, event.frame.tolist(), strict=True)
    return {
        "state": state,
        "onset_s": event.onset_s,
        "duration_s": event.duration_s,
        "source": event.source,
        "pitch": strict.or_null(event.pitch),
        "level_db": strict.or_null(event.level_db),
        "velocity": strict.or_null(event.velocity),
        "frame": {dim.name: value for dim, value in heard if not math.isnan(value)},
        "notes": [note._asdict() for note in event.notes],
        "suffix_link": int(oracle.suffix_link[state]),
        "lrs": int(oracle.lrs[state]),
        "transitions": memory.oracle.transitions(state).tolist(),
    }


def _memory(content: Mapping[str, Any]) -> Memory:
    """Learn the events of a file and compare the links.

    Raises
    ------
    ValueError, TypeError, OverflowError
        Something is missing, unknown, of another type, or contradicts the rest.
    """
    strict.named(content, _HEAD, "the file")
    dims = [
        strict.named(dim, _DIM, "a dimension") for dim in strict.listed(content["dims"], "dims")
    ]
    if [(dim["name"], dim["unit"]) for dim in dims] != [tuple(dim) for dim in EVENT_DIMS]:
        raise ValueError(f"dims must be those of an event, {', '.join(DIM_INDEX)}")
    rows = [
        strict.numbers(row, "a centroid")
        for row in strict.listed(content["centroids"], "centroids")
    ]
    if len({len(row) for row in rows}) != 1:
        raise ValueError("centroids must be one or more of equal length")
    centroids = np.array(rows, np.float32)
    memory = Memory(
        centroids=centroids,
        metric=EventMetric(
            token_distance=token_distances(centroids),
            scale=np.array([strict.number(dim["scale"], "scale") for dim in dims]),
            weight=np.array([strict.number(dim["weight"], "weight") for dim in dims]),
            period=np.array([strict.number_or(math.inf, dim["period"], "period") for dim in dims]),
        ),
        threshold=strict.number_or(math.inf, content["threshold"], "threshold"),
        provenance=_provenance(content["provenance"]),
    )
    records = [
        strict.named(record, _EVENT, f"event {state}")
        for state, record in enumerate(strict.listed(content["events"], "events"), start=1)
    ]
    memory.extend([_event(record, state) for state, record in enumerate(records, start=1)])
    for state, record in enumerate(records, start=1):
        for name, held in _described(memory, state).items():
            if record[name] != held:
                raise ValueError(
                    f"state {state} has {name} {record[name]!r}, learned anew it has {held!r}"
                )
    return memory


def _provenance(record: Any) -> Provenance:
    """Read the provenance."""
    values = strict.named(record, {field.name for field in fields(Provenance)}, "provenance")
    for name in ("encoder", "created", "program_version"):
        strict.text(values[name], name)
    for name, value in strict.mapping(values["listener"], "listener").items():
        strict.number(value, name)
    sources = tuple(
        strict.text(text, "a source") for text in strict.listed(values["sources"], "sources")
    )
    hashes = tuple(
        strict.text(text, "a hash")
        for text in strict.listed(values["source_sha256"], "source_sha256")
    )
    if len(hashes) != len(sources):
        raise ValueError(f"there are {len(hashes)} hashes for {len(sources)} sources, need equal")
    return Provenance(**{**values, "sources": sources, "source_sha256": hashes})


def _event(record: Mapping[str, Any], state: int) -> Event:
    """Read an event."""
    if record["state"] != state:
        raise ValueError(f"event {state} calls itself state {record['state']!r}")
    frame = np.full(len(EVENT_DIMS), np.nan, np.float32)
    for name, value in strict.mapping(record["frame"], "frame").items():
        if name not in DIM_INDEX:
            raise ValueError(f"event {state}: frame has no dimension {name!r}")
        frame[DIM_INDEX[name]] = strict.number(value, name)
    return Event(
        frame=frame,
        notes=tuple(_note(note, state) for note in strict.listed(record["notes"], "notes")),
        pitch=strict.number_or(math.nan, record["pitch"], "pitch"),
        level_db=strict.number_or(math.nan, record["level_db"], "level_db"),
        velocity=strict.number_or(math.nan, record["velocity"], "velocity"),
        onset_s=strict.number(record["onset_s"], "onset_s"),
        duration_s=strict.number(record["duration_s"], "duration_s"),
        source=strict.whole(record["source"], "source"),
    )


def _note(record: Any, state: int) -> Note:
    """Read a note."""
    strict.named(record, set(Note._fields), f"a note of event {state}")
    return Note(
        strict.whole(record["pitch"], "pitch"),
        strict.whole(record["velocity"], "velocity"),
        strict.number(record["duration_s"], "duration_s"),
    )


def _refused(path: Path, why: str) -> MemoryFileError:
    return MemoryFileError(
        f"{path} is no memory as JSON ({why}): export one anew with `python -m oracle.export`."
    )
