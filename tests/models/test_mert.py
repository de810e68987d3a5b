import json
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from transformers import HubertModel, Wav2Vec2FeatureExtractor

from models.audio_file import AudioFile
from models.errors import EncoderError, WeightsError
from models.mert import LICENCE, MertEncoder
from models.standin import write_stand_in
from models.windows import WindowCutter


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a tiny model that no test changes."""
    folder = tmp_path_factory.mktemp("tiny")
    write_stand_in(folder, is_tiny=True)
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give a tiny model of the test's own."""
    write_stand_in(tmp_path / "model", is_tiny=True)
    return tmp_path / "model"


def configure(folder: Path, **changes: Any) -> None:
    """Change a model's configuration; None takes a key away."""
    path = folder / "config.json"
    values = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({key: value for key, value in values.items() if value is not None}))


def noise(n: int, n_frames: int = 24_000) -> NDArray[np.float32]:
    """Give windows of noise at different levels."""
    rng = np.random.default_rng(0)
    windows = rng.standard_normal((n, n_frames), np.float32)
    return windows * np.float32(0.1) * np.arange(1, n + 1, dtype=np.float32)[:, None]


def reference_layers(folder: Path, windows: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    """Ask transformers for every layer's steps, preprocessor and all."""
    extractor = Wav2Vec2FeatureExtractor.from_pretrained(folder)
    model = HubertModel.from_pretrained(folder).eval()
    inputs = extractor(list(windows), sampling_rate=24_000, return_tensors="pt")
    with torch.inference_mode():
        layers = model(inputs.input_values, output_hidden_states=True).hidden_states
    return [layer.numpy() for layer in layers]


def relative_error(found: NDArray[np.float32], expected: NDArray[np.float32]) -> float:
    """Compare embeddings by their norms."""
    return float(np.linalg.norm(found - expected) / np.linalg.norm(expected))


def test_silence_embeds_to_something_finite(tiny: Path) -> None:
    """Normalising it divides by nothing."""
    encoder = MertEncoder.load(tiny)
    assert np.isfinite(encoder.encode(np.zeros((1, 24_000), np.float32))).all()


@pytest.mark.parametrize("window_s", [0.1, 0.5, 1.0])
@pytest.mark.parametrize("layer", [0, 1, 2, 3])
def test_every_layer_is_transformers_own(tiny: Path, layer: int, window_s: float) -> None:
    """Mean over all steps, to rounding, at several lengths."""
    windows = noise(3, round(24_000 * window_s))
    encoder = MertEncoder.load(tiny, layer=layer, pooling="mean", window_s=window_s)
    expected = reference_layers(tiny, windows)[layer].mean(axis=1)
    assert relative_error(encoder.encode(windows), expected) < 1e-5


def test_the_95m_architecture_on_a_recording_is_transformers_own(
    tmp_path: Path, shared_data: Path
) -> None:
    """Layers 6 and 12 of a stand-in, on the piano at 44.1 kHz, resampled as on stage."""
    write_stand_in(tmp_path / "m")
    file = AudioFile(shared_data / "piano" / "mozart_k265_var1.mp3")
    audio = next(file.blocks(3 * file.rate_hz))
    encoders = [MertEncoder.load(tmp_path / "m", layer=layer) for layer in (6, 12)]
    cutter = WindowCutter(file.rate_hz, encoders[0].spec)
    windows = np.stack(
        [cutter.cut(audio[start : start + cutter.n_frames]) for start in (20_000, 60_000)]
    )
    layers = reference_layers(tmp_path / "m", windows)
    for encoder in encoders:
        assert encoder.spec.layer is not None
        # 100 ms are 7.5 steps of 13.3 ms
        expected = layers[encoder.spec.layer][:, -8:].mean(axis=1)
        assert relative_error(encoder.encode(windows), expected) < 1e-5


def test_the_defaults_are_one_second_the_last_layer_and_the_newest_100_ms(tiny: Path) -> None:
    """All of it in the spec."""
    spec = MertEncoder.load(tiny).spec
    assert (spec.rate_hz, spec.window_frames, spec.dim) == (24_000, 24_000, 32)
    assert (spec.layer, spec.pooling) == (3, "newest-100ms")
    assert spec.name == str(tiny)
    assert MertEncoder.load(tiny, layer=-1).spec == spec
    assert MertEncoder.load(tiny, layer=-4).spec.layer == 0


@pytest.mark.parametrize(("pooling", "n_steps"), [("newest-13ms", 1), ("newest-40ms", 3)])
def test_the_newest_part_is_pooled_by_its_steps(tiny: Path, pooling: str, n_steps: int) -> None:
    """75 steps a second."""
    windows = noise(2)
    expected = reference_layers(tiny, windows)[3][:, -n_steps:].mean(axis=1)
    assert relative_error(MertEncoder.load(tiny, pooling=pooling).encode(windows), expected) < 1e-5


def test_normalisation_is_the_checkpoints_choice(folder: Path) -> None:
    """With it a soft window is heard as a loud one, without it not; and it is in the identity."""
    windows = noise(1)
    soft = windows * np.float32(0.01)
    normalising = MertEncoder.load(folder)
    path = folder / "preprocessor_config.json"
    path.write_text(path.read_text().replace("true", "false"))
    plain = MertEncoder.load(folder)
    by_level = relative_error(normalising.encode(soft), normalising.encode(windows))
    assert by_level < relative_error(plain.encode(soft), plain.encode(windows)) / 20
    assert normalising.spec != plain.spec


def test_a_window_depends_on_its_batch_by_rounding_only(tiny: Path) -> None:
    """One by one or together."""
    encoder, windows = MertEncoder.load(tiny), noise(5)
    alone = np.concatenate([encoder.encode(window[None]) for window in windows])
    assert relative_error(encoder.encode(windows), alone) < 1e-5


def test_the_same_model_elsewhere_or_in_a_pickle_has_an_equal_spec(
    folder: Path, tmp_path: Path
) -> None:
    """Identity is content."""
    spec = MertEncoder.load(folder).spec
    moved = folder.rename(tmp_path / "elsewhere")
    torch.save(load_file(moved / "model.safetensors"), moved / "pytorch_model.bin")
    (moved / "model.safetensors").unlink()
    assert MertEncoder.load(moved).spec == spec


def test_a_stand_in_says_so_and_a_real_one_says_its_licence(folder: Path) -> None:
    """In its notice, and in its revision."""
    encoder = MertEncoder.load(folder)
    assert "stand-in" in encoder.notice
    assert encoder.spec.revision.startswith("stand-in-")
    configure(folder, stand_in=None)
    encoder = MertEncoder.load(folder)
    assert encoder.notice == LICENCE
    assert "CC BY-NC 4.0" in LICENCE
    assert encoder.spec.revision.startswith("weights-")


def test_loading_and_encoding_say_nothing(tiny: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """No warning and no progress bar of a library's reaches the musician."""
    MertEncoder.load(tiny).encode(noise(1))
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"feature_extractor_cqt": True}, "330M's kind"),
        ({"deepnorm": True}, "330M's kind"),
        ({"attention_relax": 32.0}, "330M's kind"),
        ({"do_stable_layer_norm": True}, "not a post-norm HuBERT"),
        ({"model_type": "whisper"}, "not a post-norm HuBERT"),
    ],
)
def test_other_architectures_are_refused(folder: Path, change: dict[str, Any], what: str) -> None:
    """By name, with what to choose instead."""
    configure(folder, **change)
    with pytest.raises(EncoderError, match=f"{what}.*: choose m-a-p/MERT-v1-95M"):
        MertEncoder.load(folder)


@pytest.mark.parametrize(
    "change",
    [
        {"hidden_size": None},
        {"hidden_size": "wide"},
        {"num_attention_heads": 5},
        {"conv_kernel": [10, 3]},
        {"hidden_act": "unheard-of"},
    ],
)
def test_a_config_that_makes_no_model_is_refused(folder: Path, change: dict[str, Any]) -> None:
    """Whatever transformers makes of it."""
    configure(folder, **change)
    with pytest.raises(WeightsError, match=r"config of .* fetch the model anew"):
        MertEncoder.load(folder)


def test_a_missing_tensor_is_an_error_and_never_random(folder: Path) -> None:
    """Also one that the wanted layer does not need."""
    path = folder / "model.safetensors"
    tensors = load_file(path)
    del tensors["encoder.layers.2.attention.k_proj.weight"]
    save_file(tensors, path)
    with pytest.raises(WeightsError, match=r"layers\.2\.attention\.k_proj\.weight is missing"):
        MertEncoder.load(folder, layer=0)


def test_an_unknown_or_misshapen_tensor_is_an_error(folder: Path) -> None:
    """A checkpoint holds its architecture and nothing else."""
    path = folder / "model.safetensors"
    tensors = load_file(path)
    save_file(tensors | {"head.weight": torch.zeros(1)}, path)
    with pytest.raises(WeightsError, match=r"head\.weight is unknown"):
        MertEncoder.load(folder)
    configure(folder, intermediate_size=128)
    save_file(tensors, path)
    with pytest.raises(WeightsError, match=r"\(64,\) instead of \(128,\)"):
        MertEncoder.load(folder)


def test_settings_out_of_range_are_named(tiny: Path) -> None:
    """Name, value, need."""
    with pytest.raises(ValueError, match="layer is 4, needs 0 to 3"):
        MertEncoder.load(tiny, layer=4)
    with pytest.raises(ValueError, match="layer is -5, needs"):
        MertEncoder.load(tiny, layer=-5)
    with pytest.raises(ValueError, match="pooling is 'max', needs \"mean\" or"):
        MertEncoder.load(tiny, pooling="max")
    with pytest.raises(ValueError, match="which is no part of a window of 37 steps"):
        MertEncoder.load(tiny, pooling="newest-600ms", window_s=0.5)
    with pytest.raises(ValueError, match="which is no part"):
        MertEncoder.load(tiny, pooling="newest-0ms")
    with pytest.raises(ValueError, match="399 frames, which is less than one step needs"):
        MertEncoder.load(tiny, window_s=399 / 24_000)
    with pytest.raises(ValueError, match="0 frames, which is less than one step needs"):
        MertEncoder.load(tiny, window_s=0.0)
    with pytest.raises(ValueError, match="n_threads is 0, needs at least 1"):
        MertEncoder.load(tiny, n_threads=0)
    with pytest.raises(ValueError, match="windows has shape"):
        MertEncoder.load(tiny).encode(np.zeros((1, 5), np.float32))


def test_an_encoder_built_here_works_in_another_thread(tiny: Path) -> None:
    """As the encoder worker uses it, on one torch thread."""
    encoder, windows = MertEncoder.load(tiny), noise(2)
    here = encoder.encode(windows)
    there: list[tuple[int, NDArray[np.float32]]] = []
    worker = threading.Thread(
        target=lambda: there.append((torch.get_num_threads(), encoder.encode(windows)))
    )
    worker.start()
    worker.join()
    assert there[0][0] == 1
    assert np.array_equal(there[0][1], here)
