"""Growing an oracle's links by one state at a time, compiled; holds no frame longer than a call.

Runs on the one thread that appends, without the GIL; never allocates, raises or shrinks. States
are appended as Allauzen, Crochemore and Raffinot (1999) and Dubnov, Assayag and Cont (2007) say:
follow the suffix path of state i − 1, add a forward link to i at each state that has no target
near enough, and let the suffix link of i be the nearest target of the first that has one.
"""

from typing import NamedTuple

from oracle._blocks import blocks_wanted, insert, seek
from oracle._columns import Blocks
from oracle._graph import NONE, Graph, Int32s
from oracle._jit import kernel
from oracle._search import nearest_in_blocks, nearest_in_list
from oracle.metrics import MetricTable


class Progress(NamedTuple):
    """How far `append_states` came, and what room it needs to go on."""

    n_states: int
    n_edges: int
    n_blocks: int
    n_edges_wanted: int
    n_blocks_wanted: int


@kernel
def append_states(
    graph: Graph,
    blocks: Blocks,
    metric: MetricTable,
    threshold: float,
    progress: Progress,
    end: int,
) -> Progress:
    """Link the states from `progress.n_states` up to `end`, whose frames are in place; kernel.

    Returns
    -------
    Progress
        Its n_states < end where edges or blocks did not fit: make room and call again.
    """
    n_edges = progress.n_edges
    n_blocks = progress.n_blocks
    for i in range(progress.n_states, end):
        _open_state(graph, i)
        k = graph.suffix_link[i - 1]
        is_sought = False
        n_missed = 0
        n_wanted = 0
        hit = NONE
        while k != NONE:
            if graph.first_block[k] == NONE:
                hit = nearest_in_list(graph, metric, threshold, i, k)
            else:
                if not is_sought:
                    seek(graph, blocks, metric, i)
                    is_sought = True
                hit = nearest_in_blocks(graph, blocks, metric, threshold, i, k)
            if hit != NONE:
                break
            n_missed += 1
            n_wanted += blocks_wanted(graph, blocks, metric, k)
            k = graph.suffix_link[k]
        if n_edges + n_missed > graph.edge_target.size or n_blocks + n_wanted > blocks.size.size:
            return Progress(i, n_edges, n_blocks, n_edges + n_missed, n_blocks + n_wanted)
        before = i - 1
        for _ in range(n_missed):
            before = graph.suffix_link[before]
            _link_edge(graph, before, i, n_edges)
            n_edges += 1
            n_blocks = insert(graph, blocks, metric, i, before, n_blocks)
        if hit == NONE:
            _link_new_cluster(graph, i)
        else:
            _link_suffix(graph, i, before, hit)
    return Progress(end, n_edges, n_blocks, n_edges, n_blocks)


@kernel
def _open_state(graph: Graph, i: int) -> None:
    graph.first_edge[i] = NONE
    graph.out_degree[i] = 0
    graph.first_reverse[i] = NONE
    graph.first_block[i] = NONE


@kernel
def _link_edge(graph: Graph, state: int, target: int, e: int) -> None:
    graph.edge_target[e] = target
    graph.next_edge[e] = NONE
    if graph.first_edge[state] == NONE:
        graph.first_edge[state] = e
    else:
        graph.next_edge[graph.last_edge[state]] = e
    graph.last_edge[state] = e
    graph.out_degree[state] += 1


@kernel
def _link_new_cluster(graph: Graph, i: int) -> None:
    """Let state i, like nothing before it, found a cluster below the root; kernel."""
    newest = graph.last_reverse[0]
    graph.lrs[i] = 0
    graph.cluster[i] = graph.cluster[newest] + 1 if newest != NONE else 0
    _link_reverse(graph, i, 0)


@kernel
def _link_suffix(graph: Graph, i: int, before: int, hit: int) -> None:
    """Link i back to its nearest target, or to where that repeats one state more.

    Refining wants the first reverse suffix link of `hit` with the same lrs and the same cluster one
    step before the repeated suffix. A hash table keeps the first state of each such triple, so a
    step costs the same in a cluster of ten states and of a million.
    """
    lrs = _common_suffix_length(graph, before, hit - 1) + 1
    slot = _refinement_slot(graph, hit, lrs, graph.cluster[i - lrs])
    if graph.refinement[slot] != NONE:
        hit = graph.refinement[slot]
        lrs += 1
        slot = _refinement_slot(graph, hit, lrs, graph.cluster[i - lrs])
    if graph.refinement[slot] == NONE:
        graph.refinement[slot] = i
    graph.lrs[i] = lrs
    graph.cluster[i] = graph.cluster[hit]
    _link_reverse(graph, i, hit)


@kernel
def _link_reverse(graph: Graph, i: int, suffix: int) -> None:
    """Set the suffix link of i and its reverse; kernel."""
    graph.suffix_link[i] = suffix
    graph.next_reverse[i] = NONE
    if graph.first_reverse[suffix] == NONE:
        graph.first_reverse[suffix] = i
    else:
        graph.next_reverse[graph.last_reverse[suffix]] = i
    graph.last_reverse[suffix] = i


@kernel
def _common_suffix_length(graph: Graph, a: int, b: int) -> int:
    if b == graph.suffix_link[a]:
        return int(graph.lrs[a])
    while b != 0 and graph.suffix_link[b] != graph.suffix_link[a]:
        b = graph.suffix_link[b]
    return int(min(graph.lrs[a], graph.lrs[b]))


@kernel
def _index_refinement(graph: Graph, i: int) -> None:
    """Keep state i, linked, in the table of refinements unless an earlier one has its place."""
    lrs = graph.lrs[i]
    slot = _refinement_slot(graph, graph.suffix_link[i], lrs, graph.cluster[i - lrs])
    if graph.refinement[slot] == NONE:
        graph.refinement[slot] = i


@kernel
def _refinement_slot(graph: Graph, suffix: int, lrs: int, cluster: int) -> int:
    mask = graph.refinement.size - 1
    # Fibonacci hashing, one odd multiplier a field
    mixed = int(suffix) * 0x9E3779B1 ^ int(lrs) * 0x85EBCA77 ^ int(cluster) * 0xC2B2AE3D
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


@kernel
def index_refinements(graph: Graph, n_states: int) -> None:
    """Fill an empty table of refinements; kernel."""
    for i in range(1, n_states):
        if graph.suffix_link[i] > 0:
            _index_refinement(graph, i)


@kernel
def find_broken(suffix_link: Int32s, lrs: Int32s, in_degree: Int32s) -> int:
    """Check suffix links, lrs and in-degrees against each other; kernel.

    Returns
    -------
    int
        The first state whose numbers no oracle could have, NONE if all are sound.
    """
    if suffix_link[0] != NONE or lrs[0] != 0 or in_degree[0] != 0:
        return 0
    for i in range(1, in_degree.size):
        suffix = suffix_link[i]
        if suffix < 0 or suffix >= i or in_degree[i] < 1:
            return i
        if lrs[i] < min(suffix, 1) or lrs[i] > suffix:
            return i
        k = i - 1
        for _ in range(in_degree[i] - 1):
            k = suffix_link[k]
            if k == NONE:
                return i
        k = suffix_link[k]
        if (suffix == 0) != (k == NONE):
            return i
        # the path ended at k for a target of k: the suffix link, or what that one refines
        if (
            suffix != 0
            and not _is_target(suffix_link, in_degree, k, suffix)
            and not _is_target(suffix_link, in_degree, k, suffix_link[suffix])
        ):
            return i
    return NONE


@kernel
def _is_target(suffix_link: Int32s, in_degree: Int32s, state: int, target: int) -> bool:
    """Whether a transition leads from one state to another; kernel."""
    if target == state + 1:
        return True
    k = target - 1
    for _ in range(in_degree[target] - 1):
        k = suffix_link[k]
        if k <= state:
            return bool(k == state)
    return False


@kernel
def restore_links(graph: Graph, in_degree: Int32s) -> None:
    """Rebuild every list from suffix links, lrs and in-degrees that are sound; kernel."""
    n_edges = 0
    for i in range(1, in_degree.size):
        _open_state(graph, i)
        k = i - 1
        for _ in range(in_degree[i] - 1):
            k = graph.suffix_link[k]
            _link_edge(graph, k, i, n_edges)
            n_edges += 1
        suffix = graph.suffix_link[i]
        if suffix == 0:
            _link_new_cluster(graph, i)
        else:
            graph.cluster[i] = graph.cluster[suffix]
            _link_reverse(graph, i, suffix)
            _index_refinement(graph, i)


@kernel
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
