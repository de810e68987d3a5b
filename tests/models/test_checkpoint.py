import contextlib
import hashlib
import json
import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from models.checkpoint import REVISIONS, read_checkpoint
from models.errors import EncoderError, WeightsError
from models.standin import write_stand_in
from models.tensor_file import TensorFile


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give a tiny model of the test's own."""
    write_stand_in(tmp_path / "model", is_tiny=True)
    return tmp_path / "model"


def rewrite(path: Path, change: Callable[[dict[str, object]], object]) -> None:
    """Change a JSON file in place."""
    values = json.loads(path.read_text())
    change(values)
    path.write_text(json.dumps(values))


def as_pickle(folder: Path) -> dict[str, torch.Tensor]:
    """Turn a folder's weights into the hub's pickle, and give them."""
    tensors: dict[str, torch.Tensor] = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    torch.save(tensors, folder / "pytorch_model.bin")
    return tensors


def test_rate_and_normalisation_are_the_preprocessors(folder: Path) -> None:
    """Read, not assumed."""
    checkpoint = read_checkpoint(folder)
    assert (checkpoint.rate_hz, checkpoint.is_normalising) == (24_000, True)
    rewrite(folder / "config.json", lambda values: values.pop("sample_rate"))
    rewrite(
        folder / "preprocessor_config.json",
        lambda values: values.update(sampling_rate=16_000, do_normalize=False),
    )
    checkpoint = read_checkpoint(folder)
    assert (checkpoint.rate_hz, checkpoint.is_normalising) == (16_000, False)


def test_old_and_new_names_and_both_formats_are_the_same_checkpoint(folder: Path) -> None:
    """The revision is of the content: weight_g or parametrizations, safetensors or pickle."""
    revision = read_checkpoint(folder).revision
    tensors = as_pickle(folder)
    assert read_checkpoint(folder).revision == revision
    file = read_checkpoint(folder).tensors
    assert file.shapes.keys() != tensors.keys()
    save_file(file.read(file.shapes), folder / "model.safetensors")
    assert read_checkpoint(folder).revision == revision


def test_safetensors_are_preferred(folder: Path) -> None:
    """A pickle beside them is not even opened."""
    (folder / "pytorch_model.bin").write_bytes(b"no pickle")
    read_checkpoint(folder)


def test_the_revision_tells_weights_and_settings_apart(folder: Path) -> None:
    """One value changed is another model."""
    revision = read_checkpoint(folder).revision
    assert revision.startswith("stand-in-")
    rewrite(folder / "config.json", lambda values: values.update(layer_norm_eps=1e-6))
    revisions = {revision, read_checkpoint(folder).revision}
    path = folder / "model.safetensors"
    tensors = load_file(path)
    tensors["encoder.layer_norm.bias"][0] += 1e-3
    save_file(tensors, path)
    assert len(revisions | {read_checkpoint(folder).revision}) == 3


def test_what_pre_training_put_on_top_is_no_part_of_it(tmp_path: Path) -> None:
    """Wav2Vec 2.0's quantiser, and the names under which the hub's file has the rest."""
    write_stand_in(tmp_path, is_tiny=True, is_wav2vec2=True)
    checkpoint = read_checkpoint(tmp_path)
    assert checkpoint.rate_hz == 16_000
    path = tmp_path / "model.safetensors"
    tensors = load_file(path)
    assert all(key.startswith("wav2vec2.") for key in tensors)
    save_file(tensors | {"project_q.weight": torch.zeros(3, 3)}, path)
    assert read_checkpoint(tmp_path).revision == checkpoint.revision


def test_half_precision_is_read_as_float32(folder: Path) -> None:
    """Whatever the file holds, the model computes in float32."""
    path = folder / "model.safetensors"
    save_file({key: tensor.half() for key, tensor in load_file(path).items()}, path)
    file = read_checkpoint(folder).tensors
    assert {tensor.dtype for tensor in file.read(file.shapes).values()} == {torch.float32}


@pytest.mark.parametrize("name", ["config.json", "preprocessor_config.json", "model.safetensors"])
def test_a_missing_file_is_named(folder: Path, name: str) -> None:
    """So is what to do."""
    (folder / name).unlink()
    with pytest.raises(WeightsError, match=f"has no {name}.*: copy the whole model there"):
        read_checkpoint(folder)


@pytest.mark.parametrize("name", ["config.json", "preprocessor_config.json"])
@pytest.mark.parametrize("text", ["", "{", "[]"])
def test_configuration_that_is_no_json_object_is_refused(
    folder: Path, name: str, text: str
) -> None:
    """Truncated or of another kind."""
    (folder / name).write_text(text)
    with pytest.raises(WeightsError, match=f"{name} is not (a )?JSON"):
        read_checkpoint(folder)


@pytest.mark.parametrize("key", ["sampling_rate", "do_normalize"])
def test_a_preprocessor_without_what_is_needed_is_refused(folder: Path, key: str) -> None:
    """Nothing is made up."""
    rewrite(folder / "preprocessor_config.json", lambda values: values.pop(key))
    with pytest.raises(WeightsError, match=f"has no {key}"):
        read_checkpoint(folder)


def test_two_rates_are_refused(folder: Path) -> None:
    """Model and preprocessor must mean the same audio."""
    rewrite(folder / "preprocessor_config.json", lambda values: values.update(sampling_rate=16_000))
    with pytest.raises(WeightsError, match="24000 Hz by its config and at 16000 Hz"):
        read_checkpoint(folder)


@pytest.mark.parametrize("n_bytes", [0, 5, 1000])
def test_truncated_weights_are_refused(folder: Path, n_bytes: int) -> None:
    """In either format."""
    path = folder / "model.safetensors"
    content = path.read_bytes()
    path.write_bytes(content[:n_bytes])
    with pytest.raises(WeightsError, match=r"model\.safetensors is damaged: fetch"):
        read_checkpoint(folder)
    path.write_bytes(content)
    as_pickle(folder)
    path = folder / "pytorch_model.bin"
    path.write_bytes(path.read_bytes()[:n_bytes])
    with pytest.raises(WeightsError, match=r"pytorch_model\.bin is"):
        read_checkpoint(folder)


class Malice:
    """What a pickle can do to whoever opens it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[[Path], None], tuple[Path]]:
        return (Path.touch, (self.path,))


@pytest.mark.parametrize("is_plain", [True, False])
def test_a_pickle_that_wants_to_run_code_is_refused(
    folder: Path, tmp_path: Path, is_plain: bool
) -> None:
    """And the code has not run."""
    (folder / "model.safetensors").unlink()
    path = folder / "pytorch_model.bin"
    malice = {"encoder.layer_norm.bias": Malice(tmp_path / "touched")}
    if is_plain:
        path.write_bytes(pickle.dumps(malice, protocol=2))
    else:
        torch.save(malice, path)
    with pytest.raises(WeightsError, match="wants to run code, which is refused"):
        read_checkpoint(folder)
    assert not (tmp_path / "touched").exists()


@pytest.mark.parametrize("is_plain", [True, False])
def test_a_damaged_pickle_is_a_sentence(folder: Path, is_plain: bool) -> None:
    """Wherever it is damaged: torch fails in a dozen ways."""
    tensors = as_pickle(folder)
    path = folder / "pytorch_model.bin"
    torch.save(tensors, path, _use_new_zipfile_serialization=not is_plain)
    content = path.read_bytes()
    for place in np.random.default_rng(0).integers(0, 4000, 60).tolist():
        path.write_bytes(content[:place] + b"\xb5\x80" + content[place + 2 :])
        with contextlib.suppress(WeightsError):  # some bytes are padding
            TensorFile(path)


@pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin"])
def test_what_was_downloaded_instead_of_weights_is_named(folder: Path, name: str) -> None:
    """A pointer of git-lfs, a page that says there is no such file."""
    (folder / "model.safetensors").unlink()
    path = folder / name
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0b\nsize 377569754\n")
    with pytest.raises(WeightsError, match=r"is a pointer of git-lfs, .*`git lfs pull`"):
        TensorFile(path)
    path.write_text("<!DOCTYPE html><html>404</html>")
    with pytest.raises(WeightsError, match="is a web page, not the weights: fetch"):
        TensorFile(path)


@pytest.mark.parametrize(
    "change", [torch.Tensor.to_sparse, torch.Tensor.int, lambda tensor: tensor.to("meta")]
)
def test_what_is_no_array_of_real_numbers_is_refused(
    folder: Path, change: Callable[[torch.Tensor], torch.Tensor]
) -> None:
    """Sparse, whole numbers, numbers that are elsewhere."""
    tensors, key = as_pickle(folder), "encoder.layer_norm.bias"
    torch.save(tensors | {key: change(tensors[key])}, folder / "pytorch_model.bin")
    with pytest.raises(WeightsError, match=rf"{key} in .* is no array of real numbers: fetch"):
        read_checkpoint(folder)


def test_a_pickle_of_something_else_is_refused(folder: Path) -> None:
    """Tensors by name, or nothing."""
    (folder / "model.safetensors").unlink()
    for other in ([torch.zeros(1)], {3: torch.zeros(1)}, {"a": 3}):
        torch.save(other, folder / "pytorch_model.bin")
        with pytest.raises(WeightsError, match="does not hold tensors by name"):
            read_checkpoint(folder)


def test_a_name_that_is_no_hub_id_is_refused() -> None:
    """Before anything is fetched."""
    with pytest.raises(EncoderError, match="is no hub id: give one as owner/name"):
        read_checkpoint("not valid/at all!")


def test_weights_neither_cached_nor_reachable_name_the_command_and_the_switch(
    tmp_path: Path,
) -> None:
    """With a hub that does not answer; offline by choice is a test of training."""
    script = (
        "from models.checkpoint import read_checkpoint\n"
        "from models.errors import WeightsMissingError\n"
        "try:\n"
        "    read_checkpoint('m-a-p/MERT-v1-95M')\n"
        "except WeightsMissingError as error:\n"
        "    print(error)\n"
    )
    nowhere = {"HF_HOME": str(tmp_path), "HF_ENDPOINT": "http://127.0.0.1:9"}
    ran = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, **nowhere},
        capture_output=True,
        check=True,
        text=True,
    )
    assert (
        f"`hf download m-a-p/MERT-v1-95M --revision {REVISIONS['m-a-p/MERT-v1-95M']}`" in ran.stdout
    )
    assert "`--encoder spectral`" in ran.stdout
    assert ran.stderr == ""


def test_a_cached_model_is_read_without_a_network(folder: Path, tmp_path: Path) -> None:
    """The hub's cache, as its client lays it out, is enough."""
    repository = tmp_path / "hub" / "models--someone--model"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text("abc")
    (repository / "snapshots").mkdir()
    as_pickle(folder)
    folder.rename(repository / "snapshots" / "abc")
    script = (
        "from models.checkpoint import read_checkpoint\n"
        "print(read_checkpoint('someone/model').rate_hz)\n"
    )
    nowhere = {"HF_HOME": str(tmp_path), "HF_ENDPOINT": "http://127.0.0.1:9"}
    ran = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, **nowhere},
        capture_output=True,
        check=True,
        text=True,
    )
    assert ran.stdout == "24000\n"


class Hub(BaseHTTPRequestHandler):
    """Serves one folder the way the hub serves a model."""

    folder: Path

    def do_HEAD(self) -> None:
        """Tell what a file is, or that there is none."""
        self.answer()

    def do_GET(self) -> None:
        """Give a file."""
        self.wfile.write(self.answer())

    def answer(self) -> bytes:
        """Send the headers the hub's client goes by, and give the content."""
        path = self.folder / self.path.rpartition("/")[2]
        if self.path == "/" or path.is_file():
            content = b"" if self.path == "/" else path.read_bytes()
            self.send_response(200)
            self.send_header("ETag", f'"{hashlib.sha1(content).hexdigest()}"')
            self.send_header("X-Repo-Commit", "c" * 40)
        else:
            content = b""
            self.send_response(404)
            self.send_header("X-Error-Code", "EntryNotFound")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        return content

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


def test_what_is_not_cached_is_fetched_once(folder: Path, tmp_path: Path) -> None:
    """From a hub that has a pickle only, as MERT's; the second time without the hub."""
    as_pickle(folder)
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("TestHub", (Hub,), {"folder": folder}))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    script = (
        "from models.checkpoint import read_checkpoint\n"
        "print(read_checkpoint('someone/model').revision)\n"
    )
    hub = {
        "HF_HOME": str(tmp_path / "home"),
        "HF_ENDPOINT": f"http://127.0.0.1:{server.server_port}",
    }
    revisions = []
    for _ in range(2):
        ran = subprocess.run(
            [sys.executable, "-c", script],
            env={**os.environ, **hub},
            capture_output=True,
            check=True,
            text=True,
        )
        revisions.append(ran.stdout.strip())
        server.shutdown()
        server.server_close()
    assert revisions == [read_checkpoint(folder).revision] * 2


def test_tensors_are_held_against_the_architecture(folder: Path) -> None:
    """Missing, unknown, of another shape, not finite: the first by name, and how many more."""
    path = folder / "model.safetensors"
    tensors = load_file(path)
    first = min(set(tensors) - {"encoder.layer_norm.bias"})

    def refused_with(changed: dict[str, torch.Tensor], what: str) -> None:
        save_file(changed, path)
        with pytest.raises(WeightsError, match=what):
            read_checkpoint(folder)

    without = {key: tensor for key, tensor in tensors.items() if key != first}
    refused_with(without, rf"is not the model .*, {first} is missing: fetch it anew")
    bias = {"encoder.layer_norm.bias": torch.zeros(5)}
    refused_with(tensors | bias, r"layer_norm\.bias is \(5,\) instead of \(32,\): fetch")
    refused_with(without | bias, r"\(and 1 more\)")
    refused_with(tensors | {"head.weight": torch.zeros(1)}, r"head\.weight is unknown")
    nan = {"encoder.layer_norm.bias": torch.full((32,), torch.nan)}
    refused_with(tensors | nan, r"layer_norm\.bias in .* holds NaN or infinity")


def test_a_pickle_from_before_zip_archives_is_read(folder: Path) -> None:
    """As torch wrote them until 1.6."""
    revision = read_checkpoint(folder).revision
    tensors = as_pickle(folder)
    path = folder / "pytorch_model.bin"
    torch.save(tensors, path, _use_new_zipfile_serialization=False)
    assert read_checkpoint(folder).revision == revision


def test_the_330m_model_is_refused_by_name() -> None:
    """Before anything is fetched."""
    with pytest.raises(EncoderError, match=r"MERT-v1-330M needs code of its own .*: choose m-a-p"):
        read_checkpoint("m-a-p/MERT-v1-330M")
