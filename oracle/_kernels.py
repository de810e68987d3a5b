"""Growing an oracle's links by one state at a time, compiled; holds no frame longer than a call.

Runs on the one thread that appends, without the GIL; never allocates, raises or shrinks. States
are appended as Allauzen, Crochemore and Raffinot (1999) and Dubnov, Assayag and Cont (2007) say:
follow the suffix path of state i − 1, add a forward link to i at each state that has no target
near enough, and let the suffix link of i be the nearest target of the first that has one.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from oracle.metrics import MetricTable, distance

Int32s = npt.NDArray[np.int32]
Float64s = npt.NDArray[np.float64]

NONE = -1


class Graph(NamedTuple):
    """An oracle's flat arrays with room to grow; row i is state i, row 0 the root.

    The transitions of state k are k + 1 and then `edge_target[e]` for e = `first_edge[k]`,
    `next_edge[e]`, … until −1; its reverse suffix links are j = `first_reverse[k]`,
    `next_reverse[j]`, … until −1; both ascend.
    """

    frames: Float64s  # (capacity, dim)
    suffix_link: Int32s  # (capacity,), NONE at the root
    lrs: Int32s
    cluster: Int32s  # NONE at the root
    first_edge: Int32s
    last_edge: Int32s
    first_reverse: Int32s
    last_reverse: Int32s
    next_reverse: Int32s
    edge_target: Int32s  # (edge capacity,)
    next_edge: Int32s
    refinement: Int32s  # (a power of two ≥ 2 capacity,), hash table of states, see `_refine`


@njit(nogil=True, cache=True, error_model="numpy")
def append_states(
    graph: Graph, metric: MetricTable, threshold: float, n_states: int, end: int, n_edges: int
) -> tuple[int, int]:
    """Link the states n_states … end − 1, whose frames are in place; kernel.

    Returns
    -------
    n_states, n_edges : int
        What there is now; n_states < end where the edges did not fit: grow them and call again.
    """
    for i in range(n_states, end):
        k = graph.suffix_link[i - 1]
        n_missed = 0
        hit = NONE
        while k != NONE:
            hit = _nearest_target(graph, metric, threshold, i, k)
            if hit != NONE:
                break
            n_missed += 1
            k = graph.suffix_link[k]
        if n_edges + n_missed > graph.edge_target.size:
            return i, n_edges
        before = link_forward(graph, i, n_missed, n_edges)
        n_edges += n_missed
        if hit == NONE:
            link_new_cluster(graph, i)
        else:
            _link_suffix(graph, i, before, hit)
    return end, n_edges


@njit(nogil=True, cache=True, error_model="numpy")
def _nearest_target(graph: Graph, metric: MetricTable, threshold: float, i: int, k: int) -> int:
    frame = graph.frames[i]
    nearest = NONE
    bound = threshold
    if k + 1 < i:
        bound_here = distance(metric, frame, graph.frames[k + 1])
        if bound_here < bound:
            bound = bound_here
            nearest = k + 1
    e = graph.first_edge[k]
    while e != NONE:
        target = graph.edge_target[e]
        here = distance(metric, frame, graph.frames[target])
        if here < bound:
            bound = here
            nearest = target
        e = graph.next_edge[e]
    return nearest


@njit(nogil=True, cache=True)
def link_forward(graph: Graph, i: int, n_missed: int, n_edges: int) -> int:
    """Link the first n_missed states of the suffix path of i − 1 to i; kernel.

    Returns
    -------
    int
        The last state linked to i, i − 1 if none other.
    """
    before = i - 1
    for e in range(n_edges, n_edges + n_missed):
        before = graph.suffix_link[before]
        graph.edge_target[e] = i
        graph.next_edge[e] = NONE
        if graph.first_edge[before] == NONE:
            graph.first_edge[before] = e
        else:
            graph.next_edge[graph.last_edge[before]] = e
        graph.last_edge[before] = e
    return before


@njit(nogil=True, cache=True)
def link_new_cluster(graph: Graph, i: int) -> None:
    """Let state i, like nothing before it, found a cluster below the root; kernel."""
    newest = graph.last_reverse[0]
    graph.lrs[i] = 0
    graph.cluster[i] = graph.cluster[newest] + 1 if newest != NONE else 0
    link_reverse(graph, i, 0)


@njit(nogil=True, cache=True)
def _link_suffix(graph: Graph, i: int, before: int, hit: int) -> None:
    graph.lrs[i] = _common_suffix_length(graph, before, hit - 1) + 1
    graph.cluster[i] = graph.cluster[hit]
    longer = _refine(graph, i, hit)
    if longer != NONE:
        hit = longer
        graph.lrs[i] += 1
    link_reverse(graph, i, hit)
    index_refinement(graph, i)


@njit(nogil=True, cache=True)
def link_reverse(graph: Graph, i: int, suffix: int) -> None:
    """Set the suffix link of i and its reverse; kernel."""
    graph.suffix_link[i] = suffix
    graph.next_reverse[i] = NONE
    if graph.first_reverse[suffix] == NONE:
        graph.first_reverse[suffix] = i
    else:
        graph.next_reverse[graph.last_reverse[suffix]] = i
    graph.last_reverse[suffix] = i


@njit(nogil=True, cache=True)
def _common_suffix_length(graph: Graph, a: int, b: int) -> int:
    if b == graph.suffix_link[a]:
        return graph.lrs[a]
    while b != 0 and graph.suffix_link[b] != graph.suffix_link[a]:
        b = graph.suffix_link[b]
    return min(graph.lrs[a], graph.lrs[b])


@njit(nogil=True, cache=True)
def _refine(graph: Graph, i: int, suffix: int) -> int:
    """Find the first reverse suffix link of `suffix` that repeats one state more; kernel.

    The table keeps, for each (suffix link, lrs, cluster one step before the repeated suffix), the
    first state that had them: a step costs the same in a cluster of ten states and of a million.
    """
    lrs = graph.lrs[i]
    cluster = graph.cluster[i - lrs]
    return graph.refinement[_refinement_slot(graph, suffix, lrs, cluster)]


@njit(nogil=True, cache=True)
def index_refinement(graph: Graph, i: int) -> None:
    """Keep state i, linked, in the table of refinements unless an earlier one has its place."""
    lrs = graph.lrs[i]
    slot = _refinement_slot(graph, graph.suffix_link[i], lrs, graph.cluster[i - lrs])
    if graph.refinement[slot] == NONE:
        graph.refinement[slot] = i


@njit(nogil=True, cache=True)
def _refinement_slot(graph: Graph, suffix: int, lrs: int, cluster: int) -> int:
    mask = graph.refinement.size - 1
    # Fibonacci hashing, one odd multiplier a field
    mixed = suffix * 0x9E3779B1 ^ lrs * 0x85EBCA77 ^ cluster * 0xC2B2AE3D
    slot = (mixed ^ mixed >> 15) & mask
    while True:
        j = graph.refinement[slot]
        if j == NONE or (
            graph.suffix_link[j] == suffix
            and graph.lrs[j] == lrs
            and graph.cluster[j - lrs] == cluster
        ):
            return slot
        slot = (slot + 1) & mask


@njit(nogil=True, cache=True)
def index_refinements(graph: Graph, n_states: int) -> None:
    """Fill an empty table of refinements; kernel."""
    for i in range(1, n_states):
        if graph.suffix_link[i] > 0:
            index_refinement(graph, i)


@njit(nogil=True, cache=True)
def restore_links(graph: Graph, in_degree: Int32s) -> int:
    """Rebuild every list from suffix links, lrs and in-degrees; kernel.

    Returns
    -------
    int
        The first state whose numbers no oracle could have, NONE if all are sound.
    """
    n_edges = 0
    for i in range(1, in_degree.size):
        suffix = graph.suffix_link[i]
        if suffix < 0 or suffix >= i or in_degree[i] < 1:
            return i
        if graph.lrs[i] < min(suffix, 1) or graph.lrs[i] > suffix:
            return i
        n_missed = in_degree[i] - 1
        k = i - 1
        for _ in range(n_missed):
            k = graph.suffix_link[k]
            if k == NONE:
                return i
        if (suffix == 0) != (graph.suffix_link[k] == NONE):
            return i
        link_forward(graph, i, n_missed, n_edges)
        n_edges += n_missed
        if suffix == 0:
            link_new_cluster(graph, i)
        else:
            graph.cluster[i] = graph.cluster[suffix]
            link_reverse(graph, i, suffix)
            index_refinement(graph, i)
    return NONE


@njit(nogil=True, cache=True)
def compress(suffix_link: Int32s, lrs: Int32s, words: Int32s) -> int:
    """Write the code words of Compror (Lefebvre and Lecroq 2002) and count them; kernel.

    A word is (length, first state of what it repeats), or (0, state) for what is new.
    """
    n_words = 0
    start = 0
    last = lrs.size - 1
    while start < last:
        i = start
        while i < last and lrs[i + 1] >= i - start + 1:
            i += 1
        if i == start:
            i += 1
            words[n_words, 0] = 0
            words[n_words, 1] = i
        else:
            words[n_words, 0] = i - start
            words[n_words, 1] = suffix_link[i] - (i - start) + 1
        n_words += 1
        start = i
    return n_words
