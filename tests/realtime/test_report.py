"""What a performance measured, as numbers and as a file."""

import json
from pathlib import Path

import pytest

from realtime.report import STAGES, Performance, ReportError, write_report

NS_PER_MS = 1_000_000


def performance() -> Performance:
    """Make one in which the oracle took too long and one event of four went unanswered."""
    made = Performance(n_events=4, n_answers=3, n_considered=2, n_notes=5, n_learned=4)
    made.stages["oracle"].record(4 * NS_PER_MS)
    made.stages["midi"].record(2 * NS_PER_MS)
    made.event_latency.record(31 * NS_PER_MS)
    made.token_age.record(6 * NS_PER_MS)
    made.heard.record(25 * NS_PER_MS)
    made.unanswered["too late"] += 1
    made.relaxed.update(["register", "taboo", "register"])
    made.silenced_samples = 17
    return made


def test_a_performance_without_events_has_a_report() -> None:
    """All zero, and nothing divided by it."""
    report = Performance().as_dict({})
    assert report["considered_share"] == 0.0
    assert report["event_latency_ms"] == {"p50": 0.0, "p95": 0.0, "p99": 0.0, "max": 0.0}


def test_two_performances_share_nothing() -> None:
    """Each has histograms and counters of its own."""
    performance()
    assert Performance().as_dict({}) == Performance().as_dict({})
    assert Performance().as_dict({})["unanswered"] == {}


def test_the_report_has_every_number_by_its_name() -> None:
    """Stages in the order of the path, and what was played on top."""
    report = performance().as_dict({"input": "take.flac"})
    assert report["input"] == "take.flac"
    assert tuple(report["stages"]) == STAGES
    assert report["event_latency_ms"]["p99"] == report["event_latency_ms"]["max"] == 31.0
    assert report["token_age_ms"]["max"] == 6.0
    assert report["heard_ms"]["max"] == 25.0
    assert report["considered_share"] == 0.6667
    assert report["unanswered"] == {"too late": 1}
    assert report["relaxed"] == {"register": 2, "taboo": 1}
    assert report["n_events"] == report["n_answers"] + sum(report["unanswered"].values())
    counts = {"n_notes", "n_learned", "xruns", "dropped_blocks", "silenced_samples"}
    counts |= {"refused_records", "skipped_windows", "late_notes", "late_tokens"}
    assert all(isinstance(report[name], int) for name in counts)


def test_a_report_is_written_over_an_older_one(tmp_path: Path) -> None:
    """As JSON that reads back equal, and nothing is left beside it."""
    path = tmp_path / "report.json"
    path.write_text("old")
    report = performance().as_dict({"input": "Übung.flac"})
    write_report(path, report)
    assert json.loads(path.read_text(encoding="utf-8")) == report
    assert [*tmp_path.iterdir()] == [path]


def test_a_report_that_cannot_be_written_leaves_the_place_as_it_was(tmp_path: Path) -> None:
    """The error is raised, and half a report is not left lying about."""
    path = tmp_path / "folder"
    path.mkdir()
    with pytest.raises(ReportError, match="choose another --report"):
        write_report(path, performance().as_dict({}))
    assert [*tmp_path.iterdir()] == [path]
