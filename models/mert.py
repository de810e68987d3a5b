"""MERT: the music model's forward pass in a lean form, exact, up to the layer that is read.

The arithmetic of HuBERT-base (see `models.architecture`), arranged for speed: channels-last
throughout, the first convolution's norm folded into its weights, one product for queries, keys and
values, weight norm resolved at load, no layer beyond the last that is read. It runs in the thread
that owns the encoder, and knows nothing of audio files, pooling or where its weights come from.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from models.architecture import Architecture
from models.arithmetic import Arithmetic, Product

Read = Callable[[Iterable[str]], Mapping[str, Tensor]]
"""Gives float32 tensors by name."""


class Mert:
    """A model of HuBERT-base's shape.

    Parameters
    ----------
    architecture
        Its sizes.
    arithmetic
        What it computes with.
    read
        Where its tensors come from; asked for one piece after another, and never for two at once.
    n_layers
        How many of its transformer layers are needed.
    n_steps
        Of the longest window it will hear.
    """

    def __init__(
        self,
        architecture: Architecture,
        arithmetic: Arithmetic,
        read: Read,
        *,
        n_layers: int,
        n_steps: int,
    ) -> None:
        tensors = read(architecture.front_shapes())
        self._first = _First(architecture, arithmetic, tensors)
        self._convolutions = [
            arithmetic.convolution(
                tensors[f"feature_extractor.conv_layers.{index}.conv.weight"],
                tensors.get(f"feature_extractor.conv_layers.{index}.conv.bias"),
                stride=stride,
            )
            for index, stride in enumerate(architecture.conv_strides)
            if index > 0
        ]
        self._projection_norm = (
            _norm(architecture, arithmetic, tensors, "feature_projection.layer_norm")
            if architecture.has_projection_norm
            else lambda x: x
        )
        self._projection = arithmetic.linear(*_pair(tensors, "feature_projection.projection"))
        self._position = _position(architecture, arithmetic, tensors, n_steps)
        self._norm = _norm(architecture, arithmetic, tensors, "encoder.layer_norm")
        del tensors
        self._layers = [
            _Layer(architecture, arithmetic, read(architecture.layer_shapes(index)), index)
            for index in range(n_layers)
        ]

    def __call__(self, frames: Tensor, n_newest: int) -> list[Tensor]:
        """Hear windows.

        Parameters
        ----------
        frames
            [shape=(n, n_frames), float32], normalised as the checkpoint wants it, on the device.
        n_newest
            Steps that are read; no later layer hears the last one's other steps.

        Returns
        -------
        list of Tensor
            The newest steps of what enters the first layer, and of what each layer makes of it
            [shape=(n, n_newest, dim)].
        """
        # one after the other: what a window makes of the first convolutions stays in the cache
        x = torch.cat([self._convolve(window) for window in frames.split(1)])
        x = self._projection(self._projection_norm(x))
        # an even kernel gives one step too many
        x = self._norm(x + self._position(x)[:, : x.shape[1]])
        states = [x]
        for layer in self._layers:
            x = layer(x, n_newest if layer is self._layers[-1] else x.shape[1])
            states.append(x)
        return [state[:, -n_newest:] for state in states]

    def _convolve(self, window: Tensor) -> Tensor:
        """Give one window's features [shape=(1, n_steps, n_out)]."""
        x = self._first(window)
        for convolution in self._convolutions:
            x = convolution(x)
        return x


class _First:
    """The first convolution with its norm over time, in one product.

    It is linear, so its output's mean and variance follow from the mean and the covariance of the
    patches it reads, a kernel × kernel matrix instead of a pass over the largest array of the
    model; a bias would be taken away by the norm.
    """

    def __init__(
        self, architecture: Architecture, arithmetic: Arithmetic, tensors: Mapping[str, Tensor]
    ) -> None:
        at = "feature_extractor.conv_layers.0"
        self._arithmetic = arithmetic
        self._stride = architecture.conv_strides[0]
        self._weight = tensors[f"{at}.conv.weight"][:, 0].to(arithmetic.device)
        gain, bias = _pair(tensors, f"{at}.layer_norm")
        self._gain, self._bias = gain.to(arithmetic.device), bias.to(arithmetic.device)

    def __call__(self, window: Tensor) -> Tensor:
        """Hear one window [shape=(1, n_frames)]."""
        patches = window.unfold(1, self._weight.shape[1], self._stride)[0]  # (n_steps, kernel)
        mean = patches.mean(0)
        centred = patches - mean
        covariance = centred.T @ centred / len(centred)
        variance = ((self._weight @ covariance) * self._weight).sum(1)
        gain = self._gain * torch.rsqrt(variance + NORM_EPSILON)
        weight, bias = self._weight * gain[:, None], self._bias - gain * (self._weight @ mean)
        return self._arithmetic.gelu_of_patches(window, weight, bias, stride=self._stride)


NORM_EPSILON = 1e-5
"""Of the first convolution's norm, in every checkpoint of this shape."""


class _Layer:
    """A transformer layer: attention, then two products, each normalised with what entered it."""

    def __init__(
        self,
        architecture: Architecture,
        arithmetic: Arithmetic,
        tensors: Mapping[str, Tensor],
        index: int,
    ) -> None:
        at = f"encoder.layers.{index}"
        self._n_heads = architecture.n_heads
        self._attended = arithmetic.linear(
            *_joined(_pair(tensors, f"{at}.attention.{name}_proj") for name in "qkv")
        )
        self._out = arithmetic.linear_added(*_pair(tensors, f"{at}.attention.out_proj"))
        self._norm = _norm(architecture, arithmetic, tensors, f"{at}.layer_norm")
        self._widen = arithmetic.linear(
            *_pair(tensors, f"{at}.feed_forward.intermediate_dense"), is_gelu=True
        )
        self._narrow = arithmetic.linear_added(*_pair(tensors, f"{at}.feed_forward.output_dense"))
        self._final_norm = _norm(architecture, arithmetic, tensors, f"{at}.final_layer_norm")

    def __call__(self, x: Tensor, n_newest: int) -> Tensor:
        """Give the newest steps, which attend to all."""
        n, n_steps, dim = x.shape
        heads = self._attended(x).view(n, n_steps, 3, self._n_heads, dim // self._n_heads)
        query, key, value = heads.permute(2, 0, 3, 1, 4)
        mixed = functional.scaled_dot_product_attention(query[:, :, -n_newest:], key, value)
        mixed = mixed.transpose(1, 2).reshape(n, n_newest, dim)
        x = self._norm(self._out(mixed, x[:, -n_newest:].contiguous()))
        return self._final_norm(self._narrow(self._widen(x), x))


def _position(
    architecture: Architecture,
    arithmetic: Arithmetic,
    tensors: Mapping[str, Tensor],
    n_steps: int,
) -> Product:
    """Make the positional convolution, without the taps that never meet a step.

    In a window of n steps no step is n away from another: half a second has 37 steps, and 55 of
    the 128 taps would multiply padding only.
    """
    at = "encoder.pos_conv_embed.conv"
    gain = tensors[f"{at}.parametrizations.weight.original0"]
    direction = tensors[f"{at}.parametrizations.weight.original1"]
    weight = direction * (gain / direction.norm(dim=(0, 1), keepdim=True))
    centre = architecture.position_kernel // 2
    reach = min(n_steps - 1, centre)
    return arithmetic.convolution(
        weight[:, :, centre - reach : centre + reach + 1].contiguous(),
        tensors[f"{at}.bias"],
        padding=reach,
        n_groups=architecture.position_groups,
    )


def _norm(
    architecture: Architecture, arithmetic: Arithmetic, tensors: Mapping[str, Tensor], name: str
) -> Product:
    """Make a norm over the values of each step."""
    gain, bias = map(arithmetic.keep, _pair(tensors, name))
    return lambda x: functional.layer_norm(x, gain.shape, gain, bias, architecture.epsilon)


def _pair(tensors: Mapping[str, Tensor], name: str) -> tuple[Tensor, Tensor]:
    """Give a weight and its bias."""
    return tensors[f"{name}.weight"], tensors[f"{name}.bias"]


def _joined(pairs: Iterable[Sequence[Tensor]]) -> tuple[Tensor, Tensor]:
    """Join products of the same input into one."""
    weights, biases = zip(*pairs, strict=True)
    return torch.cat(weights), torch.cat(biases)
