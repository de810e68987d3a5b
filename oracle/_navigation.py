"""One step through the oracle, compiled: gather, else look up; spread, mask, choose.

Runs on the thread that navigates, without the GIL; never allocates, raises or writes to the
oracle. How many places a step visits is limited, however large the memory. Randomness comes in as
numbers already drawn.
"""

import numpy as np
from numpy.typing import NDArray

from oracle._candidates import NOTHING, TABOO, gather, search
from oracle._jit import kernel
from oracle._masks import DROPPED, MET, apply_mask, n_labels_met
from oracle._near import CONTINUATION
from oracle._scene import Choice, Scene, Scratch

NEVER = np.iinfo(np.int64).max
SILENCE = Choice(-1, 0, False, 0, 0, 0, 0.0)


@kernel
def choose(scene: Scene, scratch: Scratch) -> Choice:
    """Take one step; kernel.

    If no state meets all hard criteria, each is kept, in order, that one meets together with those
    kept before. First that the state be near is given up, then that it not be taboo, then criteria.
    """
    n_hard = scene.n_hard
    recent = max(1, scene.step - scene.rules.taboo_steps)
    n_near = gather(scene, recent, scratch.rows)
    n_kept, taboo_since = n_hard, recent
    for j in range(n_hard):
        scratch.kept[j] = scene.terms[j]
    scratch.outcomes[:] = MET
    found, n = search(scene, scratch, n_kept, taboo_since, n_near)
    if found == NOTHING and n_hard > 0:
        n_kept = 0
        is_current = False  # whether the candidates are those of what is kept
        for j in range(n_hard):
            scratch.kept[n_kept] = scene.terms[j]
            found_so = NOTHING
            if n_kept < n_hard - 1:  # all together have been tried
                found_so, n_so = search(scene, scratch, n_kept + 1, taboo_since, n_near)
                is_current = found_so != NOTHING
            if found_so != NOTHING:
                found, n = found_so, n_so
                n_kept += 1
            elif j < scene.n_held:
                return SILENCE
            else:
                scratch.outcomes[j] = DROPPED
        if not is_current:
            found, n = search(scene, scratch, n_kept, taboo_since, n_near)
    if found == TABOO:
        taboo_since = NEVER
        found, n = search(scene, scratch, n_kept, taboo_since, n_near)
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
        n_met = n_labels_met(values, upcoming, label_end, state, rows[i]["transposition"], n_states)
        rows[i]["probability"] = share * 2.0**n_met


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
