"""Parts: float32 factors as bfloat16 numbers that add up to them, for units that know only those.

A convolution whose weights cancel out most of what it hears would lose it to rounding; in parts it
is as exact as in float32. It runs in the thread that owns the encoder.
"""

import torch
from torch import Tensor

N_PARTS = 3
"""Bfloat16 numbers that add up to a float32: 24 bits are three times 8."""


def in_parts(frames: Tensor, weight: Tensor, bias: Tensor, stride: int) -> tuple[Tensor, Tensor]:
    """Give factors in bfloat16 whose product is a convolution as float32 would have it.

    What is below the last bit is left out. A kernel of 10 makes 63 columns, which AMX reads as two
    tiles: 1.5 ms for a second of sound, where the product in float32 takes 4.4.

    Parameters
    ----------
    frames, weight, bias
        [shape=(n, n_frames)], [shape=(n_out, kernel)] and [shape=(n_out,)], float32.

    Returns
    -------
    tuple of Tensor
        Patches [shape=(n, n_steps, n_columns)] and their weights [shape=(n_out, n_columns)].
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
