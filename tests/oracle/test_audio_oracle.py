import hashlib
import json

import numpy as np
import numpy.typing as npt
import pytest

from oracle.audio_oracle import AudioOracle, FactorOracle
from oracle.errors import BrokenLinksError

# shared/facts/oracle.md: sha1 of [suffix links, lrs, transitions] as vmo 0.30.5 builds them
KNOWN_HASHES = {
    (1000, 0.5): "1a97e917c8ac",
    (1000, 1.0): "6bff1148db68",
    (1000, 1.5): "fdc19d6343aa",
    (5000, 0.5): "b8157f5d7c2b",
    (5000, 1.0): "f6a9a5fd3298",
    (5000, 1.5): "92ca87e0303a",
    (10000, 0.5): "af7a5b4890d2",
    (10000, 1.0): "33dba1bad856",
    (10000, 1.5): "b204f57bc4d7",
}


def uniform_frames(n: int, dim: int = 15, seed: int = 0) -> npt.NDArray[np.float64]:
    """Give the frames that the known hashes were computed from."""
    frames: npt.NDArray[np.float64] = np.random.RandomState(seed).rand(n, dim)
    return frames


def links_hash(oracle: AudioOracle | FactorOracle) -> str:
    """Give the facts page's hash of an oracle."""
    transitions = [oracle.transitions(k).tolist() for k in range(oracle.n_states)]
    links = [oracle.suffix_links.tolist(), oracle.lrs.tolist(), transitions]
    return hashlib.sha1(json.dumps(links).encode()).hexdigest()[:12]


def test_an_empty_oracle_is_a_root_alone() -> None:
    """Nothing appended: one state, no suffix link, nothing to compress."""
    oracle = AudioOracle(3, 0.5)
    assert oracle.n_states == 1
    assert oracle.suffix_links.tolist() == [-1]
    assert oracle.transitions(0).size == 0
    assert oracle.compression().shape == (0, 2)
    assert oracle.information_rate().size == 0


@pytest.mark.parametrize(("n", "threshold"), KNOWN_HASHES)
def test_links_are_vmos_to_the_last_one(n: int, threshold: float) -> None:
    """The nine rows of the facts page, link for link."""
    oracle = AudioOracle(15, threshold)
    oracle.extend(uniform_frames(n))
    assert links_hash(oracle) == KNOWN_HASHES[n, threshold]


def test_appending_one_by_one_gives_what_extending_gives() -> None:
    """Growth in single states and at once lead to the same oracle."""
    frames = uniform_frames(500)
    whole, grown = AudioOracle(15, 1.0), AudioOracle(15, 1.0)
    whole.extend(frames)
    assert [grown.append(frame) for frame in frames] == list(range(1, 501))
    assert links_hash(grown) == links_hash(whole)
    assert grown.clusters.tolist() == whole.clusters.tolist()


def test_the_factor_oracle_of_abbbaab_is_the_papers() -> None:
    """The example of Allauzen, Crochemore and Raffinot (1999), figure 1."""
    oracle = FactorOracle()
    oracle.extend("abbbaab")
    assert [oracle.transitions(k).tolist() for k in range(8)] == [
        [1, 2], [2, 6], [3, 5], [4, 5], [5], [6], [7], []
    ]  # fmt: skip
    assert oracle.suffix_links.tolist() == [-1, 0, 0, 2, 3, 1, 1, 2]


def test_an_oracle_survives_being_stored_and_restored() -> None:
    """Frames and three arrays hold all links, and the restored oracle grows on alike."""
    frames = uniform_frames(600)
    first = AudioOracle(15, 1.0)
    first.extend(frames[:500])
    second = AudioOracle.from_arrays(
        first.frames, first.suffix_links, first.lrs, first.in_degrees, 1.0
    )
    assert links_hash(second) == links_hash(first)
    first.extend(frames[500:])
    second.extend(frames[500:])
    assert links_hash(second) == links_hash(first)


def test_cyclic_suffix_links_are_refused() -> None:
    """A suffix link that does not point backwards is no oracle's."""
    oracle = AudioOracle(15, 1.0)
    oracle.extend(uniform_frames(50))
    suffix_links = oracle.suffix_links.copy()
    suffix_links[7] = 7
    with pytest.raises(BrokenLinksError, match="state 7 has links no oracle could have"):
        AudioOracle.from_arrays(oracle.frames, suffix_links, oracle.lrs, oracle.in_degrees, 1.0)
