from pathlib import Path

import pytest

from oracle.export import main
from tests.commands import as_process, assert_refused, in_process
from tests.oracle.memories import make_memory, melody


@pytest.fixture
def memory_file(tmp_path: Path) -> Path:
    """Give the file of a small memory."""
    path = tmp_path / "tune.memory"
    make_memory(melody([60, 62, 64, 60, 62, 64])).save(path)
    return path


@pytest.mark.parametrize("ending", ["json", "dot", "graphml", "JSON", "memory"])
def test_a_memory_is_written_in_the_form_that_the_ending_says(
    ending: str, memory_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """And the command says so."""
    output = memory_file.with_name(f"out.{ending}")
    said = in_process(main, [memory_file, "--output", output], capsys)
    assert (said.code, said.out) == (0, f"6 events are in {output}.\n")
    assert output.stat().st_size > 0


def test_a_memory_goes_to_json_and_back_to_the_byte(
    memory_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two commands."""
    as_json, back = memory_file.with_suffix(".json"), memory_file.with_name("back.memory")
    assert in_process(main, [memory_file, "--output", as_json], capsys).code == 0
    assert in_process(main, [as_json, "--output", back], capsys).code == 0
    assert back.read_bytes() == memory_file.read_bytes()


@pytest.mark.parametrize("name", ["out.txt", "out", "json", ".memory"])
def test_an_unknown_ending_is_refused_naming_the_known(
    name: str, memory_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before anything is read or written."""
    output = memory_file.with_name(name)
    said = in_process(main, [memory_file.with_name("none.memory"), "--output", output], capsys)
    assert_refused(said, r"end it in \.memory, \.json, \.dot or \.graphml\.$")
    assert not output.exists()


def test_what_cannot_be_read_or_written_leaves_what_was_there(
    memory_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """No memory, a damaged one, a folder that is not there, the memory itself."""
    folder, output = memory_file.parent, memory_file.with_name("out.json")
    output.write_text("before")
    (folder / "bad.memory").write_bytes(memory_file.read_bytes()[:-9])
    (folder / "bad.json").write_text("{}")
    for source, target, match in [
        ("none.memory", output, "There is no memory at"),
        ("none.json", output, "There is no file"),
        ("bad.memory", output, "cut short"),
        ("bad.json", output, "no memory as JSON"),
        (memory_file.name, folder / "none" / "out.json", "There is no folder"),
        (memory_file.name, memory_file, "read as well as written"),
    ]:
        assert_refused(in_process(main, [folder / source, "--output", target], capsys), match)
    assert output.read_text() == "before"
    assert sorted(path.name for path in folder.iterdir()) == [
        "bad.json", "bad.memory", "out.json", "tune.memory",
    ]  # fmt: skip


def test_it_runs_as_a_command(memory_file: Path) -> None:
    """Where a player stands, with relative names."""
    said = as_process(
        "oracle.export", "tune.memory", "--output", "a.json", folder=memory_file.parent
    )
    assert (said.code, said.out) == (0, "6 events are in a.json.\n")
