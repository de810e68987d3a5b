"""What the benchmarks found is shown as it was found."""

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from benchmarks._run import RESULTS, Headline
from benchmarks.show import BEGIN, END, latest, main, markdown, read
from tests.conftest import REPOSITORY


def keep(path: Path, *runs: tuple[str, float]) -> None:
    """Write results: benchmark and value of the one figure of each run."""
    lines = [
        {
            "benchmark": benchmark,
            "date": f"2026-11-2{day}T20:00:00+00:00",
            "revision": f"abcdef{day}",
            "headlines": [asdict(Headline(name="figure", value=value, unit="ms", target=2.0))],
        }
        for day, (benchmark, value) in enumerate(runs)
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


def test_the_last_run_of_each_figure_counts(tmp_path: Path) -> None:
    """Also if it was better before."""
    keep(tmp_path / "r", ("oracle", 1.0), ("capture", 1.5), ("oracle", 3.0))
    found = latest(read(tmp_path / "r"))
    assert [(each.benchmark, each.headline.value) for each in found] == [
        ("capture", 1.5),
        ("oracle", 3.0),
    ]
    assert "| figure | 3 ms | ≤ 2 **missed** | `python -m benchmarks.oracle`" in markdown(found)


def test_the_table_takes_the_place_of_the_old_one_and_nothing_else_changes(tmp_path: Path) -> None:
    """What stands around the marks stays."""
    keep(tmp_path / "r", ("oracle", 1.0))
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    assert main(["--results", str(tmp_path / "r"), "--readme", str(readme)]) == 0
    text = readme.read_text()
    assert text.startswith(f"before\n{BEGIN}\n| figure |")
    assert text.endswith(f"|\n{END}\nafter\n")
    assert "old" not in text


def test_the_projects_own_results_are_those_in_its_readme() -> None:
    """No figure in the table was written by hand."""
    assert markdown(latest(read(RESULTS))) in (REPOSITORY / "README.md").read_text()


def test_the_history_is_drawn(tmp_path: Path) -> None:
    """Of a figure that has a target and was measured twice."""
    keep(tmp_path / "r", ("oracle", 1.0), ("oracle", 3.0), ("capture", 1.0))
    assert main(["--results", str(tmp_path / "r"), "--history", str(tmp_path / "h.png")]) == 0
    assert (tmp_path / "h.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("results", "readme", "message"),
    [
        (None, f"{BEGIN}\n{END}\n", "run a benchmark first"),
        ("{}\n", f"{BEGIN}\n{END}\n", "line 1, is no result"),
        ("torn", f"{BEGIN}\n{END}\n", "line 1, is no result"),
        ("", "no marks", "has no line"),
    ],
)
def test_what_cannot_be_shown_is_said(
    results: str | None,
    readme: str,
    message: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """In one sentence, and the file stays as it was."""
    if results is not None:
        (tmp_path / "r").write_text(results)
    (tmp_path / "README.md").write_text(readme)
    options = ["--results", str(tmp_path / "r"), "--readme", str(tmp_path / "README.md")]
    assert main(options) == 1
    assert message in capsys.readouterr().err
    assert (tmp_path / "README.md").read_text() == readme
