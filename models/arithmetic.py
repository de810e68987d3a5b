"""The arithmetic: a model's matrix products, in a precision, on a device.

`Plain` is torch's own, anywhere. `Prepacked` is oneDNN's on the CPU: weights are laid out once, at
load, as its kernels read them (AMX or AVX-512 tiles in bf16), and GELU is applied while a result is
still in the cache. Both compute in channels-last order, where a convolution over time is a
product with a window's consecutive rows. It runs in the thread that owns the encoder; a product
lets the interpreter go while it runs.
"""

import os
from collections.abc import Callable
from functools import cache
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional

from models.bf16_parts import in_parts

Product = Callable[[Tensor], Tensor]

N_ROWS = 64
"""Of a usual product, which the layout of weights is made for; others cost no more by it."""

TILE_STEPS, TILE_CHANNELS = 16, 32
"""What AMX takes at once: oneDNN fills others up to these."""
ONE_CORE = range(161, 1024)
"""Of so many rows oneDNN's product (torch 2.13) can be made by one core, and the others be idle."""

# Where Linux has huge pages, large tensors lie in them: all weights are read once a pass, and
# finding the addresses of small pages takes 4 % of it. Torch looks when it first allocates.
os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")


class Arithmetic(Protocol):
    """What a model computes with."""

    dtype: torch.dtype
    device: torch.device

    def keep(self, tensor: Tensor) -> Tensor:
        """Bring a float32 tensor to this precision and device."""
        ...

    def filled(self, x: Tensor) -> Tensor:
        """Fill up a lone window's steps [shape=(n, n_steps, dim)] to as many as cost no more."""
        ...

    def attend(self, query: Tensor, key: Tensor, value: Tensor, n_keys: int) -> Tensor:
        """Give values' means, weighted by how well their keys fit a query.

        Parameters
        ----------
        query, key, value
            [shape=(n, n_heads, n_steps, dim)].
        n_keys
            The first that count; what `filled` added does not.
        """
        ...

    def linear(self, weight: Tensor, bias: Tensor, *, is_gelu: bool = False) -> Product:
        """Make ``x @ weight.T + bias``, and GELU of it if wanted.

        Parameters
        ----------
        weight, bias
            [shape=(n_out, n_in)] and [shape=(n_out,)], float32.
        """
        ...

    def linear_added(self, weight: Tensor, bias: Tensor) -> Callable[[Tensor, Tensor], Tensor]:
        """Make ``y + x @ weight.T + bias`` of x and y."""
        ...

    def gelu_of_patches(
        self, frames: Tensor, weight: Tensor, bias: Tensor, *, stride: int
    ) -> Tensor:
        """Compute GELU of a convolution of frames with weights that are used once.

        As exact as in float32, and rounded at the end: weights may cancel out most of the frames.

        Parameters
        ----------
        frames, weight, bias
            [shape=(n, n_frames)], [shape=(n, n_out, kernel)] and [shape=(n, n_out)], float32:
            each window's own. `Prepacked` takes one window.
        """
        ...

    def convolution(
        self,
        weight: Tensor,
        bias: Tensor | None,
        *,
        stride: int = 1,
        padding: int = 0,
        n_groups: int = 1,
        n_steps: int = N_ROWS,
    ) -> Product:
        """Make GELU of a convolution over the steps of x [shape=(n, n_steps, n_in)].

        Parameters
        ----------
        weight, bias
            [shape=(n_out, n_in / n_groups, kernel)] and [shape=(n_out,)], float32.
        n_steps
            Of x: others can be slower, of several groups a hundred times.
        """
        ...


class Plain:
    """Torch's own products, on any device and in any precision."""

    def __init__(self, dtype: torch.dtype, device: torch.device) -> None:
        self.dtype = dtype
        self.device = device

    def keep(self, tensor: Tensor) -> Tensor:
        """Bring a tensor to this precision and device."""
        return tensor.to(self.device, self.dtype)

    def filled(self, x: Tensor) -> Tensor:
        """Give them as they are."""
        return x

    def attend(self, query: Tensor, key: Tensor, value: Tensor, n_keys: int) -> Tensor:
        """Attend, as `Arithmetic` has it."""
        key, value = key[:, :, :n_keys], value[:, :, :n_keys]
        if self.device.type != "mps":
            return functional.scaled_dot_product_attention(query, key, value)
        # torch's own is silently wrong there: of permuted heads (2.8 to 2.11, pytorch#181133), and
        # of at most 8 queries with keys that are no multiple of 32 (2.9, pytorch#169222)
        return _attend(query, key, value)

    def linear(self, weight: Tensor, bias: Tensor, *, is_gelu: bool = False) -> Product:
        """Make a product, as `Arithmetic` has it."""
        weight, bias = self.keep(weight), self.keep(bias)

        def product(x: Tensor) -> Tensor:
            y = functional.linear(x.contiguous(), weight, bias)
            return functional.gelu(y) if is_gelu else y

        return product

    def linear_added(self, weight: Tensor, bias: Tensor) -> Callable[[Tensor, Tensor], Tensor]:
        """Make a product that is added, as `Arithmetic` has it."""
        product = self.linear(weight, bias)
        return lambda x, y: y + product(x)

    def gelu_of_patches(
        self, frames: Tensor, weight: Tensor, bias: Tensor, *, stride: int
    ) -> Tensor:
        """Compute a first convolution, as `Arithmetic` has it."""
        patches = frames.unfold(1, weight.shape[2], stride).contiguous()
        return self.keep(functional.gelu(torch.baddbmm(bias[:, None], patches, weight.mT)))

    def convolution(
        self,
        weight: Tensor,
        bias: Tensor | None,
        *,
        stride: int = 1,
        padding: int = 0,
        n_groups: int = 1,
        n_steps: int = N_ROWS,
    ) -> Product:
        """Make a convolution, as `Arithmetic` has it."""
        if n_groups == 1:
            return _by_rows(self, weight, bias, stride, padding)
        return _by_groups(self, weight, bias, stride, padding, n_groups)


class Prepacked:
    """oneDNN's products on the CPU, with weights laid out for its kernels.

    Parameters
    ----------
    dtype
        Float32 or bfloat16.
    """

    device = torch.device("cpu")

    def __init__(self, dtype: torch.dtype) -> None:
        self.dtype = dtype
        is_tiled = dtype == torch.bfloat16 and torch.cpu._is_amx_tile_supported()
        self._tile_steps, self._tile_channels = (TILE_STEPS, TILE_CHANNELS) if is_tiled else (1, 1)

    def keep(self, tensor: Tensor) -> Tensor:
        """Bring a tensor to this precision."""
        return tensor.to(self.dtype)

    def filled(self, x: Tensor) -> Tensor:
        """Fill the last tile. Several windows' steps fill them together."""
        return functional.pad(x, (0, 0, 0, -x.shape[1] % self._tile_steps)) if len(x) == 1 else x

    def attend(self, query: Tensor, key: Tensor, value: Tensor, n_keys: int) -> Tensor:
        """Attend, as `Arithmetic` has it; among keys in whole tiles, in 3/5 of the time."""
        n_more = -key.shape[2] % self._tile_steps
        if n_more:
            key, value = (functional.pad(x, (0, 0, 0, n_more)) for x in (key, value))
        mask = _only(n_keys, key.shape[2], self.dtype)
        return functional.scaled_dot_product_attention(query, key, value, attn_mask=mask)

    def linear(self, weight: Tensor, bias: Tensor, *, is_gelu: bool = False) -> Product:
        """Make a product, as `Arithmetic` has it."""
        bias = self.keep(bias)
        packed = torch.ops.mkldnn._reorder_linear_weight(self.keep(weight), N_ROWS)
        after = _after(is_gelu=is_gelu)

        def product(x: Tensor) -> Tensor:
            if x.shape[1] in ONE_CORE and torch.get_num_threads() > 1:
                n_parts = -(-x.shape[1] // (ONE_CORE.start - 1))
                return torch.cat([product(part) for part in x.chunk(n_parts, 1)], 1)
            result: Tensor = torch.ops.mkldnn._linear_pointwise(x, packed, bias, *after)
            return result

        return product

    def linear_added(self, weight: Tensor, bias: Tensor) -> Callable[[Tensor, Tensor], Tensor]:
        """Make a product that is added, as `Arithmetic` has it."""
        bias = self.keep(bias)
        packed = torch.ops.mkldnn._reorder_linear_weight(self.keep(weight), N_ROWS)
        return lambda x, y: torch.ops.mkldnn._linear_pointwise.binary(x, y, packed, bias, "add")

    def gelu_of_patches(
        self, frames: Tensor, weight: Tensor, bias: Tensor, *, stride: int
    ) -> Tensor:
        """Compute a first convolution, as `Arithmetic` has it."""
        product = torch.ops.mkldnn._linear_pointwise
        after = _after(is_gelu=True)
        result: Tensor = (
            product(frames.unfold(1, weight.shape[2], stride), weight[0], bias[0], *after)
            if self.dtype == torch.float32
            else product(*in_parts(frames, weight[0], bias[0], stride), None, *after)
        )
        return result

    def convolution(
        self,
        weight: Tensor,
        bias: Tensor | None,
        *,
        stride: int = 1,
        padding: int = 0,
        n_groups: int = 1,
        n_steps: int = N_ROWS,
    ) -> Product:
        """Make a convolution, as `Arithmetic` has it."""
        if n_groups == 1:
            return _by_rows(self, weight, bias, stride, padding)
        bias = torch.zeros(len(weight)) if bias is None else bias
        return self._side_by_side(weight, bias, stride, padding, n_groups, n_steps)

    def _side_by_side(
        self,
        weight: Tensor,
        bias: Tensor,
        stride: int,
        padding: int,
        n_groups: int,
        n_steps: int,
    ) -> Product:
        """Make a convolution of several groups, whose channels fill tiles.

        MERT's groups have 48, which would be filled up to 64 on both sides: 17 MB of weights
        instead of 9, and reading them takes most of the time. So a step comes with the next one,
        as 96 channels, and what is made of them is 32 channels and 16.
        """
        n_out, n_in, kernel = weight.shape
        n_each = n_out // n_groups
        n_taps = 2 if n_in % self._tile_channels and kernel % 2 == 0 and padding else 1
        taps = weight.view(n_groups, n_each, n_in, kernel // n_taps, n_taps)
        taps = taps.movedim(4, 2).flatten(2, 3)
        n_rest = n_each % self._tile_channels
        sizes = [n_each - n_rest, n_rest]
        parts = [
            self._image(
                *(part.flatten(0, 1), of_part.flatten(), stride, padding + 1 - n_taps),
                n_taps=n_taps,
                n_groups=n_groups,
                n_steps=n_steps + n_taps - 1,
            )
            for part, of_part in zip(
                taps.split(sizes, 1), bias.view(n_groups, n_each).split(sizes, 1), strict=True
            )
            if part.shape[1]
        ]

        def convolution(x: Tensor) -> Tensor:
            if n_taps > 1:
                x = functional.pad(x, (0, 0, 1, 1)).unflatten(2, (n_groups, n_in))
                x = x.unfold(1, n_taps, 1).mT.flatten(2)
            made = [part(x).unflatten(2, (n_groups, -1)) for part in parts]
            return torch.cat(made, 3).flatten(2)

        return convolution

    def _image(
        self,
        weight: Tensor,
        bias: Tensor,
        stride: int,
        padding: int,
        *,
        n_taps: int,
        n_groups: int,
        n_steps: int,
    ) -> Product:
        """Make a convolution with every n-th step as oneDNN's own."""
        # oneDNN (torch 2.13) is wrong in bf16 where a group has 8 channels and the kernel is even
        dtype = torch.float32 if weight.shape[1] % 16 else self.dtype
        weight, bias = weight.to(dtype), bias.to(dtype)
        n_in = weight.shape[1] * n_groups
        # one row of an image whose channels come last
        shape = ([0, padding], [1, stride], [1, n_taps], n_groups)
        packed = torch.ops.mkldnn._reorder_convolution_weight(
            weight[:, :, None].contiguous(), *shape, [1, n_in, 1, n_steps]
        )
        after = _after(is_gelu=True)

        def product(x: Tensor) -> Tensor:
            image = x.to(dtype).movedim(2, 1)[:, :, None]
            y = torch.ops.mkldnn._convolution_pointwise(image, packed, bias, *shape, *after)
            result: Tensor = y[:, :, 0].movedim(1, 2)
            return self.keep(result)

        return product


@cache
def _only(n_keys: int, n_all: int, dtype: torch.dtype) -> Tensor | None:
    """Make what is added to how well keys fit, so that those after the first count nothing."""
    if n_keys == n_all:
        return None
    mask = torch.zeros(1, 1, 1, n_all, dtype=dtype)
    mask[..., n_keys:] = -torch.inf
    return mask


def _attend(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Attend by products of dense arrays."""
    fit = (query * query.shape[-1] ** -0.5).contiguous() @ key.mT.contiguous()
    return torch.softmax(fit, -1) @ value.contiguous()


def _by_rows(
    arithmetic: Arithmetic, weight: Tensor, bias: Tensor | None, stride: int, padding: int
) -> Product:
    """Make a convolution of one group as a product with consecutive rows, a third faster."""
    n_out, n_in, kernel = weight.shape
    bias = torch.zeros(n_out) if bias is None else bias
    rows = weight.mT.reshape(n_out, kernel * n_in)
    product = arithmetic.linear(rows, bias, is_gelu=True)

    def convolution(x: Tensor) -> Tensor:
        if padding:
            x = functional.pad(x, (0, 0, padding, padding))
        x = x.contiguous()
        n, n_steps = len(x), (x.shape[1] - kernel) // stride + 1
        shape = (n, n_steps, kernel * n_in)
        return product(x.as_strided(shape, (x.stride(0), stride * n_in, 1)))

    return convolution


def _by_groups(
    arithmetic: Arithmetic,
    weight: Tensor,
    bias: Tensor | None,
    stride: int,
    padding: int,
    n_groups: int,
) -> Product:
    """Make a convolution of several groups as one product a group, side by side."""
    n_out, n_each, kernel = weight.shape
    rows = weight.view(n_groups, -1, n_each, kernel).mT.reshape(n_groups, -1, kernel * n_each)
    columns = arithmetic.keep(rows.mT.contiguous())
    bias = arithmetic.keep(torch.zeros(n_out) if bias is None else bias)

    def convolution(x: Tensor) -> Tensor:
        x = functional.pad(x, (0, 0, padding, padding))
        n, n_steps = len(x), (x.shape[1] - kernel) // stride + 1
        x = x.view(n, -1, n_groups, n_each).permute(2, 0, 1, 3).contiguous()
        patches = x.as_strided(
            (n_groups, n, n_steps, kernel * n_each),
            (x.stride(0), x.stride(1), stride * n_each, 1),
        )
        y = patches.reshape(n_groups, n * n_steps, -1) @ columns
        y = y.view(n_groups, n, n_steps, -1).permute(1, 2, 0, 3).reshape(n, n_steps, n_out)
        return functional.gelu(y + bias)

    return convolution


def _after(*, is_gelu: bool) -> tuple[str, list[float], str]:
    """Name what oneDNN applies to a result: the operation, its scalars and its algorithm."""
    return ("gelu", [], "none") if is_gelu else ("none", [], "")
