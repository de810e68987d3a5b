import re
from pathlib import Path
from typing import Any

import pytest

from oracle.graph_file import note_name, write_dot, write_graphml
from oracle.memory import Memory
from tests.oracle.memories import make_event, make_memory, melody

TUNE = [60, 62, 64, 60, 62, 64, 65, 60, 62]


def edges_of(memory: Memory) -> dict[str, set[tuple[int, int]]]:
    """Give a memory's edges by kind."""
    states = range(memory.n_events + 1)
    links = memory.oracle.suffix_links.tolist()
    return {
        "transition": {(k, int(t)) for k in states for t in memory.oracle.transitions(k)},
        "suffix link": {(k, links[k]) for k in states if links[k] >= 0},
    }


@pytest.mark.parametrize(
    ("pitch", "name"), [(60, "C4"), (61, "C♯4"), (69, "A4"), (0, "C-1"), (127, "G9")]
)
def test_pitches_are_named_as_musicians_name_them(pitch: int, name: str) -> None:
    """Middle C is C4."""
    assert note_name(pitch) == name


def test_a_memory_of_nothing_is_a_root_alone(tmp_path: Path) -> None:
    """One node and no edge, in both forms."""
    memory = make_memory([])
    write_dot(memory, tmp_path / "a.dot")
    write_graphml(memory, tmp_path / "a.graphml")
    assert '0 [label="0"];' in (tmp_path / "a.dot").read_text()
    assert "->" not in (tmp_path / "a.dot").read_text()
    assert (tmp_path / "a.graphml").read_text().count("<node") == 1


def test_graphviz_is_told_every_state_and_edge(tmp_path: Path) -> None:
    """Transitions solid, suffix links dashed; states with their notes and token."""
    memory = make_memory(melody(TUNE))
    write_dot(memory, tmp_path / "a.dot")
    text = (tmp_path / "a.dot").read_text()
    assert text.startswith("digraph oracle {\n")
    assert text.endswith("}\n")
    assert r'2 [label="2\nD4\ntoken 2"];' in text
    found: dict[str, set[tuple[int, int]]] = {"transition": set(), "suffix link": set()}
    for state, target, style in re.findall(r"^  (\d+) -> (\d+)(.*);$", text, re.MULTILINE):
        found["suffix link" if "dashed" in style else "transition"].add((int(state), int(target)))
    assert found == edges_of(memory)


def test_graphml_is_what_networkx_reads_back(tmp_path: Path) -> None:
    """Every state with what is known of it, every edge with its kind."""
    networkx: Any = pytest.importorskip("networkx")
    memory = make_memory([*melody(TUNE), make_event(3, index=9)])
    write_graphml(memory, tmp_path / "a.graphml")
    graph = networkx.read_graphml(tmp_path / "a.graphml", node_type=int)
    assert set(graph.nodes) == set(range(memory.n_events + 1))
    assert graph.nodes[0] == {"notes": "", "cluster": -1, "lrs": 0}
    assert graph.nodes[2] == {
        "notes": "D4", "token": 2, "onset_s": 0.25, "cluster": 1, "lrs": 0,
    }  # fmt: skip
    assert graph.nodes[10]["notes"] == ""
    for kind, expected in edges_of(memory).items():
        found = {(a, b) for a, b, data in graph.edges(data=True) if data["kind"] == kind}
        assert found == expected
