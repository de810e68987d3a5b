"""Terminal: how the commands speak to the player, one plain line a message, on stderr.

Used by the main thread of each command. Messages hold paths and the names of settings tables, so
nothing in them is taken for markup, nor are they wrapped.
"""

import argparse
from typing import NoReturn

from rich.console import Console


class CommandLine(argparse.ArgumentParser):
    """A parser that says what is wrong in one sentence."""

    def error(self, message: str) -> NoReturn:
        """Exit with code 2."""
        self.exit(2, f"Error: {message}; see --help.\n")


def plain_console(*, stderr: bool = False) -> Console:
    """Make a console that prints text as it is."""
    return Console(stderr=stderr, markup=False, highlight=False, soft_wrap=True)


def say_error(console: Console, error: BaseException) -> None:
    """Say what is wrong, as a sentence."""
    console.print(f"Error: {str(error).removesuffix('.')}.", style="red")
