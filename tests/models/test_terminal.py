import pytest

from models.terminal import CommandLine, plain_console, say_error

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
