"""Repeats: the passages of a memory that say again what was said before, longest first.

Pure functions of suffix links and their lengths, any thread. States that repeat one after the other
are one passage; a passage within one already found is not told again.
"""

from typing import NamedTuple

import numpy as np

from oracle.audio_oracle import AudioOracle, FactorOracle


class Repeat(NamedTuple):
    """A passage and the earlier one that it repeats; the two may overlap."""

    length: int  # states
    first: int  # state of the passage
    earlier: int  # first state of the earlier passage


def longest_repeats(oracle: AudioOracle | FactorOracle, n_at_most: int) -> list[Repeat]:
    """Find the longest repeats of two states or more that share none, longest first."""
    arrays = oracle.arrays()
    links, lengths = arrays.suffix_link, arrays.lrs
    goes_on = np.zeros(arrays.n_states, np.bool_)
    goes_on[:-1] = (lengths[1:] == lengths[:-1] + 1) & (links[1:] == links[:-1] + 1)
    ends = np.flatnonzero((lengths > 1) & ~goes_on)
    is_told = np.zeros(arrays.n_states, np.bool_)
    found: list[Repeat] = []
    for end in ends[np.argsort(-lengths[ends], kind="stable")].tolist():
        if len(found) == n_at_most:
            break
        length = int(lengths[end])
        passage = slice(end - length + 1, end + 1)
        if not is_told[passage].any():
            is_told[passage] = True
            found.append(Repeat(length, passage.start, int(links[end]) - length + 1))
    return found
