"""One step through the oracle, compiled: near, else look up; spread, mask, choose.

Runs on the thread that navigates, without the GIL; never allocates, raises or writes to the
oracle. How many places a step visits is limited, however large the memory. Randomness comes in as
numbers already drawn.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from oracle._jit import kernel
from oracle._look_up import find_states
from oracle._masks import DROPPED, MET, any_moves, apply_mask, meets_all
from oracle._near import (
    CONTINUATION,
    LOOK_UP,
    N_NEAR,
    N_WALKED,
    admit,
    common_past,
    draw_from_cluster,
    follow_links,
    is_among,
)
from oracle.attribute_table import AttributeArrays
from oracle.audio_oracle import OracleArrays

N_FOUND = 8  # candidates that a look-up adds
N_CANDIDATES = N_NEAR + N_FOUND
N_DRAWS = N_WALKED + 2
N_EXAMINED = 512  # states, by one look-up
NEVER = np.iinfo(np.int64).max
NOTHING, TABOO, OPEN = range(3)


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
    kept: NDArray[np.void]  # (n_criteria,), TERM_DTYPE
    examined: NDArray[np.int64]  # (N_EXAMINED,), states


class Choice(NamedTuple):
    """What a step decided."""

    chosen: int  # which candidate, −1 none
    n_candidates: int
    is_taboo_relaxed: bool
    state: int
    transposition: int
    origin: int
    quality: float  # share of the request, by weight, that is met as asked, 0…1


SILENCE = Choice(-1, 0, False, 0, 0, 0, 0.0)


@kernel
def choose(scene: Scene, scratch: Scratch) -> Choice:
    """Take one step; kernel.

    If no state meets all hard criteria, each is kept, in order, that one meets together with those
    kept before. First that the state be near is given up, then that it not be taboo, then criteria.
    """
    n_hard = scene.n_hard
    recent = max(1, scene.step - scene.rules.taboo_steps)
    n_near = _gather(scene, recent, scratch.rows)
    n_kept, taboo_since = n_hard, recent
    for j in range(n_hard):
        scratch.kept[j] = scene.terms[j]
    scratch.outcomes[:] = MET
    found, n = _attempt(scene, scratch, n_kept, taboo_since, n_near)
    if found == NOTHING and n_hard > 0:
        n_kept = 0
        is_current = False  # whether the candidates are those of what is kept
        for j in range(n_hard):
            scratch.kept[n_kept] = scene.terms[j]
            found_so = NOTHING
            if n_kept < n_hard - 1:  # all together have been tried
                found_so, n_so = _attempt(scene, scratch, n_kept + 1, taboo_since, n_near)
                is_current = found_so != NOTHING
            if found_so != NOTHING:
                found, n = found_so, n_so
                n_kept += 1
            elif j < scene.n_held:
                return SILENCE
            else:
                scratch.outcomes[j] = DROPPED
        if not is_current:
            found, n = _attempt(scene, scratch, n_kept, taboo_since, n_near)
    if found == TABOO:
        taboo_since = NEVER
        found, n = _attempt(scene, scratch, n_kept, taboo_since, n_near)
    if found == NOTHING:
        return SILENCE
    rows = scratch.rows[:n]
    _spread(scene, taboo_since, rows)
    # what is kept comes first: the nearest to what cannot be met must not decide against it
    for is_kept in (True, False):
        for j in range(scene.terms.size):
            if is_kept == (j < n_hard and scratch.outcomes[j] == MET):
                _mask(scene, scratch, j, rows)
    chosen = _draw(rows, scene.draws[0], scene.rules.is_probabilistic)
    return Choice(
        chosen,
        n,
        taboo_since == NEVER,
        int(rows[chosen]["state"]),
        int(rows[chosen]["transposition"]),
        int(rows[chosen]["origin"]),
        float(_quality(scene, scratch, chosen)),
    )


@kernel
def _quality(scene: Scene, scratch: Scratch, chosen: int) -> float:
    """Return the share of the request, by weight, that a choice meets as asked."""
    asked = met = 0.0
    for j in range(scene.n_held, scene.terms.size):
        weight = scene.terms[j]["weight"]
        asked += weight
        if scratch.outcomes[j] == MET:
            met += weight * scratch.masks[j, chosen]
    return met / asked if asked > 0 else 1.0


@kernel
def _mask(scene: Scene, scratch: Scratch, j: int, rows: NDArray[np.void]) -> None:
    """Mask the candidates by criterion j."""
    scratch.outcomes[j] = apply_mask(
        scene.table.values,
        scene.token_distance,
        scene.terms[j],
        j < scene.n_held,
        rows,
        scratch.masks[j, : rows.size],
    )


@kernel
def _attempt(
    scene: Scene, scratch: Scratch, n_kept: int, taboo_since: int, n_near: int
) -> tuple[int, int]:
    """Look for states that meet the criteria kept, near and, if need be, anywhere.

    With labels to come, what leads to them is looked for everywhere in any case.

    Returns
    -------
    found, n
        NOTHING, TABOO (only what may not be chosen) or OPEN; the number of candidates.
    """
    kept, rows = scratch.kept[:n_kept], scratch.rows
    found = _transpose(scene, kept, taboo_since, rows[:n_near])
    if found == OPEN and scene.label_end.size == 0:
        return found, n_near
    found_there, n = _look_up(scene, kept, taboo_since, scratch.examined, n_near, rows)
    return max(found, found_there), n


@kernel
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


@kernel
def _transpose(
    scene: Scene, kept: NDArray[np.void], taboo_since: int, rows: NDArray[np.void]
) -> int:
    """Let each candidate sound as the criteria kept ask, the transposition in force tried first.

    Returns
    -------
    found
        NOTHING, TABOO or OPEN.
    """
    values, tried, last_visit = scene.table.values, scene.rules.transpositions, scene.last_visit
    n_tried = tried.size if any_moves(kept) else 0
    found = NOTHING
    for i in range(rows.size):
        state = rows[i]["state"]
        rows[i]["transposition"] = scene.transposition
        is_met = meets_all(values, kept, state, scene.transposition)
        for t in range(n_tried):
            if is_met:
                break
            is_met = meets_all(values, kept, state, tried[t])
            if is_met:
                rows[i]["transposition"] = tried[t]
        if is_met:
            found = max(found, OPEN if last_visit[state] < taboo_since else TABOO)
    return found


@kernel
def _look_up(
    scene: Scene,
    kept: NDArray[np.void],
    taboo_since: int,
    examined: NDArray[np.int64],
    n_near: int,
    rows: NDArray[np.void],
) -> tuple[int, int]:
    """Add states from anywhere that meet the criteria kept and lead furthest along the labels.

    Returns
    -------
    found, n
        NOTHING, TABOO or OPEN; the number of candidates.
    """
    values, regions, n_states = scene.table.values, scene.rules.regions, scene.n_states
    upcoming, label_end = scene.upcoming, scene.label_end
    cluster, last_visit = scene.oracle.cluster, scene.last_visit
    recent = max(1, scene.step - scene.rules.taboo_steps)
    n_tried = scene.rules.transpositions.size if any_moves(kept) else 0
    # so many cannot all be taboo; what leads along labels is chosen from all there are
    n_enough = N_FOUND + scene.rules.taboo_steps if label_end.size == 0 else N_EXAMINED
    found, n = NOTHING, n_near
    for t in range(-1, n_tried):
        transposition = scene.transposition
        if t >= 0:
            transposition = int(scene.rules.transpositions[t])
            examined = examined[: max(examined.size // 2, N_FOUND)]
        n_found = find_states(
            scene.table, kept, transposition, regions, n_states, scene.draws[1], n_enough, examined
        )
        furthest = 0
        for i in range(n_found):
            if last_visit[examined[i]] < taboo_since and label_end.size > 0:
                n_met = _n_met(values, upcoming, label_end, examined[i], transposition, n_states)
                furthest = max(furthest, n_met)
        for i in range(n_found):
            state = examined[i]
            if last_visit[state] >= taboo_since:
                found = max(found, TABOO)
                continue
            found = OPEN
            n_met = _n_met(values, upcoming, label_end, state, transposition, n_states)
            if n < n_near + N_FOUND and n_met >= furthest and not is_among(rows[:n], state):
                rows[n]["state"] = state
                rows[n]["origin"] = LOOK_UP
                rows[n]["context"] = common_past(cluster, scene.state, state - 1)
                rows[n]["transposition"] = transposition
                rows[n]["is_taboo"] = last_visit[state] >= recent
                n += 1
        if found == OPEN:
            break
    return found, n


@kernel
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


@kernel
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


@kernel
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
