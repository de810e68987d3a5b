import json
import math
import threading
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from transformers import HubertModel, Wav2Vec2FeatureExtractor, Wav2Vec2Model

from models.audio_file import AudioFile
from models.errors import EncoderError, WeightsError
from models.mert import Mert
from models.neural import _IN_USE, NeuralEncoder
from models.precision import precisions
from models.standin import write_stand_in
from models.tensor_file import TensorFile
from models.windows import WindowCutter


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a tiny model that no test changes."""
    folder = tmp_path_factory.mktemp("tiny")
    write_stand_in(folder, is_tiny=True)
    return folder


@pytest.fixture(scope="module")
def tiny_wav2vec2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a tiny model of the other family that no test changes."""
    folder = tmp_path_factory.mktemp("tiny_wav2vec2")
    write_stand_in(folder, is_tiny=True, is_wav2vec2=True)
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


def load(folder: Path, **settings: Any) -> NeuralEncoder:
    """Load a model, exact unless said otherwise."""
    return NeuralEncoder.load(folder, **{"precision": "fp32", "device": "cpu"} | settings)


def reference_layers(folder: Path, windows: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    """Ask transformers for every layer's steps, preprocessor and all."""
    is_wav2vec2 = json.loads((folder / "config.json").read_text())["model_type"] == "wav2vec2"
    extractor = Wav2Vec2FeatureExtractor.from_pretrained(folder)
    model = (Wav2Vec2Model if is_wav2vec2 else HubertModel).from_pretrained(folder)
    inputs = extractor(list(windows), sampling_rate=extractor.sampling_rate, return_tensors="pt")
    with torch.inference_mode():
        layers = model.eval()(inputs.input_values, output_hidden_states=True).hidden_states
    return [layer.numpy() for layer in layers]


def relative_error(found: NDArray[np.float32], expected: NDArray[np.float32]) -> float:
    """Compare embeddings by their norms."""
    return float(np.linalg.norm(found - expected) / np.linalg.norm(expected))


def test_silence_embeds_to_something_finite(tiny: Path) -> None:
    """Normalising it divides by nothing."""
    encoder = load(tiny)
    assert np.isfinite(encoder.encode(np.zeros((1, 12_000), np.float32))).all()


@pytest.mark.parametrize("window_s", [0.1, 0.5, 1.0, 10.0])
@pytest.mark.parametrize("is_wav2vec2", [False, True])
def test_every_layer_is_transformers_own(
    tiny: Path, tiny_wav2vec2: Path, window_s: float, is_wav2vec2: bool
) -> None:
    """Mean over all steps, to rounding, at several lengths and rates."""
    folder = tiny_wav2vec2 if is_wav2vec2 else tiny
    encoder = load(folder, layer=(0, 1, 2, 3), pooling="mean", window_s=window_s)
    windows = noise(3, encoder.spec.window_frames)
    expected = [layer.mean(axis=1) for layer in reference_layers(folder, windows)]
    for found, layer in zip(np.split(encoder.encode(windows), 4, axis=1), expected, strict=True):
        assert relative_error(found, layer) < 1e-5


@pytest.mark.parametrize("n", [1, 2, 7, 16])
def test_batches_of_any_size_are_transformers_own(tiny: Path, n: int) -> None:
    """Passes of powers of two, put together."""
    windows = noise(n, 12_000)
    expected = reference_layers(tiny, windows)[2].mean(axis=1)
    assert relative_error(load(tiny, layer=2, pooling="mean").encode(windows), expected) < 1e-5


def test_a_positional_kernel_may_be_odd(folder: Path) -> None:
    """It has no step too many, then."""
    path = folder / "model.safetensors"
    kernels = load_file(path)
    names = [name for name in kernels if "pos_conv" in name and "bias" not in name]
    configure(folder, num_conv_pos_embeddings=15)
    save_file(kernels | {name: kernels[name][:, :, :15].contiguous() for name in names}, path)
    for window_s in (0.05, 0.5):
        encoder = load(folder, layer=2, pooling="mean", window_s=window_s)
        windows = noise(2, encoder.spec.window_frames)
        expected = reference_layers(folder, windows)[2].mean(axis=1)
        assert relative_error(encoder.encode(windows), expected) < 1e-5


@pytest.mark.skipif("bf16" not in precisions(torch.device("cpu")), reason="needs bf16 kernels")
@pytest.mark.parametrize("window_s", [0.1, 0.5, 1.0])
def test_what_fills_a_lone_windows_tiles_is_not_heard(tiny: Path, window_s: float) -> None:
    """At any layer, by any step."""
    settings = {"layer": (1, 2, 3), "pooling": "mean", "window_s": window_s}
    exact, rounded = load(tiny, **settings), load(tiny, precision="bf16", **settings)
    window = noise(1, exact.spec.window_frames)
    assert relative_error(rounded.encode(window), exact.encode(window)) < 0.02


def test_the_95m_architecture_on_a_recording_is_transformers_own(
    tmp_path: Path, shared_data: Path
) -> None:
    """211 tensors, 94.4 million values; every layer, on the piano, resampled; bf16 nearly."""
    write_stand_in(tmp_path / "m")
    shapes = TensorFile(tmp_path / "m" / "model.safetensors").shapes
    assert (len(shapes), sum(map(math.prod, shapes.values()))) == (211, 94_371_712)
    file = AudioFile(shared_data / "piano" / "mozart_k265_var1.mp3")
    audio = next(file.blocks(3 * file.rate_hz))
    encoder = load(tmp_path / "m", layer=tuple(range(13)), pooling="last")
    cutter = WindowCutter(file.rate_hz, encoder.spec)
    windows = cutter.cut(audio[60_000 : 60_000 + cutter.n_frames])[None]
    found = np.split(encoder.encode(windows), 13, axis=1)
    layers = reference_layers(tmp_path / "m", windows)
    for ours, layer in zip(found, layers, strict=True):
        assert relative_error(ours, layer[:, -1]) < 1e-4
    rounded = load(tmp_path / "m", layer=6, pooling="last", precision="bf16", device="cpu")
    assert relative_error(rounded.encode(windows), found[6]) < 0.03


def test_the_defaults_are_half_a_second_a_third_of_the_layers_and_the_newest_100_ms(
    tiny: Path,
) -> None:
    """All of it in the spec."""
    spec = load(tiny).spec
    assert (spec.rate_hz, spec.window_frames, spec.dim) == (24_000, 12_000, 32)
    assert (spec.layer, spec.pooling, spec.precision) == (1, "newest-100ms", "fp32")
    assert spec.name == str(tiny)
    assert load(tiny, layer=-3).spec == spec
    assert load(tiny, layer=-4).spec.layer == 0


def test_several_layers_stand_side_by_side_or_are_averaged(tiny: Path) -> None:
    """By whether they have weights; it is another embedding space."""
    windows = noise(2, 12_000)
    both = load(tiny, layer=(1, -1))
    first, last = (load(tiny, layer=layer).encode(windows) for layer in (1, 3))
    assert (both.spec.layer, both.spec.dim) == ((1, 3), 64)
    assert np.allclose(both.encode(windows), np.hstack([first, last]), atol=1e-5)
    mixed = load(tiny, layer=(1, 3), layer_weights=(3.0, 1.0))
    assert (mixed.spec.layer_weights, mixed.spec.dim) == ((3.0, 1.0), 32)
    assert np.allclose(mixed.encode(windows), 0.75 * first + 0.25 * last, atol=1e-5)
    assert len({both.spec, mixed.spec, load(tiny, layer=1).spec}) == 3


def test_one_layer_in_a_list_with_a_weight_is_that_layer(tiny: Path) -> None:
    """However it is written, and whatever it is weighted with."""
    windows = noise(1, 12_000)
    one, listed = load(tiny, layer=2), load(tiny, layer=(2,), layer_weights=(3.0,))
    assert listed.spec == one.spec
    assert np.array_equal(listed.encode(windows), one.encode(windows))


def test_encoders_of_one_checkpoint_share_its_weights(folder: Path) -> None:
    """A deeper one adds its layers, another window its positions; the last one frees them all."""
    first = load(folder, layer=1, window_s=0.5)
    alone = first.encode(noise(1, 12_000))
    (model,) = in_use(first)
    layers = list(model._layers)
    deeper = load(folder, layer=3, window_s=0.25)
    assert in_use(first) == [model]
    assert (len(layers), len(model._layers)) == (1, 3)
    assert model._layers[0] is layers[0]
    assert np.array_equal(first.encode(noise(1, 12_000)), alone)
    expected = reference_layers(folder, noise(1, 6_000))[3][:, -8:].mean(axis=1)
    assert relative_error(deeper.encode(noise(1, 6_000)), expected) < 1e-5
    gone = weakref.ref(model)
    del model, layers, first, deeper
    assert gone() is None


def in_use(encoder: NeuralEncoder) -> list[Mert]:
    """Give the models of an encoder's checkpoint that are in memory."""
    return [model for key, model in _IN_USE.items() if key[0] == encoder.spec.revision]


def test_several_windows_end_together_and_stand_side_by_side(tiny: Path) -> None:
    """The longest first, however they were named."""
    windows = noise(2, 12_000)
    both = load(tiny, window_s=(0.2, 0.5))
    assert (both.spec.window_frames, both.spec.shorter_frames) == (12_000, (4_800,))
    assert both.spec.dim == 64
    long, short = load(tiny, window_s=0.5), load(tiny, window_s=0.2)
    expected = np.hstack([long.encode(windows), short.encode(windows[:, -4_800:])])
    assert np.allclose(both.encode(windows), expected, atol=1e-5)


def test_bf16_is_near_and_of_the_same_space(tiny: Path) -> None:
    """What it was computed in is said, but an equal spec plays."""
    if "bf16" not in precisions(torch.device("cpu")):
        pytest.skip("this machine's CPU has no bf16 kernels")
    exact, rounded = load(tiny), load(tiny, precision="bf16")
    windows = noise(3, 12_000)
    assert relative_error(rounded.encode(windows), exact.encode(windows)) < 0.03
    assert rounded.spec == exact.spec
    assert (exact.spec.precision, rounded.spec.precision) == ("fp32", "bf16")


def test_out_of_memory_halves_the_batch_and_then_says_what_to_do(
    tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever was asked for at once, a window at a time may still fit."""
    encoder, windows = load(tiny), noise(4, 12_000)
    expected = encoder.encode(windows)
    embed, sizes = encoder._embed, []

    def small(batch: NDArray[np.float32]) -> NDArray[np.float32]:
        sizes.append(len(batch))
        if len(batch) > limit:
            try:
                raise torch.OutOfMemoryError("CUDA out of memory")
            finally:
                raise RuntimeError("the recording was invalidated")  # as a CUDA graph ends then
        return embed(batch)

    monkeypatch.setattr(encoder, "_embed", small)
    limit = 1
    assert np.allclose(encoder.encode(windows), expected, atol=1e-5)
    assert sizes == [4, 2, 1, 1, 1, 1]
    limit = 0
    with pytest.raises(EncoderError, match=r"not enough memory for a window of 0\.5 s: choose"):
        encoder.encode(windows)


def test_other_failures_are_not_taken_for_a_lack_of_memory(
    tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are ours."""

    def broken(batch: NDArray[np.float32]) -> NDArray[np.float32]:
        raise RuntimeError("shapes")

    encoder = load(tiny)
    monkeypatch.setattr(encoder, "_embed", broken)
    with pytest.raises(RuntimeError, match="shapes"):
        encoder.encode(noise(2, 12_000))


def test_an_embedding_that_is_no_number_is_refused(
    tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With what to try: no window is learned or looked up by NaN."""
    encoder = load(tiny)
    monkeypatch.setattr(encoder, "_embed", lambda batch: np.full((len(batch), 32), np.nan))
    with pytest.raises(EncoderError, match=r'NaN or infinity in fp32: .* precision = "fp32"'):
        encoder.encode(noise(2, 12_000))


@pytest.mark.parametrize(("pooling", "n_steps"), [("newest-13ms", 1), ("newest-40ms", 3)])
def test_the_newest_part_is_pooled_by_its_steps(tiny: Path, pooling: str, n_steps: int) -> None:
    """75 steps a second."""
    windows = noise(2, 12_000)
    expected = reference_layers(tiny, windows)[1][:, -n_steps:].mean(axis=1)
    assert relative_error(load(tiny, pooling=pooling).encode(windows), expected) < 1e-5


def test_normalisation_is_the_checkpoints_choice(folder: Path) -> None:
    """With it a soft window is heard as a loud one, without it not; and it is in the identity."""
    windows = noise(1, 12_000)
    soft = windows * np.float32(0.01)
    normalising = load(folder)
    path = folder / "preprocessor_config.json"
    path.write_text(path.read_text().replace("true", "false"))
    plain = load(folder)
    by_level = relative_error(normalising.encode(soft), normalising.encode(windows))
    assert by_level < relative_error(plain.encode(soft), plain.encode(windows)) / 20
    assert normalising.spec != plain.spec


def test_a_window_depends_on_its_batch_by_rounding_only(tiny: Path) -> None:
    """One by one or together."""
    encoder, windows = load(tiny), noise(5, 12_000)
    alone = np.concatenate([encoder.encode(window[None]) for window in windows])
    assert relative_error(encoder.encode(windows), alone) < 1e-5


def test_the_same_model_elsewhere_or_in_a_pickle_has_an_equal_spec(
    folder: Path, tmp_path: Path
) -> None:
    """Identity is content."""
    spec = load(folder).spec
    moved = folder.rename(tmp_path / "elsewhere")
    torch.save(load_file(moved / "model.safetensors"), moved / "pytorch_model.bin")
    (moved / "model.safetensors").unlink()
    assert load(moved).spec == spec


def test_a_stand_in_says_so_and_a_real_one_says_its_licence(folder: Path) -> None:
    """In its notice, and in its revision."""
    encoder = load(folder)
    assert "stand-in" in encoder.notice
    assert encoder.spec.revision.startswith("stand-in-")
    configure(folder, stand_in=None)
    encoder = load(folder)
    assert "CC BY-NC 4.0" in encoder.notice
    assert encoder.spec.revision.startswith("weights-")


def test_loading_and_encoding_say_nothing(tiny: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """No warning and no progress bar of a library's reaches the musician."""
    load(tiny).encode(noise(1, 12_000))
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"feature_extractor_cqt": True}, "330M's kind"),
        ({"deepnorm": True}, "330M's kind"),
        ({"attention_relax": 32.0}, "330M's kind"),
        ({"do_stable_layer_norm": True}, "not of HuBERT-base's shape"),
        ({"feat_extract_norm": "layer"}, "not of HuBERT-base's shape"),
        ({"hidden_act": "relu"}, "not of HuBERT-base's shape"),
        ({"model_type": "whisper"}, "not of HuBERT-base's shape"),
    ],
)
def test_other_architectures_are_refused(folder: Path, change: dict[str, Any], what: str) -> None:
    """By name, with what to choose instead."""
    configure(folder, **change)
    with pytest.raises(EncoderError, match=f"{what}.*: choose m-a-p/MERT-v1-95M"):
        load(folder)


@pytest.mark.parametrize(
    "change",
    [
        {"hidden_size": None},
        {"hidden_size": "wide"},
        {"num_attention_heads": 5},
        {"conv_kernel": [10, 3]},
        {"conv_dim": []},
        {"conv_stride": [5, 2, 2, 2, 2, 2, 0]},
        {"layer_norm_eps": "small"},
        {"attention_relax": "much"},
        {"attention_relax": []},
    ],
)
def test_a_config_that_makes_no_model_is_refused(folder: Path, change: dict[str, Any]) -> None:
    """A size that is missing, of another type, or does not divide another."""
    configure(folder, **change)
    with pytest.raises(WeightsError, match=r"config of .* fetch the model anew"):
        load(folder)


def test_a_missing_tensor_is_an_error_and_never_random(folder: Path) -> None:
    """Also one that the wanted layer does not need."""
    path = folder / "model.safetensors"
    tensors = load_file(path)
    del tensors["encoder.layers.2.attention.k_proj.weight"]
    save_file(tensors, path)
    with pytest.raises(WeightsError, match=r"layers\.2\.attention\.k_proj\.weight is missing"):
        load(folder, layer=0)


def test_an_unknown_or_misshapen_tensor_is_an_error(folder: Path) -> None:
    """A checkpoint holds its architecture and nothing else."""
    path = folder / "model.safetensors"
    tensors = load_file(path)
    save_file(tensors | {"head.weight": torch.zeros(1)}, path)
    with pytest.raises(WeightsError, match=r"head\.weight is unknown"):
        load(folder)
    configure(folder, intermediate_size=128)
    save_file(tensors, path)
    with pytest.raises(WeightsError, match=r"\(64,\) instead of \(128,\)"):
        load(folder)


def test_settings_out_of_range_are_named(tiny: Path) -> None:
    """Name, value, need."""
    with pytest.raises(ValueError, match="layer is 4, needs 0 to 3"):
        load(tiny, layer=4)
    with pytest.raises(ValueError, match="layer is -5, needs"):
        load(tiny, layer=-5)
    with pytest.raises(ValueError, match='pooling is \'max\', needs "mean", "last"'):
        load(tiny, pooling="max")
    with pytest.raises(ValueError, match="which is no part of a window of 37 steps"):
        load(tiny, pooling="newest-600ms", window_s=0.5)
    with pytest.raises(ValueError, match="which is no part"):
        load(tiny, pooling="newest-0ms")
    with pytest.raises(ValueError, match="399 frames, which is less than the 400 that one"):
        load(tiny, window_s=399 / 24_000)
    with pytest.raises(ValueError, match="0 frames, which is less than"):
        load(tiny, window_s=0.0)
    with pytest.raises(ValueError, match="layer_weights has 1 values for 2 layers"):
        load(tiny, layer=(1, 2), layer_weights=(1.0,))
    with pytest.raises(ValueError, match="layer is an empty list"):
        load(tiny, layer=())
    with pytest.raises(ValueError, match="window_s is an empty list"):
        load(tiny, window_s=())
    with pytest.raises(ValueError, match="n_threads is 0, needs at least 1"):
        load(tiny, n_threads=0)
    with pytest.raises(ValueError, match="windows has shape"):
        load(tiny).encode(np.zeros((1, 5), np.float32))


def test_a_batch_is_shared_out_to_the_cores(tiny: Path) -> None:
    """In order, whatever its size; and new threads still get as many cores as were asked for."""
    windows = noise(5, 12_000)
    expected = load(tiny).encode(windows)
    several = load(tiny, n_threads=3)
    n_threads: list[int] = []
    try:
        for n in (1, 2, 5):
            assert relative_error(several.encode(windows[:n]), expected[:n]) < 1e-5
        asking = threading.Thread(target=lambda: n_threads.append(torch.get_num_threads()))
        asking.start()
        asking.join()
    finally:
        torch.set_num_threads(1)
    assert n_threads == [3]


def test_an_encoder_built_here_works_in_another_thread(tiny: Path) -> None:
    """As the encoder worker uses it, on one torch thread."""
    encoder, windows = load(tiny), noise(2, 12_000)
    here = encoder.encode(windows)
    there: list[tuple[int, NDArray[np.float32]]] = []
    worker = threading.Thread(
        target=lambda: there.append((torch.get_num_threads(), encoder.encode(windows)))
    )
    worker.start()
    worker.join()
    assert there[0][0] == 1
    assert np.array_equal(there[0][1], here)
