"""A stand-in for a model: random weights in the exact architecture and the hub's layout.

For tests, benchmarks and machines without the weights: what it costs is real, what it hears means
nothing, and everything that loads it says so. ``python -m models.standin DIR`` writes one; it never
writes where anything is already.
"""

import argparse
import json
import math
import sys
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.architecture import RENAMED, Architecture
from models.checkpoint import CONFIG, PREPROCESSOR, SAFETENSORS, STAND_IN
from models.errors import ModelsError

MERT_RATE_HZ = 24_000
WAV2VEC2_RATE_HZ = 16_000

MERT_95M: dict[str, Any] = {
    "model_type": "mert_model",
    "sample_rate": MERT_RATE_HZ,
    "feature_extractor_cqt": False,
    "deepnorm": False,
    "attention_relax": -1.0,
    "conv_bias": False,
    "conv_dim": [512] * 7,
    "conv_kernel": [10, 3, 3, 3, 3, 2, 2],
    "conv_stride": [5, 2, 2, 2, 2, 2, 2],
    "do_stable_layer_norm": False,
    "feat_extract_activation": "gelu",
    "feat_extract_norm": "group",
    "feat_proj_layer_norm": True,
    "hidden_act": "gelu",
    "hidden_size": 768,
    "intermediate_size": 3072,
    "layer_norm_eps": 1e-05,
    "mask_feature_prob": 0.0,
    "mask_time_prob": 0.05,
    "num_attention_heads": 12,
    "num_conv_pos_embedding_groups": 16,
    "num_conv_pos_embeddings": 128,
    "num_feat_extract_layers": 7,
    "num_hidden_layers": 12,
}
WAV2VEC2_BASE: dict[str, Any] = {
    key: value
    for key, value in MERT_95M.items()
    if key not in ("sample_rate", "feature_extractor_cqt", "deepnorm", "attention_relax")
} | {"model_type": "wav2vec2"}
TINY: dict[str, Any] = {
    "conv_dim": [16] * 7,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_attention_heads": 4,
    "num_conv_pos_embedding_groups": 4,
    "num_conv_pos_embeddings": 16,
    "num_hidden_layers": 3,
}


def write_stand_in(
    folder: str | Path, *, is_tiny: bool = False, is_wav2vec2: bool = False, seed: int = 0
) -> None:
    """Write a stand-in.

    Parameters
    ----------
    folder
        New, or empty.
    is_tiny
        Three small layers instead of the 94.4 million values of MERT-v1-95M.
    is_wav2vec2
        In the layout of Wav2Vec 2.0 base, at its rate.
    seed
        Of the weights; the same seed gives the same file everywhere.

    Raises
    ------
    ModelsError
        There is something in the folder, or it cannot be written.
    """
    from safetensors.numpy import save_file

    folder = Path(folder)
    full, shape = (WAV2VEC2_BASE, "Wav2Vec 2.0 base") if is_wav2vec2 else (MERT_95M, "MERT-v1-95M")
    shape = f"a tiny {shape}" if is_tiny else shape
    config = (full | TINY if is_tiny else full) | {
        STAND_IN: f"A stand-in for {shape} with random weights (seed {seed}): it hears nothing."
    }
    preprocessor = {
        "feature_extractor_type": "Wav2Vec2FeatureExtractor",
        "feature_size": 1,
        "do_normalize": True,
        "sampling_rate": config.get("sample_rate", WAV2VEC2_RATE_HZ),
    }
    architecture = Architecture.from_config(shape, config)
    shapes = {key: of_key for group in architecture.groups() for key, of_key in group.items()}
    shapes["masked_spec_embed"] = (architecture.dim,)
    prefix = "wav2vec2." if is_wav2vec2 else ""
    tensors = {
        prefix + _hub_name(key): _random(key, of_key, seed) for key, of_key in shapes.items()
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise ModelsError(f"{folder} is not empty: choose a new folder")
        (folder / CONFIG).write_text(json.dumps(config, indent=2) + "\n")
        (folder / PREPROCESSOR).write_text(json.dumps(preprocessor, indent=2) + "\n")
        save_file(tensors, folder / SAFETENSORS)
    except OSError as error:
        raise ModelsError(f"{folder} cannot be written: choose another folder") from error


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; give the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m models.standin",
        description="Write a MERT with random weights: it costs what MERT costs and hears nothing.",
    )
    parser.add_argument("folder", metavar="DIR", type=Path, help="a new folder")
    parser.add_argument("--tiny", action="store_true", help="a small one, for tests")
    parser.add_argument("--wav2vec2", action="store_true", help="of Wav2Vec 2.0 base instead")
    parser.add_argument("--seed", type=int, default=0, help="of the weights (default: 0)")
    options = parser.parse_args(arguments)
    try:
        write_stand_in(
            options.folder,
            is_tiny=options.tiny,
            is_wav2vec2=options.wav2vec2,
            seed=options.seed,
        )
    except ModelsError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(f"wrote a stand-in with random weights to {options.folder}\n")
    return 0


def _random(key: str, shape: tuple[int, ...], seed: int) -> NDArray[np.float32]:
    """Draw a tensor that keeps its input's scale, from a seed of its own."""
    noise = np.random.default_rng([seed, zlib.crc32(key.encode())]).standard_normal(
        shape, dtype=np.float32
    )
    if key.endswith("bias"):
        return np.float32(0.1) * noise
    if "norm" in key or key.endswith("original0"):
        return 1 + np.float32(0.1) * noise
    return noise * np.float32(math.prod(shape[1:]) ** -0.5)


def _hub_name(key: str) -> str:
    for hub, today in RENAMED.items():
        if key.endswith(today):
            return key.removesuffix(today) + hub
    return key


if __name__ == "__main__":
    raise SystemExit(main())
