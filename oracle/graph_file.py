"""A memory as a graph to look at: DOT for Graphviz, GraphML for Gephi, yEd and NetworkX.

Runs where the caller is, off the hot path. Nodes are states with their notes and token; forward
transitions and suffix links are told apart. It is for looking: nothing reads it back.
"""

import math
from collections.abc import Iterator
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

from oracle.memory import Memory
from oracle.memory_file import write_whole

PITCH_CLASSES = ("C", "C♯", "D", "E♭", "E", "F", "F♯", "G", "A♭", "A", "B♭", "B")

_NODE_KEYS = {
    "notes": "string", "token": "int", "onset_s": "double", "cluster": "int", "lrs": "int",
}  # fmt: skip
_TRANSITION, _SUFFIX_LINK = "transition", "suffix link"


def note_name(pitch: int) -> str:
    """Return the name of a MIDI pitch, 60 being C4."""
    return f"{PITCH_CLASSES[pitch % 12]}{pitch // 12 - 1}"


def note_names(memory: Memory, state: int) -> str:
    """Return the names of a state's notes, empty for the root and for a sound without pitch."""
    return " ".join(note_name(note.pitch) for note in memory.notes(state)) if state else ""


def write_dot(memory: Memory, path: Path) -> None:
    """Write the graph for Graphviz; suffix links are dashed and shape no layout.

    Raises
    ------
    MemoryFileError
        It cannot be written there; what was there is untouched.
    """
    write_whole(path, (line.encode() for line in _dot(memory)))


def write_graphml(memory: Memory, path: Path) -> None:
    """Write the graph as GraphML; an edge's `kind` tells transitions from suffix links.

    Raises
    ------
    MemoryFileError
        It cannot be written there; what was there is untouched.
    """
    write_whole(path, (line.encode() for line in _graphml(memory)))


def _dot(memory: Memory) -> Iterator[str]:
    yield "digraph oracle {\n  rankdir=LR;\n  node [shape=circle];\n"
    for state, token in enumerate(_tokens(memory)):
        said = [str(state), note_names(memory, state), "" if token is None else f"token {token}"]
        label = "\\n".join(line for line in said if line)
        yield f'  {state} [label="{label}"];\n'
    for kind, state, target in _edges(memory):
        style = " [style=dashed, constraint=false]" if kind == _SUFFIX_LINK else ""
        yield f"  {state} -> {target}{style};\n"
    yield "}\n"


def _graphml(memory: Memory) -> Iterator[str]:
    yield '<?xml version="1.0" encoding="UTF-8"?>\n'
    yield '<graphml xmlns="http://graphml.graphdrawing.org/xmlns">\n'
    for name, kind in _NODE_KEYS.items():
        yield f'  <key id="{name}" for="node" attr.name="{name}" attr.type="{kind}"/>\n'
    yield '  <key id="kind" for="edge" attr.name="kind" attr.type="string"/>\n'
    yield '  <graph id="oracle" edgedefault="directed">\n'
    oracle = memory.oracle.arrays()
    for state, token in enumerate(_tokens(memory)):
        known = {
            "notes": note_names(memory, state),
            "token": token,
            "onset_s": memory.event(state).onset_s if state else None,
            "cluster": int(oracle.cluster[state]),
            "lrs": int(oracle.lrs[state]),
        }
        data = "".join(
            f"<data key={quoteattr(name)}>{escape(str(value))}</data>"
            for name, value in known.items()
            if value is not None
        )
        yield f'    <node id="{state}">{data}</node>\n'
    for kind, state, target in _edges(memory):
        yield (
            f'    <edge source="{state}" target="{target}"><data key="kind">{kind}</data></edge>\n'
        )
    yield "  </graph>\n</graphml>\n"


def _tokens(memory: Memory) -> Iterator[int | None]:
    """Give each state's gesture token, None for the root and where it is missing."""
    yield None
    for token in memory.tokens.tolist():
        yield None if math.isnan(token) else int(token)


def _edges(memory: Memory) -> Iterator[tuple[str, int, int]]:
    """Give each edge: its kind, where from and where to."""
    links = memory.oracle.suffix_links.tolist()
    for state, link in enumerate(links):
        for target in memory.oracle.transitions(state).tolist():
            if target < len(links):
                yield _TRANSITION, state, target
        if link >= 0:
            yield _SUFFIX_LINK, state, link
