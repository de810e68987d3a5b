"""A memory: the events of what was played, the oracle that joins them, and how they were heard.

One thread learns; any other may look at states that were there when it looked. State i of the
oracle is event i − 1. It knows no audio, device or loop.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from oracle.attribute_table import AttributeTable
from oracle.attributes import attribute_rows
from oracle.audio_oracle import AudioOracle
from oracle.errors import BrokenLinksError
from oracle.event import EVENT_DIMS, Event, Note
from oracle.event_metric import event_metric
from oracle.event_rows import EventRows
from oracle.memory_file import damaged, read_tensors, write_tensors
from oracle.memory_tensors import Kept, kept_of, tensors_of
from oracle.metrics import EventMetric
from oracle.provenance import Provenance, codebook_sha256


class Memory:
    """Events, the oracle over them, their attributes and their codebook; grows by `learn`.

    Parameters
    ----------
    centroids
        [shape=(k, dim), float32] the codebook.
    metric
        Distance of two events; see `oracle.event_metric`.
    threshold
        Distance strictly below which events repeat each other.
    provenance
        How it came to be.

    Attributes
    ----------
    oracle : AudioOracle
        What follows what, and what is like what.
    attributes : AttributeTable
        What a request can ask of each state.
    """

    def __init__(
        self,
        *,
        centroids: NDArray[np.float32],
        metric: EventMetric,
        threshold: float,
        provenance: Provenance,
    ) -> None:
        if metric.n_tokens != len(centroids):
            raise ValueError(f"{metric.n_tokens} tokens for {len(centroids)} centroids, need equal")
        self.centroids = np.array(centroids, np.float32)
        self.centroids.flags.writeable = False
        self.provenance = provenance
        self.oracle = AudioOracle(len(EVENT_DIMS), threshold, metric)
        self.attributes = AttributeTable()
        self._rows = EventRows()

    @classmethod
    def from_events(
        cls,
        events: Sequence[Event],
        *,
        centroids: NDArray[np.float32],
        threshold: float,
        provenance: Provenance,
    ) -> Self:
        """Learn events by the metric that they themselves give.

        Raises
        ------
        ValueError
            A token has no centroid or a source no name.
        """
        memory = cls(
            centroids=centroids,
            metric=event_metric(_frames(events), centroids),
            threshold=threshold,
            provenance=provenance,
        )
        memory.extend(events)
        return memory

    @property
    def n_events(self) -> int:
        """Number of events learned; states are 1 … n_events."""
        return self.attributes.n_states - 1

    @property
    def codebook_sha256(self) -> str:
        """Hash that tells codebooks apart, hexadecimal."""
        return codebook_sha256(self.centroids)

    @property
    def metric(self) -> EventMetric:
        """Distance of two events."""
        metric = self.oracle.metric
        assert isinstance(metric, EventMetric)
        return metric

    def emptied(self) -> Self:
        """Return a memory of the same codebook and metric that has learned nothing."""
        return type(self)(
            centroids=self.centroids,
            metric=self.metric,
            threshold=self.oracle.threshold,
            provenance=self.provenance,
        )

    def forgetting(self, n_forgotten: int) -> Self:
        """Return a memory that never learned the first events: state i is then n_forgotten + i.

        Any thread may build it while the owner learns on, and the owner bring it up to date by
        `catch_up`: it holds the events that were there when it was begun.

        Raises
        ------
        ValueError
            There are not so many.
        """
        if not 0 <= n_forgotten <= self.n_events:
            raise ValueError(f"n_forgotten must be 0…{self.n_events}, got {n_forgotten}")
        kept = self.emptied()
        kept.catch_up(self, n_forgotten)
        return kept

    def catch_up(self, memory: Self, n_forgotten: int) -> None:
        """Learn what another memory has learned since this one was made by its `forgetting`."""
        first, end = n_forgotten + self.n_events, memory.n_events
        frames = memory._frames[first:end]
        self.provenance = memory.provenance
        self.oracle.extend(frames)
        self._rows.extend_from(memory._rows, first, end)
        self._describe(frames)

    def add_source(self, name: str) -> int:
        """Name one more source, as for what is learned while playing, and return its place."""
        sources = (*self.provenance.sources, name)
        self.provenance = replace(self.provenance, sources=sources)
        return len(sources) - 1

    def learn(self, event: Event) -> int:
        """Add one event and return its state.

        Raises
        ------
        ValueError
            Its token has no centroid or its source no name; nothing is added.
        """
        self.extend((event,))
        return self.n_events

    def extend(self, events: Iterable[Event]) -> None:
        """Add events in order, as `learn` would one by one.

        Raises
        ------
        ValueError
            A token has no centroid or a source no name; nothing is added.
        """
        new = list(events)
        n_sources = len(self.provenance.sources)
        for event in new:
            if event.source >= n_sources:
                raise ValueError(f"source must be one of {n_sources} named, got {event.source}")
        frames = _frames(new)
        self.oracle.extend(frames)
        self._rows.extend(new)
        self._describe(frames)

    def _describe(self, frames: NDArray[np.float32]) -> None:
        """Add the attributes of the newest events, last of all: readers go by them."""
        rows = self._rows.events[self.n_events :]
        self.attributes.extend(
            attribute_rows(
                frames,
                pitch=rows["pitch"],
                level_db=rows["level_db"],
                velocity=rows["velocity"],
                duration_s=rows["duration_s"],
                n_notes=rows["n_notes"],
                clusters=self.oracle.clusters[self.n_events + 1 :],
            )
        )

    def event(self, state: int) -> Event:
        """Return the event of a state.

        Raises
        ------
        ValueError
            There is no such state.
        """
        return self._rows.event(self._index(state), self._frames[state - 1].copy())

    def notes(self, state: int) -> tuple[Note, ...]:
        """Return the notes that a state is answered with, none for a sound without pitch.

        Raises
        ------
        ValueError
            There is no such state.
        """
        return self._rows.notes(self._index(state))

    @property
    def tokens(self) -> NDArray[np.float32]:
        """Gesture token of each event [shape=(n_events,), float32], NaN where missing."""
        return self._frames[:, 0].copy()

    def _index(self, state: int) -> int:
        if not 1 <= state <= self.n_events:
            raise ValueError(f"state must be 1…{self.n_events}, got {state}")
        return state - 1

    @property
    def _frames(self) -> NDArray[np.float32]:
        table = self.attributes.arrays()
        return table.values[1 : table.n_states, : len(EVENT_DIMS)]

    def save(self, path: str | Path, *, scratch: Path | None = None) -> None:
        """Write the memory to a file, whole or not at all; the same content is the same bytes.

        Parameters
        ----------
        scratch
            As `oracle.memory_file.write_whole` takes it.

        Raises
        ------
        MemoryFileError
            It cannot be written there; what was there is untouched.
        """
        kept = Kept(
            centroids=self.centroids,
            metric=self.metric,
            oracle=self.oracle,
            frames=self._frames,
            rows=self._rows,
            provenance=self.provenance,
        )
        write_tensors(Path(path), *tensors_of(kept), scratch=scratch)

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a memory that `save` wrote.

        Raises
        ------
        MemoryFileError
            There is none, it is of another format, or it was damaged.
        """
        path = Path(path)
        tensors, metadata = read_tensors(path)
        try:
            kept = kept_of(tensors, metadata)
            memory = cls(
                centroids=kept.centroids,
                metric=kept.metric,
                threshold=kept.oracle.threshold,
                provenance=kept.provenance,
            )
            memory.oracle, memory._rows = kept.oracle, kept.rows
            memory._describe(kept.frames)
        except (BrokenLinksError, ValueError, TypeError, KeyError) as error:
            raise damaged(path, str(error)) from None
        return memory


def _frames(events: Sequence[Event]) -> NDArray[np.float32]:
    """Stack the frames of events [shape=(n, 15), float32]."""
    frames = np.array([event.frame for event in events], np.float32)
    return frames.reshape(-1, len(EVENT_DIMS))
