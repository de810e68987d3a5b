import json
from pathlib import Path

import pytest

from benchmarks import inference as benchmark
from benchmarks._run import Headline
from models.neural import default_layer


def test_a_quick_run_measures_the_recommended_row_and_its_neighbours(
    shared_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """On a tiny model, whose embeddings are the usual way's within rounding."""
    assert shared_data == benchmark.DATA
    assert benchmark.main(["--quick", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    (row,) = result["rows"]
    assert row["recommended"]
    assert (row["window_s"], row["batch"], row["threads"]) == (1.0, 1, 1)
    assert row["relative_error"] < 0.03
    assert row["ratio"] == pytest.approx(row["reference_ms"] / row["ours_ms"])
    assert result["flips"] < 0.5
    assert min(result["learning_times_as_fast"], result["lookup_p99_ms"]) > 0


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
