"""Show: what the benchmarks found, now and before, from ``results.jsonl``.

``python -m benchmarks.show`` prints each figure's last value; ``--history FILE.png`` draws every
figure that has a target over the runs; ``--readme FILE.md`` writes the last values as a table
between the two marks in that file.
"""

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from benchmarks._run import RESULTS, Headline

BEGIN: Final = "<!-- python -m benchmarks.show --readme README.md: begin -->"
END: Final = "<!-- end -->"
_COLUMNS: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One figure of one run."""

    benchmark: str
    date: str
    revision: str
    headline: Headline


def read(path: Path = RESULTS) -> list[Finding]:
    """Give every figure of every run, oldest first.

    Raises
    ------
    ValueError
        A line is no result.
    """
    findings = []
    for number, text in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        try:
            line: dict[str, Any] = json.loads(text)
            findings += [
                Finding(
                    benchmark=line["benchmark"],
                    date=line["date"],
                    revision=line["revision"],
                    headline=Headline(**headline),
                )
                for headline in line["headlines"]
            ]
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(
                f"{path}, line {number}, is no result ({error!r}): delete it"
            ) from None
    return findings


def latest(findings: list[Finding]) -> list[Finding]:
    """Give each figure's last value, by benchmark."""
    last = {(finding.benchmark, finding.headline.name): finding for finding in findings}
    return sorted(last.values(), key=lambda finding: finding.benchmark)


def cells(finding: Finding) -> tuple[str, str, str, str]:
    """Format the columns of a table: figure, value, target, how it was measured."""
    headline = finding.headline
    sign = "≤" if headline.better == "lower" else "≥"
    verdict = "" if headline.is_met else " **missed**"
    target = "" if headline.target is None else f"{sign} {headline.target:g}{verdict}"
    return (
        headline.name,
        f"{_digits(headline.value)} {headline.unit}".rstrip(),
        target,
        f"`python -m benchmarks.{finding.benchmark}`, {finding.date[:10]}, {finding.revision}",
    )


def _digits(value: float) -> str:
    """Write three digits, and large numbers whole."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def markdown(findings: list[Finding]) -> str:
    """Write a table."""
    lines = ["| figure | measured | target | by |", "|---|---|---|---|"]
    return "\n".join([*lines, *("| " + " | ".join(cells(each)) + " |" for each in findings)])


def write_between_marks(path: Path, text: str) -> None:
    """Put the text between the marks of a file.

    Raises
    ------
    ValueError
        The file lacks a mark.
    """
    content = path.read_text(encoding="utf-8")
    before, begin, rest = content.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"{path} has no line {BEGIN!r} with {END!r} after it: add both")
    path.write_text(f"{before}{begin}\n{text}\n{end}{after}", encoding="utf-8")


def histories(findings: list[Finding]) -> Iterator[list[Finding]]:
    """Give the runs of each figure that has a target and was measured more than once."""
    runs: dict[tuple[str, str], list[Finding]] = {}
    for finding in findings:
        if finding.headline.target is not None:
            runs.setdefault((finding.benchmark, finding.headline.name), []).append(finding)
    yield from (run for run in runs.values() if len(run) > 1)


def draw(findings: list[Finding], path: Path) -> None:
    """Draw the history of every figure that has one, its target as a dashed line."""
    from matplotlib.figure import Figure

    found = list(histories(findings))
    n_rows = max(1, -(-len(found) // _COLUMNS))
    figure = Figure(figsize=(4.5 * _COLUMNS, 2.4 * n_rows), layout="constrained")
    panels = figure.subplots(n_rows, _COLUMNS, squeeze=False).ravel()
    for panel in panels[len(found) :]:
        panel.set_axis_off()
    for panel, run in zip(panels, found, strict=False):
        panel.plot([finding.headline.value for finding in run], ".-", color="#1f6f8b")
        panel.axhline(run[-1].headline.target, color="#c0392b", linewidth=0.8, linestyle="--")
        panel.set_title(f"{run[-1].benchmark}: {run[-1].headline.name}", fontsize=8)
        panel.set_ylabel(run[-1].headline.unit, fontsize=8)
        panel.set_xticks(range(len(run)), [finding.revision[:7] for finding in run], fontsize=6)
    figure.savefig(path, dpi=110)


def main(arguments: list[str] | None = None) -> int:
    """Print, draw or write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--history", type=Path, metavar="FILE.png", help="draw figures over runs")
    parser.add_argument("--readme", type=Path, metavar="FILE.md", help="write the table into it")
    parser.add_argument("--results", type=Path, default=RESULTS, metavar="FILE.jsonl")
    options = parser.parse_args(arguments)
    try:
        findings = read(options.results)
        if options.readme:
            write_between_marks(options.readme, markdown(latest(findings)))
    except FileNotFoundError as error:
        print(f"There is no {error.filename}: run a benchmark first.", file=sys.stderr)
        return 1
    except ValueError as error:
        print(f"{error}.", file=sys.stderr)
        return 1
    if options.history:
        draw(findings, options.history)
    if not options.readme and not options.history:
        table = Table("figure", "measured", "target", "by")
        for finding in latest(findings):
            table.add_row(*(cell.replace("**", "").replace("`", "") for cell in cells(finding)))
        Console().print(table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
