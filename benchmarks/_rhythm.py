"""Rhythm: whether ratios and beats are what was played, and what an update costs.

Rows for `benchmarks.listening`. Budget: of twelve patterns under jitter of 0, 5, 10, 15 and 25 ms,
1.00, 1.00, .97, .92 and .70 exactly right; beats of the drum tracks F ≥ .80, foretold, after the
first 5 s; an update p99 ≤ 0.3 ms however long the stream.

How it could mislead: the patterns are analysed as phrases whose end is known; on stage and in
training an onset is judged when it comes, and what that loses is told beside. The patterns are
ours, and the beat tracker was tuned on these very tracks.
Whether they are as hard as those that the published method was measured on (1.00, .99, .92, .82,
.51) is told by that method, run beside ours.
"""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import mir_eval
import numpy as np
from numpy.typing import NDArray

from benchmarks._run import Headline
from models.audio_file import AudioFile
from models.listener import ATTACK, Listener
from oracle._ratios import indigestibilities
from oracle.beats import BEFORE_BEAT, BeatTracker
from oracle.ratios import RatioAnalysis, analyse_phrase
from oracle.rhythm import RhythmTracker

JITTERS_MS = (0, 5, 10, 15, 25)
SHARES_WANTED = (1.0, 1.0, 0.97, 0.92, 0.70)
PATTERNS = {
    "even": ((1, 1, 1, 1), 0.5),
    "quarter, two eighths, quarter": ((2, 1, 1, 2), 0.25),
    "dotted": ((3, 1, 4), 0.25),
    "as in the article": ((4, 2, 2, 3, 1, 4), 0.1835),
    "tresillo": ((3, 3, 2, 3, 3, 2), 0.125),
    "triplet and eighths": ((6, 3, 3, 2, 2, 2, 6), 1 / 12),
    "mixed": ((4, 2, 2, 4, 3, 1, 4), 0.25),
    "swing": ((2, 1, 2, 1, 2, 1, 2, 1), 1 / 6),
    "clave": ((3, 3, 4, 2, 4), 0.25),
    "gallop": ((2, 1, 1, 2, 1, 1), 0.25),
    "waltz": ((2, 1, 2, 1, 1, 1), 0.25),
    "dotted twice": ((3, 1, 3, 1, 2, 2), 0.25),
}
"""Durations in ticks, and the tick in seconds."""
INDIGESTIBILITY = indigestibilities(4096)
Analyse = Callable[[NDArray[np.float64]], tuple[int, ...]]


def onsets_of(durations: Sequence[int], tick_s: float) -> NDArray[np.float64]:
    """Return when the notes of a pattern begin, and when the last one ends."""
    onsets_s: NDArray[np.float64] = np.cumsum([0.0, *durations]) * tick_s
    return onsets_s


def our_durations(onsets_s: NDArray[np.float64]) -> tuple[int, ...]:
    """Return what our analysis makes of a phrase."""
    ratio = analyse_phrase(onsets_s)
    return () if ratio is None else ratio.durations


def streamed_durations(onsets_s: NDArray[np.float64]) -> tuple[int, ...]:
    """Return what training and stage make of it, who do not know that an onset is the last."""
    analysis = RatioAnalysis()
    ratio = [analysis.hear(onset_s) for onset_s in onsets_s.tolist()][-1]
    return () if ratio is None else ratio.durations


def published_durations(onsets_s: NDArray[np.float64]) -> tuple[int, ...]:
    """Return what the published method makes of a phrase: steps 1 to 6 of it, weights alike."""
    intervals = np.diff(onsets_s)
    references = [*intervals, *(intervals[:-1] + intervals[1:])]
    patterns = (_published_pattern(intervals / reference) for reference in references)
    rhythms = [pattern for pattern in dict.fromkeys(patterns) if min(pattern) > 0]
    strayed, indigestible = [], []
    for pattern in rhythms:
        positions = onsets_of(pattern, 1.0)
        first, last = np.triu_indices(positions.size, 1)
        tick_s = np.mean((onsets_s[last] - onsets_s[first]) / (positions[last] - positions[first]))
        errors_s = onsets_s[1:] - onsets_s[0] - positions[1:] * tick_s
        strayed.append(np.abs(errors_s / (np.array(pattern) * tick_s)).sum())
        indigestible.append(sum(INDIGESTIBILITY[ticks] for ticks in pattern))
    costs = _min_max(np.array(strayed)) + _min_max(np.array(indigestible))
    return rhythms[int(np.argmin(costs))]


def _published_pattern(ratios: NDArray[np.float64]) -> tuple[int, ...]:
    """Quantise to thirds or fourths, finer where small, and bring to whole numbers."""
    parts = []
    for ratio in ratios:
        unit = Fraction(1)
        while ratio < 0.2083 * unit and unit > Fraction(1, 64):
            unit /= 2
        grids = [round(float(n * ratio / unit)) * unit / n for n in (3, 4)]
        parts.append(min(grids, key=lambda part: abs(part - ratio)))
    whole = [int(part * math.lcm(*(part.denominator for part in parts))) for part in parts]
    return tuple(ticks // math.gcd(*whole) for ticks in whole) if any(whole) else (0,)


def _min_max(values: NDArray[np.float64]) -> NDArray[np.float64]:
    span = float(np.ptp(values))
    scaled: NDArray[np.float64] = (values - values.min()) / (span if span > 0 else 1.0)
    return scaled


def share_exact(analyse: Analyse, jitter_ms: float, n_times: int, seed: int = 0) -> float:
    """Return the share of patterns found exactly, each played `n_times` with jitter."""
    rng = np.random.default_rng(seed)
    n_right = 0
    for durations, tick_s in PATTERNS.values():
        onsets_s = onsets_of(durations, tick_s)
        for _ in range(n_times):
            played_s = np.sort(onsets_s + rng.normal(0, jitter_ms / 1e3, onsets_s.size))
            n_right += analyse(played_s) == durations
    return n_right / (n_times * len(PATTERNS))


def foretold_beats(attacks: NDArray[np.void], rate_hz: int, end_s: float) -> NDArray[np.float64]:
    """Return the beats as one could have played them: each foretold by what was decided before."""
    tracker = BeatTracker()
    decided_s = np.append(attacks["decision_frame"] / rate_hz, end_s).tolist()
    beats: list[float] = []
    for i, attack in enumerate(attacks):
        onset_s = float(attack["onset_frame"]) / rate_hz
        beat = tracker.hear(onset_s, float(attack["velocity"]))
        # no nearer to the beat played last than half a beat
        apart_s = (0.5 + BEFORE_BEAT) * beat.period_s
        since_s = max(onset_s, beats[-1] + apart_s) if beats else onset_s
        while (due_s := beat.due_s(since_s, decided_s[i])) < decided_s[i + 1]:
            beats.append(due_s)
            since_s = due_s + apart_s
    return np.array(beats)


def score_beats(path: Path) -> float:
    """Return the beat F-measure of a recording whose beats are annotated, after 5 s."""
    lines = path.with_suffix(".beats.txt").read_text().split("\n")
    truth_s = np.array([float(line.split()[0]) for line in lines if line.strip()])
    file = AudioFile(path)
    listener = Listener(file.rate_hz)
    records = np.concatenate([listener.hear(block).copy() for block in file.blocks(file.rate_hz)])
    attacks = records[records["kind"] == ATTACK]
    beats_s = foretold_beats(attacks, file.rate_hz, file.n_frames / file.rate_hz)
    trimmed = (mir_eval.beat.trim_beats(times_s) for times_s in (truth_s, beats_s))
    return float(mir_eval.beat.f_measure(*trimmed))


def measure_update(n_onsets: int) -> dict[str, float]:
    """Measure an update in this thread's CPU time; the last tenth of the stream for itself."""
    rng = np.random.default_rng(0)
    tracker = RhythmTracker()
    costs_us = np.zeros(n_onsets)
    onsets_s = np.cumsum(rng.uniform(0.06, 0.8, n_onsets)).tolist()
    velocities = rng.uniform(20, 110, n_onsets).tolist()
    tracker.hear(0.0, 64.0)
    tracker.hear(0.01, 64.0)
    for i, onset_s in enumerate(onsets_s):
        start_ns = time.thread_time_ns()
        tracker.hear(onset_s, velocities[i])
        costs_us[i] = (time.thread_time_ns() - start_ns) / 1e3
    return {
        "p50_us": float(np.median(costs_us)),
        "p99_us": float(np.percentile(costs_us, 99)),
        "max_us": float(costs_us[10:].max()),
        "last_p99_us": float(np.percentile(costs_us[-n_onsets // 10 :], 99)),
        "n_onsets": n_onsets,
    }


def rows(quick: bool, data: Path) -> dict[str, Any]:
    """Answer the questions; `quick` plays the patterns less often and leaves the tracks out."""
    n_times = 10 if quick else 200
    result: dict[str, Any] = {
        "exact": {str(ms): share_exact(our_durations, ms, n_times) for ms in JITTERS_MS},
        "exact_in_stream": {
            str(ms): share_exact(streamed_durations, ms, n_times) for ms in JITTERS_MS
        },
        "update": measure_update(1000 if quick else 20_000),
    }
    if quick:
        return result
    result["exact_as_published"] = {
        str(ms): share_exact(published_durations, ms, n_times // 4) for ms in JITTERS_MS
    }
    tracks = sorted((data / "drums").glob("*.flac"))
    if tracks:
        scores = {path.stem: score_beats(path) for path in tracks}
        result["beats"] = scores | {"mean": float(np.mean(list(scores.values())))}
    return result


def headlines(result: dict[str, Any]) -> Iterator[Headline]:
    """Pick what decides."""
    for (ms, share), wanted in zip(result["exact"].items(), SHARES_WANTED, strict=True):
        name = f"patterns exact at {ms} ms of jitter"
        yield Headline(name=name, value=share, target=wanted, better="higher")
    update = result["update"]
    yield Headline(name="rhythm update p99", value=update["p99_us"] / 1e3, unit="ms", target=0.3)
    if "beats" in result:
        mean = result["beats"]["mean"]
        yield Headline(name="drums, F of beats", value=mean, target=0.8, better="higher")


def show(result: dict[str, Any]) -> None:
    """Print the answers for a reader."""
    for key, whose in (
        ("exact", "ours"),
        ("exact_in_stream", "ours, end unknown"),
        ("exact_as_published", "as published"),
    ):
        shares = (f"{ms} ms {share:.3f}" for ms, share in result.get(key, {}).items())
        if key in result:
            print(f"{f'patterns exact, {whose}':30}  {'  '.join(shares)}")
    if "beats" in result:
        scores = (f"{name} {score:.2f}" for name, score in result["beats"].items())
        print(f"{'beats foretold, F':30}  {'  '.join(scores)}")
    update = result["update"]
    print(
        f"rhythm update: p50 {update['p50_us']:.0f} µs, p99 {update['p99_us']:.0f}, max"
        f" {update['max_us']:.0f}; p99 of the last tenth of {update['n_onsets']} onsets"
        f" {update['last_p99_us']:.0f}"
    )
