import hashlib
import json
import math
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from vmo.VMO.oracle import build_oracle, create_oracle

from oracle.audio_oracle import AudioOracle, FactorOracle
from oracle.errors import BrokenLinksError
from oracle.metrics import EventMetric, Metric, MetricName
from tests.oracle.plain_oracle import (
    Distance,
    PlainOracle,
    cosine,
    equality,
    euclidean,
    manhattan,
)

Float64s = npt.NDArray[np.float64]

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
SCIPY_NAMES: dict[MetricName, str] = {
    "euclidean": "euclidean",
    "cosine": "cosine",
    "manhattan": "cityblock",
}
PLAIN: dict[MetricName, Distance] = {
    "euclidean": euclidean,
    "cosine": cosine,
    "manhattan": manhattan,
}


def uniform_frames(n: int, dim: int = 15, seed: int = 0) -> Float64s:
    """Give the frames that the known hashes were computed from."""
    frames: Float64s = np.random.RandomState(seed).rand(n, dim)
    return frames


def links(oracle: AudioOracle | FactorOracle) -> list[Any]:
    """Give an oracle's suffix links, lrs and transitions as lists."""
    transitions = [oracle.transitions(k).tolist() for k in range(oracle.n_states)]
    return [oracle.suffix_links.tolist(), oracle.lrs.tolist(), transitions]


def links_hash(oracle: AudioOracle | FactorOracle) -> str:
    """Give the facts page's hash of an oracle."""
    return hashlib.sha1(json.dumps(links(oracle)).encode()).hexdigest()[:12]


def assert_is_vmos(oracle: AudioOracle | FactorOracle, theirs: Any) -> None:
    """Compare everything that vmo keeps of its links."""
    assert oracle.suffix_links[1:].tolist() == theirs.sfx[1:]
    assert oracle.lrs.tolist() == theirs.lrs
    for k in range(oracle.n_states):
        assert oracle.transitions(k).tolist() == theirs.trn[k]
        assert oracle.reverse_suffix_links(k).tolist() == theirs.rsfx[k]


def assert_is_plain(oracle: AudioOracle | FactorOracle, plain: PlainOracle) -> None:
    """Compare with the plain twin."""
    assert links(oracle) == [plain.suffix_links, plain.lrs, plain.transitions]
    assert oracle.clusters.tolist() == plain.clusters
    assert [
        oracle.reverse_suffix_links(k).tolist() for k in range(oracle.n_states)
    ] == plain.reverse


def built(frames: npt.ArrayLike, threshold: float, metric: Metric = "euclidean") -> AudioOracle:
    """Build an oracle of some frames at once."""
    oracle = AudioOracle(np.shape(frames)[1], threshold, metric)
    oracle.extend(frames)
    return oracle


def test_an_empty_oracle_is_a_root_alone() -> None:
    """Nothing appended: one state, no suffix link, nothing to compress."""
    oracle = AudioOracle(3, 0.5)
    oracle.extend(np.empty((0, 3)))
    assert oracle.n_states == 1
    assert oracle.suffix_links.tolist() == [-1]
    assert oracle.transitions(0).size == 0
    assert oracle.compression().shape == (0, 2)
    assert oracle.information_rate().size == 0


def test_one_frame_is_one_new_cluster() -> None:
    """One state beside the root, linked back to it."""
    oracle = AudioOracle(3, 0.5)
    assert oracle.append([1.0, 2.0, 3.0]) == 1
    assert links(oracle) == [[-1, 0], [0, 0], [[1], []]]
    assert oracle.clusters.tolist() == [-1, 0]
    assert oracle.compression().tolist() == [[0, 1]]
    assert oracle.frames.tolist() == [[1.0, 2.0, 3.0]]


def test_identical_frames_repeat_each_other_whole() -> None:
    """However long one note is held, each state repeats all before it but one."""
    n = 100_000
    oracle = built(np.ones((n, 2)), 0.1)
    assert oracle.suffix_links[1:].tolist() == list(range(n))
    assert oracle.lrs[1:].tolist() == list(range(n))
    assert oracle.compression().tolist() == [[0, 1], [n - 1, 1]]


def test_a_zero_threshold_never_merges() -> None:
    """No distance is strictly below 0: identical frames stay apart, however many."""
    n = 100_000
    oracle = built(np.ones((n, 2)), 0.0)
    assert not oracle.suffix_links[1:].any()
    assert oracle.transitions(0).tolist() == list(range(1, n + 1))


@pytest.mark.parametrize("metric", SCIPY_NAMES)
def test_a_distance_of_exactly_the_threshold_is_no_hit(metric: MetricName) -> None:
    """Hits are strictly below: at the threshold a frame is new, a rounding above it is not."""
    frames = np.array([[1.0, 0.0], [0.0, 1.0]])
    exact = {"euclidean": math.sqrt(2), "cosine": 1.0, "manhattan": 2.0}[metric]
    assert built(frames, exact, metric).clusters.tolist() == [-1, 0, 1]
    assert built(frames, math.nextafter(exact, 9), metric).clusters.tolist() == [-1, 0, 0]


def test_an_infinite_threshold_merges_whatever_has_a_distance() -> None:
    """All frames are one cluster, and each links to the nearest of what may follow."""
    frames = uniform_frames(300)
    for threshold in (1e9, 1e300, math.inf):
        oracle = built(frames, threshold)
        assert not oracle.clusters[1:].any()
        theirs = build_oracle(frames, threshold=threshold, dfunc="euclidean", dim=15)
        assert_is_vmos(oracle, theirs)


def test_frames_beyond_the_range_of_integers_make_no_wrong_link() -> None:
    """Fifty frames 10¹⁶⁰ times as far as the rest are clamped, and still told apart."""
    frames = uniform_frames(200, 2)
    frames[150:] *= 1e160
    oracle = built(frames, 0.02)
    with np.errstate(over="ignore"):
        assert_is_vmos(oracle, build_oracle(frames, threshold=0.02, dfunc="euclidean", dim=2))


def test_of_equally_near_targets_the_first_is_taken() -> None:
    """A frame midway between two known ones links to the earlier."""
    oracle = built([[0.0], [2.0], [10.0], [1.0]], 1.5)
    assert oracle.suffix_links.tolist() == [-1, 0, 0, 0, 1]


def test_of_a_hundred_equally_near_targets_the_first_is_taken() -> None:
    """The same where the targets are kept in blocks, whatever their order there."""
    generator = np.random.default_rng(0)
    around = generator.permutation(np.vstack((np.eye(150), -np.eye(150)))) * 4
    oracle = built(np.vstack((np.full((1, 150), 9.0), around, np.zeros((1, 150)))), 5.0)
    assert oracle.suffix_links[-1] == 2


def test_by_cosine_a_zero_frame_is_like_nothing() -> None:
    """Silence has no direction: it founds a cluster each time, as SciPy's NaN makes vmo do."""
    frames = np.zeros((200, 4))
    frames[::2] = uniform_frames(100, 4)
    oracle = built(frames, 0.3, "cosine")
    assert (np.diff(np.sort(oracle.clusters[2::2])) > 0).all()


@pytest.mark.parametrize(("n", "threshold"), KNOWN_HASHES)
def test_links_are_vmos_to_the_last_one(n: int, threshold: float) -> None:
    """The nine rows of the facts page, link for link."""
    assert links_hash(built(uniform_frames(n), threshold)) == KNOWN_HASHES[n, threshold]


def test_appending_one_by_one_gives_what_extending_gives() -> None:
    """Growth in single states, in pieces and at once lead to the same oracle."""
    frames = uniform_frames(1500)
    whole, grown, pieces = built(frames, 1.0), AudioOracle(15, 1.0), AudioOracle(15, 1.0)
    assert [grown.append(frame) for frame in frames] == list(range(1, 1501))
    for piece in np.array_split(frames, 7):
        pieces.extend(piece)
    assert links_hash(grown) == links_hash(pieces) == links_hash(whole)
    assert grown.clusters.tolist() == whole.clusters.tolist()


def test_the_factor_oracle_of_abbbaab_is_the_papers() -> None:
    """The example of Allauzen, Crochemore and Raffinot (1999), figure 1."""
    oracle = FactorOracle()
    oracle.extend("abbbaab")
    assert [oracle.transitions(k).tolist() for k in range(8)] == [
        [1, 2], [2, 6], [3, 5], [4, 5], [5], [6], [7], []
    ]  # fmt: skip
    assert oracle.suffix_links.tolist() == [-1, 0, 0, 2, 3, 1, 1, 2]


def test_the_factor_oracle_knows_every_factor() -> None:
    """Each part of the word, and no longer word, is a path from the root."""
    word = "".join(np.random.default_rng(0).choice(list("abc"), 60))
    oracle = FactorOracle()
    oracle.extend(word)
    for start in range(60):
        state = 0
        for symbol in word[start:]:
            state = next(t for t in oracle.transitions(state).tolist() if word[t - 1] == symbol)


@given(st.lists(st.sampled_from("abcde"), max_size=120))
def test_the_factor_oracle_is_vmos(word: list[str]) -> None:
    """Any word gives vmo's links."""
    oracle, theirs = FactorOracle(), create_oracle("f")
    oracle.extend(word)
    for symbol in word:
        theirs.add_state(symbol)
    assert_is_vmos(oracle, theirs)


def test_a_factor_oracle_of_ten_thousand_symbols_is_the_plain_one() -> None:
    """A large alphabet is searched in blocks, and no symbol is taken for another."""
    generator = np.random.default_rng(0)
    word = generator.zipf(1.5, 3000).tolist()
    oracle, plain = FactorOracle(), PlainOracle(1.0, equality)
    oracle.extend(word)
    for symbol in word:
        plain.append(symbol)
    assert_is_plain(oracle, plain)


@st.composite
def frames_and_threshold(draw: st.DrawFn) -> tuple[Float64s, float]:
    """Draw frames on a grid, anywhere or of the same numbers, and a threshold among distances."""
    shape = draw(st.tuples(st.integers(1, 120), st.integers(1, 24)))
    generator = np.random.default_rng(draw(st.integers(0, 2**32)))
    kind = draw(st.sampled_from(["grid", "small", "large", "permuted"]))
    if kind == "grid":
        frames = generator.integers(-3, 4, shape).astype(np.float64)
    elif kind == "permuted":
        # distances that are equal but for the order in which their terms are added
        frames = generator.permuted(
            np.tile(generator.uniform(-4, 4, shape[1]), (shape[0], 1)), axis=1
        )
        frames[generator.random(shape[0]) < 0.5] = 0.0
    else:
        frames = generator.uniform(-1, 1, shape) * (4 if kind == "small" else 1e9)
    threshold = draw(st.integers(0, 12).map(float) | st.floats(0, 12) | st.floats(0, 1e10))
    return frames, threshold


@pytest.mark.parametrize("metric", SCIPY_NAMES)
def test_any_frames_give_vmos_links(metric: MetricName) -> None:
    """Ties, distances on the threshold, huge and tiny numbers: link for link vmo's."""

    @settings(max_examples=350, deadline=None)
    @given(frames_and_threshold())
    def check(case: tuple[Float64s, float]) -> None:
        frames, threshold = case
        with np.errstate(all="ignore"):
            theirs = build_oracle(
                frames, threshold=threshold, dfunc=SCIPY_NAMES[metric], dim=frames.shape[1]
            )
        oracle = built(frames, threshold, metric)
        assert_is_vmos(oracle, theirs)
        assert oracle.clusters[1:].tolist() == theirs.data[1:]

    check()


@pytest.mark.parametrize("metric", SCIPY_NAMES)
@pytest.mark.parametrize(
    "spoil",
    [
        lambda frames: frames,
        lambda frames: frames + 1e7,
        lambda frames: frames * 1e-9,
        lambda frames: frames * 1e120,
        lambda frames: np.round(frames, 1),
        lambda frames: frames * np.logspace(0, 6, frames.shape[1]),
        lambda frames: np.where(np.arange(len(frames))[:, None] % 97, frames, frames * 1e6),
    ],
    ids=["plain", "offset", "tiny", "huge", "tied", "unlike scales", "outliers"],
)
def test_pruning_never_changes_a_link(
    metric: MetricName, spoil: Callable[[Float64s], Float64s]
) -> None:
    """Where many targets are kept in blocks, links are still vmo's, whatever the numbers."""
    frames = spoil(uniform_frames(700, 9, seed=3) - 0.2)
    spread = np.median(
        [
            PLAIN[metric](x, y)
            for x, y in zip(frames[:99].tolist(), frames[99:198].tolist(), strict=True)
        ]
    )
    for part in (0.15, 0.4, 0.7):
        threshold = float(spread * part)
        theirs = build_oracle(frames, threshold=threshold, dfunc=SCIPY_NAMES[metric], dim=9)
        assert_is_vmos(built(frames, threshold, metric), theirs)


@pytest.mark.parametrize("metric", SCIPY_NAMES)
def test_the_plain_twin_agrees_on_thousands_of_cases(metric: MetricName) -> None:
    """Random sizes, dimensions and thresholds: 10,000 cases over the three metrics."""
    generator = np.random.default_rng(1)
    for _ in range(3334):
        n, dim = int(generator.integers(1, 25)), int(generator.integers(1, 6))
        frames = generator.integers(-2, 3, (n, dim)).astype(np.float64)
        if generator.random() < 0.5:
            frames += generator.normal(0, 0.3, frames.shape)
        threshold = float(generator.choice([0.1, 0.5, 1.0, 1.5, 2.0, 3.0]))
        plain = PlainOracle(threshold, PLAIN[metric])
        for frame in frames.tolist():
            plain.append(frame)
        assert_is_plain(built(frames, threshold, metric), plain)


def event_metric(n_tokens: int = 20, dim: int = 15, seed: int = 0) -> EventMetric:
    """Give an event metric whose tokens lie on a plane."""
    generator = np.random.default_rng(seed)
    centroids = generator.normal(size=(n_tokens, 2))
    apart = np.linalg.norm(centroids[:, None] - centroids, axis=2)
    scale, weight = generator.uniform(0.5, 2, dim), generator.uniform(0, 1, dim)
    return EventMetric(apart, scale, weight, np.where(np.arange(dim) == 2, 3.0, math.inf))


def test_events_are_linked_by_the_event_metric() -> None:
    """Tokens by their centroids, a circle the shorter way round, missing dimensions skipped."""
    metric = event_metric()
    generator = np.random.default_rng(2)
    frames = generator.normal(size=(400, 15)) * 0.7
    frames[:, 0] = generator.integers(0, 20, 400)
    frames[:, 2] = generator.uniform(-0.5, 2.5, 400)
    frames[generator.random(frames.shape) < 0.3] = np.nan

    def distance(x: list[float], y: list[float]) -> float:
        total = present = 0.0
        for d, (a, b) in enumerate(zip(x, y, strict=True)):
            if not (math.isnan(a) or math.isnan(b)):
                delta = abs(a - b) if d else float(metric.token_distance[int(a), int(b)])
                if d == 2:
                    delta = min(delta, 3.0 - delta)
                delta /= metric.scale[d]
                total += metric.weight[d] * delta * delta
                present += metric.weight[d]
        return math.sqrt(total / present) if present else math.inf

    for threshold in (0.4, 0.7, 1.0):
        plain = PlainOracle(threshold, distance)
        for frame in frames.tolist():
            plain.append(frame)
        assert_is_plain(built(frames, threshold, metric), plain)


@given(st.lists(st.sampled_from("abc"), min_size=1, max_size=200))
def test_code_words_and_information_rate_are_vmos(word: list[str]) -> None:
    """Compror's words and the cumulated information rate agree to the last bit."""
    frames = np.array([[float(ord(symbol))] for symbol in word])
    oracle = built(frames, 0.5)
    theirs = build_oracle(frames, threshold=0.5, dfunc="euclidean", dim=1)
    rate, _, _ = theirs.IR(alpha=1.2, ir_type="cum")
    assert oracle.compression().tolist() == theirs.code
    assert oracle.information_rate(alpha=1.2).tolist() == rate.tolist()


def test_flat_arrays_hold_what_the_methods_say() -> None:
    """Walking the arrays as documented gives transitions and reverse suffix links."""
    oracle = built(uniform_frames(500), 1.0)
    arrays = oracle.arrays()
    for k in range(arrays.n_states):
        targets = [k + 1] if k + 1 < arrays.n_states else []
        e = int(arrays.first_edge[k])
        while 0 <= e < arrays.n_edges:
            targets.append(int(arrays.edge_target[e]))
            e = int(arrays.next_edge[e])
        assert targets == oracle.transitions(k).tolist() == sorted(targets)
    with pytest.raises(ValueError, match="read-only"):
        arrays.suffix_link[3] = 1


def test_an_oracle_survives_being_stored_and_restored() -> None:
    """Frames and three arrays hold all links, and the restored oracle grows on alike."""
    frames = uniform_frames(3000)
    first = built(frames[:2500], 1.0)
    second = AudioOracle.from_arrays(
        first.frames, first.suffix_links, first.lrs, first.in_degrees, 1.0
    )
    assert links_hash(second) == links_hash(first)
    assert second.clusters.tolist() == first.clusters.tolist()
    first.extend(frames[2500:])
    second.extend(frames[2500:])
    assert links_hash(second) == links_hash(first)


def test_an_empty_oracle_survives_being_stored_and_restored() -> None:
    """A root alone is restored as one."""
    first = AudioOracle(15, 1.0)
    second = AudioOracle.from_arrays(
        first.frames, first.suffix_links, first.lrs, first.in_degrees, 1.0
    )
    assert second.append(np.zeros(15)) == 1


@pytest.mark.parametrize(
    ("name", "state", "value"),
    [
        ("suffix_links", 0, 0),
        ("suffix_links", 7, 7),
        ("suffix_links", 7, 30),
        ("suffix_links", 7, -1),
        ("lrs", 7, -1),
        ("lrs", 7, 7),
        ("in_degrees", 7, 0),
        ("in_degrees", 7, 9),
    ],
)
def test_links_of_no_oracle_are_refused(name: str, state: int, value: int) -> None:
    """Cycles, forward links, impossible lengths and degrees: the state is named."""
    oracle = built(uniform_frames(50), 1.0)
    columns = {
        "suffix_links": oracle.suffix_links.copy(),
        "lrs": oracle.lrs.copy(),
        "in_degrees": oracle.in_degrees.copy(),
    }
    columns[name][state] = value
    with pytest.raises(BrokenLinksError, match=f"state {state} has links no oracle could have"):
        AudioOracle.from_arrays(
            oracle.frames, columns["suffix_links"], columns["lrs"], columns["in_degrees"], 1.0
        )


def test_links_of_another_length_or_type_are_refused() -> None:
    """A truncated or retyped array says which it is."""
    oracle = built(uniform_frames(50), 1.0)
    with pytest.raises(BrokenLinksError, match="links of 50, 51, 51 states, need 51"):
        AudioOracle.from_arrays(
            oracle.frames, oracle.suffix_links[:-1], oracle.lrs, oracle.in_degrees, 1.0
        )
    with pytest.raises(BrokenLinksError, match="lrs is float64"):
        AudioOracle.from_arrays(
            oracle.frames, oracle.suffix_links, oracle.lrs * 1.0, oracle.in_degrees, 1.0
        )


@pytest.mark.parametrize("spoiled", [np.nan, np.inf, -np.inf])
def test_a_frame_that_is_no_number_is_refused_and_nothing_is_added(spoiled: float) -> None:
    """The last frame of a batch is spoiled: none of the batch is added."""
    oracle = built(uniform_frames(10), 1.0)
    frames = uniform_frames(5)
    frames[4, 2] = spoiled
    with pytest.raises(ValueError, match="frames hold NaN or infinite values, need finite"):
        oracle.extend(frames)
    assert oracle.n_states == 11
    assert oracle.append(frames[0]) == 11


@pytest.mark.parametrize(
    ("frame", "error", "message"),
    [
        (np.zeros(14), ValueError, r"frames have shape \(14,\), need \(15,\)"),
        (np.zeros((1, 15)), ValueError, r"frames have shape \(1, 15\), need \(15,\)"),
        (0.0, ValueError, r"frames have shape \(\), need \(15,\)"),
        (["a"] * 15, TypeError, "need real numbers"),
        (np.zeros(15, dtype=complex), TypeError, "frames hold complex128, need real numbers"),
    ],
)
def test_a_frame_of_another_shape_or_type_is_refused(
    frame: Any, error: type[Exception], message: str
) -> None:
    """The error names what came and what is needed."""
    oracle = AudioOracle(15, 1.0)
    with pytest.raises(error, match=message):
        oracle.append(frame)
    assert oracle.n_states == 1


def test_any_real_dtype_and_layout_is_taken() -> None:
    """Integers, float32 and strided views link as their float64 copies do."""
    frames = np.round(uniform_frames(200) * 8)
    expected = links_hash(built(frames, 6.0))
    assert links_hash(built(frames.astype(np.int16), 6.0)) == expected
    assert links_hash(built(frames.astype(np.float32), 6.0)) == expected
    assert links_hash(built(np.asfortranarray(frames), 6.0)) == expected
    assert links_hash(built(np.repeat(frames, 2, axis=0)[::2], 6.0)) == expected


@pytest.mark.parametrize(
    ("dim", "threshold", "metric", "message"),
    [
        (0, 1.0, "euclidean", "dim is 0, need ≥ 1"),
        (3, -1.0, "euclidean", r"threshold is -1\.0, need ≥ 0"),
        (3, math.nan, "euclidean", "threshold is nan, need ≥ 0"),
        (3, 1.0, "hamming", "metric 'hamming' is unknown"),
        (3, 1.0, event_metric(), "dim is 3, need 15 as the event metric has"),
    ],
)
def test_an_impossible_oracle_is_refused(
    dim: int, threshold: float, metric: Metric, message: str
) -> None:
    """Each argument is checked, and the message says what is needed."""
    with pytest.raises(ValueError, match=message):
        AudioOracle(dim, threshold, metric)


@pytest.mark.parametrize("token", [-1.0, 20.0, 1.5])
def test_a_token_that_is_none_is_refused(token: float) -> None:
    """A token is one of the codebook's, or NaN."""
    oracle = AudioOracle(15, 1.0, event_metric())
    frame = np.zeros(15)
    frame[0] = token
    with pytest.raises(ValueError, match="tokens other than 0 … 19 or NaN"):
        oracle.append(frame)
    frame[0] = np.nan
    assert oracle.append(frame) == 1


def test_a_symbol_without_a_hash_is_refused_and_nothing_is_added() -> None:
    """The last symbol is a list: none is added."""
    oracle = FactorOracle()
    with pytest.raises(TypeError, match="unhashable"):
        oracle.extend(["a", []])  # type: ignore[list-item]
    assert oracle.n_states == 1


@pytest.mark.parametrize("state", [-1, 11])
def test_a_state_that_is_not_there_is_refused(state: int) -> None:
    """Links are asked of states 0 … n."""
    oracle = built(uniform_frames(10), 1.0)
    with pytest.raises(ValueError, match=f"state is {state}, need 0 … 10"):
        oracle.transitions(state)
    with pytest.raises(ValueError, match=f"state is {state}, need 0 … 10"):
        oracle.reverse_suffix_links(state)


def test_a_reader_finds_a_consistent_prefix_while_another_thread_appends() -> None:
    """Whatever moment a reader looks, it sees the first states of the final oracle."""
    frames = uniform_frames(4000)
    final = built(frames, 1.0)
    oracle = AudioOracle(15, 1.0)
    writer = threading.Thread(target=lambda: [oracle.append(frame) for frame in frames])
    writer.start()
    seen = []
    while writer.is_alive():
        arrays = oracle.arrays()
        k = arrays.n_states // 2
        seen.append((arrays, k, oracle.transitions(k).tolist()))
    writer.join()
    assert oracle.n_states == 4001
    for arrays, k, transitions in seen:
        n = arrays.n_states
        assert (arrays.suffix_link == final.suffix_links[:n]).all()
        assert (arrays.lrs == final.lrs[:n]).all()
        assert (arrays.frames == final.arrays().frames[:n]).all()
        assert transitions == final.transitions(k).tolist()[: len(transitions)]
        assert len(transitions) >= (final.transitions(k) < n).sum()


def test_kernels_give_the_same_links_uncompiled() -> None:
    """With NUMBA_DISABLE_JIT=1 each metric, with and without blocks, links alike."""
    script = """
import numpy as np
from oracle.audio_oracle import AudioOracle, FactorOracle
from tests.oracle.test_audio_oracle import event_metric, links_hash, uniform_frames

frames = uniform_frames(150, 3)
for metric in ("euclidean", "cosine", "manhattan"):
    for threshold in (0.02, 0.3):
        oracle = AudioOracle(3, threshold, metric)
        oracle.extend(frames)
        print(links_hash(oracle))
        restored = AudioOracle.from_arrays(
            oracle.frames, oracle.suffix_links, oracle.lrs, oracle.in_degrees, threshold, metric
        )
        print(links_hash(restored))
oracle = AudioOracle(3, np.inf)
oracle.extend(frames)
print(links_hash(oracle))
oracle = AudioOracle(3, 0.3, event_metric(dim=3))
oracle.extend(np.floor(frames * 9))
print(links_hash(oracle), oracle.compression().tolist())
"""

    def run(**environment: str) -> str:
        return subprocess.run(
            [sys.executable, "-c", script],
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            check=True,
        ).stdout

    assert run(NUMBA_DISABLE_JIT="1") == run()
