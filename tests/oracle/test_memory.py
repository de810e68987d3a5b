import json
import math
import os
import random
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import numpy as safetensors

from oracle.event import Event, Note
from oracle.memory import Memory
from oracle.memory_file import MEMORY, MemoryFileError, read_tensors, write_tensors
from oracle.navigator import Navigator
from oracle.provenance import Provenance
from tests.oracle.memories import PROVENANCE, make_event, make_memory, melody, run_without_jit


def some_events(n: int) -> list[Event]:
    """Give n varied events: chords, tones and noises."""
    rng = np.random.default_rng(1)
    events = []
    for i in range(n):
        pitch = math.nan if i % 7 == 3 else float(rng.uniform(40, 90))
        event = make_event(int(rng.integers(16)), pitch, i, tonal_fit=rng.random())
        extra = tuple(Note(int(rng.integers(128)), 64, rng.random()) for _ in range(i % 3))
        events.append(
            Event(
                frame=event.frame,
                notes=event.notes + extra,
                pitch=float(np.float32(pitch)),
                level_db=-float(i % 40),
                velocity=math.nan if i % 5 == 0 else 1.0 + i % 127,
                onset_s=i / 3,
                duration_s=rng.random(),
            )
        )
    return events


def as_bytes(memory: Memory, folder: Path) -> bytes:
    """Give a memory as its file holds it."""
    path = folder / "as_bytes.memory"
    memory.save(path)
    return path.read_bytes()


def assert_same_event(one: Event, other: Event) -> None:
    """Compare two events field by field, missing equal to missing."""
    assert np.array_equal(one.frame, other.frame, equal_nan=True)
    assert (one.notes, one.source) == (other.notes, other.source)
    for name in ("pitch", "level_db", "velocity", "onset_s", "duration_s"):
        assert getattr(one, name) == pytest.approx(getattr(other, name), nan_ok=True, rel=0)


@pytest.mark.parametrize("n_events", [0, 1, 64, 65, 300])
def test_a_memory_comes_back_as_it_was_saved(n_events: int, tmp_path: Path) -> None:
    """Events, links, attributes, codebook and provenance; and saved again it is the same bytes."""
    memory = make_memory(some_events(n_events))
    content = as_bytes(memory, tmp_path)
    loaded = Memory.load(tmp_path / "as_bytes.memory")
    assert loaded.n_events == n_events
    assert loaded.provenance == PROVENANCE
    assert np.array_equal(loaded.centroids, memory.centroids)
    for state in range(1, n_events + 1):
        assert_same_event(loaded.event(state), memory.event(state))
        assert (
            loaded.oracle.transitions(state).tolist() == memory.oracle.transitions(state).tolist()
        )
    assert loaded.oracle.clusters.tolist() == memory.oracle.clusters.tolist()
    assert as_bytes(loaded, tmp_path) == content


def test_state_i_is_the_event_learned_ith() -> None:
    """With its notes, however many it has."""
    events = some_events(100)
    memory = make_memory(events)
    for state, event in enumerate(events, start=1):
        assert_same_event(memory.event(state), event)
        assert memory.notes(state) == event.notes


@settings(deadline=None, max_examples=20)
@given(cuts=st.lists(st.integers(0, 120), max_size=3))
def test_learning_in_any_portions_is_the_same_memory(
    cuts: list[int], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """One by one, at once, or in between."""
    events, folder = some_events(120), tmp_path_factory.mktemp("portions")
    whole = make_memory(events)
    grown = Memory(
        centroids=whole.centroids,
        metric=whole.oracle.metric,  # type: ignore[arg-type]
        threshold=whole.oracle.threshold,
        provenance=PROVENANCE,
    )
    begin = 0
    for end in (*sorted(cuts), 120):
        grown.extend(events[begin:end])
        begin = max(begin, end)
    assert as_bytes(grown, folder) == as_bytes(whole, folder)


def test_a_loaded_memory_learns_on_as_if_it_had_never_been_saved(tmp_path: Path) -> None:
    """The same links, to the byte."""
    events = some_events(200)
    memory = make_memory(events[:150])
    memory.save(tmp_path / "a.memory")
    loaded = Memory.load(tmp_path / "a.memory")
    for event in events[150:]:
        assert memory.learn(event) == loaded.learn(event)
    assert as_bytes(memory, tmp_path) == as_bytes(loaded, tmp_path)


def test_what_is_learned_live_has_its_own_source(tmp_path: Path) -> None:
    """Named, and kept in the file."""
    memory = make_memory(melody([60, 62]))
    source = memory.add_source("live")
    event = make_event(3, 64, 2)
    memory.learn(
        Event(frame=event.frame, onset_s=9.0, duration_s=0.1, source=source, notes=event.notes)
    )
    memory.save(tmp_path / "a.memory")
    loaded = Memory.load(tmp_path / "a.memory")
    assert loaded.provenance.sources == ("one.wav", "live")
    assert loaded.provenance.source_sha256 == ("", "")
    assert loaded.event(3).source == 1


def test_a_path_through_a_loaded_memory_is_the_path_through_the_learned(tmp_path: Path) -> None:
    """Same seed, same requests."""
    memory = make_memory(melody([60 + (5 * i) % 24 for i in range(300)]))
    memory.save(tmp_path / "a.memory")
    loaded = Memory.load(tmp_path / "a.memory")
    paths = [
        [trace.state for trace in Navigator(m.oracle, m.attributes).generate(200)]
        for m in (memory, loaded)
    ]
    assert paths[0] == paths[1]


def test_an_emptied_memory_learns_the_same_again(tmp_path: Path) -> None:
    """Same codebook and metric, no events, and the full one is left alone."""
    events = some_events(60)
    memory = make_memory(events)
    content = as_bytes(memory, tmp_path)
    again = memory.emptied()
    assert again.n_events == 0
    again.extend(events)
    assert as_bytes(again, tmp_path) == as_bytes(memory, tmp_path) == content


@pytest.mark.parametrize(
    ("event", "match"),
    [
        (make_event(16), "tokens other than 0 … 15"),
        (Event(frame=make_event(1).frame, onset_s=0, duration_s=0, source=4), "source must be one"),
    ],
)
def test_an_event_that_does_not_fit_is_refused_whole(
    event: Event, match: str, tmp_path: Path
) -> None:
    """A token without a centroid, a source without a name: nothing is half-learned."""
    memory = make_memory(some_events(20))
    before = as_bytes(memory, tmp_path)
    with pytest.raises(ValueError, match=match):
        memory.extend([make_event(2, 60), event])
    assert as_bytes(memory, tmp_path) == before


@pytest.mark.parametrize("state", [0, 21, -1])
def test_states_that_are_not_there_are_refused(state: int) -> None:
    """They are 1 … n."""
    with pytest.raises(ValueError, match=r"state must be 1…20"):
        make_memory(some_events(20)).event(state)


@pytest.mark.parametrize(
    ("fields", "match"),
    [
        ({"encoder": "not json", "listener": {"heard_ms": 20}}, "Expecting value"),
        ({"encoder": "{}", "listener": {"heard_ms": math.inf}}, "heard_ms must be finite"),
        ({"encoder": "{}", "listener": {"threshold": 1}}, "listener lacks 'heard_ms'"),
    ],
)
def test_a_provenance_that_no_training_has_is_refused(fields: Any, match: str) -> None:
    """With the name, the value and the need."""
    with pytest.raises(ValueError, match=match):
        Provenance(**fields)


def test_a_metric_of_another_codebook_is_refused() -> None:
    """As many tokens as centroids."""
    memory = make_memory(some_events(3))
    with pytest.raises(ValueError, match="16 tokens for 4 centroids"):
        Memory(
            centroids=memory.centroids[:4],
            metric=memory.oracle.metric,  # type: ignore[arg-type]
            threshold=1.0,
            provenance=PROVENANCE,
        )


def test_a_file_cut_short_anywhere_is_refused(tmp_path: Path) -> None:
    """Never a traceback of another kind, never half a memory."""
    content = as_bytes(make_memory(some_events(20)), tmp_path)
    path = tmp_path / "cut.memory"
    for size in [*range(0, 64), *range(64, len(content), 97), len(content) - 1]:
        path.write_bytes(content[:size])
        with pytest.raises(MemoryFileError, match=r"oracle\.train"):
            Memory.load(path)


def test_a_file_changed_anywhere_is_refused_or_unharmed(tmp_path: Path) -> None:
    """One byte at a thousand places: refused, or (white space) the same content."""
    content = as_bytes(make_memory(some_events(20)), tmp_path)
    path, chance, n_refused = tmp_path / "changed.memory", random.Random(0), 0
    places = sorted(chance.sample(range(len(content)), min(1000, len(content))))
    for place in places:
        changed = bytearray(content)
        changed[place] ^= chance.randrange(1, 256)
        path.write_bytes(changed)
        try:
            loaded = Memory.load(path)
        except MemoryFileError:
            n_refused += 1
        else:
            assert as_bytes(loaded, tmp_path) == content, place
    assert n_refused > 0.95 * len(places)


def forged(path: Path, change: Callable[[dict[str, Any], dict[str, Any]], None]) -> None:
    """Rewrite a file with its content changed and a digest that fits."""
    tensors, metadata = read_tensors(path)
    change(tensors, metadata)
    write_tensors(path, tensors, metadata)


def deepened(tensors: dict[str, Any]) -> None:
    """Let every state repeat the one before, and be entered from all that repeat each other."""
    n = len(tensors["suffix_links"])
    tensors["suffix_links"] = np.arange(-1, n - 1, dtype=np.int32)
    tensors["lrs"] = np.maximum(np.arange(n, dtype=np.int32) - 1, 0)
    tensors["in_degrees"] = np.maximum(np.arange(n, dtype=np.int32) - 1, 1)
    tensors["in_degrees"][0] = 0


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda t, m: t["suffix_links"].__setitem__(5, 9), "links no oracle could have"),
        (lambda t, m: t["suffix_links"].__setitem__(5, 5), "links no oracle could have"),
        (lambda t, m: t["suffix_links"].__setitem__(5, -7), "links no oracle could have"),
        (lambda t, m: t["lrs"].__setitem__(4, 99), "links no oracle could have"),
        (lambda t, m: t["in_degrees"].__setitem__(3, 9), "links no oracle could have"),
        (lambda t, m: t["in_degrees"].__setitem__(3, 2**31 - 1), "links no oracle could have"),
        (lambda t, m: deepened(t), "links no oracle could have"),
        (lambda t, m: t.update(lrs=t["lrs"][:-1]), "damaged"),
        (lambda t, m: t.update(lrs=t["lrs"].astype(np.int64)), "no proper lrs"),
        (lambda t, m: t.pop("frames"), "frames"),
        (lambda t, m: t["frames"].__setitem__((2, 0), 99), "tokens"),
        (lambda t, m: t["frames"].__setitem__((2, 4), np.inf), "infinit"),
        (lambda t, m: t["scale"].__setitem__(1, 0), "scale"),
        (lambda t, m: t["threshold"].__setitem__(0, -1), "threshold"),
        (lambda t, m: t["centroids"].__setitem__((0, 0), 7), "codebook is another"),
        (lambda t, m: t["event.n_notes"].__setitem__(0, 5), "do not belong together"),
        (lambda t, m: t.update({"note.pitch": t["note.pitch"][:-1]}), "lengths"),
        (lambda t, m: m["listener"].pop("heard_ms"), "heard_ms"),
        (lambda t, m: m.update(mood="blue"), "mood"),
    ],
)
def test_content_that_contradicts_itself_is_refused(
    change: Callable[[dict[str, Any], dict[str, Any]], None], match: str, tmp_path: Path
) -> None:
    """Even where the digest fits: cyclic links, lost notes, another codebook."""
    path = tmp_path / "forged.memory"
    make_memory(some_events(40)).save(path)
    forged(path, change)
    with pytest.raises(MemoryFileError, match=match):
        Memory.load(path)


def test_another_format_version_is_refused_by_number(tmp_path: Path) -> None:
    """It says which it is and which can be read."""
    path = tmp_path / "new.memory"
    metadata = json.dumps({"format_version": MEMORY.format_version + 1})
    path.write_bytes(safetensors.save({"a": np.zeros(3)}, metadata={"memory": metadata}))
    newer = f"memory format {MEMORY.format_version + 1}, this program reads"
    with pytest.raises(MemoryFileError, match=newer):
        Memory.load(path)


def test_a_memory_of_the_first_format_keeps_the_metric_it_was_linked_by(tmp_path: Path) -> None:
    """It knew no circles; written again it is of today's format, and still knows none."""
    path = tmp_path / "old.memory"
    make_memory(some_events(20)).save(path)
    tensors, metadata = read_tensors(path)
    del tensors["period"]
    write_tensors(path, tensors, metadata, replace(MEMORY, format_version=1))
    old = Memory.load(path)
    assert np.isinf(old.metric.period).all()
    old.save(path)
    assert np.isinf(Memory.load(path).metric.period).all()
    assert np.isfinite(make_memory(some_events(20)).metric.period).any()


def test_a_file_that_keeps_only_how_long_was_heard_is_read(tmp_path: Path) -> None:
    """As memories were written before the listener's other settings were kept."""
    path = tmp_path / "old.memory"
    memory = make_memory(some_events(3))
    memory.save(path)

    def age(_: dict[str, Any], metadata: dict[str, Any]) -> None:
        metadata |= {**metadata.pop("listener"), "hop_ms": 0.0}

    forged(path, age)
    assert Memory.load(path).provenance == memory.provenance


@pytest.mark.parametrize("content", [b"", b"RIFF....WAVE", b"\x00" * 4096, b"\xff" * 64])
def test_files_that_are_no_memory_are_refused(content: bytes, tmp_path: Path) -> None:
    """Empty, audio, zeros."""
    path = tmp_path / "no.memory"
    path.write_bytes(content)
    with pytest.raises(MemoryFileError, match="no memory"):
        Memory.load(path)


def test_safetensors_of_another_program_are_refused(tmp_path: Path) -> None:
    """Weights are no memory."""
    path = tmp_path / "model.safetensors"
    path.write_bytes(safetensors.save({"weight": np.zeros(3)}))
    with pytest.raises(MemoryFileError, match="is no memory"):
        Memory.load(path)


def test_a_memory_that_is_not_there_names_the_command_that_makes_one(tmp_path: Path) -> None:
    """A missing file, and a folder."""
    with pytest.raises(MemoryFileError, match=r"no memory at .*python -m oracle\.train"):
        Memory.load(tmp_path / "none.memory")
    with pytest.raises(MemoryFileError, match="is a folder"):
        Memory.load(tmp_path)


def test_a_memory_that_cannot_be_written_leaves_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk: one sentence, no rest of a file, what was there is whole."""
    path = tmp_path / "a.memory"
    make_memory(some_events(3)).save(path)
    before = path.read_bytes()

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(MemoryFileError, match=r"cannot be written \(No space left on device\)"):
        make_memory(some_events(9)).save(path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    """Nothing is made up for it."""
    with pytest.raises(MemoryFileError, match="cannot be written"):
        make_memory(some_events(3)).save(tmp_path / "nowhere" / "a.memory")


def test_saving_does_not_disturb_who_loads(tmp_path: Path) -> None:
    """A reader beside a writer finds one memory or the other, always whole."""
    path = tmp_path / "a.memory"
    small, large = (make_memory(some_events(n)) for n in (3, 200))
    small.save(path)

    def save_both() -> None:
        for memory in (large, small) * 20:
            memory.save(path)

    thread = threading.Thread(target=save_both)
    thread.start()
    sizes = set()
    while thread.is_alive():
        sizes.add(Memory.load(path).n_events)
    thread.join()
    assert sizes <= {3, 200}


def test_learning_is_the_same_without_the_compiler() -> None:
    """Interpreted and compiled kernels learn the same memory."""
    script = """
from tests.oracle.test_memory import *
memory = make_memory(some_events(30))
print(memory.oracle.suffix_links.tolist(), memory.attributes.arrays().n_members.sum())
"""
    memory = make_memory(some_events(30))
    counted = memory.attributes.arrays().n_members.sum()
    assert run_without_jit(script) == f"{memory.oracle.suffix_links.tolist()} {counted}"
