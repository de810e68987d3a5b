"""Navigation: from state to state of a memory, by continuity, by likeness and by request.

`Navigator` belongs to one thread; the oracle and the attributes may grow on another. One step is
one compiled call over a bounded number of candidates, and its trace tells what was considered and
why it was decided. It knows no note, device or clock, and never waits.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from oracle._navigation import choose
from oracle._near import CANDIDATE_DTYPE, CONTEXT_MAX
from oracle._scene import N_CANDIDATES, N_DRAWS, N_EXAMINED, Rules, Scene, Scratch
from oracle.attribute_table import AttributeTable
from oracle.audio_oracle import AudioOracle, FactorOracle
from oracle.criterion import TERM_DTYPE, Criterion
from oracle.metrics import EventMetric
from oracle.request import NO_TERMS, Reading, Request, RequestReader
from oracle.trace import Trace, trace_of

EVERYWHERE = ((1, np.iinfo(np.int64).max),)
_AUDIBLE = (Criterion(attribute="n_notes", type=">", value=0, is_held=True),)
_NO_LABELS = (NO_TERMS, np.zeros(0, np.int64))


@dataclass(frozen=True, slots=True, kw_only=True)
class NavigatorConfig:
    """How to navigate.

    Parameters
    ----------
    continuity
        Probability 0…1 of going on to the next state where nothing is asked; the rest is jumps.
    min_context
        States of common past, 0…32, that a jump needs (the lrs of the place jumped to).
    taboo_steps
        A state is not chosen again for this many steps, unless only that meets a hard request.
    regions
        First and last state of each part of the memory that may be played, 1 the first.
    transpositions
        Semitones by which a passage may be moved to meet a request; none means as learned.
    min_quality
        Share 0…1 of the request, by weight, that a choice must meet; below it the step is silent.
    is_audible
        States without notes are never chosen.
    is_probabilistic
        Choose by chance, else the likeliest.

    Raises
    ------
    ValueError
        A value is out of its range.
    """

    continuity: float = 0.8
    min_context: int = 1
    taboo_steps: int = 8
    regions: tuple[tuple[int, int], ...] = EVERYWHERE
    transpositions: tuple[int, ...] = ()
    min_quality: float = 0.0
    is_audible: bool = False
    is_probabilistic: bool = True

    def __post_init__(self) -> None:
        """Refuse what no step could follow."""
        for name, value in (("continuity", self.continuity), ("min_quality", self.min_quality)):
            if not 0 <= value <= 1:
                raise ValueError(f"{name} must be 0…1, got {value}")
        if not 0 <= self.min_context <= CONTEXT_MAX:
            raise ValueError(f"min_context must be 0…{CONTEXT_MAX}, got {self.min_context}")
        if self.taboo_steps < 0:
            raise ValueError(f"taboo_steps must be ≥ 0, got {self.taboo_steps}")
        for first, last in self.regions:
            if not 1 <= first <= last:
                raise ValueError(f"a region needs 1 ≤ first ≤ last, got {(first, last)}")
        if not self.regions or sorted(self.regions) != list(self.regions):
            raise ValueError(f"regions must be one or more in ascending order, got {self.regions}")
        if any(a[1] >= b[0] for a, b in zip(self.regions, self.regions[1:], strict=False)):
            raise ValueError(f"regions must not overlap, got {self.regions}")
        if any(abs(semitones) > 48 for semitones in self.transpositions):
            raise ValueError(f"transpositions must be −48…48, got {self.transpositions}")


class Navigator:
    """A position in a memory that moves step by step; one thread.

    Parameters
    ----------
    oracle
        What follows what, and what is like what.
    attributes
        What each state is like; may hold fewer states than the oracle, never others.
    config
        How to navigate.
    seed
        Of the private generator: same memory, seed and requests, same path.

    Raises
    ------
    ValueError
        The config wants audible states and there is no attribute `n_notes`.
    """

    def __init__(
        self,
        oracle: AudioOracle | FactorOracle,
        attributes: AttributeTable,
        config: NavigatorConfig = NavigatorConfig(),
        *,
        seed: int = 0,
    ) -> None:
        if config.is_audible and "n_notes" not in attributes.known:
            raise ValueError("is_audible needs an attribute n_notes, the table has none")
        self.config = config
        self.state = 0  # the root: nowhere yet
        self.transposition_semitones = 0
        self._oracle = oracle
        self._table = attributes
        self._token_distance = _token_distance(oracle)
        self._rules = Rules(
            continuity=config.continuity,
            min_context=config.min_context,
            taboo_steps=config.taboo_steps,
            is_probabilistic=config.is_probabilistic,
            cluster_column=attributes.known["cluster"][0] if "cluster" in attributes.known else -1,
            regions=np.array(config.regions, np.int64),
            transpositions=np.array(sorted(config.transpositions, key=abs), np.int64),
        )
        self._reader = RequestReader(attributes.known, _AUDIBLE if config.is_audible else ())
        self._rng = np.random.default_rng(seed)
        self._draws = np.zeros(N_DRAWS)
        self._step = 0
        self._last_visit = np.zeros(64, np.int64)
        self._scratch = _new_scratch(0)

    def step(self, request: Request = None, upcoming: Sequence[Request] = ()) -> Trace:
        """Move to a state that follows the current one and answers the request.

        Parameters
        ----------
        request
            What it is asked to be like; see `oracle.request`. None asks nothing.
        upcoming
            What the states after it will be asked; places that lead there are favoured.

        Raises
        ------
        ValueError
            A request names what is unknown or out of range; nothing moves.
        """
        asked = self._reader.read(request)
        scene = self._scene(asked, *(self._labels(upcoming) if upcoming else _NO_LABELS))
        if len(self._scratch.outcomes) != len(asked.criteria):
            self._scratch = _new_scratch(len(asked.criteria))
        self._step = scene.step
        choice = choose(scene, self._scratch)
        trace = trace_of(choice, self._scratch, asked.criteria, self.config.min_quality)
        if trace.state is not None:
            self.state = trace.state
            self.transposition_semitones = trace.transposition_semitones
            self._last_visit[trace.state] = self._step
        return trace

    def warm_up(self) -> None:
        """Compile what a step runs, so that the first does not wait for it; nothing moves."""
        Navigator(self._oracle, self._table, self.config).step()

    def place(self, state: int) -> None:
        """Go on from a state; 0 is nowhere.

        Raises
        ------
        ValueError
            There is no such state.
        """
        n_states = min(self._table.n_states, self._oracle.n_states)
        if not 0 <= state < n_states:
            raise ValueError(f"state must be 0…{n_states - 1}, got {state}")
        self.state = state

    def forget(
        self, oracle: AudioOracle | FactorOracle, attributes: AttributeTable, n_forgotten: int
    ) -> None:
        """Go on in a memory without the first states: place, taboos and chance stay as they were.

        Parameters
        ----------
        oracle, attributes
            Whose state i is state n_forgotten + i of those so far, of the same metric.
        """
        self._oracle, self._table = oracle, attributes
        self.state = max(0, self.state - n_forgotten)
        visits = self._last_visit[n_forgotten:]
        self._last_visit = np.zeros(len(self._last_visit), np.int64)
        self._last_visit[1 : len(visits)] = visits[1:]

    def generate(self, n_steps: int) -> list[Trace]:
        """Navigate freely, n steps."""
        return [self.step() for _ in range(n_steps)]

    def generate_with_request(self, request: Request, n_steps: int = 1) -> list[Trace]:
        """Navigate n steps, asking the same of each."""
        return [self.step(request) for _ in range(n_steps)]

    def generate_with_labels(self, labels: Iterable[Request], n_ahead: int = 0) -> list[Trace]:
        """Navigate along a sequence of requests, one step each.

        Parameters
        ----------
        labels
            What each step is asked in turn.
        n_ahead
            How many labels to come count when a place is chosen: 0 is label-guided, more is
            scenario-guided (Nika, Chemillier and Assayag 2017).
        """
        scenario = list(labels)
        return [
            self.step(label, list(islice(scenario, i + 1, i + 1 + n_ahead)))
            for i, label in enumerate(scenario)
        ]

    def _labels(self, upcoming: Sequence[Request]) -> tuple[NDArray[np.void], NDArray[np.int64]]:
        """Lay out the hard criteria of the labels to come, and where each label ends."""
        n_always = len(self._reader.read(None).criteria)
        ahead = [
            reading.terms[n_always : reading.n_hard] for reading in map(self._reader.read, upcoming)
        ]
        return np.concatenate(ahead), np.cumsum([len(terms) for terms in ahead])

    def _scene(
        self, asked: Reading, upcoming: NDArray[np.void], label_end: NDArray[np.int64]
    ) -> Scene:
        """Read the memory once, and draw once."""
        table, oracle = self._table.arrays(), self._oracle.arrays()
        n_states = min(table.n_states, oracle.n_states)
        if n_states > len(self._last_visit):
            grown = np.zeros(2 * n_states, np.int64)
            grown[: len(self._last_visit)] = self._last_visit
            self._last_visit = grown
        if self.config.is_probabilistic:
            self._rng.random(out=self._draws)
        return Scene(
            n_states=n_states,
            oracle=oracle,
            table=table,
            token_distance=self._token_distance,
            rules=self._rules,
            terms=asked.terms,
            n_held=asked.n_held,
            n_hard=asked.n_hard,
            upcoming=upcoming,
            label_end=label_end,
            state=self.state,
            transposition=self.transposition_semitones,
            step=self._step + 1,
            last_visit=self._last_visit,
            draws=self._draws,
        )


def _token_distance(oracle: AudioOracle | FactorOracle) -> NDArray[np.float64]:
    """Return the distances of tokens by which the oracle was learned, [0, 0] if by none."""
    metric = getattr(oracle, "metric", None)
    if isinstance(metric, EventMetric):
        return metric.token_distance
    unknown = np.empty((0, 0))
    unknown.flags.writeable = False  # one type for the compiler
    return unknown


def _new_scratch(n_criteria: int) -> Scratch:
    """Make room for the candidates of a step."""
    return Scratch(
        rows=np.zeros(N_CANDIDATES, CANDIDATE_DTYPE),
        masks=np.zeros((n_criteria, N_CANDIDATES)),
        outcomes=np.zeros(n_criteria, np.int64),
        kept=np.zeros(n_criteria, TERM_DTYPE),
        examined=np.zeros(N_EXAMINED, np.int64),
    )
