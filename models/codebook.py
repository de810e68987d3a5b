"""The codebook: the gestures a memory tells apart, and which of them an embedding is.

K-means over a memory's own embeddings gives centroids; the index of the nearest is an event's
token, and how far two centroids are apart says how unlike two tokens sound. Training runs once, in
whoever learns a recording; looking up runs in the encoder worker, as one compiled call without the
GIL, and never changes the codebook.
"""

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from models.kmeans import find_centroids, squared_distance

DEFAULT_N_TOKENS = 2048
EVENTS_PER_TOKEN = 8
"""A token that hardly ever comes back says nothing: fewer events make fewer tokens."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CodebookConfig:
    """The ``[codebook]`` table: how many gestures to tell apart.

    Attributes
    ----------
    n_tokens, seed
        As `train_codebook` takes them.

    Raises
    ------
    ValueError
        A number is out of range.
    """

    n_tokens: int = DEFAULT_N_TOKENS
    seed: int = 0

    def __post_init__(self) -> None:
        if self.n_tokens < 1:
            raise ValueError(f"n_tokens is {self.n_tokens}, needs at least 1")
        if self.seed < 0:
            raise ValueError(f"seed is {self.seed}, needs 0 or more")


class Codebook:
    """Centroids, and the nearest of them.

    Distances are Euclidean. Any thread may look up; nothing is kept between calls.

    Parameters
    ----------
    centroids
        [shape=(n_tokens, dim), float32], finite, at least one of at least one value. Copied.

    Raises
    ------
    ValueError
        Another shape or type, or values that are not finite.
    """

    def __init__(self, centroids: NDArray[np.float32]) -> None:
        _check(centroids, "centroids")
        self._centroids = centroids.copy(order="C")
        self._centroids.flags.writeable = False

    @property
    def centroids(self) -> NDArray[np.float32]:
        """Centroids [shape=(n_tokens, dim), float32], read-only."""
        return self._centroids

    @property
    def n_tokens(self) -> int:
        """Number of centroids."""
        return len(self._centroids)

    @property
    def dim(self) -> int:
        """Values in an embedding."""
        return int(self._centroids.shape[1])

    def lookup(self, embedding: NDArray[np.float32]) -> tuple[int, float]:
        """Find the nearest centroid.

        Parameters
        ----------
        embedding
            [shape=(dim,), float32], finite.

        Returns
        -------
        token : int
            The lowest index where several are equally near.
        distance : float

        Raises
        ------
        ValueError
            Another shape or type, or values that are not finite.
        """
        tokens, distances = self.lookup_batch(embedding[None])
        return int(tokens[0]), float(distances[0])

    def lookup_batch(
        self, embeddings: NDArray[np.float32]
    ) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Find the nearest centroid of each embedding, as `lookup` would, bit for bit.

        Parameters
        ----------
        embeddings
            [shape=(n, dim), float32], finite.

        Returns
        -------
        tokens : ndarray[shape=(n,), int32]
        distances : ndarray[shape=(n,), float32]

        Raises
        ------
        ValueError
            Another shape or type, or values that are not finite.
        """
        _check(embeddings, "embeddings")
        if embeddings.shape[1] != self.dim:
            raise ValueError(f"embeddings has {embeddings.shape[1]} values, needs {self.dim}")
        tokens = np.empty(len(embeddings), np.int32)
        distances = np.empty(len(embeddings), np.float32)
        _lookup(np.ascontiguousarray(embeddings), self._centroids, tokens, distances)
        return tokens, distances


def train_codebook(
    embeddings: NDArray[np.float32], *, n_tokens: int = DEFAULT_N_TOKENS, seed: int = 0
) -> tuple[Codebook, str]:
    """Cluster a memory's embeddings by k-means; the same embeddings are the same codebook.

    Parameters
    ----------
    embeddings
        [shape=(n_events, dim), float32], finite.
    n_tokens
        Wanted, at least 1.
    seed
        Of the first centroids, 0 or more.

    Returns
    -------
    codebook : Codebook
        As many tokens as wanted, or one for every 8 events, and never more than there are
        different embeddings.
    message : str
        One sentence for the player where there are fewer tokens than wanted, else empty.

    Raises
    ------
    ValueError
        No embeddings, another shape or type, values that are not finite, or a number out of range.
    """
    _check(embeddings, "embeddings")
    if n_tokens < 1:
        raise ValueError(f"n_tokens is {n_tokens}, needs at least 1")
    n_events = len(embeddings)
    # adding zero makes −0.0 and 0.0 the same bytes
    n_different = len({row.tobytes() for row in embeddings + np.float32(0.0)})
    n_possible = min(n_tokens, max(1, n_events // EVENTS_PER_TOKEN), n_different)
    message = ""
    if n_possible < n_tokens:
        message = (
            f"{n_events} events tell {n_possible} gestures apart instead of {n_tokens}; more music "
            "tells more"
        )
    centroids = find_centroids(np.ascontiguousarray(embeddings), n_possible, seed)
    return Codebook(centroids), message


def _check(vectors: NDArray[np.float32], name: str) -> None:
    if vectors.ndim != 2 or vectors.size < 1:
        raise ValueError(f"{name} has shape {vectors.shape}, needs (1 or more, 1 or more)")
    if vectors.dtype != np.float32:
        raise ValueError(f"{name} has dtype {vectors.dtype}, needs float32")
    if not np.isfinite(vectors).all():
        raise ValueError(f"{name} holds NaN or infinity, needs finite values")


@njit(nogil=True, cache=True)
def _lookup(embeddings, centroids, tokens, distances):  # type: ignore[no-untyped-def]
    for i in range(len(embeddings)):
        nearest = 0
        smallest = squared_distance(embeddings[i], centroids[0])
        for token in range(1, len(centroids)):
            squared = squared_distance(embeddings[i], centroids[token])
            if squared < smallest:
                nearest, smallest = token, squared
        tokens[i] = nearest
        distances[i] = np.sqrt(smallest)
