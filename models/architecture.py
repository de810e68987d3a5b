"""The architecture: HuBERT-base's shape, as a checkpoint's configuration states it.

MERT-v1-95M (Li et al. 2023, arXiv 2306.00107) and Wav2Vec 2.0 base (Baevski et al. 2020, arXiv
2006.11477) have it: strided convolutions, the first with a norm over time, then post-norm
transformer layers behind a positional convolution. Everything is read from the configuration, and
what is not of this shape is refused. It runs once, in whoever loads an encoder; it needs no torch.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self

from models.errors import EncoderError, WeightsError

MERT_HUB_ID = "m-a-p/MERT-v1-95M"
WAV2VEC_HUB_ID = "facebook/wav2vec2-base"

MODEL_TYPES = ("mert_model", "music_hubert", "hubert", "wav2vec2")

# torch renamed what weight_norm keeps: magnitude g and direction v
RENAMED = {
    ".weight_g": ".parametrizations.weight.original0",
    ".weight_v": ".parametrizations.weight.original1",
}

OPTIONAL_TENSORS = ("masked_spec_embed",)
"""What takes the place of masked steps in training."""
HEADS = ("quantizer.", "project_q.", "project_hid.", "lm_head.", "final_proj.")
"""What pre-training put on top: no part of what is heard."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Architecture:
    """Sizes of a model of HuBERT-base's shape.

    Attributes
    ----------
    conv_dims, conv_kernels, conv_strides
        Of each convolution over time, in order.
    has_conv_bias, has_projection_norm
        Whether the convolutions have biases, and whether their output is normalised.
    dim, inner_dim, n_heads, n_layers
        Of the transformer.
    position_kernel, position_groups
        Of the convolution that tells the steps' places.
    epsilon
        Added to variances under a root.
    """

    conv_dims: tuple[int, ...]
    conv_kernels: tuple[int, ...]
    conv_strides: tuple[int, ...]
    has_conv_bias: bool
    has_projection_norm: bool
    dim: int
    inner_dim: int
    n_heads: int
    n_layers: int
    position_kernel: int
    position_groups: int
    epsilon: float

    @classmethod
    def from_config(cls, name: str, config: Mapping[str, Any]) -> Self:
        """Take the architecture from a checkpoint's configuration.

        Raises
        ------
        EncoderError
            It is another architecture.
        WeightsError
            A size is missing, or makes no model.
        """
        try:
            _require_this_shape(name, config)
            architecture = cls(
                conv_dims=_sizes(config["conv_dim"]),
                conv_kernels=_sizes(config["conv_kernel"]),
                conv_strides=_sizes(config["conv_stride"]),
                has_conv_bias=bool(config.get("conv_bias", False)),
                has_projection_norm=bool(config.get("feat_proj_layer_norm", True)),
                dim=_size(config["hidden_size"]),
                inner_dim=_size(config["intermediate_size"]),
                n_heads=_size(config["num_attention_heads"]),
                n_layers=_size(config["num_hidden_layers"]),
                position_kernel=_size(config.get("num_conv_pos_embeddings", 128)),
                position_groups=_size(config.get("num_conv_pos_embedding_groups", 16)),
                epsilon=float(config.get("layer_norm_eps", 1e-5)),
            )
            if not architecture._is_consistent():
                raise ValueError("sizes that do not divide each other")
        except KeyError as error:
            raise WeightsError(
                f"the config of {name} has no {error.args[0]}: fetch the model anew"
            ) from None
        except (TypeError, ValueError) as error:
            raise WeightsError(
                f"the config of {name} makes no model ({error}): fetch the model anew"
            ) from None
        return architecture

    def _is_consistent(self) -> bool:
        return (
            1 < len(self.conv_dims) == len(self.conv_kernels) == len(self.conv_strides)
            and self.dim % self.n_heads == 0
            and self.dim % self.position_groups == 0
            and 0 < self.epsilon < 1
        )

    @property
    def hop_frames(self) -> int:
        """Frames from one step to the next."""
        return math.prod(self.conv_strides)

    def n_steps(self, n_frames: int) -> int:
        """Count the steps of a window."""
        for kernel, stride in zip(self.conv_kernels, self.conv_strides, strict=True):
            n_frames = (n_frames - kernel) // stride + 1
        return n_frames

    @property
    def receptive_frames(self) -> int:
        """Frames the convolutions need for one step: the shortest window."""
        n_frames = 1
        for kernel, stride in zip(self.conv_kernels[::-1], self.conv_strides[::-1], strict=True):
            n_frames = (n_frames - 1) * stride + kernel
        return n_frames

    def front_shapes(self) -> dict[str, tuple[int, ...]]:
        """Name the tensors before the transformer's layers, with their shapes."""
        shapes: dict[str, tuple[int, ...]] = {}
        n_in = 1
        for index, (n_out, kernel) in enumerate(
            zip(self.conv_dims, self.conv_kernels, strict=True)
        ):
            shapes[f"feature_extractor.conv_layers.{index}.conv.weight"] = (n_out, n_in, kernel)
            if self.has_conv_bias:
                shapes[f"feature_extractor.conv_layers.{index}.conv.bias"] = (n_out,)
            n_in = n_out
        shapes |= _pair("feature_extractor.conv_layers.0.layer_norm", (self.conv_dims[0],))
        if self.has_projection_norm:
            shapes |= _pair("feature_projection.layer_norm", (n_in,))
        shapes |= _pair("feature_projection.projection", (self.dim, n_in))
        position = "encoder.pos_conv_embed.conv"
        shapes |= {
            f"{position}.bias": (self.dim,),
            f"{position}.parametrizations.weight.original0": (1, 1, self.position_kernel),
            f"{position}.parametrizations.weight.original1": (
                self.dim,
                self.dim // self.position_groups,
                self.position_kernel,
            ),
        }
        return shapes | _pair("encoder.layer_norm", (self.dim,))

    def layer_shapes(self, index: int) -> dict[str, tuple[int, ...]]:
        """Name the tensors of the transformer's layer `index` from 0, with their shapes."""
        at = f"encoder.layers.{index}"
        shapes: dict[str, tuple[int, ...]] = {}
        for name in ("q_proj", "k_proj", "v_proj", "out_proj"):
            shapes |= _pair(f"{at}.attention.{name}", (self.dim, self.dim))
        shapes |= _pair(f"{at}.layer_norm", (self.dim,))
        shapes |= _pair(f"{at}.feed_forward.intermediate_dense", (self.inner_dim, self.dim))
        shapes |= _pair(f"{at}.feed_forward.output_dense", (self.dim, self.inner_dim))
        return shapes | _pair(f"{at}.final_layer_norm", (self.dim,))

    def groups(self) -> Iterator[dict[str, tuple[int, ...]]]:
        """Give all tensors with their shapes, in pieces of which one fits into memory easily."""
        yield self.front_shapes()
        for index in range(self.n_layers):
            yield self.layer_shapes(index)


def _require_this_shape(name: str, config: Mapping[str, Any]) -> None:
    """Refuse other architectures by name, with what to choose instead."""
    if (
        config.get("feature_extractor_cqt")
        or config.get("deepnorm")
        or config.get("attention_relax", -1) > 0
    ):
        raise EncoderError(
            f"{name} is of MERT-v1-330M's kind, which needs code of its own (CQT features, "
            f"deepnorm): choose {MERT_HUB_ID}"
        )
    kinds = {
        "feat_extract_norm": "group",
        "feat_extract_activation": "gelu",
        "hidden_act": "gelu",
        "do_stable_layer_norm": False,
        "conv_pos_batch_norm": False,
    }
    is_other = any(config.get(key, kind) != kind for key, kind in kinds.items())
    if config.get("model_type") not in MODEL_TYPES or is_other:
        raise EncoderError(
            f"{name} is not of HuBERT-base's shape: choose {MERT_HUB_ID} or {WAV2VEC_HUB_ID}"
        )


def _pair(name: str, shape: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
    """Name a weight and its bias."""
    return {f"{name}.weight": shape, f"{name}.bias": shape[:1]}


def _size(value: object) -> int:
    if type(value) is not int or not 1 <= value <= 1 << 20:
        raise ValueError(f"{value!r} is no size")
    return value


def _sizes(values: object) -> tuple[int, ...]:
    if not isinstance(values, list) or not values:
        raise ValueError(f"{values!r} is no list of sizes")
    return tuple(map(_size, values))
