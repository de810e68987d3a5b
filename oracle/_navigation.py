"""One step through the oracle, compiled: near, else look up; spread, mask, choose.

Runs on the thread that navigates, without the GIL; never allocates, raises or writes to the
oracle. How many places a step visits is limited, however large the memory. Randomness comes in as
numbers already drawn.
"""

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from oracle._look_up import N_FOUND, find_states
from oracle._masks import any_moves, apply_mask, meets_all
from oracle._near import (
    CONTINUATION,
    LOOK_UP,
    N_NEAR,
    N_WALKED,
    admit,
    common_past,
    draw_from_cluster,
    follow_links,
)
from oracle.attribute_table import AttributeArrays
from oracle.audio_oracle import OracleArrays

N_CANDIDATES = N_NEAR + N_FOUND
N_DRAWS = N_WALKED + 2
N_EXAMINED = 512  # by the first look-up of a step; half as many by each that asks for less
NEVER = np.iinfo(np.int64).max


class Rules(NamedTuple):
    """How to navigate; see `NavigatorConfig`."""

    continuity: float
    min_context: int
    taboo_steps: int
    is_probabilistic: bool
    cluster_column: int  # of the attribute table, −1 where it has none
    regions: NDArray[np.int64]  # (n_regions, 2), first and last state
    transpositions: NDArray[np.int64]  # semitones, in the order they are tried


class Scene(NamedTuple):
    """All that a step looks at: one consistent prefix of a memory, and where the navigator is."""

    n_states: int
    oracle: OracleArrays
    table: AttributeArrays
    token_distance: NDArray[np.float64]  # (k, k), or (0, 0) where tokens are only equal or not
    rules: Rules
    terms: NDArray[np.void]  # (n_criteria,), TERM_DTYPE: the held, the other hard, the soft
    n_held: int
    n_hard: int  # the held included
    upcoming: NDArray[np.void]  # TERM_DTYPE, the hard criteria of the labels to come
    label_end: NDArray[np.int64]  # (n_labels,), end of each label in `upcoming`
    state: int  # 0 before the first step
    transposition: int
    step: int  # counts from 1
    last_visit: NDArray[np.int64]  # (≥ n_states,), step at which each state was chosen, 0 never
    draws: NDArray[np.float64]  # (N_DRAWS,), 0…1


class Scratch(NamedTuple):
    """What a step considers; the navigator's own, overwritten by each step."""

    rows: NDArray[np.void]  # (N_CANDIDATES,), CANDIDATE_DTYPE
    masks: NDArray[np.float64]  # (n_criteria, N_CANDIDATES)
    outcomes: NDArray[np.int64]  # (n_criteria,), MET, NEAREST or DROPPED
    examined: NDArray[np.int64]  # (N_EXAMINED,), states


class Choice(NamedTuple):
    """What a step decided."""

    chosen: int  # which candidate, −1 none
    n_candidates: int
    is_taboo_relaxed: bool


@njit(nogil=True, cache=True)
def choose(scene: Scene, scratch: Scratch) -> Choice:
    """Take one step; kernel.

    What is given up, in order: that it be near; the taboo, if without it the request can be met;
    the hard criteria, from the last.
    """
    rows = scratch.rows
    recent = max(1, scene.step - scene.rules.taboo_steps)
    n_near = _gather(scene, recent, rows)
    n_found, n_kept, taboo_since = 0, scene.n_hard, recent
    n_examined = N_EXAMINED
    while True:
        kept = scene.terms[:n_kept]
        is_met, is_taboo_met = _transpose(scene, kept, taboo_since, rows[:n_near])
        if is_met:
            break
        n_found, is_taboo_found = _look_up(
            scene, kept, taboo_since, scratch.examined[:n_examined], rows[n_near:]
        )
        if n_found > 0:
            break
        if is_taboo_met or is_taboo_found:
            taboo_since = NEVER
        elif n_kept > scene.n_held:
            n_kept -= 1
            n_examined = max(n_examined // 2, N_FOUND)
        else:
            return Choice(-1, 0, False)
    n = n_near + n_found
    rows = rows[:n]
    _spread(scene, taboo_since, rows)
    for j in range(scene.terms.size):
        scratch.outcomes[j] = apply_mask(
            scene.table.values,
            scene.token_distance,
            scene.terms[j],
            j < scene.n_held,
            rows,
            scratch.masks[j, :n],
        )
    chosen = _draw(rows, scene.draws[0], scene.rules.is_probabilistic)
    return Choice(chosen, n, taboo_since == NEVER)


@njit(nogil=True, cache=True)
def _gather(scene: Scene, recent: int, rows: NDArray[np.void]) -> int:
    """Collect the candidates near the current state; return how many."""
    state, n_states = scene.state, scene.n_states
    if not 0 < state < n_states:
        return 0
    n = follow_links(scene.oracle, state, rows)
    column = scene.rules.cluster_column
    if column >= 0:
        n = draw_from_cluster(scene.table, column, state, n_states, scene.draws[2:], n, rows)
    cluster, regions = scene.oracle.cluster, scene.rules.regions
    n_near = int(admit(cluster, state, n_states, scene.rules.min_context, regions, n, rows))
    for i in range(n_near):
        rows[i]["is_taboo"] = scene.last_visit[rows[i]["state"]] >= recent
    return n_near


@njit(nogil=True, cache=True)
def _transpose(
    scene: Scene, kept: NDArray[np.void], taboo_since: int, rows: NDArray[np.void]
) -> tuple[bool, bool]:
    """Let each candidate sound as the kept criteria ask, the transposition in force tried first.

    Returns
    -------
    is_met, is_taboo_met
        Whether a candidate that may be chosen meets them all, and whether a taboo one does.
    """
    values, tried, last_visit = scene.table.values, scene.rules.transpositions, scene.last_visit
    n_tried = tried.size if any_moves(kept) else 0
    is_met, is_taboo_met = False, False
    for i in range(rows.size):
        state = rows[i]["state"]
        rows[i]["transposition"] = scene.transposition
        meets = meets_all(values, kept, state, scene.transposition)
        for t in range(n_tried):
            if meets:
                break
            meets = meets_all(values, kept, state, tried[t])
            if meets:
                rows[i]["transposition"] = tried[t]
        if meets and last_visit[state] < taboo_since:
            is_met = True
        elif meets:
            is_taboo_met = True
    return is_met, is_taboo_met


@njit(nogil=True, cache=True)
def _look_up(
    scene: Scene,
    kept: NDArray[np.void],
    taboo_since: int,
    examined: NDArray[np.int64],
    rows: NDArray[np.void],
) -> tuple[int, bool]:
    """Find states anywhere that meet the kept criteria, the transposition in force tried first.

    Returns
    -------
    n_found, is_taboo_found
        How many rows were written, and whether others were passed over as taboo.
    """
    transposition = scene.transposition
    n_tried = scene.rules.transpositions.size if any_moves(kept) else 0
    n_each = max(examined.size // max(n_tried, 1), N_FOUND)
    is_taboo_found = False
    for t in range(-1, n_tried):
        if t >= 0:
            transposition = int(scene.rules.transpositions[t])
            examined = examined[:n_each]
        n_found, is_taboo = find_states(
            scene.table,
            kept,
            transposition,
            scene.rules.regions,
            scene.n_states,
            scene.last_visit,
            taboo_since,
            scene.draws[1],
            examined,
            rows,
        )
        is_taboo_found |= is_taboo
        if n_found > 0:
            break
    recent = max(1, scene.step - scene.rules.taboo_steps)
    for i in range(n_found):
        state = rows[i]["state"]
        rows[i]["origin"] = LOOK_UP
        rows[i]["context"] = common_past(scene.oracle.cluster, scene.state, state - 1)
        rows[i]["transposition"] = transposition
        rows[i]["is_taboo"] = scene.last_visit[state] >= recent
    return n_found, is_taboo_found


@njit(nogil=True, cache=True, error_model="numpy")
def _spread(scene: Scene, taboo_since: int, rows: NDArray[np.void]) -> None:
    """Give the continuation its share and the jumps theirs, by context and by what they lead to.

    A jump counts 1 + context; each label to come that is met doubles what a candidate counts.
    """
    jumps = 0.0
    for i in range(rows.size):
        if rows[i]["origin"] != CONTINUATION:
            jumps += 1.0 + rows[i]["context"]
    # never exactly 0: where only jumps are left, or only the continuation, it is taken
    continuity = min(max(scene.rules.continuity, 1e-12), 1 - 1e-12)
    values, upcoming, label_end = scene.table.values, scene.upcoming, scene.label_end
    last_visit, n_states = scene.last_visit, scene.n_states
    for i in range(rows.size):
        state = rows[i]["state"]
        share = continuity
        if rows[i]["origin"] != CONTINUATION:
            share = (1 - continuity) * (1.0 + rows[i]["context"]) / jumps
        if last_visit[state] >= taboo_since:
            share = 0.0
        n_met = _n_met(values, upcoming, label_end, state, rows[i]["transposition"], n_states)
        rows[i]["probability"] = share * 2.0**n_met


@njit(nogil=True, cache=True)
def _n_met(
    values: NDArray[np.float32],
    upcoming: NDArray[np.void],
    label_end: NDArray[np.int64],
    state: int,
    transposition: int,
    n_states: int,
) -> int:
    """Count the labels to come that the states after this one meet one after the other."""
    begin = 0
    for label in range(label_end.size):
        state += 1
        terms = upcoming[begin : label_end[label]]
        if state >= n_states or not meets_all(values, terms, state, transposition):
            return label
        begin = label_end[label]
    return int(label_end.size)


@njit(nogil=True, cache=True, error_model="numpy")
def _draw(rows: NDArray[np.void], draw: float, is_probabilistic: bool) -> int:
    """Scale the probabilities to sum 1 and choose: by chance, or the likeliest, first on a tie."""
    total, best = 0.0, 0
    for i in range(rows.size):
        total += rows[i]["probability"]
        if rows[i]["probability"] > rows[best]["probability"]:
            best = i
    chosen, mass = -1, 0.0
    for i in range(rows.size):
        rows[i]["probability"] /= total
        mass += rows[i]["probability"]
        if chosen < 0 and mass > draw:
            chosen = i
    return chosen if is_probabilistic and chosen >= 0 else best
