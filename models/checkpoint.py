"""A checkpoint: a model's files in the hub's layout, found, read strictly and named by content.

No code of a checkpoint is ever run: configuration is JSON, weights are safetensors or, where the
hub has only a pickle, what torch reads with ``weights_only=True``. It runs once, in whoever loads
an encoder, and imports torch and the hub's client only then.
"""

import hashlib
import json
import pickle
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models.errors import EncoderError, WeightsError, WeightsMissingError

if TYPE_CHECKING:
    import torch

CONFIG = "config.json"
PREPROCESSOR = "preprocessor_config.json"
SAFETENSORS = "model.safetensors"
PICKLE = "pytorch_model.bin"

STAND_IN = "stand_in"
"""Key of a configuration that says in a sentence that its weights are random."""

REACH_TIMEOUT_S = 5.0

# torch renamed what weight_norm keeps: magnitude g and direction v
RENAMED = {
    ".weight_g": ".parametrizations.weight.original0",
    ".weight_v": ".parametrizations.weight.original1",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """What a model's files hold.

    Attributes
    ----------
    name
        Hub id, or the folder.
    config
        Of the architecture.
    rate_hz
        Of the audio it was trained on.
    is_normalising
        Whether it wants each window at zero mean and unit variance.
    tensors
        Float32, by today's names.
    """

    name: str
    config: dict[str, Any]
    rate_hz: int
    is_normalising: bool
    tensors: "dict[str, torch.Tensor]"

    @property
    def stand_in(self) -> str:
        """The sentence with which a stand-in says that it is one; empty for a trained model."""
        return str(self.config.get(STAND_IN, ""))

    def revision(self, settings: Mapping[str, Any]) -> str:
        """Name the checkpoint by what it holds, wherever it was found and in whichever format.

        Parameters
        ----------
        settings
            What its arithmetic depends on beside the tensors.
        """
        digest = hashlib.sha256(json.dumps(dict(settings), sort_keys=True).encode())
        for key in sorted(self.tensors):
            tensor = self.tensors[key].contiguous()
            digest.update(f"{key}{tuple(tensor.shape)}".encode())
            digest.update(tensor.numpy().data)
        return ("stand-in-" if self.stand_in else "weights-") + digest.hexdigest()[:16]


def read_checkpoint(name: str | Path) -> Checkpoint:
    """Find and read a model's files.

    Parameters
    ----------
    name
        A local folder, or a hub id (``owner/name``). The hub is asked only for what is not cached.

    Raises
    ------
    EncoderError
        Neither a folder nor a hub id.
    WeightsMissingError
        The hub's files are neither cached nor reachable.
    WeightsError
        A file is missing from the folder, damaged, or holds what it should not.
    """
    folder = Path(name)
    if folder.is_dir():
        files = _local_files(folder)
    elif str(name).count("/") == 1 and not folder.is_absolute():
        files = _hub_files(str(name))
    else:
        raise EncoderError(
            f"there is no encoder {name}: choose spectral, mert, a hub id (owner/name) or a folder"
        )
    config, preprocessor = _read_json(files[CONFIG]), _read_json(files[PREPROCESSOR])
    rate_hz = preprocessor.get("sampling_rate")
    if not isinstance(rate_hz, int) or rate_hz < 1:
        raise WeightsError(f"{files[PREPROCESSOR]} has no sampling_rate: fetch the model anew")
    if config.get("sample_rate", rate_hz) != rate_hz:
        raise WeightsError(
            f"{name} is at {config['sample_rate']} Hz by its config and at {rate_hz} Hz by its "
            "preprocessor: fetch the model anew"
        )
    is_normalising = preprocessor.get("do_normalize")
    if not isinstance(is_normalising, bool):
        raise WeightsError(f"{files[PREPROCESSOR]} has no do_normalize: fetch the model anew")
    return Checkpoint(
        name=str(name),
        config=config,
        rate_hz=rate_hz,
        is_normalising=is_normalising,
        tensors=_read_tensors(files.get(SAFETENSORS) or files[PICKLE]),
    )


def check_tensors(
    name: str, tensors: "Mapping[str, torch.Tensor]", shapes: Mapping[str, Any]
) -> None:
    """Hold a checkpoint's tensors against the architecture's, one for one.

    Raises
    ------
    WeightsError
        A tensor is missing, unknown, of another shape, or not finite.
    """
    wrong = [f"{key} is missing" for key in shapes.keys() - tensors.keys()]
    wrong += [f"{key} is unknown" for key in tensors.keys() - shapes.keys()]
    for key in tensors.keys() & shapes.keys():
        found, needed = tuple(tensors[key].shape), tuple(shapes[key])
        if found != needed:
            wrong.append(f"{key} is {found} instead of {needed}")
        elif not tensors[key].isfinite().all():
            wrong.append(f"{key} holds NaN or infinity")
    if wrong:
        more = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
        raise WeightsError(
            f"{name} is not the model it says it is, {min(wrong)}{more}: fetch it anew"
        )


def _local_files(folder: Path) -> dict[str, Path]:
    found = {
        name: folder / name
        for name in (CONFIG, PREPROCESSOR, SAFETENSORS, PICKLE)
        if (folder / name).is_file()
    }
    for alternatives in ((CONFIG,), (PREPROCESSOR,), (SAFETENSORS, PICKLE)):
        if not found.keys() & alternatives:
            raise WeightsError(
                f"{folder} has no {' or '.join(alternatives)}: copy the whole model there"
            )
    return found


def _hub_files(hub_id: str) -> dict[str, Path]:
    """Take a model from the hub's cache, or fetch it with a progress bar."""
    from huggingface_hub import constants, get_session, hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError, HFValidationError

    def files(*, is_local: bool) -> dict[str, Path]:
        found = {}
        for name in (CONFIG, PREPROCESSOR, SAFETENSORS, PICKLE):
            if name == PICKLE and SAFETENSORS in found:
                continue
            try:
                found[name] = Path(hf_hub_download(hub_id, name, local_files_only=is_local))
            except EntryNotFoundError:
                if name != SAFETENSORS:
                    raise
        return found

    try:
        return files(is_local=True)
    except HFValidationError as error:
        raise EncoderError(f"{hub_id} is no hub id: give one as owner/name") from error
    except EntryNotFoundError:
        pass
    try:
        # the client itself would try for 23 s
        get_session().head(constants.ENDPOINT, timeout=REACH_TIMEOUT_S)
        return files(is_local=False)
    # the client raises its own, OSError's and httpx's; whichever it was, there are no weights
    except Exception as error:
        raise WeightsMissingError(
            f"the weights of {hub_id} are neither on this machine nor reachable: fetch them with "
            f"`hf download {hub_id}`, or play without them with `--encoder spectral`"
        ) from error


def _read_json(path: Path) -> dict[str, Any]:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise WeightsError(f"{path} is not JSON: fetch the model anew") from error
    if not isinstance(values, dict):
        raise WeightsError(f"{path} is not a JSON object: fetch the model anew")
    return values


def _read_tensors(path: Path) -> "dict[str, torch.Tensor]":
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        if path.suffix == ".safetensors":
            tensors = load_file(path)
        else:
            # of a pickle that torch did not write it warns before it refuses
            with warnings.catch_warnings(action="ignore"):
                tensors = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise WeightsError(
            f"{path} is a pickle that wants to run code, which is refused: get the model elsewhere"
        ) from error
    except (SafetensorError, OSError, RuntimeError, EOFError) as error:
        raise WeightsError(f"{path} is damaged: fetch the model anew") from error
    if not isinstance(tensors, dict) or not all(
        isinstance(tensor, torch.Tensor) for tensor in tensors.values()
    ):
        raise WeightsError(f"{path} does not hold tensors by name: fetch the model anew")
    return {_todays_name(key): tensor.float() for key, tensor in tensors.items()}


def _todays_name(key: str) -> str:
    for old, new in RENAMED.items():
        if key.endswith(old):
            return key.removesuffix(old) + new
    return key
