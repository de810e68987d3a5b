import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.kmeans import find_centroids


def normal(*shape: int, seed: int = 0) -> NDArray[np.float32]:
    """Give seeded noise."""
    return np.random.default_rng(seed).standard_normal(shape, np.float32)


def squared_distances(
    vectors: NDArray[np.float32], centroids: NDArray[np.float32]
) -> NDArray[np.float64]:
    """Give the exact squared distance of each vector to each centroid."""
    differences = vectors[:, None].astype(float) - centroids[None]
    squares: NDArray[np.float64] = (differences**2).sum(axis=2)
    return squares


def test_one_vector_is_its_own_centroid() -> None:
    """The smallest clustering there is."""
    assert find_centroids(np.array([[3.0]], np.float32), 1, 0).tolist() == [[3.0]]


def test_one_centroid_is_the_mean() -> None:
    """Of all vectors."""
    vectors = normal(50, 3)
    assert np.allclose(find_centroids(vectors, 1, 0)[0], vectors.mean(axis=0), atol=1e-6)


def test_as_many_centroids_as_vectors_are_the_vectors() -> None:
    """Each once, whatever they are drawn by."""
    vectors = normal(20, 4)
    for seed in range(5):
        centroids = find_centroids(vectors, 20, seed)
        assert sorted(centroids.tolist()) == sorted(vectors.tolist())


def test_vectors_too_alike_to_tell_apart_share_a_centroid() -> None:
    """Differences whose square is no float32 make no centroid, and no endless search."""
    vectors = np.array([[0.0], [1e-30], [2e-30], [1.0]], np.float32)
    assert sorted(find_centroids(vectors, 4, 0).ravel()) == pytest.approx([0.0, 1.0])


@settings(max_examples=30, deadline=None)
@given(
    n=st.integers(2, 150), dim=st.integers(1, 20), share=st.floats(0, 1), seed=st.integers(0, 999)
)
def test_each_centroid_is_the_mean_of_the_vectors_nearest_to_it(
    n: int, dim: int, share: float, seed: int
) -> None:
    """What is pruned changes nothing: a twin that looks at every pair finds it settled."""
    vectors = normal(n, dim, seed=seed)
    vectors[: n // 2] += 5
    centroids = find_centroids(vectors, 1 + round(share * (n - 1)), seed)
    squares = squared_distances(vectors, centroids)
    nearest = squares.argmin(axis=1)
    for k in range(len(centroids)):
        own = vectors[nearest == k].astype(float)
        assert len(own)
        assert np.allclose(centroids[k], own.mean(axis=0), atol=1e-5)


def test_the_beginning_is_chosen_well() -> None:
    """Sixty far groups of three have a centroid each, which drawing evenly would hardly give."""
    centres = 100 * normal(60, 8)
    vectors = np.repeat(centres, 3, axis=0) + normal(180, 8, seed=1)
    for seed in range(5):
        squares = squared_distances(centres, find_centroids(vectors, 60, seed))
        assert len(set(squares.argmin(axis=1).tolist())) == 60
        assert squares.min(axis=1).max() < 50


def test_the_order_of_the_vectors_does_not_matter_to_what_is_found() -> None:
    """Far groups are found whichever comes first."""
    vectors = np.repeat(100 * normal(5, 4), 10, axis=0)
    found = [
        np.sort(find_centroids(np.ascontiguousarray(rows), 5, 0), axis=0)
        for rows in (vectors, vectors[::-1])
    ]
    assert np.allclose(found[0], found[1])
