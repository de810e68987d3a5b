"""The precision: which arithmetic a model is run with, and on which device.

``"auto"`` measures what this machine does fastest, on products of a transformer layer's size: a
processor without bf16 units can compute in bf16 too, only slowly. Runs at start only.
"""

import time
from typing import Final

import torch

from models.arithmetic import Arithmetic, Plain, Prepacked
from models.errors import EncoderError

DTYPES: Final = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}

PROBE_DIM: Final = 1024
N_PROBES: Final = 5


def choose_device(device: str) -> torch.device:
    """Give a device that is there.

    Parameters
    ----------
    device
        ``"cpu"``, ``"cuda"``, ``"mps"``, or ``"auto"`` for an accelerator if there is one.

    Raises
    ------
    EncoderError
        It is not there.
    """
    is_there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if device == "auto":
        return torch.device(next((name for name in is_there if is_there[name]), "cpu"))
    if not is_there.get(device, True):
        raise EncoderError(
            f'there is no device {device} on this machine: choose device = "cpu", or "auto"'
        )
    return torch.device(device)


def precisions(device: torch.device) -> tuple[str, ...]:
    """List what a device computes in, the exact one first."""
    if device.type == "cuda":
        return ("fp32", "bf16", "fp16") if _has_cuda_bf16() else ("fp32", "fp16")
    if device.type == "mps":
        return ("fp32", "fp16")
    return ("fp32", "bf16") if _has_bf16_kernels() else ("fp32",)


def choose_precision(precision: str, device: torch.device) -> str:
    """Give a precision that a device computes in.

    Parameters
    ----------
    precision
        ``"fp32"``, ``"bf16"``, ``"fp16"``, or ``"auto"`` for the fastest, by measuring.

    Raises
    ------
    EncoderError
        The device does not compute in it.
    """
    known = precisions(device)
    if precision == "auto":
        if "bf16" in known:  # as fast as fp16, and nothing that fits float32 is too large for it
            known = tuple(name for name in known if name != "fp16")
        return min(known, key=lambda name: _probe_s(arithmetic(name, device)))
    if precision not in known:
        raise EncoderError(
            f"this machine's {device.type} does not compute in {precision}: choose precision = "
            f"{' or '.join(map(repr, known))}, or 'auto'"
        )
    return precision


def arithmetic(precision: str, device: torch.device) -> Arithmetic:
    """Make the fastest arithmetic of a precision on a device."""
    if device.type == "cpu" and torch.backends.mkldnn.is_available():
        return Prepacked(DTYPES[precision])
    return Plain(DTYPES[precision], device)


def _has_cuda_bf16() -> bool:
    """Say whether it is in the hardware: emulated, it is slower than float32."""
    return bool(torch.cuda.is_bf16_supported(including_emulation=False))


def _has_bf16_kernels() -> bool:
    return torch.backends.mkldnn.is_available() and bool(
        torch.ops.mkldnn._is_mkldnn_bf16_supported()
    )


def _probe_s(candidate: Arithmetic) -> float:
    """Measure a product, the best of a few."""
    ones = torch.ones(PROBE_DIM, PROBE_DIM)
    product = candidate.linear(ones, ones[0])
    x = candidate.keep(ones)
    durations_s = []
    for _ in range(N_PROBES):
        started_s = time.perf_counter()
        # reading a value waits for the device
        product(x)[0, 0].item()
        durations_s.append(time.perf_counter() - started_s)
    return min(durations_s)
