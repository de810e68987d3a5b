"""The rules of the facts page in plain Python, for the compiled oracle to agree with."""

import math
from collections.abc import Callable, Sequence
from typing import Any

Distance = Callable[[Any, Any], float]


class PlainOracle:
    """An Audio Oracle as lists: step by step what adding a state does, at any speed."""

    def __init__(self, threshold: float, distance: Distance) -> None:
        self.threshold = threshold
        self.distance = distance
        self.frames: list[Any] = [None]
        self.suffix_links = [-1]
        self.lrs = [0]
        self.clusters = [-1]
        self.transitions: list[list[int]] = [[]]
        self.reverse: list[list[int]] = [[]]

    def append(self, frame: Any) -> None:
        """Add a state: steps 1 to 5."""
        i = len(self.frames)
        self.frames.append(frame)
        self.transitions.append([])
        self.reverse.append([])
        self.transitions[i - 1].append(i)
        k, before, hit = self.suffix_links[i - 1], i - 1, -1
        while k != -1:
            near = [
                (self.distance(frame, self.frames[j]), j)
                for j in self.transitions[k]
                if self.distance(frame, self.frames[j]) < self.threshold
            ]
            if near:
                hit = min(near)[1]
                break
            self.transitions[k].append(i)
            k, before = self.suffix_links[k], k
        if hit == -1:
            self.suffix_links.append(0)
            self.lrs.append(0)
            self.clusters.append(max(self.clusters) + 1)
        else:
            self.clusters.append(self.clusters[hit])
            lrs = self._common_suffix_length(before, hit - 1) + 1
            symbol = self.clusters[i - lrs]
            for j in self.reverse[hit]:
                if self.lrs[j] == lrs and self.clusters[j - lrs] == symbol:
                    hit, lrs = j, lrs + 1
                    break
            self.suffix_links.append(hit)
            self.lrs.append(lrs)
        self.reverse[self.suffix_links[i]].append(i)

    def _common_suffix_length(self, a: int, b: int) -> int:
        if b == self.suffix_links[a]:
            return self.lrs[a]
        while b != 0 and self.suffix_links[b] != self.suffix_links[a]:
            b = self.suffix_links[b]
        return min(self.lrs[a], self.lrs[b])


def euclidean(x: Sequence[float], y: Sequence[float]) -> float:
    """Sum squares in order."""
    total = 0.0
    for a, b in zip(x, y, strict=True):
        total += (a - b) * (a - b)
    return math.sqrt(total)


def manhattan(x: Sequence[float], y: Sequence[float]) -> float:
    """Sum differences in order."""
    total = 0.0
    for a, b in zip(x, y, strict=True):
        total += abs(a - b)
    return total


def cosine(x: Sequence[float], y: Sequence[float]) -> float:
    """Sum even and odd products apart, as SciPy's compiler does; NaN for a zero frame."""
    norms = math.sqrt(_dot(x, x)) * math.sqrt(_dot(y, y))
    if norms == 0:
        return math.nan
    return 1 - min(max(_dot(x, y) / norms, -1.0), 1.0)


def _dot(x: Sequence[float], y: Sequence[float]) -> float:
    n_paired = len(x) // 2 * 2
    even = odd = 0.0
    for d in range(0, n_paired, 2):
        even += x[d] * y[d]
        odd += x[d + 1] * y[d + 1]
    return even + odd + (x[-1] * y[-1] if n_paired < len(x) else 0.0)


def equality(x: object, y: object) -> float:
    """Give the distance of symbols."""
    return 0.0 if x == y else math.inf
