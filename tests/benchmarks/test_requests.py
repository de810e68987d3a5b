import json

import pytest

from benchmarks import requests as benchmark

REQUESTS = ["nothing", "considered", "reflex", "seed's", "unmeetable"]


def test_a_quick_run_measures_every_request_in_a_small_and_a_larger_memory(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """One JSON object; what a state has is met, what none can have is not."""
    assert benchmark.main(["--quick", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert [(row["n_states"], row["request"]) for row in rows] == [
        (n, name) for n in (1001, 5001) for name in REQUESTS
    ]
    met = {row["request"]: row["share_met"] for row in rows}
    assert met["nothing"] == 1
    assert met["unmeetable"] == 0
    assert all(0 < row["p50_ms"] <= row["p99_ms"] <= row["max_ms"] for row in rows)


@pytest.mark.parametrize("n_states", [11, 101])
def test_one_row_beyond_the_budget_is_a_failure(n_states: int) -> None:
    """At any size."""
    rows = [{"n_states": n, "p99_ms": 0.19} for n in (11, 11, 101, 101)]
    assert all(headline.is_met for headline in benchmark.headlines({"rows": rows}))
    rows.append({"n_states": n_states, "p99_ms": 0.21})
    missed = [h.name for h in benchmark.headlines({"rows": rows}) if not h.is_met]
    assert missed == [f"request, worst p99 at {n_states - 1} states"]
