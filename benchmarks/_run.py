"""Run: what every benchmark's command line does, and the line it leaves in ``results.jsonl``.

A benchmark is a function that measures and returns plain numbers, one that prints them for a
reader, and one that picks its headlines: the few figures that decide, each with the value it must
reach. A whole run appends one line to ``benchmarks/results.jsonl``: headlines, numbers, revision,
machine, versions, parameters. A quick run decides nothing and leaves none.
"""

import argparse
import importlib.metadata
import json
import os
import platform
import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal

RESULTS: Final = Path(__file__).with_name("results.jsonl")
REPOSITORY: Final = RESULTS.parent.parent
PACKAGES: Final = ("numba", "numpy", "python-rtmidi", "sounddevice", "torch", "uvloop")

_CPU_INFO: Final = Path("/proc/cpuinfo")


class NotMeasuredError(Exception):
    """Raised when this machine lacks what a benchmark needs; the message says what to install."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Headline:
    """A figure that decides.

    Attributes
    ----------
    unit
        Such as "ms", "×" or "%"; empty for a count or a score.
    target
        What it must reach; None if it is told for its own sake.
    better
        Whether it must be at least ("higher") or at most ("lower") its target.
    """

    name: str
    value: float
    unit: str = ""
    target: float | None = None
    better: Literal["higher", "lower"] = "lower"

    @property
    def is_met(self) -> bool:
        """Whether the target is reached, or there is none."""
        if self.target is None:
            return True
        return self.value <= self.target if self.better == "lower" else self.value >= self.target

    def __str__(self) -> str:
        """Write it as a reader wants it: three digits, target and verdict."""
        text = f"{self.name} {self.value:.3g} {self.unit}".rstrip()
        if self.target is None:
            return text
        sign = "≤" if self.better == "lower" else "≥"
        return f"{text} ({sign} {self.target:g}: {'met' if self.is_met else 'MISSED'})"


def run(
    doc: str | None,
    measure: Callable[[argparse.Namespace], dict[str, Any]],
    show: Callable[[dict[str, Any]], None],
    headlines: Callable[[dict[str, Any]], Iterable[Headline]],
    *,
    add_options: Callable[[argparse.ArgumentParser], None] = lambda parser: None,
    arguments: list[str] | None = None,
) -> int:
    """Measure as the command line asks, print, keep the line, and say whether targets were met.

    Returns
    -------
    int
        0 if every target was reached, or the run was quick, or nothing could be measured here;
        1 otherwise.
    """
    parser = argparse.ArgumentParser(description=(doc or "").splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--quick", action="store_true", help="a fraction of the work, no verdict")
    add_options(parser)
    options = parser.parse_args(arguments)
    try:
        result = measure(options)
    except NotMeasuredError as error:
        print(json.dumps({"skipped": str(error)}) if options.json else f"Not measured: {error}")
        return 0
    decided = list(headlines(result))
    if options.json:
        print(json.dumps(result))
    else:
        show(result)
        print(*decided, sep="\n")
    if options.quick:
        return 0
    name = Path(sys.modules[measure.__module__].__file__ or "").stem
    append(name, decided, result, vars(options))
    return 0 if all(headline.is_met for headline in decided) else 1


def append(
    name: str, headlines: Iterable[Headline], result: dict[str, Any], parameters: dict[str, Any]
) -> None:
    """Add one run to the results, in a single write."""
    line = {
        "benchmark": name,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "revision": _revision(),
        "machine": machine(),
        "versions": {package: _version(package) for package in PACKAGES},
        "parameters": {key: value for key, value in parameters.items() if key != "json"},
        "headlines": [asdict(headline) for headline in headlines],
        "result": result,
    }
    with RESULTS.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line, default=str) + "\n")


def machine() -> dict[str, Any]:
    """Describe the machine."""
    models = [
        line.split(":", 1)[1].strip()
        for line in (_CPU_INFO.read_text().splitlines() if _CPU_INFO.exists() else [])
        if line.startswith("model name")
    ]
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "processor": models[0] if models else platform.processor(),
        "n_cores": os.cpu_count(),
        "python": platform.python_version(),
    }


def _revision() -> str:
    """Give git's name of what was measured, with ``-dirty`` where files differ from it."""
    command = ["git", "describe", "--always", "--dirty", "--exclude=*"]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
