from benchmarks import inference as benchmark
from benchmarks._run import Headline
from models.neural import default_layer


def test_the_recommended_row_is_one_and_has_the_defaults() -> None:
    """Of all that a whole run measures, on any machine."""
    rows = benchmark.settings(is_quick=False)
    (row,) = [row for row in rows if row.recommended]
    assert (row.layers, row.window_s, row.batch) == (default_layer(12), 1.0, 1)


def test_the_verdict_is_on_speed_and_on_error() -> None:
    """A fast pass that is wrong misses its target."""
    row = {
        "layers": 12, "window_s": 0.5, "threads": 1, "precision": "bf16", "ratio": 9.0,
        "relative_error": 0.05, "ours_ms": 20.0,
    }  # fmt: skip
    result = {
        "rows": [row],
        "timer_late_p99_ms": 0.1,
        "learning_times_as_fast": 30.0,
        "lookup_p99_ms": 0.2,
        "flips": 0.01,
    }
    missed: list[Headline] = [line for line in benchmark.headlines(result) if not line.is_met]
    assert [line.name for line in missed] == ["recommended, error"]
