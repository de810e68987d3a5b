import numpy as np
import numpy.typing as npt
import pytest
from vmo.VMO.oracle import find_threshold as vmo_find_threshold

from oracle.audio_oracle import AudioOracle
from oracle.threshold import find_threshold

GRID = np.arange(0.0, 2.4, 0.1)


def themes(n: int, dim: int = 15, seed: int = 0) -> npt.NDArray[np.float64]:
    """Give frames that wander among twelve places, so that some threshold is best."""
    generator = np.random.default_rng(seed)
    places = generator.random((12, dim))
    path = np.cumsum(generator.integers(1, 3, n)) % 12
    return places[path] + generator.normal(0, 0.03, (n, dim))


@pytest.mark.parametrize("n", [0, 1])
def test_too_few_frames_get_a_plain_answer(n: int) -> None:
    """With nothing to repeat any threshold does, and the answer says so."""
    found = find_threshold(np.zeros((n, 3)))
    assert found.threshold > 0
    assert found.rate_bits == 0
    assert found.reason == f"{n} frames are too few to repeat: any threshold does"


def test_constant_frames_get_a_plain_answer() -> None:
    """Frames that are all one predict nothing, and the answer says so."""
    found = find_threshold(np.ones((100, 3)))
    assert found.threshold > 0
    assert found.reason == "nothing in these frames predicts what follows: any threshold does"


@pytest.mark.parametrize("metric", ["euclidean", "cosine", "manhattan"])
def test_every_rate_is_vmos(metric: str) -> None:
    """Threshold by threshold the rates are vmo's to the last bit, and so is the choice."""
    frames = themes(400)
    scipy_name = "cityblock" if metric == "manhattan" else metric
    (rate, threshold), pairs = vmo_find_threshold(frames, r=(0, 2.4, 0.1), dfunc=scipy_name, dim=15)
    found = find_threshold(frames, metric, GRID)  # type: ignore[arg-type]
    assert found.rates_bits.tolist() == [float(rate) for rate, _ in pairs]
    assert (found.rate_bits, found.threshold) == (rate, threshold)


def test_a_tie_goes_to_the_first_threshold() -> None:
    """Thresholds that make the same oracle tie, and the first of them is chosen."""
    frames = np.array([[0.0], [5.0], [0.0], [5.0], [0.0], [5.0], [0.0], [5.0]])
    found = find_threshold(frames, thresholds=[3.0, 1.0, 2.0])
    assert found.rates_bits.min() == found.rates_bits.max() > 0
    assert found.threshold == 3.0


@pytest.mark.parametrize("seed", range(5))
def test_a_search_of_its_own_comes_within_two_percent_of_a_fine_grid(seed: int) -> None:
    """Coarse to fine ends about as high as two hundred even steps over the same range."""
    frames = themes(600, seed=seed)
    found = find_threshold(frames)
    even = find_threshold(
        frames, thresholds=np.linspace(found.thresholds[0], found.thresholds[-1], 200)
    )
    assert found.rate_bits >= 0.98 * even.rate_bits
    assert found.rate_bits == found.rates_bits.max()
    oracle = AudioOracle(15, found.threshold)
    oracle.extend(frames)
    assert oracle.information_rate().sum() == found.rate_bits


def test_a_search_can_be_kept_from_joining_nearly_all() -> None:
    """Sixty frames of noise "repeat" best where most are one; a limit asks for what is alike."""
    frames = np.random.default_rng(4).normal(size=(60, 15))
    free = find_threshold(frames)
    held = find_threshold(frames, at_most=0.5 * free.threshold)
    assert 0 < held.threshold <= 0.5 * free.threshold
    assert held.rate_bits < free.rate_bits
    assert find_threshold(frames, at_most=2 * free.thresholds[-1]).threshold == free.threshold


def test_searching_twice_finds_the_same() -> None:
    """The order in which threads finish does not show."""
    frames = themes(300)
    first, second = find_threshold(frames), find_threshold(frames)
    assert first.thresholds.tolist() == second.thresholds.tolist()
    assert first.rates_bits.tolist() == second.rates_bits.tolist()


def test_frames_that_are_no_frames_are_refused() -> None:
    """One dimension, or a NaN, is an error of the caller's."""
    with pytest.raises(ValueError, match=r"shape \(3,\), need \(n, dim\)"):
        find_threshold(np.zeros(3))
    with pytest.raises(ValueError, match="NaN or infinite"):
        find_threshold(np.full((3, 2), np.nan), thresholds=[1.0])


def test_thresholds_that_are_none_are_refused() -> None:
    """An empty row, or a negative threshold, is an error of the caller's."""
    with pytest.raises(ValueError, match=r"need \(m,\), m ≥ 1"):
        find_threshold(np.zeros((3, 2)), thresholds=[])
    with pytest.raises(ValueError, match=r"threshold is -1\.0, need ≥ 0"):
        find_threshold(np.zeros((3, 2)), thresholds=[-1.0])
    with pytest.raises(ValueError, match="at_most is nan, need > 0"):
        find_threshold(np.zeros((3, 2)), at_most=np.nan)
