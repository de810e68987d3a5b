"""What one step through the oracle looks at, works with and decides: flat data for its kernels.

Made by the thread that navigates. Everything has a fixed size but the memory, which is one
consistent prefix of what is learned.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from oracle._near import N_NEAR, N_WALKED
from oracle.attribute_table import AttributeArrays
from oracle.audio_oracle import OracleArrays

N_FOUND = 8  # candidates that a look-up adds
N_CANDIDATES = N_NEAR + N_FOUND
N_DRAWS = N_WALKED + 2
N_EXAMINED = 512  # states, by one look-up


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
