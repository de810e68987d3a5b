import json
from pathlib import Path

import pytest
from safetensors.numpy import load_file

from models.errors import ModelsError
from models.standin import main, write_stand_in


def test_a_tiny_stand_in_has_the_hubs_layout_and_names(tmp_path: Path) -> None:
    """Configuration, preprocessor, weights; weight norm as the hub's files have it."""
    write_stand_in(tmp_path / "m", is_tiny=True)
    files = {path.name for path in (tmp_path / "m").iterdir()}
    assert files == {"config.json", "preprocessor_config.json", "model.safetensors"}
    keys = load_file(tmp_path / "m" / "model.safetensors").keys()
    assert "encoder.pos_conv_embed.conv.weight_g" in keys
    assert not [key for key in keys if "parametrizations" in key]


def test_it_says_in_its_configuration_that_it_is_one(tmp_path: Path) -> None:
    """Whoever reads the folder is told."""
    write_stand_in(tmp_path / "m", is_tiny=True, seed=7)
    config = json.loads((tmp_path / "m" / "config.json").read_text())
    assert "stand-in for a tiny MERT-v1-95M with random weights (seed 7)" in config["stand_in"]


def test_the_same_seed_gives_the_same_file(tmp_path: Path) -> None:
    """Byte for byte, and another seed another one."""
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        write_stand_in(tmp_path / name, is_tiny=True, seed=seed)
    a, b, c = ((tmp_path / name / "model.safetensors").read_bytes() for name in "abc")
    assert a == b
    assert a != c


def test_nothing_is_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A folder with anything in it is refused, in a sentence and an exit code."""
    (tmp_path / "mine.txt").write_text("keep")
    with pytest.raises(ModelsError, match="is not empty: choose a new folder"):
        write_stand_in(tmp_path, is_tiny=True)
    assert main([str(tmp_path), "--tiny"]) == 1
    assert "is not empty" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    """A file is in the way."""
    (tmp_path / "file").write_text("")
    with pytest.raises(ModelsError, match="cannot be written: choose another folder"):
        write_stand_in(tmp_path / "file" / "m", is_tiny=True)


def test_the_command_says_what_it_wrote(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """And that the weights are random."""
    assert main([str(tmp_path / "m"), "--tiny", "--seed", "3"]) == 0
    assert f"stand-in with random weights to {tmp_path / 'm'}" in capsys.readouterr().out
