from pathlib import Path

import pytest

from oracle.event import Event
from oracle.inspect import figures, main
from oracle.memory import Memory
from oracle.memory_json import write_json
from tests.commands import as_process, assert_refused, in_process
from tests.oracle.memories import make_event, make_memory, melody


@pytest.fixture
def memory() -> Memory:
    """Give a melody that says its first four notes again, then a sound without pitch."""
    learned = make_memory(melody([60, 62, 64, 65, 67, 60, 62, 64, 65]))
    source = learned.add_source("live")
    noise = make_event(index=9)
    learned.learn(Event(frame=noise.frame, onset_s=65.25, duration_s=0.1, source=source))
    return learned


def test_the_figures_are_those_of_the_memory(memory: Memory) -> None:
    """Every one, counted by hand."""
    rate = memory.oracle.information_rate().mean()
    assert list(figures(memory)) == [
        ("events", "10, 9 of them with notes"),
        ("notes", "9"),
        ("gestures", "5 used of 16"),
        ("threshold", "0.3 of the spread of all events: what is closer repeats"),
        ("kinds", "6 clusters of events that repeat each other"),
        (
            "links",
            "16 transitions to what may come next, 4 suffix links to what an event repeats",
        ),
        ("information rate", f"{rate:.3f} bits of an event are told by what came before"),
        ("code words", "8 passages, new or repeated, make it up, of 1.2 events each"),
        ("repeat", "3 events at 0:01.25 of one.wav as at 0:00.00 of one.wav"),
        ("encoder", "test (revision 1)"),
        ("heard", "20 ms of a note before it is answered"),
        ("source", "one.wav, 9 events, known by its name only"),
        ("source", "live, 1 events, known by its name only"),
        ("learned", "2025-01-01T00:00:00Z"),
        ("by version", "0"),
    ]


def test_a_memory_of_nothing_has_figures_too() -> None:
    """None of them is a division by zero."""
    assert dict(figures(make_memory([])))["code words"].startswith("0 passages")


def test_what_is_missing_is_said() -> None:
    """Events without a token, a memory without a date."""
    event = make_event()
    event.frame[0] = float("nan")
    assert dict(figures(make_memory([event])))["gestures"] == "0 used of 16, 1 events without one"


@pytest.mark.parametrize("name", ["a.memory", "a.json"])
def test_the_command_prints_them_and_draws(
    name: str, memory: Memory, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of a memory in either form, into either form of picture."""
    memory.save(tmp_path / "a.memory")
    write_json(memory, tmp_path / "a.json")
    for plot in (tmp_path / "a.png", tmp_path / "a.svg"):
        said = in_process(main, [tmp_path / name, "--plot", plot], capsys)
        assert said.code == 0
        assert said.out.startswith("events            10, 9 of them with notes\n")
        assert said.out.endswith(f"The drawing is {plot}.\n")
        assert plot.stat().st_size > 1000


def test_matplotlib_is_not_imported_unless_something_is_drawn(
    memory: Memory, tmp_path: Path
) -> None:
    """Figures come at once."""
    memory.save(tmp_path / "a.memory")
    script = (
        "import sys; from oracle.inspect import main; main(['a.memory']); "
        "sys.exit('matplotlib' in sys.modules)"
    )
    (tmp_path / "script.py").write_text(script)
    assert as_process("script", folder=tmp_path).code == 0


def test_what_cannot_be_read_or_drawn_is_refused_in_one_sentence(
    memory: Memory, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """No memory, no such picture, no such folder; nothing is drawn."""
    memory.save(tmp_path / "a.memory")
    for arguments, match in [
        (["none.memory"], "There is no memory at"),
        (["a.memory", "--plot", "a.gif"], r"a\.gif is no drawing: end it in \.png or \.svg\."),
        (["a.memory", "--plot", "none/a.png"], "There is no folder"),
    ]:
        paths = [
            argument if argument == "--plot" else tmp_path / argument for argument in arguments
        ]
        assert_refused(in_process(main, paths, capsys), match)
    assert [path.name for path in tmp_path.iterdir()] == ["a.memory"]
