import pytest
import torch
from torch import Tensor
from torch.nn import functional

from models.arithmetic import Arithmetic, Plain, Prepacked
from models.precision import precisions

CPU = torch.device("cpu")
EXACT: list[Arithmetic] = [Plain(torch.float32, CPU)]
NEAR: list[Arithmetic] = []
if torch.backends.mkldnn.is_available():
    EXACT.append(Prepacked(torch.float32, 37))
if "bf16" in precisions(CPU):
    NEAR.append(Prepacked(torch.bfloat16, 37))


def random(*shape: int) -> Tensor:
    """Draw a tensor, the same every time."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(len(shape)))


def relative_error(found: Tensor, expected: Tensor) -> float:
    """Compare by norms."""
    return float((found.float() - expected).norm() / expected.norm())


def tolerance(arithmetic: Arithmetic) -> float:
    """Rounding of a single product."""
    return 1e-5 if arithmetic.dtype == torch.float32 else 0.01


@pytest.mark.parametrize("arithmetic", [*EXACT, *NEAR], ids=repr)
@pytest.mark.parametrize("is_gelu", [False, True])
def test_a_linear_product_is_torchs(arithmetic: Arithmetic, is_gelu: bool) -> None:
    """With or without GELU, exact or rounded."""
    weight, bias, x = random(48, 32) / 32**0.5, random(48), random(2, 37, 32)
    expected = functional.linear(x, weight, bias)
    expected = functional.gelu(expected) if is_gelu else expected
    found = arithmetic.linear(weight, bias, is_gelu=is_gelu)(arithmetic.keep(x))
    assert found.dtype == arithmetic.dtype
    assert relative_error(found, expected) < tolerance(arithmetic)


@pytest.mark.parametrize("arithmetic", [*EXACT, *NEAR], ids=repr)
def test_a_product_is_added_to_what_is_there(arithmetic: Arithmetic) -> None:
    """Which stays as it was."""
    weight, bias, x, y = random(48, 32) / 32**0.5, random(48), random(2, 37, 32), random(2, 37, 48)
    kept = arithmetic.keep(y)
    found = arithmetic.linear_added(weight, bias)(arithmetic.keep(x), kept)
    assert found.dtype == arithmetic.dtype
    assert relative_error(found, y + functional.linear(x, weight, bias)) < tolerance(arithmetic)
    assert torch.equal(kept, arithmetic.keep(y))


@pytest.mark.parametrize("arithmetic", [*EXACT, *NEAR], ids=repr)
@pytest.mark.parametrize(
    ("kernel", "stride", "padding", "n_groups", "n_steps"),
    [
        (3, 2, 0, 1, 299),
        (2, 2, 0, 1, 38),
        (2, 2, 0, 1, 2),
        (16, 1, 8, 4, 37),  # the shape that oneDNN gets wrong in bf16
        (16, 1, 8, 2, 37),
        (5, 1, 2, 2, 3),
    ],
)
@pytest.mark.parametrize("has_bias", [False, True])
def test_a_convolution_is_torchs_with_channels_last(
    arithmetic: Arithmetic,
    kernel: int,
    stride: int,
    padding: int,
    n_groups: int,
    n_steps: int,
    has_bias: bool,
) -> None:
    """And GELU; at another batch and length than the layout was chosen for."""
    weight = random(32, 32 // n_groups, kernel) / (32 // n_groups * kernel) ** 0.5
    bias = random(32) if has_bias else None
    x = random(3, n_steps, 32)
    expected = functional.gelu(
        functional.conv1d(x.mT, weight, bias, stride, padding, 1, n_groups)
    ).mT
    found = arithmetic.convolution(weight, bias, stride=stride, padding=padding, n_groups=n_groups)(
        arithmetic.keep(x)
    )
    assert found.dtype == arithmetic.dtype
    assert relative_error(found, expected) < tolerance(arithmetic)


@pytest.mark.parametrize("arithmetic", [*EXACT, *NEAR], ids=repr)
def test_filters_that_cancel_most_of_their_input_are_not_rounded_away(
    arithmetic: Arithmetic,
) -> None:
    """Band-passes, as a model's first convolution is full of, on a low note."""
    note = 3 * torch.sin(2 * torch.pi * 55 / 24_000 * torch.arange(3000))
    x = note.unfold(0, 10, 5)
    taps = torch.arange(10) - 4.5
    hz = torch.linspace(0.05, 0.45, 32)[:, None]
    weight = torch.cos(2 * torch.pi * hz * taps) * torch.hann_window(12, False)[1:-1]
    weight -= weight.mean(1, keepdim=True)
    weight *= 1 / (x @ weight.T).std(0)[:, None]
    bias = torch.zeros(32)
    expected = functional.gelu(functional.linear(x.double(), weight.double())).float()
    found = arithmetic.gelu_of_patches(note[None], weight, bias, stride=5)[0]
    assert found.dtype == arithmetic.dtype
    assert relative_error(found, expected) < 0.01
