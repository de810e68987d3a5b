"""Terminal: how the commands speak to the player, one plain line a message, on stderr.

Used by the main thread of each command, and by a timer's while that one compiles. Messages hold
paths and the names of settings tables, so nothing in them is taken for markup, nor are they
wrapped. It never ends a command because nobody reads what is said.
"""

import argparse
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, NoReturn

from rich.console import Console

PATIENCE_S: Final = 2.0
"""How long a command may prepare without a word; from the cache it takes one second."""


class CommandLine(argparse.ArgumentParser):
    """A parser that says what is wrong in one sentence, and takes no option for another."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(allow_abbrev=False, **settings)

    def error(self, message: str) -> NoReturn:
        """Exit with code 2."""
        self.exit(2, f"Error: {message}; see --help.\n")


class Terminal(Console):
    """A console that falls silent when the terminal or pipe it speaks to is gone."""

    def print(self, *objects: Any, **style: Any) -> None:
        """Print as `Console` does."""
        try:
            super().print(*objects, **style)
        except OSError:
            self.on_broken_pipe()

    def on_broken_pipe(self) -> None:
        """Speak to nobody from now on, also when Python flushes the stream at exit."""
        self.quiet = True
        nobody = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nobody, self.file.fileno())
        os.close(nobody)


def plain_console(*, stderr: bool = False) -> Console:
    """Make a console that prints text as it is."""
    return Terminal(stderr=stderr, markup=False, highlight=False, soft_wrap=True)


@contextmanager
def preparing(
    tell: Callable[[str], object], patience_s: float = PATIENCE_S
) -> Iterator[Callable[[], None]]:
    """Say that it compiles, if it takes its time.

    Yields
    ------
    ready
        To be called when everything is prepared; again does no harm.
    """
    said = "Preparing: compiling for this machine; up to a minute, then kept."
    timer = threading.Timer(patience_s, tell, (said,))
    timer.daemon = True
    timer.start()
    try:
        yield timer.cancel
    finally:
        timer.cancel()


def say_error(console: Console, error: BaseException) -> None:
    """Say what is wrong, as a sentence."""
    said = str(error).removesuffix(".")
    console.print(f"Error: {said if said.endswith('?') else said + '.'}", style="red")


def run_command(
    command: Callable[[], int | None],
    known: tuple[type[Exception], ...],
    *,
    if_stopped: str | None = None,
) -> int:
    """Run a command and return its exit code; what is known to go wrong is one sentence.

    Parameters
    ----------
    command
        Returns the code, or None for success.
    known
        Errors whose message is for the player.
    if_stopped
        What to say at Ctrl-C.
    """
    console = plain_console(stderr=True)
    try:
        return command() or 0
    except known as error:
        say_error(console, error)
        return 1
    except KeyboardInterrupt:
        if if_stopped is not None:
            console.print(if_stopped)
        return 130
