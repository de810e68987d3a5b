"""The oracle drawn as its papers do: states on a line, transitions above, suffix links below.

Runs where the caller is, off the hot path; matplotlib is imported when something is drawn. A small
oracle is drawn whole. In a large one states are no longer told apart, and what is drawn is the
shape of the music: each repeat as a ribbon as wide as it is long (Wattenberg 2002), and the
transitions that share most past with where they lead.
"""

import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from models.output_path import require_writable
from oracle.audio_oracle import AudioOracle
from oracle.gesture import clock
from oracle.graph_file import note_names
from oracle.memory import Memory
from oracle.memory_file import MemoryFileError, write_whole
from oracle.repeats import longest_repeats

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FORMS: Final = (".png", ".svg")
N_TOLD_APART: Final = 60
N_ARCS: Final = 1000
N_RIBBONS: Final = 500
N_NAMED: Final = 12
"""The names of more recordings would cover each other."""

_ABOVE: Final = "#1f6f8b"
_BELOW: Final = "#c0392b"
_LINE: Final = "#2b2b2b"
_CURVE_POINTS: Final = 48
_DPI: Final = 160

Pairs = Sequence[tuple[int, int]]


def require_form(path: Path, *, sources: Iterable[Path] = ()) -> None:
    """Refuse a path at which nothing can be drawn, or nothing should.

    Raises
    ------
    MemoryFileError
        Its ending is none of `FORMS`.
    OutputPathError
        It cannot be written, or is one of `sources`.
    """
    if path.suffix.lower() not in FORMS:
        raise MemoryFileError(f"{path} is no drawing: end it in {' or '.join(FORMS)}.")
    require_writable(path, FORMS, sources=sources)


def draw(memory: Memory, path: Path) -> None:
    """Draw a memory's oracle into a file whose suffix is one of `FORMS`, whole or not at all.

    Raises
    ------
    MemoryFileError
        It cannot be written there; what was there is untouched.
    """
    from matplotlib.figure import Figure

    n_states = memory.n_events + 1
    is_whole = n_states <= N_TOLD_APART
    width_in = min(16.0, max(4.5, 0.55 * n_states))
    figure = Figure(figsize=(width_in, 0.25 * width_in + 2), layout="constrained")
    axes = figure.add_subplot(xlim=(-1, n_states))
    (_draw_whole if is_whole else _draw_shape)(axes, memory)
    axes.set_yticks([])
    axes.spines[:].set_visible(False)
    content = io.BytesIO()
    figure.savefig(content, format=path.suffix[1:].lower(), dpi=_DPI)
    write_whole(path, (content.getvalue(),))


def _draw_whole(axes: "Axes", memory: Memory) -> None:
    """Draw every state and link; on the way to a state are its notes, – where there are none."""
    oracle, states = memory.oracle, range(memory.n_events + 1)
    links = oracle.suffix_links.tolist()
    transitions = [(k, t) for k in states for t in oracle.transitions(k).tolist()]
    _draw_arcs(axes, [(k, t) for k, t in transitions if t > k + 1], color=_ABOVE)
    _draw_arcs(axes, [(k, links[k]) for k in states[1:]], color=_BELOW, is_above=False)
    axes.plot([0, memory.n_events], [0, 0], color=_ABOVE, zorder=1)
    axes.set_xticks([])
    for state in states:
        circle = {"boxstyle": "circle", "facecolor": "white", "edgecolor": _LINE}
        axes.text(state, 0, str(state), ha="center", va="center", fontsize=6, bbox=circle)
    for state in states[1:]:
        notes = note_names(memory, state).replace(" ", "\n") or "–"
        axes.text(state - 0.5, 0.1, notes, ha="center", va="bottom", fontsize=6, color=_ABOVE)
    axes.set_title(
        "Above: transitions, rightwards to what may come next. Below: suffix links, leftwards to "
        "what a state repeats.",
        fontsize=9,
        wrap=True,
    )


def _draw_shape(axes: "Axes", memory: Memory) -> None:
    """Draw the longest repeats and the transitions with most past in common."""
    from matplotlib.collections import PathCollection
    from matplotlib.path import Path as Curve

    repeats = longest_repeats(memory.oracle, N_RIBBONS)
    outlines = [_ribbon(r.first, r.earlier, r.length) for r in repeats]
    ribbons = PathCollection(
        [Curve(outline, closed=True) for outline in outlines],
        facecolor=_BELOW,
        edgecolor=_BELOW,
        linewidth=0.4,
        alpha=_opacity(len(outlines)),
    )
    axes.add_collection(ribbons)
    axes.update_datalim([(0, 0), *(outline.min(axis=0) for outline in outlines)])
    transitions = _telling_transitions(memory.oracle)
    _draw_arcs(axes, transitions, color=_ABOVE, alpha=_opacity(len(transitions)))
    axes.plot([0, memory.n_events], [0, 0], color=_LINE)
    axes.set_title(
        "Above: jumps to where the music goes on alike, those with most past in common. "
        "Below: passages that repeat earlier ones, as wide as they are long.",
        fontsize=9,
    )
    _tell_time(axes, memory)


def _tell_time(axes: "Axes", memory: Memory) -> None:
    """Say below the line when its events were played, and where each recording begins."""
    sources = memory.provenance.sources
    events = [memory.event(state) for state in range(1, memory.n_events + 1)]

    def when(state: float, _: float) -> str:
        is_event = 1 <= state <= len(events) and state == round(state)
        return clock(events[round(state) - 1].onset_s) if is_event else ""

    axes.xaxis.set_major_formatter(when)
    axes.set_xlabel("when it was played, in minutes and seconds; events are evenly spaced")
    before = None
    for state, event in enumerate(events, 1):
        if event.source != before and 1 < len(sources) <= N_NAMED:
            axes.axvline(state - 0.5, color=_LINE, linewidth=0.6, linestyle="dotted")
            axes.text(
                state - 0.5,
                1.0,
                f" {sources[event.source]}",
                fontsize=7,
                va="top",
                transform=axes.get_xaxis_transform(),
            )
        before = event.source


def _draw_arcs(
    axes: "Axes", pairs: Pairs, *, color: str, is_above: bool = True, alpha: float = 1.0
) -> None:
    """Draw an arc from state to state for each pair."""
    from matplotlib.collections import LineCollection

    curves = [_arc(state, target, is_above=is_above) for state, target in pairs]
    style = "solid" if is_above else "dashed"
    axes.add_collection(
        LineCollection(curves, colors=color, linewidths=0.8, linestyles=style, alpha=alpha)
    )
    axes.autoscale_view(scalex=False)


def _telling_transitions(oracle: AudioOracle) -> Pairs:
    """Give the transitions to draw: no way on, none of the root's, most past in common first."""
    arrays = oracle.arrays()
    sources = np.zeros_like(arrays.edge_target)
    for state in np.flatnonzero(arrays.first_edge >= 0).tolist():
        edge = int(arrays.first_edge[state])
        while 0 <= edge < arrays.n_edges:
            sources[edge] = state
            edge = int(arrays.next_edge[edge])
    past = np.minimum(arrays.lrs[sources], arrays.lrs[arrays.edge_target])
    past[sources == 0] = -1
    chosen = np.argsort(-past, kind="stable")[:N_ARCS]
    chosen = chosen[past[chosen] >= 0]
    return list(zip(sources[chosen].tolist(), arrays.edge_target[chosen].tolist(), strict=True))


def _arc(begin: float, end: float, *, is_above: bool) -> NDArray[np.float64]:
    """Give points along half an ellipse that stands on the line of states [shape=(n, 2)]."""
    height = abs(end - begin) ** 0.75 * (0.5 if is_above else -0.5)
    angle = np.linspace(0, np.pi, _CURVE_POINTS)
    x = (begin + end) / 2 + (begin - end) / 2 * np.cos(angle)
    return np.column_stack([x, height * np.sin(angle)])


def _ribbon(first: int, earlier: int, length: int) -> NDArray[np.float64]:
    """Give the outline of a ribbon below the line, from one passage to the other."""
    outer = _arc(earlier - 0.5, first + length - 0.5, is_above=False)
    inner = _arc(first - 0.5, earlier + length - 0.5, is_above=False)
    return np.vstack([outer, inner, outer[:1]])


def _opacity(n: int) -> float:
    """Give how opaque n shapes may be and still let each other through."""
    return float(np.clip(3 / np.sqrt(n + 1), 0.12, 0.6))
