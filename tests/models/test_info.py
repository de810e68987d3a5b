from dataclasses import replace
from pathlib import Path

import pytest

from models.encoder import EncoderConfig
from models.info import describe, examine, main
from models.loading import load_encoder
from models.standin import write_stand_in
from tests.fakes import FakeEncoder
from tests.oracle.memories import make_event, make_memory


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a tiny model that no test changes."""
    folder = tmp_path_factory.mktemp("tiny")
    write_stand_in(folder, is_tiny=True)
    return folder


def test_it_says_what_a_pass_costs_and_whether_the_budget_allows_it() -> None:
    """At the 95th percentile; nothing of a budget that is not known."""
    encoder = FakeEncoder()
    assert "is within [budget] inference_ms = 5" in describe(encoder, (1.0, 5.0), 0.0, 5.0)
    assert "exceeds [budget] inference_ms = 5" in describe(encoder, (1.0, 5.1), 0.0, 5.0)
    text = describe(encoder, (1.0, 5.1), 0.0, None)
    assert "budget" not in text
    assert "from fp32" not in text
    assert "1.0 ms, 5.1 ms at p95" in text
    assert encoder.notice in text


def test_an_encoder_that_rounds_is_compared_with_the_exact_one() -> None:
    """Which is built for it; one that is exact is built once."""
    built: list[str] = []

    def build(config: EncoderConfig) -> FakeEncoder:
        built.append(config.precision)
        encoder = FakeEncoder()
        if config.precision == "bf16":
            encoder.spec = replace(encoder.spec, precision="bf16")
            encoder.gain = 1.02
        return encoder

    said = examine(build, EncoderConfig(precision="bf16"), None)
    assert "in bf16 on the cpu, 2.0% from fp32" in said
    assert "from fp32" not in examine(build, EncoderConfig(precision="fp32"), None)
    assert built == ["bf16", "fp32", "fp32"]


def test_a_folder_is_described_by_the_settings(
    tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Layer, precision, device, rate, window, and that it is a stand-in."""
    settings = tmp_path / "my.toml"
    settings.write_text(
        '[encoder]\nlayer = [1, 2]\nwindow_s = [0.2, 0.1]\nprecision = "fp32"\npooling = "mean"\n'
        'device = "cpu"\n[budget]\ninference_ms = 1e6\n'
    )
    assert main([str(tiny), "--config", str(settings)]) == 0
    said = capsys.readouterr().out
    for part in (
        "layer      1 and 2, pooling mean, 128 values",
        "0.2 s and 0.1 s at 24000 Hz",
        "in fp32 on the cpu",
        "is within [budget] inference_ms = 1e+06",
        "A stand-in for a tiny MERT-v1-95M",
    ):
        assert part in said


def test_the_encoder_of_a_memory_is_described(
    tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As the memory has it, whatever the settings say."""
    spec = load_encoder(tiny, layer=2, window_s=0.3).spec
    memory = make_memory([make_event()])
    memory.provenance = replace(memory.provenance, encoder=spec.to_json())
    path = tmp_path / "solo.memory"
    memory.save(path)
    assert main([str(path)]) == 0
    said = capsys.readouterr().out
    assert spec.revision in said
    assert "layer      2," in said
    assert "0.3 s at" in said


def test_spectral_has_no_layers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Settings that give it one are refused, as they are for learning."""
    assert main(["spectral"]) == 0
    assert "layer      none" in capsys.readouterr().out
    settings = tmp_path / "my.toml"
    settings.write_text("[encoder]\nlayer = 3\n")
    assert main(["spectral", "--config", str(settings)]) == 1
    assert "the spectral encoder has no such setting" in " ".join(capsys.readouterr().err.split())


def test_what_cannot_be_described_is_a_sentence(
    tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """And exit code 1."""
    (tmp_path / "text").write_text("no memory")
    assert main([str(tmp_path / "text")]) == 1
    assert "is no memory: give one that" in capsys.readouterr().err
    assert main(["fourier"]) == 1
    assert "there is no encoder fourier" in capsys.readouterr().err
    settings = tmp_path / "my.toml"
    settings.write_text("[encoder]\nlayer = 99\n")
    assert main([str(tiny), "--config", str(settings)]) == 1
    assert "[encoder] does not fit" in capsys.readouterr().err
    for text, what in (
        ('[budget]\ninference_ms = "ten"\n', "[budget] inference_ms must be a number"),
        ("budget = 3\n", "[budget] must be a table"),
        ("[encodr]\n", "no table 'encodr'"),
    ):
        settings.write_text(text)
        assert main([str(tiny), "--config", str(settings)]) == 1
        assert what in " ".join(capsys.readouterr().err.split())


def test_ctrl_c_ends_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In a word, and with the exit code of an interrupt."""

    def interrupted(*_: object) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr("models.info.examine", interrupted)
    assert main(["spectral"]) == 130
    assert capsys.readouterr().err == "Stopped.\n"
