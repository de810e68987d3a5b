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
    EXACT.append(Prepacked(torch.float32))
if "bf16" in precisions(CPU):
    NEAR.append(Prepacked(torch.bfloat16))


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
    """And GELU; at any batch and length."""
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
    bias = random(32)
    expected = functional.gelu(functional.linear(x.double(), weight.double(), bias.double()))
    found = arithmetic.gelu_of_patches(note[None], weight[None], bias[None], stride=5)[0]
    assert found.dtype == arithmetic.dtype
    assert relative_error(found, expected.float()) < 0.01


def test_windows_heard_together_have_weights_of_their_own() -> None:
    """As on an accelerator, where a first convolution is one product for all."""
    frames, weight, bias = random(2, 100), random(2, 8, 10), random(2, 8)
    plain = Plain(torch.float32, CPU)
    together = plain.gelu_of_patches(frames, weight, bias, stride=5)
    for index, found in enumerate(together):
        x = frames[index].unfold(0, 10, 5)
        expected = functional.gelu(functional.linear(x, weight[index], bias[index]))
        assert relative_error(found, expected) < 1e-5


def test_apples_attention_is_torchs_without_what_is_wrong_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Seven queries among 74 keys, of permuted heads: torch's own is silently wrong with those."""
    query, key, value = random(2, 74, 3 * 4, 64).transpose(1, 2).chunk(3, 1)
    query = query[:, :, -7:]
    expected = functional.scaled_dot_product_attention(query, key, value)
    monkeypatch.delattr(functional, "scaled_dot_product_attention")
    found = Plain(torch.float32, torch.device("mps")).attend(query, key, value)
    assert relative_error(found, expected) < 1e-5
