"""The tensor file: a checkpoint's weights, read a piece at a time and never run.

Safetensors, or the hub's pickle as torch reads it with ``weights_only=True``. A piece is copied out
of a mapping of its own that ends with it, so that no more of the file is resident than is asked for
at once. It runs once, in whoever loads an encoder.
"""

import pickle
import warnings
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import safetensors
import torch
from torch import Tensor

from models.architecture import RENAMED
from models.errors import WeightsError


class TensorFile:
    """Tensors by today's names.

    Parameters
    ----------
    path
        Ends in ``.safetensors`` or is a pickle.

    Attributes
    ----------
    shapes : dict of str to tuple of int

    Raises
    ------
    WeightsError
        The file is damaged, wants to run code, or holds what is no tensor.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._keys: dict[str, str] = {}
        self.shapes: dict[str, tuple[int, ...]] = {}
        with _opened(path) as tensors:
            for key in tensors:
                self._keys[_todays_name(key)] = key
                self.shapes[_todays_name(key)] = tuple(tensors[key].shape)

    def read(self, names: Iterable[str]) -> dict[str, Tensor]:
        """Read the tensors of these names, in float32.

        Raises
        ------
        WeightsError
            The file is damaged, or a tensor is sparse, whole-numbered, or holds NaN or infinity.
        """
        read = {}
        with _opened(self._path) as tensors:
            for name in names:
                tensor = tensors[self._keys[name]]
                if not _is_plain(tensor):
                    raise WeightsError(
                        f"{name} in {self._path} is no array of real numbers: fetch the model anew"
                    )
                read[name] = tensor.to(torch.float32, copy=True)
        for name, tensor in read.items():
            if not tensor.isfinite().all():
                raise WeightsError(
                    f"{name} in {self._path} holds NaN or infinity: fetch the model anew"
                )
        return read


@contextmanager
def _opened(path: Path) -> Iterator[Mapping[str, Tensor]]:
    """Map a file's tensors, as it has them and by the names it has, until they are let go."""
    try:
        tensors = _mapped(path)
    except Exception as error:  # a damaged pickle fails in any way
        raise WeightsError(f"{path} {_what_is_wrong(path, error)}") from error
    if not isinstance(tensors, dict) or not all(
        isinstance(key, str) and isinstance(tensor, Tensor) for key, tensor in tensors.items()
    ):
        raise WeightsError(f"{path} does not hold tensors by name: fetch the model anew")
    yield tensors


def _mapped(path: Path) -> object:
    if path.suffix == ".safetensors":
        with safetensors.safe_open(path, "pt") as file:
            return {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118  no dict
    # of a pickle that torch did not write it warns before it refuses
    with warnings.catch_warnings(action="ignore"):
        # torch before 1.6 wrote no zip archive, and there is nothing to map
        return torch.load(
            path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path)
        )


def _what_is_wrong(path: Path, error: Exception) -> str:
    """Say why a file could not be read, and what to do."""
    if isinstance(error, pickle.UnpicklingError) and "GLOBAL" in str(error):
        return "is a pickle that wants to run code, which is refused: get the model elsewhere"
    try:
        with path.open("rb") as file:
            head = file.read(64).lstrip()
    except OSError:
        head = b""
    if head.startswith(b"version https://git-lfs"):
        return "is a pointer of git-lfs, not the weights: run `git lfs pull` beside it"
    if head.startswith(b"<"):
        return "is a web page, not the weights: fetch the model anew"
    return "is damaged: fetch the model anew"


def _is_plain(tensor: Tensor) -> bool:
    """Say whether it is a dense array of floating-point numbers that is really here."""
    return (
        tensor.layout == torch.strided
        and tensor.is_floating_point()
        and tensor.device.type == "cpu"
    )


def _todays_name(key: str) -> str:
    key = key.removeprefix("wav2vec2.").removeprefix("hubert.")
    for old, new in RENAMED.items():
        if key.endswith(old):
            return key.removesuffix(old) + new
    return key
