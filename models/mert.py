"""MERT: the music model's embedding, through transformers' own HubertModel.

MERT-v1-95M (Li et al. 2023, arXiv 2306.00107) is HuBERT-base in shape, and nothing of its own
code is active in its forward pass: transformers' class gives bit-identical output without running
anything from the hub. A pass stops at the layer that is read. One thread owns an encoder (the
encoder worker, or training); torch's threads are set when it is loaded, so that a core stays free.
"""

import math
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from models.checkpoint import Checkpoint, check_tensors, read_checkpoint
from models.encoder import MERT, EncoderSpec, check_windows
from models.errors import EncoderError, WeightsError

if TYPE_CHECKING:
    from transformers import HubertConfig, HubertModel

HUB_ID = "m-a-p/MERT-v1-95M"
LICENCE = "MERT's weights are licensed CC BY-NC 4.0: they are not for commercial use."

DEFAULT_WINDOW_S = 1.0
DEFAULT_POOLING = "newest-100ms"

VARIANCE_FLOOR = 1e-7
"""As transformers' Wav2Vec2FeatureExtractor has it."""

MODEL_TYPES = ("mert_model", "music_hubert", "hubert")
REQUIRED_KEYS = (
    "conv_dim",
    "conv_kernel",
    "conv_stride",
    "hidden_size",
    "intermediate_size",
    "num_attention_heads",
    "num_hidden_layers",
)
OPTIONAL_KEYS = (
    "conv_bias",
    "conv_pos_batch_norm",
    "feat_extract_activation",
    "feat_extract_norm",
    "feat_proj_layer_norm",
    "hidden_act",
    "layer_norm_eps",
    "mask_feature_prob",
    "mask_time_prob",
    "num_conv_pos_embedding_groups",
    "num_conv_pos_embeddings",
)


class MertEncoder:
    """Embeds windows with MERT, or another HuBERT of its shape.

    Built by `load`.

    Attributes
    ----------
    spec : EncoderSpec
    notice : str
        The licence of the weights, or that they are a stand-in's.
    """

    def __init__(
        self,
        spec: EncoderSpec,
        model: "HubertModel",
        *,
        n_pooled: int,
        is_normalising: bool,
        notice: str,
    ) -> None:
        self.spec = spec
        self.notice = notice
        self._model = model
        self._n_pooled = n_pooled
        self._is_normalising = is_normalising

    @classmethod
    def load(
        cls,
        name: str | Path = MERT,
        *,
        layer: int | None = None,
        pooling: str | None = None,
        window_s: float | None = None,
        n_threads: int = 1,
    ) -> Self:
        """Load a checkpoint.

        Parameters
        ----------
        name
            ``"mert"``, a hub id, or a folder in the hub's layout.
        layer
            Which to read: 0 is what enters the first transformer layer, negative numbers count
            from the last; the last if None.
        pooling
            ``"mean"`` over all steps of a window, or ``"newest-Nms"`` over those of its last N
            milliseconds; the newest 100 ms if None.
        window_s
            Length of a window; 1 s if None.
        n_threads
            CPU threads of a pass, set for the whole process.

        Raises
        ------
        ValueError
            A layer the model lacks, an unknown pooling, a window shorter than a step or than what
            is pooled, or less than one thread.
        EncoderError
            No such model, or one of another architecture.
        WeightsError
            Its files are damaged, or its tensors are not those of its architecture.
        WeightsMissingError
            The weights are neither cached nor reachable.
        """
        if n_threads < 1:
            raise ValueError(f"n_threads is {n_threads}, needs at least 1")
        checkpoint = read_checkpoint(HUB_ID if name == MERT else name)
        config = _hubert_config(checkpoint)
        window_s = DEFAULT_WINDOW_S if window_s is None else window_s
        window_frames = round(window_s * checkpoint.rate_hz)
        pooling = DEFAULT_POOLING if pooling is None else pooling
        layer = _layer(layer, config.num_hidden_layers)
        n_pooled = _n_pooled(pooling, checkpoint.rate_hz, window_frames, config)
        settings = {key: getattr(config, key) for key in (*REQUIRED_KEYS, *OPTIONAL_KEYS)}
        settings["do_normalize"] = checkpoint.is_normalising
        spec = EncoderSpec(
            name=str(name),
            revision=checkpoint.revision(settings),
            rate_hz=checkpoint.rate_hz,
            window_frames=window_frames,
            dim=config.hidden_size,
            layer=layer,
            pooling=pooling,
        )
        return cls(
            spec,
            _hubert(checkpoint, config, layer, n_threads),
            n_pooled=n_pooled,
            is_normalising=checkpoint.is_normalising,
            notice=checkpoint.stand_in or LICENCE,
        )

    def encode(self, windows: NDArray[np.float32]) -> NDArray[np.float32]:
        """Embed windows, as `models.encoder.Encoder` has it.

        A window's embedding depends on its batch by rounding only (below 1e-5, relative).
        """
        import torch

        check_windows(windows, self.spec)
        with torch.inference_mode():
            frames = torch.from_numpy(np.ascontiguousarray(windows))
            if self._is_normalising:
                variance, mean = torch.var_mean(frames, dim=1, correction=0, keepdim=True)
                frames = (frames - mean) / torch.sqrt(variance + VARIANCE_FLOOR)
            steps = self._model(frames).last_hidden_state  # (n, n_steps, dim)
            embeddings: NDArray[np.float32] = steps[:, -self._n_pooled :].mean(dim=1).numpy()
        return embeddings


def _hubert_config(checkpoint: Checkpoint) -> "HubertConfig":
    """Take the architecture from a checkpoint's configuration, refusing any other."""
    from transformers import HubertConfig

    name, config = checkpoint.name, checkpoint.config
    if (
        config.get("feature_extractor_cqt")
        or config.get("deepnorm")
        or config.get("attention_relax", -1) > 0
    ):
        raise EncoderError(
            f"{name} is of MERT-v1-330M's kind, which needs code of its own (CQT features, "
            f"deepnorm): choose {HUB_ID}"
        )
    if config.get("model_type") not in MODEL_TYPES or config.get("do_stable_layer_norm"):
        raise EncoderError(f"{name} is not a post-norm HuBERT: choose {HUB_ID}")
    for key in REQUIRED_KEYS:
        if key not in config:
            raise WeightsError(f"the config of {name} has no {key}: fetch the model anew")
    known = {key: config[key] for key in (*REQUIRED_KEYS, *OPTIONAL_KEYS) if key in config}
    try:
        return HubertConfig(**known)
    # what a wrong value raises is transformers' own and changes with its version
    except Exception as error:
        raise WeightsError(f"the config of {name} makes no model: fetch the model anew") from error


def _layer(layer: int | None, n_layers: int) -> int:
    if layer is None:
        return n_layers
    if not -n_layers - 1 <= layer <= n_layers:
        raise ValueError(f"layer is {layer}, needs 0 to {n_layers}, or negative from the last")
    return layer if layer >= 0 else layer + n_layers + 1


def _n_pooled(pooling: str, rate_hz: int, window_frames: int, config: "HubertConfig") -> int:
    """Count the steps that become the embedding."""
    n_steps: int = window_frames
    for kernel, stride in zip(config.conv_kernel, config.conv_stride, strict=True):
        n_steps = (n_steps - kernel) // stride + 1
    if n_steps < 1:
        raise ValueError(f"a window has {window_frames} frames, which is less than one step needs")
    if pooling == "mean":
        return n_steps
    newest = re.fullmatch(r"newest-(\d+)ms", pooling)
    if newest is None:
        raise ValueError(f'pooling is {pooling!r}, needs "mean" or "newest-100ms" or the like')
    n_newest: int = round(int(newest[1]) / 1000 * rate_hz / math.prod(config.conv_stride))
    if not 1 <= n_newest <= n_steps:
        raise ValueError(f"pooling is {pooling!r}, which is no part of a window of {n_steps} steps")
    return n_newest


def _hubert(
    checkpoint: Checkpoint, config: "HubertConfig", layer: int, n_threads: int
) -> "HubertModel":
    """Build the model with the checkpoint's weights, up to the layer that is read."""
    import torch
    from transformers import HubertModel

    torch.set_num_threads(n_threads)
    try:
        # on no device: nothing is initialised at random that a checkpoint could fail to replace
        with torch.device("meta"):
            model: HubertModel = HubertModel(config)
    except (RuntimeError, TypeError, ValueError, KeyError) as error:
        raise WeightsError(
            f"the config of {checkpoint.name} makes no model: fetch the model anew"
        ) from error
    shapes: dict[str, Any] = {key: value.shape for key, value in model.state_dict().items()}
    check_tensors(checkpoint.name, checkpoint.tensors, shapes)
    model.load_state_dict(checkpoint.tensors, strict=True, assign=True)
    model.encoder.layers = model.encoder.layers[:layer]
    return model.eval().requires_grad_(requires_grad=False)
