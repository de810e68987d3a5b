"""A checkpoint: a model's files in the hub's layout, found, read strictly and named by content.

No code of a checkpoint is ever run, and nothing of it is used before all of it is known to be
right. Hub models are pinned to a commit. It runs once, in whoever loads
an encoder, and imports torch and the hub's client only then.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models.architecture import (
    HEADS,
    MERT_HUB_ID,
    OPTIONAL_TENSORS,
    WAV2VEC_HUB_ID,
    Architecture,
)
from models.errors import EncoderError, WeightsError, WeightsMissingError

if TYPE_CHECKING:
    from models.tensor_file import TensorFile

CONFIG = "config.json"
PREPROCESSOR = "preprocessor_config.json"
SAFETENSORS = "model.safetensors"
PICKLE = "pytorch_model.bin"

STAND_IN = "stand_in"
"""Key of a configuration that says in a sentence that its weights are random."""

REACH_TIMEOUT_S = 5.0

REVISIONS = {
    MERT_HUB_ID: "12af15fef9d0ac838c3f475bfbbf26d2060dd4f5",
    WAV2VEC_HUB_ID: "0b5b8e868dd84f03fd87d01f9c4ff0f080fecfe8",
}
"""Commits of the hub's repositories: what is fetched today is what was tried."""
REFUSED = {
    "m-a-p/MERT-v1-330M": "needs code of its own (CQT features, deepnorm)",
}

_MERT_LICENCE = "MERT's weights are licensed CC BY-NC 4.0: they are not for commercial use."
LICENCES = {
    "mert_model": _MERT_LICENCE,
    "music_hubert": _MERT_LICENCE,
    "wav2vec2": "Wav2Vec 2.0's weights are licensed Apache-2.0.",
}
"""By model type; what a user calls plain HuBERT may be anybody's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """What a model's files hold.

    Attributes
    ----------
    name
        Hub id, or the folder.
    architecture
        Its shape.
    rate_hz
        Of the audio it was trained on.
    is_normalising
        Whether it wants each window at zero mean and unit variance.
    revision
        Its identity: what it computes, wherever it was found and in whichever format.
    notice
        The licence of the weights, or that they are a stand-in's.
    tensors
        Of the architecture, each of its shape and finite.
    """

    name: str
    architecture: Architecture
    rate_hz: int
    is_normalising: bool
    revision: str
    notice: str
    tensors: "TensorFile"


def read_checkpoint(name: str | Path) -> Checkpoint:
    """Find and read a model's files.

    Parameters
    ----------
    name
        A local folder, or a hub id (``owner/name``). The hub is asked only for what is not cached.

    Raises
    ------
    EncoderError
        Neither a folder nor a hub id, or a model of another architecture.
    WeightsMissingError
        The hub's files are neither cached nor reachable.
    WeightsError
        A file is missing from the folder, damaged, or holds what it should not: a tensor is
        missing, unknown, of another shape, or not finite.
    """
    from models.tensor_file import TensorFile

    folder = Path(name)
    if folder.is_dir():
        files = _local_files(folder)
    elif str(name) in REFUSED:
        raise EncoderError(f"{name} {REFUSED[str(name)]}: choose {MERT_HUB_ID}")
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
    architecture = Architecture.from_config(str(name), config)
    tensors = TensorFile(files.get(SAFETENSORS) or files[PICKLE])
    _require_architecture(str(name), tensors.shapes, architecture)
    stand_in = str(config.get(STAND_IN, ""))
    revision = _revision(tensors, architecture, (rate_hz, is_normalising))
    return Checkpoint(
        name=str(name),
        architecture=architecture,
        rate_hz=rate_hz,
        is_normalising=is_normalising,
        revision=("stand-in-" if stand_in else "weights-") + revision,
        notice=stand_in or LICENCES.get(config["model_type"], ""),
        tensors=tensors,
    )


def _require_architecture(
    name: str, found: Mapping[str, tuple[int, ...]], architecture: Architecture
) -> None:
    """Hold a file's tensors against the architecture's, one for one."""
    needed = {key: shape for group in architecture.groups() for key, shape in group.items()}
    spare = {key for key in found if key in OPTIONAL_TENSORS or key.startswith(HEADS)}
    wrong = [f"{key} is missing" for key in needed.keys() - found.keys()]
    wrong += [f"{key} is unknown" for key in found.keys() - needed.keys() - spare]
    wrong += [
        f"{key} is {found[key]} instead of {needed[key]}"
        for key in needed.keys() & found.keys()
        if found[key] != needed[key]
    ]
    if wrong:
        more = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
        raise WeightsError(
            f"{name} is not the model it says it is, {min(wrong)}{more}: fetch it anew"
        )


def _revision(tensors: "TensorFile", architecture: Architecture, settings: Sequence[object]) -> str:
    """Name a model by what it computes, wherever it was found and in whichever format."""
    digest = hashlib.sha256(json.dumps([asdict(architecture), *settings]).encode())
    for group in architecture.groups():
        for key, tensor in tensors.read(group).items():
            digest.update(f"{key}{tuple(tensor.shape)}".encode())
            digest.update(tensor.contiguous().numpy().data)
    return digest.hexdigest()[:16]


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

    revision = REVISIONS.get(hub_id)
    command = f"hf download {hub_id}" + (f" --revision {revision}" if revision else "")

    def files(*, is_local: bool) -> dict[str, Path]:
        found = {}
        for name in (CONFIG, PREPROCESSOR, SAFETENSORS, PICKLE):
            if name == PICKLE and SAFETENSORS in found:
                continue
            try:
                found[name] = Path(
                    hf_hub_download(hub_id, name, revision=revision, local_files_only=is_local)
                )
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
            f"`{command}`, or play without them with `--encoder spectral`"
        ) from error


def _read_json(path: Path) -> dict[str, Any]:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise WeightsError(f"{path} is not JSON: fetch the model anew") from error
    if not isinstance(values, dict):
        raise WeightsError(f"{path} is not a JSON object: fetch the model anew")
    return values
