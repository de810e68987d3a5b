from pathlib import Path

import numpy as np
import pytest

from models.encoder import EncoderSpec
from models.errors import EncoderError
from models.hybrid import HybridEncoder
from models.loading import load_encoder, restore_encoder
from models.spectral import SpectralEncoder
from models.standin import write_stand_in
from tests.fakes import FakeEncoder


def test_both_parts_stand_side_by_side_each_scaled() -> None:
    """Each hears its own window, and both end together."""
    model, spectral = FakeEncoder(window_s=1.0, dim=8), SpectralEncoder()
    hybrid = HybridEncoder("h", model, spectral, (2.0, 3.0))
    windows = np.random.default_rng(0).standard_normal((3, 24_000), np.float32)
    found = hybrid.encode(windows)
    assert np.allclose(found[:, :8], 2 * model.encode(windows))
    assert np.allclose(found[:, 8:], 3 * spectral.encode(windows[:, -12_000:]))
    assert (hybrid.spec.window_frames, hybrid.spec.dim) == (24_000, 8 + spectral.spec.dim)
    assert hybrid.notice == model.notice
    assert hybrid.device == "cpu"


def test_a_hybrid_runs_on_what_its_model_runs_on() -> None:
    """Its other part is small, and on the CPU wherever the model is."""
    model = FakeEncoder(window_s=0.5)
    model.device = "cuda"
    assert HybridEncoder("h", model, SpectralEncoder(), (1.0, 1.0)).device == "cuda"


def test_measured_scales_make_the_parts_distances_alike() -> None:
    """However large a part's values are; and they are in the identity."""
    hybrid = HybridEncoder("h", FakeEncoder(window_s=0.5), SpectralEncoder())
    windows = np.random.default_rng(1).standard_normal((2, 12_000)).astype(np.float32)
    windows *= np.array([[0.01], [0.2]], np.float32)
    first, second = hybrid.encode(windows)
    parts = [np.linalg.norm((first - second)[part]) for part in (slice(8), slice(8, None))]
    assert 0.02 < parts[0] / parts[1] < 50
    again = HybridEncoder("h", FakeEncoder(window_s=0.5), SpectralEncoder())
    assert again.spec == hybrid.spec
    other = HybridEncoder("h", FakeEncoder(window_s=0.5), SpectralEncoder(), (1.0, 1.0))
    assert other.spec != hybrid.spec


def test_a_hybrid_is_loaded_by_name_and_restored_from_its_spec(tmp_path: Path) -> None:
    """Its measured scales included."""
    write_stand_in(tmp_path, is_tiny=True)
    hybrid = load_encoder(f"hybrid:{tmp_path}", layer=(1, 2), window_s=(0.6, 0.2))
    spec = EncoderSpec.from_json(hybrid.spec.to_json())
    assert restore_encoder(spec).spec == hybrid.spec
    assert "stand-in" in hybrid.notice


def test_parts_of_two_rates_are_refused(tmp_path: Path) -> None:
    """Wav2Vec 2.0 hears at 16 kHz."""
    write_stand_in(tmp_path, is_tiny=True, is_wav2vec2=True)
    with pytest.raises(
        EncoderError, match=r"parts of one rate, and .* at 16000 Hz, spectral at 24"
    ):
        load_encoder(f"hybrid:{tmp_path}")


def test_one_scale_a_part_is_needed() -> None:
    """No more, no fewer."""
    with pytest.raises(ValueError, match="part_scales has 1 values, needs 2"):
        HybridEncoder("h", FakeEncoder(window_s=0.5), SpectralEncoder(), (1.0,))


def test_a_window_shorter_than_the_other_parts_is_refused() -> None:
    """Windows are the model's."""
    with pytest.raises(ValueError, match=r"window_s is 0\.1, needs at least 0\.5 beside spectral"):
        HybridEncoder("h", FakeEncoder(window_s=0.1), SpectralEncoder())
