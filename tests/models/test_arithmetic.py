import pytest
import torch
from torch import Tensor
from torch.nn import functional

from models.arithmetic import ONE_CORE, Arithmetic, Plain, Prepacked
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
        (16, 1, 8, 4, 37),  # with 8 channels oneDNN gets it wrong in bf16
        (16, 1, 8, 2, 37),
        (5, 1, 2, 2, 3),
        (16, 1, 8, 2, 3),
    ],
)
@pytest.mark.parametrize("n_each", [8, 16, 48])
@pytest.mark.parametrize("has_bias", [False, True])
def test_a_convolution_is_torchs_with_channels_last(
    arithmetic: Arithmetic,
    kernel: int,
    stride: int,
    padding: int,
    n_groups: int,
    n_steps: int,
    n_each: int,
    has_bias: bool,
) -> None:
    """And GELU; at any batch and length, of channels that fill the processor's tiles or not."""
    dim = n_each * n_groups
    weight = random(dim, n_each, kernel) / (n_each * kernel) ** 0.5
    bias = random(dim) if has_bias else None
    x = random(3, n_steps, dim)
    expected = functional.gelu(
        functional.conv1d(x.mT, weight, bias, stride, padding, 1, n_groups)
    ).mT
    found = arithmetic.convolution(weight, bias, stride=stride, padding=padding, n_groups=n_groups)(
        arithmetic.keep(x)
    )
    assert found.dtype == arithmetic.dtype
    assert relative_error(found, expected) < tolerance(arithmetic)


@pytest.mark.parametrize("arithmetic", [*EXACT, *NEAR], ids=repr)
@pytest.mark.parametrize("n_steps", [599, 2 * max(ONE_CORE) + 3])
def test_a_convolution_that_one_core_would_make_is_the_same_by_several(
    arithmetic: Arithmetic, n_steps: int
) -> None:
    """Whether it was made for several or not, and whoever asks."""
    weight, x = random(32, 32, 3) / 96**0.5, random(2, n_steps, 32)
    expected = functional.gelu(functional.conv1d(x.mT, weight, stride=2)).mT
    n_threads = torch.get_num_threads()
    try:
        for made_for, asked_by in ((1, 2), (2, 1), (2, 2)):
            torch.set_num_threads(made_for)
            convolution = arithmetic.convolution(weight, None, stride=2)
            torch.set_num_threads(asked_by)
            found = convolution(arithmetic.keep(x))
            assert found.dtype == arithmetic.dtype
            assert relative_error(found, expected) < tolerance(arithmetic)
    finally:
        torch.set_num_threads(n_threads)


@pytest.mark.parametrize("arithmetic", [*EXACT, *NEAR], ids=repr)
@pytest.mark.parametrize("n_queries", [8, 74])
@pytest.mark.parametrize("n_steps", [74, 80])
@pytest.mark.parametrize("n_filled", [0, 6])
def test_attention_is_torchs_whatever_the_tiles(
    arithmetic: Arithmetic, n_queries: int, n_steps: int, n_filled: int
) -> None:
    """What fills the last tile counts nothing, even where it would fit best: where nothing does."""
    query, key, value = random(2, n_steps, 3 * 4, 64).transpose(1, 2).chunk(3, 1)
    query = query[:, :, -n_queries:]
    key = key - 8 * query.mean(2, keepdim=True)
    expected = functional.scaled_dot_product_attention(query, key, value)
    key, value = (functional.pad(x, (0, 0, 0, n_filled), value=3.0) for x in (key, value))
    query, key, value = map(arithmetic.keep, (query, key, value))
    found = arithmetic.attend(query, key, value, n_steps)
    assert found.shape == expected.shape
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
    found = Plain(torch.float32, torch.device("mps")).attend(query, key, value, 74)
    assert relative_error(found, expected) < 1e-5
