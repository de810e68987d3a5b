"""Gesture page: all of a memory's gestures on one self-contained page, to see and to hear.

Pure: facts in, HTML out. Plots are inline SVG of one path each, so that hundreds of gestures stay
small; sounds are embedded. The page loads nothing from anywhere.
"""

import base64
import math
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from oracle.gesture import Gesture, Gestures, clock
from oracle.graph_file import PITCH_CLASSES, note_names

LEVELS_DB: Final = (-60.0, 0.0)
LOG2_INTERVALS: Final = (-4.0, 3.0)
N_BINS: Final = 24
N_MOMENTS: Final = 240
N_SOURCES: Final = 4
MAP_WIDTH, MAP_HEIGHT = 960, 380

_TEMPLATE: Final = Path(__file__).with_name("gesture_page.html")


def page(gestures: Gestures, name: str, clips: Mapping[int, bytes], missing: Sequence[str]) -> str:
    """Write the page.

    Parameters
    ----------
    name
        What the memory is called.
    clips
        FLAC files of states that can be heard.
    missing
        Recordings that could not be found.
    """
    memory = gestures.memory
    told = [gestures.gesture(token) for token in gestures.used]
    silent = f" Not found, and so without sound: {', '.join(missing)}." if missing else ""
    summary = (
        f"{len(gestures.events)} notes and sounds, told apart as {len(told)} of "
        f"{len(memory.centroids)} gestures, learned from "
        f"{', '.join(memory.provenance.sources)}.{silent}"
    )
    parts = {
        "name": escape(name),
        "summary": escape(summary),
        "map": _map(gestures, told),
        "cards": "\n".join(_card(gestures, gesture, clips) for gesture in told),
    }
    text = _TEMPLATE.read_text(encoding="utf-8")
    for key, part in parts.items():
        text = text.replace(f"<!--{key}-->", part)
    return text


def hue(pitch_classes: NDArray[np.int64]) -> float | None:
    """Give the colour of pitch classes, an angle on the circle of fifths; None where none leads."""
    fifths = pitch_classes @ np.exp(2j * np.pi * 7 * np.arange(12) / 12)
    if not abs(fifths) > 1e-9:
        return None
    return float(np.degrees(np.angle(fifths))) % 360


def plane(centroids: NDArray[np.float32]) -> NDArray[np.float64]:
    """Lay centroids out in the plane of their two main directions [shape=(k, 2)], 0…1 each."""
    if not len(centroids):
        return np.zeros((0, 2))
    centred = centroids.astype(np.float64) - centroids.mean(axis=0, dtype=np.float64)
    _, _, directions = np.linalg.svd(centred, full_matrices=False)
    places = np.zeros((len(centroids), 2))
    laid = centred @ directions[:2].T
    places[:, : laid.shape[1]] = laid
    span = np.ptp(places, axis=0)
    return np.where(span > 0, (places - places.min(axis=0)) / np.where(span > 0, span, 1), 0.5)


def _map(gestures: Gestures, told: Sequence[Gesture]) -> str:
    """Draw the gestures in use where their centroids lie, as large as they are frequent."""
    places = plane(gestures.memory.centroids[[gesture.token for gesture in told]])
    most = max((len(gesture.states) for gesture in told), default=1)
    circles: list[str] = []
    for gesture, (x, y) in zip(told, places.tolist(), strict=True):
        radius = 4 + 26 * math.sqrt(len(gesture.states) / most)
        left = 34 + x * (MAP_WIDTH - 68)
        top = 34 + (1 - y) * (MAP_HEIGHT - 68)
        label = (
            f'<text x="{left:.0f}" y="{top + 4:.0f}">{gesture.token}</text>' if radius > 13 else ""
        )
        circles.append(
            f'<a href="#t{gesture.token}"><circle cx="{left:.0f}" cy="{top:.0f}" '
            f'r="{radius:.1f}" {_style(gesture)}><title>{_title(gesture)}</title></circle>'
            f"{label}</a>"
        )
    return f'<svg class="map" viewBox="0 0 {MAP_WIDTH} {MAP_HEIGHT}">{"".join(circles)}</svg>'


def _card(gestures: Gestures, gesture: Gesture, clips: Mapping[int, bytes]) -> str:
    """Show one gesture."""
    share = len(gesture.states) / len(gestures.events)
    near = "".join(
        f'<a href="#t{n.token}" title="{_events(n.n_events)}">{n.token}</a>'
        for n in gesture.neighbours
    )
    exemplars = "".join(_exemplar(gestures, state, clips) for state in gesture.exemplars)
    intervals = np.log2(gesture.intervals_s)
    plots = (
        _pitch_wheel(gesture)
        + _histogram(gesture.levels_db, LEVELS_DB, "loudness", ("−60", "0 dB"))
        + _histogram(intervals, LOG2_INTERVALS, "since last note", ("62 ms", "8 s"))
    )
    return (
        f'<article id="t{gesture.token}" {_style(gesture)} data-token="{gesture.token}" '
        f'data-n="{len(gesture.states)}" data-hue="{hue(gesture.pitch_classes) or 0:.0f}">'
        f"<h2>{gesture.token}<small>{_events(len(gesture.states))}, {share:.1%}</small></h2>"
        f'<div class="plots">{plots}</div>{_timelines(gestures, gesture)}'
        f'<div class="exemplars">{exemplars}</div>'
        f'<p class="near">sounds most like {near or "no other"}</p></article>'
    )


def _exemplar(gestures: Gestures, state: int, clips: Mapping[int, bytes]) -> str:
    """Show one exemplar: a button where it can be heard."""
    event = gestures.events[state - 1]
    source = gestures.memory.provenance.sources[event.source]
    when = f"{clock(event.onset_s)}–{clock(event.onset_s + event.duration_s)}"
    said = f"{when} {note_names(gestures.memory, state)}"
    title = escape(f"event {state}, of {source}", quote=True)
    if state not in clips:
        return f'<span title="{title}">{said}</span>'
    sound = base64.b64encode(clips[state]).decode()
    return f'<button title="{title}" data-sound="{sound}">▶ {said}</button>'


def _pitch_wheel(gesture: Gesture) -> str:
    """Draw the pitch classes as a wheel in fifths, each as long as it is frequent."""
    most = gesture.pitch_classes.max(initial=0)
    spokes = []
    for position in range(12):
        pitch_class = 7 * position % 12
        angle = 2 * math.pi * position / 12 - math.pi / 2
        x, y = math.cos(angle), math.sin(angle)
        count = int(gesture.pitch_classes[pitch_class])
        length = 9 + 23 * count / most if most else 9
        name = PITCH_CLASSES[pitch_class]
        tone = f"hsl({30 * position} 60% 52%)" if count else "var(--line)"
        spokes.append(
            f'<path d="M{50 + 8 * x:.1f} {50 + 8 * y:.1f}L{50 + length * x:.1f} '
            f'{50 + length * y:.1f}" stroke="{tone}"><title>{name}: {count}</title></path>'
            f'<text x="{50 + 42 * x:.0f}" y="{53 + 42 * y:.0f}">{name}</text>'
        )
    return f'<svg class="wheel" viewBox="0 0 100 100">{"".join(spokes)}</svg>'


def _histogram(
    values: NDArray[np.float64], limits: tuple[float, float], name: str, ends: tuple[str, str]
) -> str:
    """Draw how values are spread between two limits; what is beyond counts at them."""
    counts, _ = np.histogram(np.clip(values, *limits), bins=N_BINS, range=limits)
    most = counts.max(initial=1) or 1
    bars = "".join(
        f"M{4 * i + 2} 60v{-46 * count / most:.1f}" for i, count in enumerate(counts) if count
    )
    return (
        f'<svg class="histogram" viewBox="0 0 96 76"><path class="axis" d="M0 60h96"/>'
        f'<path d="{bars}"/><text x="0" y="72">{ends[0]}</text><text x="48" y="9" '
        f'class="name">{name}</text><text x="96" y="72" class="end">{ends[1]}</text></svg>'
    )


def _timelines(gestures: Gestures, gesture: Gesture) -> str:
    """Draw when it occurs in the recordings where it occurs most, a strip each."""
    sources = gestures.memory.provenance.sources
    onsets_s: dict[int, list[float]] = {}
    for state in gesture.states:
        event = gestures.events[state - 1]
        onsets_s.setdefault(event.source, []).append(event.onset_s)
    most = sorted(onsets_s, key=lambda source: -len(onsets_s[source]))[:N_SOURCES]
    strips = []
    for source in most:
        moments = {int(N_MOMENTS * onset / gestures.ends_s[source]) for onset in onsets_s[source]}
        ticks = "".join(f"M{moment} 0v10" for moment in sorted(moments))
        title = f"{sources[source]}: {_events(len(onsets_s[source]))}"
        strips.append(
            f'<svg class="strip" viewBox="0 0 {N_MOMENTS} 10" preserveAspectRatio="none">'
            f'<title>{escape(title)}</title><path d="{ticks}"/></svg>'
        )
    return "".join(strips)


def _style(gesture: Gesture) -> str:
    """Give the colour of a gesture as an attribute; without a pitch it is grey."""
    angle = hue(gesture.pitch_classes)
    colour = "hsl(0 0% 55%)" if angle is None else f"hsl({angle:.0f} 60% 52%)"
    return f'style="--tone:{colour}"'


def _title(gesture: Gesture) -> str:
    return f"gesture {gesture.token}: {_events(len(gesture.states))}"


def _events(n: int) -> str:
    return f"{n} event" if n == 1 else f"{n} events"
