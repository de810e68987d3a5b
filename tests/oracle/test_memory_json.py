import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oracle.event import EVENT_DIMS, Event, Note
from oracle.memory import Memory
from oracle.memory_file import MemoryFileError
from oracle.memory_json import read_json, write_json
from oracle.provenance import Provenance
from tests.oracle.memories import make_event, make_memory, melody


def as_bytes(memory: Memory, folder: Path) -> bytes:
    """Give a memory as its file holds it."""
    memory.save(folder / "as_bytes.memory")
    return (folder / "as_bytes.memory").read_bytes()


def returned(memory: Memory, folder: Path) -> Memory:
    """Write a memory as JSON and read it back."""
    write_json(memory, folder / "a.json")
    return read_json(folder / "a.json")


def changed(folder: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    """Export a melody and change what the file says."""
    path = folder / "a.json"
    write_json(make_memory(melody([60, 62, 64, 60, 62, 64, 65])), path)
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
    return path


@st.composite
def events(draw: st.DrawFn) -> Event:
    """Draw an event of any content."""
    numbers = st.floats(-1e6, 1e6, width=32) | st.just(math.nan) | st.just(-math.nan)
    frame = np.array(draw(st.lists(numbers, min_size=15, max_size=15)), np.float32)
    frame[0] = draw(st.integers(0, 15) | st.just(math.nan))
    frame[5:7] = np.abs(frame[5:7]) + 1
    lengths = st.floats(0, 1e5)
    notes = st.builds(Note, st.integers(0, 127), st.integers(1, 127), lengths)
    return Event(
        frame=frame,
        notes=tuple(draw(st.lists(notes, max_size=4))),
        pitch=draw(st.floats(0, 127) | st.just(math.nan)),
        level_db=draw(st.floats(-200, 20) | st.just(-math.nan)),
        velocity=draw(st.floats(1, 127) | st.just(math.nan)),
        onset_s=draw(lengths),
        duration_s=draw(lengths),
    )


@pytest.mark.parametrize("n", [0, 1])
def test_a_memory_of_nothing_or_one_event_comes_back(n: int, tmp_path: Path) -> None:
    """The smallest there are."""
    memory = make_memory(melody([60])[:n])
    assert as_bytes(returned(memory, tmp_path), tmp_path) == as_bytes(memory, tmp_path)


@settings(deadline=None, max_examples=40)
@given(learned=st.lists(events(), min_size=1, max_size=30), threshold=st.floats(0, math.inf))
def test_any_memory_comes_back_to_the_byte(
    learned: list[Event], threshold: float, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """What is missing, however its NaN is written, tiny and huge numbers, chords, any threshold."""
    folder = tmp_path_factory.mktemp("json")
    memory = make_memory(learned, threshold=threshold)
    assert as_bytes(returned(memory, folder), folder) == as_bytes(memory, folder)


def test_the_provenance_comes_back_as_it_was_written(tmp_path: Path) -> None:
    """Names in any script, names that no script has, and numbers whole or not."""
    provenance = Provenance(
        encoder='{"name": "x",  "revision":null}',
        listener={"heard_ms": 20, "gate_dbfs": -60.5},
        created="2025-01-01",
        sources=("Für Élise.wav", "絵.flac", "bad\udcff.wav"),
    )
    memory = Memory.from_events(
        [], centroids=np.eye(2, dtype=np.float32), threshold=0.1, provenance=provenance
    )
    loaded = returned(memory, tmp_path)
    assert loaded.provenance == provenance
    assert as_bytes(loaded, tmp_path) == as_bytes(memory, tmp_path)


def test_the_file_says_all_of_an_event_on_one_line(tmp_path: Path) -> None:
    """By name and unit, with its links."""
    events = [make_event(3, 60.25, 0, tonal_fit=0.5), make_event(3, 60.25, 1, tonal_fit=0.5)]
    write_json(make_memory(events), tmp_path / "a.json")
    lines = (tmp_path / "a.json").read_text().splitlines()
    assert json.loads(lines[-3]) == {
        "state": 2, "onset_s": 0.25, "duration_s": 0.25, "source": 0, "pitch": 60.25,
        "level_db": -20, "velocity": 80, "frame": {"gesture_token": 3, "tonal_fit": 0.5},
        "notes": [{"pitch": 60, "velocity": 80, "duration_s": 0.25}],
        "suffix_link": 1, "lrs": 1, "transitions": [],
    }  # fmt: skip
    dims = json.loads("\n".join(lines))["dims"]
    assert [(dim["name"], dim["unit"]) for dim in dims] == list(map(tuple, EVENT_DIMS))


def test_numbers_written_another_way_are_the_same_numbers(tmp_path: Path) -> None:
    """A program that writes 60.0 as 60, sorts names and indents has changed nothing."""
    memory = make_memory(melody([60, 62, 60, 62]))
    write_json(memory, tmp_path / "a.json")
    content = json.loads((tmp_path / "a.json").read_text(), parse_float=_whole_if_equal)
    (tmp_path / "b.json").write_text(json.dumps(content, indent=1, sort_keys=True))
    assert as_bytes(read_json(tmp_path / "b.json"), tmp_path) == as_bytes(memory, tmp_path)


def _whole_if_equal(text: str) -> float:
    value = float(text)
    return int(value) if value == int(value) else value


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda c: c.update(format="tune"), "its format is not 'musichal memory'"),
        (lambda c: c.update(format_version=1), "format version 1, this program reads 2"),
        (lambda c: c.update(mood="blue"), "the file has an unknown 'mood'"),
        (lambda c: c.pop("centroids"), "the file lacks 'centroids'"),
        (lambda c: c["centroids"].__delitem__(slice(3, None)), "tokens other than 0 … 2"),
        (lambda c: c["centroids"].clear(), "centroids must be one or more"),
        (lambda c: c["centroids"][0].append(1), "centroids must be one or more of equal length"),
        (lambda c: c["centroids"][0].__setitem__(0, "1"), "a centroid must be a number, got '1'"),
        (lambda c: c["centroids"][0].__setitem__(0, True), "a centroid must be a number, got True"),
        (lambda c: c["centroids"][0].__setitem__(0, 10**400), "too large"),
        (lambda c: c.update(threshold=-1), "threshold is -1"),
        (lambda c: c["dims"].pop(), "dims must be those of an event"),
        (lambda c: c["dims"][1].update(scale=0), "scale holds a zero"),
        (lambda c: c["dims"][1].update(period=0), "period holds a value that is not above 0"),
        (lambda c: c["provenance"].pop("listener"), "provenance lacks 'listener'"),
        (lambda c: c["provenance"].pop("source_sha256"), "provenance lacks 'source_sha256'"),
        (lambda c: c["provenance"].pop("sources"), "provenance lacks 'sources'"),
        (lambda c: c["provenance"]["source_sha256"].clear(), "are 0 hashes for 1 sources"),
        (lambda c: c["provenance"].update(heard_ms=20), "provenance has an unknown 'heard_ms'"),
        (lambda c: c["provenance"]["listener"].update(heard_ms=None), "heard_ms must be a number"),
        (lambda c: c["provenance"].update(listener=[]), "listener must be an object, got list"),
        (lambda c: c["provenance"].update(encoder="x"), "Expecting value"),
        (lambda c: c["provenance"].update(sources="one"), "sources must be a list, got str"),
        (lambda c: c.update(events={}), "events must be a list, got dict"),
        (lambda c: c["events"].__setitem__(0, []), "event 1 must be an object, got list"),
        (lambda c: c["events"].pop(2), "event 3 calls itself state 4"),
        (lambda c: c["events"][1].pop("onset_s"), "event 2 lacks 'onset_s'"),
        (lambda c: c["events"][1].update(pitch=200), "pitch must be 0…127 or NaN, got 200"),
        (lambda c: c["events"][1].update(source=1.0), "source must be a whole number, got 1.0"),
        (lambda c: c["events"][1].update(source=3), "source must be one of 1 named, got 3"),
        (lambda c: c["events"][1].update(pitch=62.1), "state 2 has pitch 62.1, learned anew"),
        (lambda c: c["events"][1]["frame"].update(mood=1), "frame has no dimension 'mood'"),
        (lambda c: c["events"][1]["frame"].update(gesture_token=99), "tokens other than 0 … 15"),
        (lambda c: c["events"][1]["notes"][0].pop("velocity"), "of event 2 lacks 'velocity'"),
        (lambda c: c["events"][1]["notes"][0].update(pitch=128), "pitch 0…127"),
        (lambda c: c["events"][4].update(suffix_link=4), "state 5 has suffix_link 4, learned anew"),
        (lambda c: c["events"][4].update(lrs=7), "state 5 has lrs 7, learned anew it has 2"),
        (lambda c: c["events"][4].update(transitions=[1]), "state 5 has transitions"),
        (lambda c: c["events"][4]["frame"].update(tonal_fit=9), "state 1 has transitions"),
    ],
)
def test_what_no_memory_is_is_refused_in_one_sentence(
    change: Callable[[dict[str, Any]], object], match: str, tmp_path: Path
) -> None:
    """Missing, unknown, of another type, out of range, or links that the events do not have."""
    path = changed(tmp_path, change)
    with pytest.raises(MemoryFileError, match=match) as refused:
        read_json(path)
    assert "export" in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("", "Expecting value"),
        ("[]", "its format"),
        ("{" * 100_000, "Expecting property name"),
        ("[" * 100_000, "no memory as JSON"),
        ('{"format": "musichal memory", "format": 1}', "a name occurs twice"),
        ('{"threshold": NaN}', "NaN is no JSON"),
        ('{"threshold": -Infinity}', "-Infinity is no JSON"),
        ("\x00\xff", "no memory as JSON"),
    ],
)
def test_files_that_are_not_such_json_are_refused(text: str, match: str, tmp_path: Path) -> None:
    """Empty, nested without end, twice the same name, numbers that are none."""
    path = tmp_path / "a.json"
    path.write_text(text, encoding="latin-1")
    with pytest.raises(MemoryFileError, match=match):
        read_json(path)


def test_a_file_cut_short_anywhere_is_refused(tmp_path: Path) -> None:
    """Never half a memory."""
    path = tmp_path / "a.json"
    write_json(make_memory(melody([60, 62, 60])), path)
    content = path.read_bytes()
    for size in range(0, len(content) - 2, 29):
        path.write_bytes(content[:size])
        with pytest.raises(MemoryFileError, match="no memory as JSON"):
            read_json(path)


def test_a_file_that_is_not_there_names_the_command_that_makes_one(tmp_path: Path) -> None:
    """And one that cannot be read says why."""
    with pytest.raises(MemoryFileError, match=r"no file .*: export one with `python -m oracle"):
        read_json(tmp_path / "a.json")
    with pytest.raises(MemoryFileError, match="cannot be read"):
        read_json(tmp_path)
