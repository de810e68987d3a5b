import os
import threading

import pytest

from models.terminal import CommandLine, Terminal, plain_console, preparing, say_error

LONG = "[budget] listen_ms is 26: " + "raise it " * 40


def test_nothing_is_taken_for_markup_nor_wrapped(capsys: pytest.CaptureFixture[str]) -> None:
    """Rich would drop [budget] and break the line at 80 columns."""
    plain_console().print(LONG)
    say_error(plain_console(stderr=True), ValueError(LONG))
    said = capsys.readouterr()
    assert said.out == f"{LONG}\n"
    assert said.err == f"Error: {LONG}.\n"


def test_a_wrong_command_line_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    """Not the usage of every option, which --help shows."""
    with pytest.raises(SystemExit, match="2"):
        CommandLine(prog="play").parse_args(["--loud"])
    assert capsys.readouterr().err == "Error: unrecognized arguments: --loud; see --help.\n"


@pytest.mark.parametrize("said", ["Check the file", "Check the file."])
def test_an_error_is_a_sentence(said: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Whether or not whoever raised it wrote the full stop."""
    say_error(plain_console(stderr=True), ValueError(said))
    assert capsys.readouterr().err == "Error: Check the file.\n"


def test_a_console_nobody_reads_falls_silent() -> None:
    """A closed pipe ends no performance, and what is said later is no error either."""
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "w") as pipe:
        console = Terminal(file=pipe)
        console.print("Is there anybody?")
        console.print("Nobody.")
        assert console.quiet


def test_preparing_is_said_once_it_takes_long() -> None:
    """Whoever waits for a minute is told why."""
    said: list[str] = []
    is_said = threading.Event()

    def tell(text: str) -> None:
        said.append(text)
        is_said.set()

    with preparing(tell, patience_s=0.0):
        assert is_said.wait(10)
    assert said == ["Preparing: compiling for this machine; up to a minute, then kept."]


def test_what_is_soon_ready_is_not_announced() -> None:
    """No timer is left behind, whether it was ready or failed."""
    said: list[str] = []
    with preparing(said.append, patience_s=600.0) as ready:
        ready()
        ready()
    with pytest.raises(ValueError, match="no"), preparing(said.append, patience_s=600.0):
        raise ValueError("no")
    for thread in threading.enumerate():
        if isinstance(thread, threading.Timer):
            thread.join()
    assert said == []
