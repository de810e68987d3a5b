from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from models.codebook import Codebook
from oracle.codebook_file import load_codebook, save_codebook
from oracle.memory import Memory
from oracle.memory_file import MEMORY, MemoryFileError, write_tensors
from oracle.provenance import Provenance
from tests.fakes import FakeEncoder

SPEC = FakeEncoder().spec
CODEBOOK = Codebook(np.arange(24, dtype=np.float32).reshape(3, 8))
PROVENANCE = Provenance(encoder=SPEC.to_json(), listener={"heard_ms": 25.0}, sources=("a.wav",))


def saved(folder: Path, provenance: Provenance = PROVENANCE) -> Path:
    """Write the codebook."""
    path = folder / "mine.codebook"
    save_codebook(path, CODEBOOK, provenance)
    return path


def test_a_codebook_comes_back_as_it_was_saved(tmp_path: Path) -> None:
    """And is the same bytes each time."""
    path = saved(tmp_path)
    assert np.array_equal(load_codebook(path, SPEC).centroids, CODEBOOK.centroids)
    before = path.read_bytes()
    assert saved(tmp_path).read_bytes() == before


def test_an_encoder_found_elsewhere_is_the_same_one(tmp_path: Path) -> None:
    """Its name says where it was, not what it hears."""
    assert load_codebook(saved(tmp_path), replace(SPEC, name="elsewhere")).n_tokens == 3


def test_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    """Another encoder's, a memory, nothing, and one whose parts contradict each other."""
    path = saved(tmp_path)
    with pytest.raises(MemoryFileError, match=r"which is not .*: learn with that encoder, or"):
        load_codebook(path, replace(SPEC, revision="fake-2"))
    with pytest.raises(MemoryFileError, match=r"is no memory: give one that"):
        Memory.load(path)
    write_tensors(tmp_path / "a.memory", {"centroids": CODEBOOK.centroids}, {}, MEMORY)
    with pytest.raises(MemoryFileError, match=r"is no codebook: give one that `python -m oracle.t"):
        load_codebook(tmp_path / "a.memory", SPEC)
    with pytest.raises(MemoryFileError, match="There is no codebook at"):
        load_codebook(tmp_path / "none.codebook", SPEC)
    wide = replace(PROVENANCE, encoder=FakeEncoder(dim=9).spec.to_json())
    with pytest.raises(MemoryFileError, match="centroids have 8 values, not 9"):
        load_codebook(saved(tmp_path, wide), SPEC)
