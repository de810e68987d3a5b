from pathlib import Path

import pytest

from oracle import train, train_codebook
from oracle.memory import Memory
from tests.commands import assert_refused, in_process, recorded


def test_memories_can_share_a_codebook(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The command writes one and says its hash, which is that of the memory learned with it."""
    folder = tmp_path / "takes"
    for name, rate_hz in (("a.wav", 22_050), ("b.wav", 24_000)):
        recorded(folder / name, rate_hz)
    codebook, memory = tmp_path / "mine.codebook", tmp_path / "a.memory"
    ended = in_process(
        train_codebook.main, (folder, "--n-clusters", 2, "--output", codebook), capsys
    )
    assert ended.code == 0
    assert ended.out.startswith("2 gestures in 16 events")
    ended_with_it = in_process(
        train.main, (folder / "a.wav", "--codebook", codebook, "--output", memory), capsys
    )
    assert ended_with_it.code == 0
    assert Memory.load(memory).codebook_sha256 in ended.out
    assert sorted(tmp_path.iterdir()) == [memory, codebook, folder]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["a.wav", "--n-clusters", "0"], r"--n-clusters: n_tokens is 0, needs at least 1"),
        (["none.wav"], r"none\.wav is not a file: check the name"),
        (["a.wav", "--output", "a.wav"], r"a\.wav is read as well as written"),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    """And leaves nothing behind."""
    monkeypatch.chdir(tmp_path)
    recorded(tmp_path / "a.wav")
    given = ["--output", "mine.codebook", *arguments]
    assert_refused(in_process(train_codebook.main, given, capsys), message)
    assert [path.name for path in tmp_path.iterdir()] == ["a.wav"]
