"""MERT: the music model's forward pass in a lean form, exact, up to the layer that is read.

The arithmetic of HuBERT-base (see `models.architecture`), arranged for speed: channels-last
throughout, the first convolution's norm folded into its weights, one product for queries, keys and
values, weight norm resolved at load, no layer beyond the last that is read. It runs in the thread
that owns the encoder, and knows nothing of audio files, pooling or where its weights come from.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from models.architecture import Architecture
from models.arithmetic import Arithmetic, Product

Read = Callable[[Iterable[str]], Mapping[str, Tensor]]
"""Gives float32 tensors by name."""


class Mert:
    """A model of HuBERT-base's shape, of which encoders that read the same weights share one.

    Parameters
    ----------
    architecture
        Its sizes.
    arithmetic
        What it computes with.
    read
        Where its tensors come from; asked for one piece after another, and never for two at once.
    """

    def __init__(self, architecture: Architecture, arithmetic: Arithmetic, read: Read) -> None:
        self._architecture = architecture
        self._arithmetic = arithmetic
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
        self._norm = _norm(architecture, arithmetic, tensors, "encoder.layer_norm")
        self._positions: dict[int, Product] = {}
        self._layers: list[_Layer] = []

    def prepare(self, read: Read, *, n_layers: int, n_steps: int) -> None:
        """Load what a pass needs and is not there yet.

        Parameters
        ----------
        n_layers
            Transformer layers in it.
        n_steps
            Of its windows.
        """
        if n_steps not in self._positions:
            self._positions[n_steps] = _position(
                self._architecture, self._arithmetic, read, n_steps
            )
        for index in range(len(self._layers), n_layers):
            tensors = read(self._architecture.layer_shapes(index))
            self._layers.append(_Layer(self._architecture, self._arithmetic, tensors, index))

    def __call__(self, frames: Tensor, *, layers: Collection[int], n_newest: int) -> list[Tensor]:
        """Hear windows, for which `prepare` was called.

        Parameters
        ----------
        frames
            [shape=(n, n_frames), float32], normalised as the checkpoint wants it, on the device.
        layers
            Which are read; 0 is what enters the first, and none after the last is computed.
        n_newest
            Steps that are read; of the last layer there are no others.

        Returns
        -------
        list of Tensor
            The newest steps of each of those layers [shape=(n, n_newest, dim)].
        """
        x = self._convolve(frames)
        x = self._projection(self._projection_norm(x))
        n_steps = x.shape[1]
        x = self._norm(x + self._positions[n_steps](x)[:, :n_steps])
        newest = slice(n_steps - n_newest, n_steps)
        read = {0: x[:, newest]}
        last = max(layers)
        x = self._arithmetic.filled(x)
        for index, layer in enumerate(self._layers[:last], 1):
            x = layer(x, n_steps, newest if index == last else slice(None))
            if index in layers:
                read[index] = x if index == last else x[:, newest]
        return [read[index] for index in layers]

    def _convolve(self, frames: Tensor) -> Tensor:
        """Give windows' features [shape=(n, n_steps, n_out)]."""
        if self._arithmetic.device.type == "cpu" and len(frames) > 1:
            # one after the other: what a window makes of the first ones stays in the cache
            return torch.cat([self._convolve(window) for window in frames.split(1)])
        x = self._first(frames)
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

    def __call__(self, frames: Tensor) -> Tensor:
        """Hear windows [shape=(n, n_frames)]."""
        patches = frames.unfold(1, self._weight.shape[1], self._stride)  # (n, n_steps, kernel)
        mean = patches.mean(1)
        centred = patches - mean[:, None]
        covariance = centred.mT @ centred / centred.shape[1]
        variance = ((self._weight @ covariance) * self._weight).sum(2)  # (n, n_out)
        gain = self._gain * torch.rsqrt(variance + NORM_EPSILON)
        weight = self._weight * gain[:, :, None]
        bias = self._bias - gain * (mean @ self._weight.T)
        return self._arithmetic.gelu_of_patches(frames, weight, bias, stride=self._stride)


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
        pairs = [_pair(tensors, f"{at}.attention.{name}_proj") for name in "qkv"]
        self._attended = arithmetic.linear(*_by_heads(pairs, architecture.n_heads))
        self._attend = arithmetic.attend
        self._out = arithmetic.linear_added(*_pair(tensors, f"{at}.attention.out_proj"))
        self._norm = _norm(architecture, arithmetic, tensors, f"{at}.layer_norm")
        self._widen = arithmetic.linear(
            *_pair(tensors, f"{at}.feed_forward.intermediate_dense"), is_gelu=True
        )
        self._narrow = arithmetic.linear_added(*_pair(tensors, f"{at}.feed_forward.output_dense"))
        self._final_norm = _norm(architecture, arithmetic, tensors, f"{at}.final_layer_norm")

    def __call__(self, x: Tensor, n_steps: int, wanted: slice) -> Tensor:
        """Give the wanted steps, which attend to the first `n_steps`."""
        heads = self._attended(x).unflatten(2, (self._n_heads, 3, -1))
        query, key, value = heads.transpose(1, 2).unbind(3)
        mixed = self._attend(query[:, :, wanted], key, value, n_steps)
        x = self._norm(self._out(mixed.transpose(1, 2).flatten(2), x[:, wanted].contiguous()))
        return self._final_norm(self._narrow(self._widen(x), x))


def _position(
    architecture: Architecture, arithmetic: Arithmetic, read: Read, n_steps: int
) -> Product:
    """Make the positional convolution, without the taps that never meet a step.

    In a window of n steps no step is n away from another: half a second has 37 steps, and 54 of
    the 128 taps would multiply padding only. Their number is even, and gives a step too many.
    """
    at = "encoder.pos_conv_embed.conv"
    names = [f"{at}.{name}" for name in ("bias", *POSITION_WEIGHTS)]
    bias, gain, direction = map(read(names).__getitem__, names)
    weight = direction * (gain / direction.norm(dim=(0, 1), keepdim=True))
    weight = functional.pad(weight, (architecture.position_kernel % 2, 0))
    centre = weight.shape[2] // 2
    reach = min(n_steps, centre)
    return arithmetic.convolution(
        weight[:, :, centre - reach : centre + reach].contiguous(),
        bias,
        padding=reach,
        n_groups=architecture.position_groups,
        n_steps=n_steps,
    )


POSITION_WEIGHTS = ("parametrizations.weight.original0", "parametrizations.weight.original1")
"""Magnitude and direction, which together are the weights."""


def _norm(
    architecture: Architecture, arithmetic: Arithmetic, tensors: Mapping[str, Tensor], name: str
) -> Product:
    """Make a norm over the values of each step."""
    gain, bias = map(arithmetic.keep, _pair(tensors, name))
    return lambda x: functional.layer_norm(x, gain.shape, gain, bias, architecture.epsilon)


def _pair(tensors: Mapping[str, Tensor], name: str) -> tuple[Tensor, Tensor]:
    """Give a weight and its bias."""
    return tensors[f"{name}.weight"], tensors[f"{name}.bias"]


def _by_heads(pairs: Iterable[Sequence[Tensor]], n_heads: int) -> tuple[Tensor, Tensor]:
    """Join products of the same input, each head's side by side: a core attends with what it made.

    Gives [shape=(n_heads * n_pairs * dim of a head, n_in)] and its biases.
    """
    weights, biases = zip(*pairs, strict=True)
    weight = torch.stack([weight.unflatten(0, (n_heads, -1)) for weight in weights], 1)
    bias = torch.stack([bias.unflatten(0, (n_heads, -1)) for bias in biases], 1)
    return weight.flatten(0, 2), bias.flatten()
