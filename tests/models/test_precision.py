import pytest
import torch

from models import precision
from models.arithmetic import Arithmetic, Plain, Prepacked
from models.errors import EncoderError
from models.precision import arithmetic, choose_device, choose_precision, precisions

CPU = torch.device("cpu")


def test_a_device_that_is_not_there_is_refused_in_a_sentence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With what to choose; auto takes what there is."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    for name in ("cuda", "mps"):
        with pytest.raises(EncoderError, match=f'no device {name} .* choose device = "cpu"'):
            choose_device(name)
    assert choose_device("auto") == choose_device("cpu") == CPU


def test_auto_takes_an_accelerator_that_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """CUDA before MPS."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert choose_device("auto").type == "mps"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert choose_device("auto").type == "cuda"
    assert choose_device("cpu") == CPU


def test_a_precision_that_the_device_lacks_is_refused() -> None:
    """No processor is asked for fp16."""
    with pytest.raises(EncoderError, match="cpu does not compute in fp16: choose precision = 'fp3"):
        choose_precision("fp16", CPU)
    assert choose_precision("fp32", CPU) == "fp32"


def test_auto_takes_the_fastest_by_measuring(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whichever that is: here the planted one."""
    costs = {torch.float32: 1.0, torch.bfloat16: 2.0}

    def planted(candidate: Arithmetic) -> float:
        return costs[candidate.dtype]

    monkeypatch.setattr(precision, "_probe_s", planted)
    monkeypatch.setattr(precision, "precisions", lambda device: ("fp32", "bf16"))
    assert choose_precision("auto", CPU) == "fp32"
    costs[torch.float32] = 3.0
    assert choose_precision("auto", CPU) == "bf16"


def test_auto_takes_no_fp16_where_there_is_bf16(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is no slower, and nothing overflows."""
    monkeypatch.setattr(precision, "_probe_s", lambda candidate: candidate.dtype != torch.float16)
    for known in (("fp32", "fp16"), ("fp32", "bf16", "fp16")):
        monkeypatch.setattr(precision, "precisions", lambda device, known=known: known)
        assert (choose_precision("auto", CPU) == "fp16") == ("bf16" not in known)


def test_auto_measured_here_is_one_that_the_cpu_has() -> None:
    """The probe runs."""
    assert choose_precision("auto", CPU) in precisions(CPU)


def test_mps_computes_in_half_precision_by_its_own_products() -> None:
    """The seam to machines that the tests do not run on."""
    mps = torch.device("mps")
    assert precisions(mps) == ("fp32", "fp16")
    chosen = arithmetic("fp16", mps)
    assert isinstance(chosen, Plain)
    assert (chosen.dtype, chosen.device) == (torch.float16, mps)


def test_a_cpu_without_onednn_computes_plainly(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on Apple's processors; with it, weights are laid out once."""
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    assert precisions(CPU) == ("fp32",)
    assert isinstance(arithmetic("fp32", CPU), Plain)
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: True)
    assert isinstance(arithmetic("fp32", CPU), Prepacked)
