"""Status: ``python -m realtime.status``, how a performance in another process goes.

Reads that process's board and nothing else: it asks it for nothing, so it cannot disturb it.
"""

import argparse
import json
import sys
import time
from typing import Final, NoReturn

from models.terminal import CommandLine, Terminal, plain_console, say_error
from realtime.board import Reading, board_folder, read_boards
from realtime.budget import BudgetConfig
from realtime.errors import LiveError
from realtime.input_level import ZEROS_DBFS
from realtime.monotonic import NS_PER_S, monotonic_ns
from realtime.report import Performance
from realtime.report_text import print_report

WATCH_S: Final = 1.0
LIFELESS_S: Final = 5.0
"""A board is written once a second."""


class NoPerformanceError(LiveError):
    """Raised when no performance runs, or the one that does gives no sign of life."""


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit code: 0 while a performance runs and lives."""
    options = _parser().parse_args(arguments)
    try:
        if options.watch:
            watch(options)
        show(options)
    except LiveError as error:
        say_error(plain_console(stderr=True), error)
        return 1
    except KeyboardInterrupt:
        return 0
    return 0


def watch(options: argparse.Namespace) -> NoReturn:
    """Show again and again how it goes, also from one performance to the next."""
    while True:
        try:
            show(options)
        except NoPerformanceError as error:
            terminal = Terminal(stderr=options.json)
            terminal.clear()
            terminal.print(str(error), highlight=False, markup=False)
        time.sleep(WATCH_S)


def show(options: argparse.Namespace) -> None:
    """Print how the newest performance goes.

    Raises
    ------
    NoPerformanceError
        There is none to be said anything of.
    """
    reading = newest()
    report = reading.performance.as_dict(reading.about)
    if options.json:
        now = {"age_s": age_s(reading), "input_dbfs": reading.performance.input_dbfs}
        plain_console().print(json.dumps({"pid": reading.pid, **now, **report}))
        return
    terminal = Terminal()
    if options.watch:
        terminal.clear()
    minutes, seconds = divmod(round((reading.beat_ns - reading.start_ns) / NS_PER_S), 60)
    terminal.print(
        f"Process {reading.pid} has been playing to {reading.about.get('input', 'its input')} for "
        f"{minutes}:{seconds:02d}. The input is {_level(reading.performance.input_dbfs)}."
        + _failing(reading.performance),
        highlight=False,
        markup=False,
    )
    budget = BudgetConfig(**reading.about.get("budget", {}))
    print_report(terminal, report, budget)


def newest() -> Reading:
    """Read the board of the performance that began last and lives.

    Raises
    ------
    NoPerformanceError
        There is none.
    """
    readings = read_boards(board_folder())
    running = [reading for reading in readings if reading.is_running]
    if not running:
        raise NoPerformanceError(
            f"The performance in process {readings[0].pid} ended without saying so: start it again "
            "with python -m realtime.perform."
            if readings
            else "Nothing is being performed: start with python -m realtime.perform."
        )
    reading = running[0]
    if age_s(reading) > LIFELESS_S:
        raise NoPerformanceError(
            f"The performance in process {reading.pid} has given no sign of life for "
            f"{age_s(reading):.0f} s: if it goes on like that, stop it and start again."
        )
    return reading


def _level(input_dbfs: int) -> str:
    """Say how loud the input's last second was."""
    return "silent: every sample is 0" if input_dbfs == ZEROS_DBFS else f"at {input_dbfs} dBFS"


def _failing(performance: Performance) -> str:
    """Say how many encoders fail at the moment."""
    n_failing = performance.n_encoder_failures - performance.n_encoder_returns
    if not n_failing:
        return ""
    return f" {n_failing} of its encoders fail: answers by their memories are reflexes."


def age_s(reading: Reading) -> float:
    """Return how old a reading is, in seconds."""
    return round((monotonic_ns() - reading.beat_ns) / NS_PER_S, 3)


def _parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = CommandLine(
        prog="python -m realtime.status",
        description="Prints how the performance goes that another process on this machine plays: "
        "latencies, answers, losses. It does not disturb it.",
        epilog="example: python -m realtime.status --watch",
    )
    parser.add_argument(
        "--watch",
        action="store_true",
        help="again every second, until Ctrl-C, also from one performance to the next",
    )
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    return parser


if __name__ == "__main__":
    sys.exit(main())
