"""Doctor: ``python -m realtime.doctor``, whether this machine can play, and what to do if not.

Main thread. Each check opens what a performance would, for a moment, and closes it; nothing is
changed. It says what it saw in a line: ok, a warning, or failed with the remedy.
"""

import argparse
import json
import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Final

from rich.markup import escape

from models.terminal import CommandLine, Terminal
from realtime.command_line import DEFAULT_MEMORY, Memories
from realtime.config import Config, load_config
from realtime.examination import (
    FAILED,
    KNOWN,
    OK,
    WARNING,
    Finding,
    examine_encoders,
    examine_input,
    examine_midi,
)
from realtime.machine import examine_disk, examine_power, examine_real_time, examine_software

_STYLES: Final = {OK: "green", WARNING: "yellow", FAILED: "red"}
NAME_WIDTH: Final = 14


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit code: 0 if nothing failed."""
    options = _parser().parse_args(arguments)
    findings = []
    terminal = Terminal(soft_wrap=True, highlight=False)
    try:
        for finding in examine(options):
            findings.append(finding)
            if not options.json:
                terminal.print(_line(finding))
    except KeyboardInterrupt:
        return 130
    is_ok = all(finding.state != FAILED for finding in findings)
    if options.json:
        said = {"is_ok": is_ok, "findings": [asdict(finding) for finding in findings]}
        terminal.print(json.dumps(said), markup=False)
    return 0 if is_ok else 1


def examine(options: argparse.Namespace) -> Iterator[Finding]:
    """Make every check, one after the other."""
    yield from examine_software()
    config = Config()
    try:
        config = load_config(options.config)
        yield Finding("settings", OK, str(options.config or "config.toml, or the defaults"))
    except KNOWN as error:
        yield Finding("settings", FAILED, str(error))
    yield from _examined(examine_input(config, options.input), "audio input")
    yield from _examined(examine_midi(), "MIDI")
    yield from _examined(examine_encoders(config, options.memory), "encoder")
    yield from examine_real_time()
    yield from examine_power()
    yield from examine_disk(Path.cwd())


def _examined(findings: Iterable[Finding], name: str) -> Iterator[Finding]:
    """Pass findings on, and make one of what ended them."""
    try:
        yield from findings
    except KNOWN as error:
        yield Finding(name, FAILED, str(error))


def _line(finding: Finding) -> str:
    """Write a finding in a line."""
    style = _STYLES[finding.state]
    todo = f" {finding.todo}" if finding.todo else ""
    said = escape(f"{finding.name:<{NAME_WIDTH}} {finding.said}{todo}")
    return f"[{style}]{finding.state:<8}[/]{said}"


def _parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = CommandLine(
        prog="python -m realtime.doctor",
        description="Checks this machine: audio inputs, rates and the latency they imply, MIDI, "
        "the encoder's speed against the budget, weights, permissions, disk; says what to do.",
        epilog="example: python -m realtime.doctor --memory solo.memory --input Scarlett",
    )
    add = parser.add_argument
    add(
        "--memory",
        action=Memories,
        type=Path,
        default=[DEFAULT_MEMORY],
        metavar="FILE",
        help=f"a memory that is going to be played (default: {DEFAULT_MEMORY})",
    )
    add("--input", metavar="WHAT", help="part of the audio input's name (default: the settings')")
    add("--json", action="store_true", help="one JSON object")
    add("--config", type=Path, metavar="FILE", help="settings (default: config.toml, if there)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
