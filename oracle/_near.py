"""Where the current state leads: its continuation and all that the oracle joins it with, compiled.

Runs on the thread that navigates, without the GIL; never allocates or writes to the oracle. Near
are the targets of the state's transitions, and what follows the states that its suffix links, their
reverse and its cluster join it with. However many there are, a bounded number is visited.
"""

import numpy as np
from numpy.typing import NDArray

from oracle._jit import kernel
from oracle.attribute_table import AttributeArrays, Int32s, bucket_of, member
from oracle.audio_oracle import OracleArrays

N_WALKED = 32  # links of one kind, or states of the same cluster, that are followed
N_NEAR = 5 * N_WALKED + 1
CONTEXT_MAX = 32  # states; a longer common past counts as this much

CONTINUATION, TRANSITION, SUFFIX_LINK, REVERSE_LINK, CLUSTER, LOOK_UP = range(6)

# One state that is considered: what led to it, the states of common past, and whether it was
# chosen a short while ago.
CANDIDATE_DTYPE = np.dtype(
    [
        ("state", np.int64),
        ("origin", np.int64),
        ("context", np.int64),
        ("transposition", np.int64),
        ("is_taboo", np.bool_),
        ("probability", np.float64),
    ]
)


@kernel
def follow_links(oracle: OracleArrays, state: int, rows: NDArray[np.void]) -> int:
    """Write the states that links lead to, with repeats and past the end; kernel.

    Returns
    -------
    n
        How many rows were written.
    """
    n = _put(state + 1, CONTINUATION, 0, rows)
    edge = oracle.first_edge[state]
    for _ in range(N_WALKED):
        if edge < 0 or edge >= oracle.n_edges:
            break
        n = _put(oracle.edge_target[edge], TRANSITION, n, rows)
        edge = oracle.next_edge[edge]
    link = oracle.suffix_link[state]
    for _ in range(N_WALKED):
        if link < 0:
            break
        n = _put(link + 1, SUFFIX_LINK, n, rows)
        link = oracle.suffix_link[link]
    n = _follow_reverse(oracle.first_reverse, oracle.next_reverse, state, n, rows)
    link = oracle.suffix_link[state]
    if link > 0:
        n = _follow_reverse(oracle.first_reverse, oracle.next_reverse, link, n, rows)
    return int(n)


@kernel
def _follow_reverse(
    first: Int32s, following: Int32s, state: int, n: int, rows: NDArray[np.void]
) -> int:
    """Write what follows the states whose suffix link is `state`."""
    j = first[state]
    for _ in range(N_WALKED):
        if j < 0 or j >= following.size:
            break
        n = _put(j + 1, REVERSE_LINK, n, rows)
        j = following[j]
    return n


@kernel
def _put(state: int, origin: int, n: int, rows: NDArray[np.void]) -> int:
    """Write row n and return n + 1."""
    rows[n]["state"] = state
    rows[n]["origin"] = origin
    return n + 1


@kernel
def draw_from_cluster(
    table: AttributeArrays,
    column: int,
    state: int,
    n_states: int,
    draws: NDArray[np.float64],
    n: int,
    rows: NDArray[np.void],
) -> int:
    """Write what follows states of the same cluster, drawn from the whole memory; kernel.

    Links lead to the nearest relatives; in a loop that was learned for an hour only this leads
    back to its beginning.
    """
    value = table.values[state, column]
    bucket = bucket_of(table, column, value)
    n_members = table.n_members[bucket]
    for draw in range(min(N_WALKED, n_members)):
        rank = draw if n_members <= N_WALKED else int(draws[draw] * n_members)
        j = member(table.block, table.pool, bucket, rank)
        if 0 < j < n_states and table.values[j, column] == value:
            n = _put(j + 1, CLUSTER, n, rows)
    return n


@kernel
def admit(
    cluster: Int32s,
    state: int,
    n_states: int,
    min_context: int,
    regions: NDArray[np.int64],
    n_found: int,
    rows: NDArray[np.void],
) -> int:
    """Keep of the rows what exists, is new, lies in the regions and has context enough; kernel.

    Returns
    -------
    n
        How many rows are left, in their order, contexts written.
    """
    n = 0
    for i in range(n_found):
        target, origin = rows[i]["state"], rows[i]["origin"]
        if target >= n_states or not is_within(regions, target) or is_among(rows[:n], target):
            continue
        context = common_past(cluster, state, target - 1)
        if origin != CONTINUATION and context < min_context:
            continue
        rows[n]["context"] = context
        n = _put(target, origin, n, rows)
    return n


@kernel
def is_within(regions: NDArray[np.int64], state: int) -> bool:
    """Whether a state lies in one of the regions; kernel."""
    for r in range(len(regions)):  # noqa: SIM110, numba compiles no generator
        if regions[r, 0] <= state <= regions[r, 1]:
            return True
    return False


@kernel
def is_among(rows: NDArray[np.void], state: int) -> bool:
    """Whether a state is one of the rows; kernel."""
    for i in range(rows.size):  # noqa: SIM110
        if rows[i]["state"] == state:
            return True
    return False


@kernel
def common_past(cluster: Int32s, a: int, b: int) -> int:
    """Count the states up to and with `a` that are of the clusters of those up to `b`; kernel.

    It is what lrs counts, for any two states, up to `CONTEXT_MAX`.
    """
    length = 0
    while a > 0 and b > 0 and length < CONTEXT_MAX and cluster[a] == cluster[b]:
        a -= 1
        b -= 1
        length += 1
    return length
