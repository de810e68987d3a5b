import json
from typing import Any

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


GOOD: dict[str, Any] = {
    "rows": [{"identical": True, "ratio": ratio} for ratio in (41.0, 120.0, 130.0)],
    "recordings": [],
    "random": {"n_cases": 1, "n_identical": 1},
    "threshold_search": [{"n": 1000, "same_threshold": True, "ratio": 60.0}],
    "growth": {"n_states": 10, "append_p99_ms": [0.1, 0.2], "bytes_per_state": 300.0},
}


@pytest.mark.parametrize(
    ("worse", "missed"),
    [
        ({}, []),
        ({"rows": [{"identical": True, "ratio": 39.0}, *GOOD["rows"][1:]]}, ["least ratio"]),
        ({"rows": [{"identical": True, "ratio": 99.0}]}, ["median ratio"]),
        ({"rows": [{"identical": False, "ratio": 120.0}]}, ["identical"]),
        ({"random": {"n_cases": 1000, "n_identical": 999}}, ["identical"]),
        (
            {"threshold_search": [{"n": 1000, "same_threshold": False, "ratio": 60.0}]},
            ["threshold search"],
        ),
        ({"growth": {**GOOD["growth"], "append_p99_ms": [0.6, 0.1]}}, ["adding a state"]),
    ],
)
def test_a_verdict_needs_every_part(worse: dict[str, Any], missed: list[str]) -> None:
    """One part below its target, and that target is missed; the others are not."""
    decided = list(benchmark.headlines({**GOOD, **worse}))
    names = [headline.name for headline in decided if not headline.is_met]
    assert len(names) == len(missed)
    assert all(part in name for part, name in zip(missed, names, strict=True))
