from pathlib import Path

import numpy as np
import pytest

from oracle.checkpoint import Checkpoint, Tensors, fingerprint
from oracle.errors import BusyError, TrainingError


class Maker:
    """Makes a stage's work, and counts how often."""

    def __init__(self) -> None:
        self.n_made = 0

    def __call__(self) -> Tensors:
        """Make it."""
        self.n_made += 1
        return {"a": np.arange(self.n_made)}


def test_without_a_folder_nothing_is_kept() -> None:
    """Everything is made anew."""
    checkpoint, make = Checkpoint(), Maker()
    assert [len(checkpoint.keep("stage", {}, make)["a"]) for _ in range(2)] == [1, 2]
    assert not checkpoint.has("stage", {})


def test_what_is_kept_is_not_made_again(tmp_path: Path) -> None:
    """Unless it was made from something else, or by another stage."""
    checkpoint, make = Checkpoint(tmp_path), Maker()
    for _ in range(3):
        assert checkpoint.keep("stage", {"seed": 0}, make)["a"].tolist() == [0]
    assert checkpoint.has("stage", {"seed": 0})
    assert not checkpoint.has("stage", {"seed": 1})
    assert len(checkpoint.keep("stage", {"seed": 1}, make)["a"]) == 2
    assert len(checkpoint.keep("other", {"seed": 0}, make)["a"]) == 3


def test_what_is_damaged_is_made_again(tmp_path: Path) -> None:
    """As after a power cut."""
    checkpoint, make = Checkpoint(tmp_path), Maker()
    checkpoint.keep("stage", {}, make)
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes()[:-3])
    assert len(checkpoint.keep("stage", {}, make)["a"]) == 2
    assert len(checkpoint.keep("stage", {}, make)["a"]) == 2


def test_a_fingerprint_is_of_facts_and_not_of_their_order() -> None:
    """Nor of anything else that changes from start to start."""
    assert fingerprint({"a": 1, "b": [2]}) == fingerprint({"b": [2], "a": 1})
    assert fingerprint({"a": 1}) != fingerprint({"a": 2})


def test_another_program_shares_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What older sources heard is not what these would."""
    checkpoint, make = Checkpoint(tmp_path), Maker()
    checkpoint.keep("stage", {}, make)
    monkeypatch.setattr("oracle.checkpoint._program", lambda: "another")
    assert not checkpoint.has("stage", {})


def test_the_time_of_the_first_beginning_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However often one begins again."""
    checkpoint = Checkpoint(tmp_path)
    begun_s = checkpoint.begun_s({})
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "5")
    assert checkpoint.begun_s({}) == begun_s > 5
    assert checkpoint.begun_s({"another": 1}) == 5


def test_the_folder_goes_when_the_output_is_there(tmp_path: Path) -> None:
    """And not before."""
    with Checkpoint.beside(tmp_path / "out") as checkpoint:
        checkpoint.keep("stage", {}, Maker())
        assert [path.name for path in tmp_path.iterdir()] == [".out.training"]
    assert [*tmp_path.iterdir()] == []


def keep_and_fail(output: Path, make: Maker, n_kept: int, failure: BaseException) -> None:
    """Begin, keep so many stages' work, and fail."""
    with Checkpoint.beside(output) as checkpoint:
        checkpoint.begun_s({})
        for stage in range(n_kept):
            checkpoint.keep("stage", {"stage": stage}, make)
        raise failure


@pytest.mark.parametrize("n_kept", [0, 1])
def test_interrupted_it_stays_if_there_is_anything_to_go_on_from(
    tmp_path: Path, n_kept: int
) -> None:
    """When it was begun alone is nothing."""
    make = Maker()
    with pytest.raises(KeyboardInterrupt):
        keep_and_fail(tmp_path / "out", make, n_kept, KeyboardInterrupt())
    assert len([*tmp_path.iterdir()]) == n_kept
    with Checkpoint.beside(tmp_path / "out") as checkpoint:
        checkpoint.keep("stage", {"stage": 0}, make)
    assert make.n_made == 1


def test_what_cannot_be_learned_leaves_nothing(tmp_path: Path) -> None:
    """Again it would come to the same."""
    with pytest.raises(TrainingError):
        keep_and_fail(tmp_path / "out", Maker(), 1, TrainingError("nothing was heard"))
    assert [*tmp_path.iterdir()] == []


def test_one_at_a_time(tmp_path: Path) -> None:
    """The second one is told, and does no harm to the first."""
    output = tmp_path / "out"
    with Checkpoint.beside(output) as checkpoint:
        with pytest.raises(BusyError, match="Another training is at work"):
            Checkpoint.beside(output).__enter__()
        checkpoint.keep("stage", {}, Maker())
        with Checkpoint.beside(tmp_path / "other"):
            pass
