"""The candidates of a step, compiled: near the current state, or found anywhere by what is asked.

Runs on the thread that navigates, without the GIL; never allocates, raises or writes to the
oracle. A search answers whether what is asked can be had, and whether only by what is taboo.
"""

import numpy as np
from numpy.typing import NDArray

from oracle._jit import kernel
from oracle._look_up import find_states
from oracle._masks import any_moves, meets_all, n_labels_met
from oracle._near import LOOK_UP, admit, common_past, draw_from_cluster, follow_links, is_among
from oracle._scene import N_EXAMINED, N_FOUND, Scene, Scratch

NOTHING, TABOO, OPEN = range(3)


@kernel
def search(
    scene: Scene, scratch: Scratch, n_kept: int, taboo_since: int, n_near: int
) -> tuple[int, int]:
    """Look for states that meet the criteria kept, near and, if need be, anywhere; kernel.

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
def gather(scene: Scene, recent: int, rows: NDArray[np.void]) -> int:
    """Collect the candidates near the current state and return how many; kernel."""
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
                n_met = n_labels_met(
                    values, upcoming, label_end, examined[i], transposition, n_states
                )
                furthest = max(furthest, n_met)
        for i in range(n_found):
            state = examined[i]
            if last_visit[state] >= taboo_since:
                found = max(found, TABOO)
                continue
            found = OPEN
            n_met = n_labels_met(values, upcoming, label_end, state, transposition, n_states)
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
