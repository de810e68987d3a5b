import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.audio_file import AudioFile
from models.codebook import DEFAULT_N_TOKENS, EVENTS_PER_TOKEN, Codebook, train_codebook
from models.spectral import SpectralEncoder
from models.windows import WindowCutter


def normal(*shape: int, seed: int = 0) -> NDArray[np.float32]:
    """Give seeded noise."""
    return np.random.default_rng(seed).standard_normal(shape, np.float32)


def test_one_centroid_answers_everything() -> None:
    """The smallest codebook there is."""
    codebook = Codebook(np.array([[3.0]], np.float32))
    assert codebook.lookup(np.array([7.0], np.float32)) == (0, 4.0)
    assert (codebook.n_tokens, codebook.dim) == (1, 1)


def test_a_centroid_is_its_own_token() -> None:
    """At distance zero."""
    codebook = Codebook(normal(100, 7))
    tokens, distances = codebook.lookup_batch(codebook.centroids)
    assert tokens.tolist() == list(range(100))
    assert not distances.any()


def test_exact_ties_go_to_the_lowest_index() -> None:
    """Equal centroids, and an embedding midway between two."""
    centroids = normal(50, 33)
    codebook = Codebook(np.concatenate([centroids, centroids, centroids]))
    tokens, _ = codebook.lookup_batch(normal(200, 33, seed=1))
    assert tokens.max() < 50
    midway = Codebook(np.array([[5.0], [1.0], [-1.0]], np.float32))
    assert midway.lookup(np.zeros(1, np.float32)) == (1, 1.0)


@given(
    n_tokens=st.integers(1, 40),
    dim=st.integers(1, 70),
    n=st.integers(1, 20),
    seed=st.integers(0, 1000),
)
def test_the_nearest_is_the_nearest(n_tokens: int, dim: int, n: int, seed: int) -> None:
    """A float64 twin in plain numpy finds no centroid that is nearer."""
    centroids, embeddings = normal(n_tokens, dim, seed=seed), normal(n, dim, seed=seed + 1)
    tokens, distances = Codebook(centroids).lookup_batch(embeddings)
    exact = np.linalg.norm(embeddings[:, None].astype(float) - centroids[None], axis=2)
    assert np.allclose(distances, exact.min(axis=1), rtol=1e-5)
    assert np.allclose(exact[np.arange(n), tokens], exact.min(axis=1), rtol=1e-5)


@given(n=st.integers(1, 30), seed=st.integers(0, 1000))
def test_one_by_one_or_together_is_the_same_answer(n: int, seed: int) -> None:
    """Bit for bit, and for embeddings that are not contiguous too."""
    codebook, embeddings = Codebook(normal(64, 48)), normal(48, n, seed=seed).T
    tokens, distances = codebook.lookup_batch(embeddings)
    assert [codebook.lookup(embedding) for embedding in embeddings] == list(
        zip(tokens.tolist(), distances.tolist(), strict=True)
    )


def test_the_centroids_cannot_be_changed() -> None:
    """Neither through the codebook nor through what it was made from."""
    source = normal(3, 2)
    codebook = Codebook(source)
    before = codebook.centroids.copy()
    source[:] = 0
    assert np.array_equal(codebook.centroids, before)
    with pytest.raises(ValueError, match="read-only"):
        codebook.centroids[:] = 0


def test_planted_clusters_are_found() -> None:
    """Five far groups of forty, five tokens."""
    groups = np.repeat(np.arange(5), 40)
    centres = 100 * normal(5, 16)
    embeddings = centres[groups] + normal(200, 16, seed=1)
    codebook, message = train_codebook(embeddings, n_tokens=5)
    tokens, _ = codebook.lookup_batch(embeddings)
    assert message == ""
    assert len({(group, token) for group, token in zip(groups, tokens, strict=True)}) == 5


def test_training_is_reproducible_bit_for_bit() -> None:
    """Same embeddings and seed, same codebook, in whichever process; another seed, another."""
    embeddings = normal(400, 24)
    codebook, _ = train_codebook(embeddings, n_tokens=20, seed=3)
    assert (
        train_codebook(embeddings, n_tokens=20, seed=3)[0].centroids.tobytes()
        == codebook.centroids.tobytes()
    )
    assert (
        train_codebook(embeddings, n_tokens=20, seed=4)[0].centroids.tobytes()
        != codebook.centroids.tobytes()
    )
    script = (
        "from tests.models.test_codebook import normal\n"
        "from models.codebook import train_codebook\n"
        "print(train_codebook(normal(400, 24), n_tokens=20, seed=3)[0].centroids.tobytes().hex())\n"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True, text=True)
    assert ran.stdout.strip() == codebook.centroids.tobytes().hex()


@pytest.mark.parametrize(
    ("n_events", "n_tokens"), [(1, 1), (7, 1), (16, 2), (17, 2), (80, 10), (100, 12)]
)
def test_a_short_recording_gets_fewer_tokens_and_a_message(n_events: int, n_tokens: int) -> None:
    """One for every eight events, at least one."""
    codebook, message = train_codebook(normal(n_events, 4))
    assert codebook.n_tokens == n_tokens
    told = f"{n_events} events tell {n_tokens} gestures apart instead of {DEFAULT_N_TOKENS}"
    assert told in message


def test_a_recording_just_long_enough_gets_what_was_asked_for() -> None:
    """Eight events each, and nothing to say."""
    codebook, message = train_codebook(normal(10 * EVENTS_PER_TOKEN, 4), n_tokens=10)
    assert (codebook.n_tokens, message) == (10, "")


def test_there_are_never_more_tokens_than_different_embeddings() -> None:
    """Three sounds, a hundred times each."""
    codebook, message = train_codebook(np.repeat(normal(3, 5), 100, axis=0))
    assert codebook.n_tokens == 3
    assert "300 events tell 3 gestures apart instead of 2048" in message
    alike, _ = train_codebook(1 + 1e-7 * normal(100, 5))
    assert alike.n_tokens <= 12
    silence, _ = train_codebook(np.zeros((100, 5), np.float32))
    assert silence.n_tokens == 1


def test_tokens_of_a_drum_track_name_its_drums(shared_data: Path) -> None:
    """Events of one token share their drum in 9 of 10 (the commonest drum alone: 4 of 10)."""
    lines = (shared_data / "drums" / "Beatles.onsets.txt").read_text().splitlines()
    hits = sorted((float(line.split()[0]), line.split()[1]) for line in lines if line.strip())
    alone = [
        (onset_s, drum)
        for i, (onset_s, drum) in enumerate(hits)
        if all(abs(onset_s - other_s) > 0.03 for other_s, _ in hits[:i] + hits[i + 1 :])
    ]
    file = AudioFile(shared_data / "drums" / "Beatles.flac")
    encoder = SpectralEncoder()
    cutter = WindowCutter(file.rate_hz, encoder.spec)
    audio = np.concatenate([np.zeros(cutter.n_frames, np.float32), *file.blocks(1 << 16)])
    ends = [round((onset_s + 0.02) * file.rate_hz) for onset_s, _ in alone]
    embeddings = encoder.encode(
        np.stack([cutter.cut(audio[end : end + cutter.n_frames]) for end in ends])
    )
    codebook, _ = train_codebook(embeddings)
    tokens, _ = codebook.lookup_batch(embeddings)
    drums = np.array([drum for _, drum in alone])
    named = sum(
        int(np.unique(drums[tokens == token], return_counts=True)[1].max())
        for token in np.unique(tokens)
    )
    commonest = np.unique(drums, return_counts=True)[1].max()
    assert named / len(drums) >= 0.90
    assert named / len(drums) >= commonest / len(drums) + 0.20


def test_bad_vectors_are_refused_by_name() -> None:
    """Name, value, need."""
    with pytest.raises(ValueError, match=r"centroids has shape \(0, 3\), needs"):
        Codebook(np.zeros((0, 3), np.float32))
    with pytest.raises(ValueError, match=r"centroids has shape \(3,\), needs"):
        Codebook(np.zeros(3, np.float32))
    with pytest.raises(ValueError, match="centroids has dtype float64, needs float32"):
        Codebook(np.zeros((2, 3)))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="centroids holds NaN or infinity"):
        Codebook(np.full((2, 3), np.nan, np.float32))
    codebook = Codebook(normal(4, 3))
    with pytest.raises(ValueError, match="embeddings has 2 values, needs 3"):
        codebook.lookup(np.zeros(2, np.float32))
    with pytest.raises(ValueError, match="embeddings holds NaN"):
        codebook.lookup(np.full(3, np.nan, np.float32))
    with pytest.raises(ValueError, match=r"embeddings has shape \(0, 3\)"):
        train_codebook(np.zeros((0, 3), np.float32))
    with pytest.raises(ValueError, match="n_tokens is 0, needs at least 1"):
        train_codebook(normal(4, 3), n_tokens=0)


def test_without_the_compiler_the_answer_is_the_same() -> None:
    """The kernels are Python too: those that find the centroids and the one that looks up."""
    script = (
        "import numpy as np\n"
        "from models.codebook import train_codebook\n"
        "vectors = (np.arange(120) * 7 % 5 * 10).reshape(40, 3).astype(np.float32)\n"
        "codebook, _ = train_codebook(vectors, n_tokens=5)\n"
        "answer = [codebook.centroids.tolist(), codebook.lookup_batch(vectors)[0].tolist()]\n"
    )
    printed = subprocess.run(
        [sys.executable, "-c", script + "print(answer)"],
        env={**os.environ, "NUMBA_DISABLE_JIT": "1"},
        capture_output=True,
        check=True,
        text=True,
    ).stdout.splitlines()
    compiled: dict[str, object] = {}
    exec(script, compiled)
    assert printed[0] == str(compiled["answer"])


def test_threads_share_a_codebook() -> None:
    """Four at once get what one gets."""
    codebook, embeddings = Codebook(normal(256, 64)), normal(500, 64, seed=1)
    expected = codebook.lookup_batch(embeddings)[0]
    found: list[NDArray[np.int32]] = []
    threads = [
        threading.Thread(target=lambda: found.append(codebook.lookup_batch(embeddings)[0]))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert all(np.array_equal(tokens, expected) for tokens in found)
