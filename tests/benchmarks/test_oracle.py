import json

import pytest

from benchmarks import oracle as benchmark


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # what librosa imports
def test_a_quick_run_finds_every_link_identical(capsys: pytest.CaptureFixture[str]) -> None:
    """The benchmark runs, prints one JSON object, and its oracles are vmo's."""
    assert benchmark.main(["--quick", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert [row["n"] for row in report["rows"]] == [1000, 1000, 1000]
    assert all(row["identical"] and row["ratio"] > 0 for row in report["rows"])
    assert all(r[kind]["identical"] for r in report["recordings"] for kind in ("mfcc", "chroma"))
    assert report["random"] == {"n_cases": 20, "n_identical": 20}
    assert all(search["same_threshold"] for search in report["threshold_search"])
    assert report["growth"]["n_states"] == 5001
    assert report["growth"]["bytes_per_state"] > 0


def test_a_verdict_needs_every_part() -> None:
    """One row below the least ratio, and the whole is not within budget."""
    report = {
        "rows": [{"identical": True}],
        "recordings": [],
        "random": {"n_cases": 1, "n_identical": 1},
        "median_ratio": 120.0,
        "least_ratio": 41.0,
        "threshold_search": [{"same_threshold": True, "ratio": 60.0}],
        "growth": {"append_p99_ms": [0.1, 0.2]},
    }
    assert benchmark.is_within_budget(report)
    assert not benchmark.is_within_budget({**report, "least_ratio": 39.0})
    assert not benchmark.is_within_budget({**report, "growth": {"append_p99_ms": [0.6]}})
    assert not benchmark.is_within_budget({**report, "rows": [{"identical": False}]})
