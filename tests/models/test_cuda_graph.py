from pathlib import Path

import numpy as np
import pytest
import torch

from models.neural import NeuralEncoder
from models.standin import write_stand_in

pytestmark = [
    pytest.mark.cuda,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device here"),
]


@pytest.mark.parametrize(("precision", "tolerance"), [("fp32", 1e-3), ("bf16", 0.03)])
def test_a_replayed_pass_gives_what_the_cpu_gives(
    tmp_path: Path, precision: str, tolerance: float
) -> None:
    """For each batch of its own, recorded once and replayed with other windows."""
    write_stand_in(tmp_path, is_tiny=True)
    exact = NeuralEncoder.load(tmp_path, precision="fp32", device="cpu")
    replayed = NeuralEncoder.load(tmp_path, precision=precision, device="cuda")
    assert replayed.spec == exact.spec
    rng = np.random.default_rng(0)
    for n in (1, 4, 1, 4):
        windows = rng.standard_normal((n, exact.spec.window_frames), np.float32)
        expected = exact.encode(windows)
        difference = replayed.encode(windows) - expected
        assert np.linalg.norm(difference) < tolerance * np.linalg.norm(expected)
