"""Kernels of the ratio analysis: hypotheses of what a rhythm is, and which is the likeliest.

Compiled for whoever hears the stream; they never allocate and their work is bounded by the window.
`oracle.ratios` says what is computed, and which of it is the published method's.
"""

import math
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from oracle._jit import kernel

MAX_INTERVALS: Final = 8
"""The chunk; the published five onsets are too few to tell a rhythm from its jitter."""
MAX_TICKS: Final = 63
"""Longest duration in ticks; eight of them fit one int64."""
DIVISORS: Final = np.array([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12])
"""Into how many ticks a reference interval is divided; the published grids never reach 5 or 7."""
SHORTEST_TICK_S: Final = 0.05
MAX_HYPOTHESES: Final = DIVISORS.size * (2 * MAX_INTERVALS - 1)
MAX_CARRIED: Final = 8
N_FITS: Final = 2

JITTER_S: Final = 0.014
JITTER_SHARE: Final = 0.02
"""Onsets stray by some milliseconds however fast one plays, and by a share of slow intervals."""
JITTER_EVIDENCE: Final = 6.0
"""How many onsets the expectation of the jitter weighs."""
WORD_COST: Final = 2.0
INDIGESTIBILITY_COST: Final = 0.5
"""Nats that each different duration of a rhythm costs: at all, and per indigestibility."""
GRID_COST: Final = 0.2
"""Nats per nat of ticks that every duration costs: on a finer grid there are more rhythms. This and
the costs above lie on a flat optimum: of 288 settings the best 12 find the same within .01."""
CLOSURE_COST: Final = 0.12
"""Nats that a phrase known to be whole costs, per indigestibility of its length, seven's at most: a
phrase comes round in 16 or 24 ticks rather than in 22 or 33. Of 16 patterns not tuned on, .93, .89
and .79 exact with a jitter of 10, 15 and 20 ms, .92, .87 and .76 without. Within a phrase a length
is as it comes: there it would lose as much."""

FACTORS: Final = np.array([1, 2, 3, 4, 6, 8, 12])
TEMPO_AGREEMENT: Final = math.log(1.15)
TEMPO_DRIFT: Final = 0.04
SURPRISE_COST: Final = 3.0
"""Nats that a tempo costs which agrees with none of those carried. Patterns played six times with a
jitter of 25 ms: .91 of the ratios exact, .87 without carrying."""


def indigestibilities(n_max: int) -> NDArray[np.float64]:
    """Return Barlow's ξ of 0 … n_max: 2 Σ k (p − 1)² / p over the prime powers pᵏ of a number."""
    values = np.zeros(n_max + 1)
    for number in range(2, n_max + 1):
        prime = next(p for p in range(2, number + 1) if number % p == 0)
        values[number] = values[number // prime] + 2 * (prime - 1) ** 2 / prime
    return values


INDIGESTIBILITY: Final = indigestibilities(MAX_INTERVALS * MAX_TICKS)
_LOG_FACTORS: Final = np.log(FACTORS)
_CLOSURE_COSTS: Final = CLOSURE_COST * np.minimum(INDIGESTIBILITY, INDIGESTIBILITY[7])
_FACTOR_COSTS: Final = INDIGESTIBILITY_COST * INDIGESTIBILITY[FACTORS]


class RatioState(NamedTuple):
    """What the kernels remember and work on; flat arrays.

    Attributes
    ----------
    onsets_s
        [shape=(MAX_INTERVALS + 1,)] the chunk, oldest first.
    counts
        [shape=(2,), int64] onsets in the chunk, onsets since the phrase began.
    durations, keys, ticks_s, starts_s, costs
        [shape=(MAX_HYPOTHESES, …)] the hypotheses of the chunk: durations in ticks, the same
        packed in one number, period of the tick, fitted time of the first onset, nats.
    carried_ticks_s, carried_costs
        [shape=(MAX_INTERVALS, MAX_CARRIED)] best hypotheses of earlier chunks, by the place of
        their last onset; ∞ where there was none.
    """

    onsets_s: NDArray[np.float64]
    counts: NDArray[np.int64]
    durations: NDArray[np.int64]
    keys: NDArray[np.int64]
    ticks_s: NDArray[np.float64]
    starts_s: NDArray[np.float64]
    costs: NDArray[np.float64]
    carried_ticks_s: NDArray[np.float64]
    carried_costs: NDArray[np.float64]


def new_ratio_state() -> RatioState:
    """Return the state before the first onset."""
    return RatioState(
        onsets_s=np.zeros(MAX_INTERVALS + 1),
        counts=np.zeros(2, np.int64),
        durations=np.zeros((MAX_HYPOTHESES, MAX_INTERVALS), np.int64),
        keys=np.zeros(MAX_HYPOTHESES, np.int64),
        ticks_s=np.zeros(MAX_HYPOTHESES),
        starts_s=np.zeros(MAX_HYPOTHESES),
        costs=np.zeros(MAX_HYPOTHESES),
        carried_ticks_s=np.ones((MAX_INTERVALS, MAX_CARRIED)),
        carried_costs=np.full((MAX_INTERVALS, MAX_CARRIED), math.inf),
    )


@kernel
def take_onset(state: RatioState, onset_s: float, is_last: bool) -> int:
    """Add an onset to the chunk and return the number of hypotheses, cheapest first."""
    onsets_s, counts = state.onsets_s, state.counts
    if counts[0] == onsets_s.size:
        for i in range(MAX_INTERVALS):
            onsets_s[i] = onsets_s[i + 1]
        counts[0] -= 1
    onsets_s[counts[0]] = onset_s
    counts[0] += 1
    counts[1] += 1
    n_hypotheses = 0
    if counts[0] >= 3:
        n_hypotheses = _hypothesise(state)
        _judge(state, n_hypotheses, is_last and counts[0] == counts[1])
    _carry(state, n_hypotheses)
    return n_hypotheses


@kernel
def _hypothesise(state: RatioState) -> int:
    """Lay the chunk on every grid that divides an interval, or two neighbours, into ticks."""
    n_intervals = state.counts[0] - 1
    n_found = 0
    for first in range(n_intervals):
        for last in range(first + 1, min(first + 3, n_intervals + 1)):
            reference_s = state.onsets_s[last] - state.onsets_s[first]
            for d in range(DIVISORS.size):
                tick_s = reference_s / DIVISORS[d]
                if tick_s < SHORTEST_TICK_S:
                    break
                if _lay(state, n_found, tick_s, state.onsets_s[first]):
                    n_found += 1
    return n_found


@kernel
def _lay(state: RatioState, place: int, tick_s: float, start_s: float) -> bool:
    """Write the rhythm on a grid as hypothesis `place`, unless it is impossible or known."""
    onsets_s, durations = state.onsets_s, state.durations[place]
    n_onsets = state.counts[0]
    for _ in range(N_FITS):
        origin_s = start_s
        origin = np.round((onsets_s[0] - origin_s) / tick_s)
        before = origin
        position_sum, time_sum, squares, products = 0.0, 0.0, 0.0, 0.0
        for i in range(1, n_onsets):
            position = np.round((onsets_s[i] - origin_s) / tick_s)
            ticks = position - before
            if ticks < 1 or ticks > MAX_TICKS:
                return False
            durations[i - 1] = int(ticks)
            before = position
            relative, elapsed_s = position - origin, onsets_s[i] - onsets_s[0]
            position_sum += relative
            time_sum += elapsed_s
            squares += relative * relative
            products += relative * elapsed_s
        # the least-squares line through onsets over positions
        spread = squares - position_sum * position_sum / n_onsets
        tick_s = (products - position_sum * time_sum / n_onsets) / spread
        start_s = onsets_s[0] + (time_sum - tick_s * position_sum) / n_onsets
    n_common = 0
    for i in range(n_onsets - 1):
        n_common = math.gcd(n_common, durations[i])
    key = 0
    for i in range(n_onsets - 1):
        durations[i] //= n_common
        key = key * (MAX_TICKS + 1) + durations[i]
    for i in range(place):
        if state.keys[i] == key:
            return False
    state.keys[place] = key
    state.ticks_s[place] = tick_s * n_common
    state.starts_s[place] = start_s
    return True


@kernel
def _judge(state: RatioState, n_hypotheses: int, is_whole: bool) -> None:
    """Give every hypothesis its cost, the negative logarithm of its probability."""
    n_onsets = state.counts[0]
    interval_s = (state.onsets_s[n_onsets - 1] - state.onsets_s[0]) / (n_onsets - 1)
    variance = JITTER_S**2 + (JITTER_SHARE * interval_s) ** 2
    for place in range(n_hypotheses):
        durations, tick_s = state.durations[place], state.ticks_s[place]
        expected_s, squares, cost = state.starts_s[place], 0.0, 0.0
        length = 0
        for i in range(n_onsets):
            squares += (state.onsets_s[i] - expected_s) ** 2
            if i < n_onsets - 1:
                expected_s += durations[i] * tick_s
                length += durations[i]
                cost += GRID_COST * math.log(durations[i])
                if _is_new(durations, i):
                    cost += WORD_COST + INDIGESTIBILITY_COST * INDIGESTIBILITY[durations[i]]
        freedom = n_onsets - 2 + JITTER_EVIDENCE
        cost += 0.5 * freedom * math.log1p(squares / (JITTER_EVIDENCE * variance))
        if is_whole:
            cost += _CLOSURE_COSTS[length]
        state.costs[place] = cost + _surprise(state, tick_s)


@kernel
def _is_new(durations: NDArray[np.int64], place: int) -> bool:
    """Say whether a duration occurs for the first time."""
    n_before = 0
    for i in range(place):
        n_before += durations[i] == durations[place]
    return n_before == 0


@kernel
def _surprise(state: RatioState, tick_s: float) -> float:
    """Return what a tempo costs after the chunk that ended where this one begins."""
    if state.counts[1] <= MAX_INTERVALS + 2:
        return 0.0
    slot = (state.counts[1] - 1) % MAX_INTERVALS
    cheapest = SURPRISE_COST
    for i in range(MAX_CARRIED):
        carried = state.carried_costs[slot, i]
        if carried >= cheapest:
            break
        apart = abs(math.log(tick_s / state.carried_ticks_s[slot, i]))
        for f in range(FACTORS.size):
            drift = apart - _LOG_FACTORS[f]
            if abs(drift) < TEMPO_AGREEMENT:
                cost = carried + _FACTOR_COSTS[f] + 0.5 * (drift / TEMPO_DRIFT) ** 2
                cheapest = min(cheapest, cost)
    return cheapest


@kernel
def _carry(state: RatioState, n_hypotheses: int) -> None:
    """Put the best hypotheses first, and keep them for the chunk that begins at this onset."""
    slot = (state.counts[1] - 1) % MAX_INTERVALS
    for i in range(MAX_CARRIED):
        state.carried_costs[slot, i] = math.inf
        if i >= n_hypotheses:
            continue
        best = i
        for place in range(i + 1, n_hypotheses):
            if state.costs[place] < state.costs[best]:
                best = place
        _swap(state, i, best)
        state.carried_ticks_s[slot, i] = state.ticks_s[i]
        state.carried_costs[slot, i] = state.costs[i] - state.costs[0]


@kernel
def _swap(state: RatioState, i: int, j: int) -> None:
    """Exchange two hypotheses."""
    for k in range(MAX_INTERVALS):
        state.durations[i, k], state.durations[j, k] = state.durations[j, k], state.durations[i, k]
    state.keys[i], state.keys[j] = state.keys[j], state.keys[i]
    state.ticks_s[i], state.ticks_s[j] = state.ticks_s[j], state.ticks_s[i]
    state.starts_s[i], state.starts_s[j] = state.starts_s[j], state.starts_s[i]
    state.costs[i], state.costs[j] = state.costs[j], state.costs[i]
