"""Gesture: what a codebook's token stands for in a memory: where it occurs and how it sounds.

Runs where the caller is, off the hot path, and changes nothing. A token is only a number; what it
means are the events that it was given to and the tokens whose centroids lie near.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from oracle.event import DIM_INDEX, Event
from oracle.memory import Memory

N_NEIGHBOURS: Final = 6
N_EXEMPLARS: Final = 3


class Neighbour(NamedTuple):
    """A token in use that is near another one."""

    token: int
    distance: float
    n_events: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Gesture:
    """One token.

    Attributes
    ----------
    states
        Where it occurs, in order.
    pitch_classes
        [shape=(12,), int64] How often each was among the notes, from C.
    levels_db, intervals_s
        Of its events, those that are known, in order.
    neighbours
        The nearest tokens in use by their centroids, the nearest first.
    exemplars
        The states that are most like the others: near the median in pitch, level and length.
    """

    token: int
    states: tuple[int, ...]
    pitch_classes: NDArray[np.int64]
    levels_db: NDArray[np.float64]
    intervals_s: NDArray[np.float64]
    neighbours: tuple[Neighbour, ...]
    exemplars: tuple[int, ...]


class Gestures:
    """The tokens of a memory. Reads all of its events once.

    Attributes
    ----------
    events : list of Event
        That of state i is at i − 1.
    used : list of int
        The tokens that occur, most often first.
    ends_s : dict of int to float
        When the last event of each source is over.
    """

    def __init__(self, memory: Memory) -> None:
        self.memory = memory
        self.events = [memory.event(state) for state in range(1, memory.n_events + 1)]
        self._states: dict[int, list[int]] = {}
        for state, token in enumerate(memory.tokens.tolist(), 1):
            if not math.isnan(token):
                self._states.setdefault(int(token), []).append(state)
        self.ends_s: dict[int, float] = {}
        for event in self.events:
            end_s = event.onset_s + event.duration_s
            self.ends_s[event.source] = max(end_s, self.ends_s.get(event.source, 1e-3))
        self.used = sorted(self._states, key=lambda token: (-len(self._states[token]), token))

    def n_events(self, token: int) -> int:
        """Count the events of a token."""
        return len(self._states.get(token, ()))

    def gesture(self, token: int) -> Gesture:
        """Say what a token stands for.

        Raises
        ------
        ValueError
            The codebook has no such token.
        """
        if not 0 <= token < len(self.memory.centroids):
            raise ValueError(f"token must be 0…{len(self.memory.centroids) - 1}, got {token}")
        states = tuple(self._states.get(token, ()))
        events = [self.events[state - 1] for state in states]
        pitches = [note.pitch % 12 for event in events for note in event.notes]
        log2_intervals = np.array([event.frame[DIM_INDEX["log2_interval"]] for event in events])
        return Gesture(
            token=token,
            states=states,
            pitch_classes=np.bincount(pitches, minlength=12).astype(np.int64)
            if pitches
            else np.zeros(12, np.int64),
            levels_db=_known([event.level_db for event in events]),
            intervals_s=2.0 ** _known(log2_intervals),
            neighbours=self._neighbours(token),
            exemplars=_exemplars(states, events),
        )

    def _neighbours(self, token: int) -> tuple[Neighbour, ...]:
        distances = self.memory.metric.token_distance[token]
        nearest = [
            int(other)
            for other in np.argsort(distances, kind="stable")
            if other != token and other in self._states
        ]
        return tuple(
            Neighbour(other, float(distances[other]), self.n_events(other))
            for other in nearest[:N_NEIGHBOURS]
        )


def clock(moment_s: float) -> str:
    """Write a moment of a recording as minutes and seconds."""
    minutes, seconds = divmod(round(moment_s, 2), 60)
    return f"{minutes:.0f}:{seconds:05.2f}"


def _known(values: Sequence[float] | NDArray[np.float64]) -> NDArray[np.float64]:
    """Leave out what is missing."""
    numbers = np.asarray(values, np.float64)
    return numbers[np.isfinite(numbers)]


def _exemplars(states: Sequence[int], events: Sequence[Event]) -> tuple[int, ...]:
    """Choose the states that are nearest to the median of all, each measure in its own spread."""
    if not states:
        return ()
    measures = np.array(
        [(e.pitch, e.level_db, math.log2(max(e.duration_s, 1e-3))) for e in events]
    ).T
    apart = np.zeros(len(states))
    for measure in measures:
        is_known = np.isfinite(measure)
        if is_known.any():
            off = np.abs(measure - np.median(measure[is_known]))
            spread = off[is_known].mean()
            apart += np.where(is_known, off / (spread or 1.0), 1.0)
    return tuple(states[i] for i in np.argsort(apart, kind="stable")[:N_EXEMPLARS])
