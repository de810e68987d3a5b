"""The arithmetic: a model's matrix products, in a precision, on a device.

`Plain` is torch's own, anywhere. `Prepacked` is oneDNN's on the CPU: weights are laid out once, at
load, as its kernels read them (AMX or AVX-512 tiles in bf16), and GELU is applied while a result is
still in the cache. Both compute in channels-last order, where a convolution over time is a
product with a window's consecutive rows. It runs in the thread that owns the encoder; a product
lets the interpreter go while it runs.
"""

import os
from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional

Product = Callable[[Tensor], Tensor]

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
            [shape=(n, n_frames)], [shape=(n_out, kernel)] and [shape=(n_out,)], float32.
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
    ) -> Product:
        """Make GELU of a convolution over the steps of x [shape=(n, n_steps, n_in)].

        Parameters
        ----------
        weight, bias
            [shape=(n_out, n_in / n_groups, kernel)] and [shape=(n_out,)], float32.
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

    def linear(self, weight: Tensor, bias: Tensor, *, is_gelu: bool = False) -> Product:
        """Make a product, as `Arithmetic` has it."""
        weight, bias = self.keep(weight), self.keep(bias)

        def product(x: Tensor) -> Tensor:
            y = functional.linear(x, weight, bias)
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
        patches = frames.unfold(-1, weight.shape[1], stride)
        return self.keep(functional.gelu(functional.linear(patches, weight, bias)))

    def convolution(
        self,
        weight: Tensor,
        bias: Tensor | None,
        *,
        stride: int = 1,
        padding: int = 0,
        n_groups: int = 1,
    ) -> Product:
        """Make a convolution, as `Arithmetic` has it."""
        if n_groups == 1:
            return _by_rows(self, weight, bias, stride, padding)
        weight, bias = self.keep(weight), None if bias is None else self.keep(bias)
        return lambda x: (
            functional.gelu(functional.conv1d(x.mT, weight, bias, stride, padding, 1, n_groups)).mT
        )


class Prepacked:
    """oneDNN's products on the CPU, with weights laid out for its kernels.

    Parameters
    ----------
    dtype
        Float32 or bfloat16.
    n_rows
        Rows of a usual product: what the layout is chosen for.
    """

    device = torch.device("cpu")

    def __init__(self, dtype: torch.dtype, n_rows: int) -> None:
        self.dtype = dtype
        self._n_rows = n_rows

    def keep(self, tensor: Tensor) -> Tensor:
        """Bring a tensor to this precision."""
        return tensor.to(self.dtype)

    def linear(self, weight: Tensor, bias: Tensor, *, is_gelu: bool = False) -> Product:
        """Make a product, as `Arithmetic` has it."""
        bias = self.keep(bias)
        packed = torch.ops.mkldnn._reorder_linear_weight(self.keep(weight), self._n_rows)
        after = _after(is_gelu=is_gelu)
        return lambda x: torch.ops.mkldnn._linear_pointwise(x, packed, bias, *after)

    def linear_added(self, weight: Tensor, bias: Tensor) -> Callable[[Tensor, Tensor], Tensor]:
        """Make a product that is added, as `Arithmetic` has it."""
        bias = self.keep(bias)
        packed = torch.ops.mkldnn._reorder_linear_weight(self.keep(weight), self._n_rows)
        return lambda x, y: torch.ops.mkldnn._linear_pointwise.binary(x, y, packed, bias, "add")

    def gelu_of_patches(
        self, frames: Tensor, weight: Tensor, bias: Tensor, *, stride: int
    ) -> Tensor:
        """Compute a first convolution, as `Arithmetic` has it."""
        product = torch.ops.mkldnn._linear_pointwise
        after = _after(is_gelu=True)
        result: Tensor = (
            product(frames.unfold(-1, weight.shape[1], stride), weight, bias, *after)
            if self.dtype == torch.float32
            else product(*_in_parts(frames, weight, bias, stride), None, *after)
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
    ) -> Product:
        """Make a convolution, as `Arithmetic` has it."""
        if n_groups == 1:
            return _by_rows(self, weight, bias, stride, padding)
        # oneDNN (torch 2.13) is wrong in bf16 where a group has 8 channels and the kernel is even
        dtype = torch.float32 if weight.shape[1] % 16 else self.dtype
        weight, bias = weight.to(dtype), None if bias is None else bias.to(dtype)
        n_in = weight.shape[1] * n_groups
        # one row of an image whose channels come last
        shape = ([0, padding], [1, stride], [1, 1], n_groups)
        packed = torch.ops.mkldnn._reorder_convolution_weight(
            weight[:, :, None], *shape, [1, n_in, 1, stride * self._n_rows]
        )
        after = _after(is_gelu=True)

        def product(x: Tensor) -> Tensor:
            image = x.to(dtype).movedim(2, 1)[:, :, None]
            y = torch.ops.mkldnn._convolution_pointwise(image, packed, bias, *shape, *after)
            result: Tensor = y[:, :, 0].movedim(1, 2)
            return self.keep(result)

        return product


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


N_PARTS = 3
"""Bfloat16 numbers that add up to a float32: 24 bits are three times 8."""


def _in_parts(frames: Tensor, weight: Tensor, bias: Tensor, stride: int) -> tuple[Tensor, Tensor]:
    """Give factors in bfloat16 whose product is a convolution as float32 would have it.

    What is below the last bit is left out. A kernel of 10 makes 63 columns, which AMX reads as two
    tiles: 1.5 ms for a second of sound, where the product in float32 takes 4.4.
    """
    pairs = [(i, j) for i in range(N_PARTS) for j in range(N_PARTS - i)]
    patches = [part.unfold(-1, weight.shape[1], stride) for part in _parts(frames)]
    of_weight = _parts(weight)
    ones = torch.ones((), dtype=torch.bfloat16).expand(*patches[0].shape[:-1], N_PARTS)
    return (
        torch.cat([*(patches[i] for i, _ in pairs), ones], -1),
        torch.cat([*(of_weight[j] for _, j in pairs), *_parts(bias[:, None])], -1),
    )


def _parts(x: Tensor) -> list[Tensor]:
    """Split float32 into bfloat16 numbers that add up to it, the largest first."""
    parts = []
    for _ in range(N_PARTS):
        parts.append(x.to(torch.bfloat16))
        x = x - parts[-1]
    return parts


def _after(*, is_gelu: bool) -> tuple[str, list[float], str]:
    """Name what oneDNN applies to a result: the operation, its scalars and its algorithm."""
    return ("gelu", [], "none") if is_gelu else ("none", [], "")
