import json
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.encoder import EncoderSpec, check_windows
from models.errors import EncoderError, ModelsError, WeightsError, WeightsMissingError
from models.loading import load_encoder, restore_encoder
from models.spectral import SpectralEncoder
from models.standin import write_stand_in

SPEC = EncoderSpec(
    name="a",
    revision="1",
    rate_hz=24_000,
    window_frames=12_000,
    dim=8,
    layer=3,
    pooling="mean",
)


@given(
    name=st.text(),
    revision=st.text(),
    layer=st.none() | st.integers(0, 99),
    rate_hz=st.integers(1, 192_000),
)
def test_a_spec_survives_json(name: str, revision: str, layer: int | None, rate_hz: int) -> None:
    """What is written is what is read, name included."""
    spec = replace(SPEC, name=name, revision=revision, layer=layer, rate_hz=rate_hz)
    again = EncoderSpec.from_json(spec.to_json())
    assert asdict(again) == asdict(spec)
    assert "\n" not in spec.to_json()


def test_where_it_was_found_is_no_part_of_what_it_is() -> None:
    """The same weights in another folder embed into the same space; all else matters."""
    assert replace(SPEC, name="elsewhere") == SPEC
    assert hash(replace(SPEC, name="elsewhere")) == hash(SPEC)
    assert replace(SPEC, revision="2") != SPEC
    assert replace(SPEC, rate_hz=16_000) != SPEC
    assert replace(SPEC, window_frames=1) != SPEC
    assert replace(SPEC, dim=9) != SPEC
    assert replace(SPEC, layer=None) != SPEC
    assert replace(SPEC, pooling="whole") != SPEC


def test_several_layers_of_which_there_is_one_are_that_one() -> None:
    """However a settings file or an older memory has it."""
    assert replace(SPEC, layer=(3,)) == replace(SPEC, layer=3)
    assert EncoderSpec.from_json(SPEC.to_json().replace('"layer": 3', '"layer": [3]')) == SPEC


def test_a_spec_reads_as_a_sentence() -> None:
    """Name, identity, layer, window, values."""
    assert str(SPEC) == "a (1, layer 3): 0.5 s at 24000 Hz → 8 values"
    assert str(replace(SPEC, layer=None)) == "a (1): 0.5 s at 24000 Hz → 8 values"


@pytest.mark.parametrize("key", ["rate_hz", "window_frames", "dim"])
def test_numbers_below_one_are_refused(key: str) -> None:
    """Name, value, need."""
    values = json.loads(SPEC.to_json()) | {key: 0}
    with pytest.raises(ValueError, match=f"{key} is 0, needs at least 1"):
        EncoderSpec(**values)


def test_a_negative_layer_is_refused() -> None:
    """In a spec a layer is counted from the first."""
    with pytest.raises(ValueError, match="layer is -1, needs 0 or more"):
        replace(SPEC, layer=-1)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        SPEC.to_json().replace("dim", "dims"),
        SPEC.to_json().replace('"dim": 8', '"dim": "8"'),
        SPEC.to_json().replace('"dim": 8', '"dim": true'),
        SPEC.to_json().replace('"dim": 8', '"dim": 8, "extra": 1'),
        SPEC.to_json().replace('"dim": 8', '"dim": 0'),
    ],
)
def test_what_is_not_a_spec_is_refused(text: str) -> None:
    """JSON that was tampered with is a ValueError, whatever was done to it."""
    with pytest.raises(ValueError, match=r"encoder spec|Expecting|dim is 0"):
        EncoderSpec.from_json(text)


def test_a_batch_is_held_against_its_spec() -> None:
    """Type, shape and finiteness."""
    with pytest.raises(ValueError, match="windows has dtype int16, needs float32"):
        check_windows(np.zeros((3, 12_000), np.int16), SPEC)
    check_windows(np.zeros((3, 12_000), np.float32), SPEC)
    for shape in ((12_000,), (0, 12_000), (1, 11_999), (1, 1, 12_000)):
        with pytest.raises(ValueError, match="windows has shape"):
            check_windows(np.zeros(shape, np.float32), SPEC)
    with pytest.raises(ValueError, match="NaN or infinity"):
        check_windows(np.full((1, 12_000), np.inf, np.float32), SPEC)


def test_spectral_is_one_of_the_names() -> None:
    """It has no settings, and says so."""
    assert load_encoder("spectral").spec == SpectralEncoder().spec
    with pytest.raises(ValueError, match="layer is 3, but the spectral encoder has no such"):
        load_encoder("spectral", layer=3)


def test_loading_spectral_does_not_import_torch() -> None:
    """Who plays without a model does not wait for one."""
    script = (
        "import sys; from models.loading import load_encoder; load_encoder('spectral');"
        "raise SystemExit('torch' in sys.modules or 'transformers' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def test_a_folder_is_one_of_the_names(tmp_path: Path) -> None:
    """Settings reach the model."""
    write_stand_in(tmp_path, is_tiny=True)
    encoder = load_encoder(tmp_path, layer=1, pooling="mean", window_s=0.2)
    assert encoder.spec.name == str(tmp_path)
    assert (encoder.spec.layer, encoder.spec.pooling, encoder.spec.window_s) == (1, "mean", 0.2)


def test_what_is_neither_is_refused(tmp_path: Path) -> None:
    """The sentence lists what there is."""
    with pytest.raises(EncoderError, match="no encoder fourier: choose spectral, mert, a hub id"):
        load_encoder("fourier")
    with pytest.raises(EncoderError, match="choose spectral, mert"):
        load_encoder(tmp_path / "gone")


def test_a_memorys_encoder_is_restored_from_its_spec(tmp_path: Path) -> None:
    """Also where its folder has moved."""
    spectral = SpectralEncoder().spec
    assert restore_encoder(spectral).spec == spectral
    write_stand_in(tmp_path / "old", is_tiny=True)
    spec = load_encoder(tmp_path / "old", layer=2, window_s=0.3).spec
    (tmp_path / "old").rename(tmp_path / "new")
    assert restore_encoder(spec, tmp_path / "new").spec == spec
    with pytest.raises(EncoderError, match="no encoder"):
        restore_encoder(spec)


def test_another_encoder_than_the_memorys_is_refused(tmp_path: Path) -> None:
    """Tokens of one space mean nothing in another."""
    write_stand_in(tmp_path / "a", is_tiny=True)
    write_stand_in(tmp_path / "b", is_tiny=True, seed=1)
    spec = load_encoder(tmp_path / "a").spec
    with pytest.raises(
        EncoderError, match=r"learned with .*stand-in-\w+.* which is not .*stand-in"
    ):
        restore_encoder(spec, tmp_path / "b")
    with pytest.raises(EncoderError, match="which is not spectral"):
        restore_encoder(spec, "spectral")


def test_every_error_of_the_world_is_one_of_ours() -> None:
    """One root to catch."""
    for error in (EncoderError, WeightsError, WeightsMissingError):
        assert issubclass(error, ModelsError)
