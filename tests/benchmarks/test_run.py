"""A benchmark's run is decided by its headlines, and kept whole or not at all."""

import argparse
import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks import _run
from benchmarks._run import Headline, NotMeasuredError, run

ARGUMENTS = {"whole": [], "quick": ["--quick"], "as JSON": ["--json"]}


@pytest.fixture(autouse=True)
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep results away from those of the project."""
    path = tmp_path / "results.jsonl"
    monkeypatch.setattr(_run, "RESULTS", path)
    return path


def measured(value: float, arguments: list[str]) -> int:
    """Run a benchmark of one figure that must not exceed 2."""

    def measure(options: argparse.Namespace) -> dict[str, Any]:
        return {"value": value}

    def headlines(result: dict[str, Any]) -> list[Headline]:
        return [Headline(name="figure", value=result["value"], unit="ms", target=2.0)]

    return run("A question.", measure, lambda result: None, headlines, arguments=arguments)


@pytest.mark.parametrize(
    ("value", "target", "better", "is_met"),
    [
        (2.0, 2.0, "lower", True),
        (2.1, 2.0, "lower", False),
        (2.0, 2.0, "higher", True),
        (1.9, 2.0, "higher", False),
        (9.9, None, "lower", True),
        (float("nan"), 2.0, "lower", False),
        (float("nan"), 2.0, "higher", False),
    ],
)
def test_a_target_is_reached_or_missed(
    value: float, target: float | None, better: Any, is_met: bool
) -> None:
    """At the target itself it is reached; what was not measured reaches none."""
    assert Headline(name="", value=value, target=target, better=better).is_met is is_met


@pytest.mark.parametrize("arguments", ARGUMENTS.values(), ids=ARGUMENTS.keys())
def test_a_reached_target_ends_well(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """However it is run."""
    assert measured(1.0, arguments) == 0
    assert "1" in capsys.readouterr().out


def test_a_missed_target_fails_a_whole_run_only(capsys: pytest.CaptureFixture[str]) -> None:
    """A quick run decides nothing."""
    assert measured(3.0, []) == 1
    assert "figure 3 ms (≤ 2: MISSED)" in capsys.readouterr().out
    assert measured(3.0, ["--quick"]) == 0


def test_each_whole_run_leaves_a_line_and_a_quick_one_none(results: Path) -> None:
    """With headlines, numbers, revision, machine and versions."""
    measured(1.0, ["--quick"])
    assert not results.exists()
    measured(1.0, [])
    measured(3.0, [])
    first, second = (json.loads(line) for line in results.read_text().splitlines())
    assert (first["result"], second["result"]) == ({"value": 1.0}, {"value": 3.0})
    assert Headline(**first["headlines"][0]).is_met
    assert first["benchmark"] == "test_run"
    assert first["revision"]
    assert first["machine"]["n_cores"] >= 1
    assert first["versions"]["numpy"]
    assert first["parameters"] == {"quick": False}


def test_what_cannot_be_measured_here_says_why_and_leaves_no_line(
    results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is no failure: `make bench` goes on."""

    def measure(options: argparse.Namespace) -> dict[str, Any]:
        raise NotMeasuredError("there is no jackd")

    assert run("A question.", measure, print, lambda result: [], arguments=["--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"skipped": "there is no jackd"}
    assert not results.exists()
