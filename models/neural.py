"""The neural encoder: a model of HuBERT-base's shape, from windows to embeddings.

Windows are normalised as the checkpoint wants it, heard by the model up to the last layer that is
read, and pooled; several windows that end together, and several layers, make one embedding. One
thread owns an encoder (the encoder worker, or training). A pass lets the interpreter go while it
computes; its CPU threads are set when it is loaded, so that a core stays free.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Final, Self
from weakref import WeakValueDictionary

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from models.architecture import MERT_HUB_ID, Architecture
from models.checkpoint import Checkpoint, read_checkpoint
from models.cpu_cores import CpuCores
from models.cuda_graph import CudaGraphs
from models.encoder import MERT, EncoderSpec, check_windows
from models.errors import EncoderError
from models.mert import Mert
from models.pooling import pooling_weights
from models.precision import arithmetic, choose_device, choose_precision

DEFAULT_WINDOW_S: Final = 0.5
DEFAULT_POOLING: Final = "newest-100ms"

VARIANCE_FLOOR: Final = 1e-7
"""As transformers' Wav2Vec2FeatureExtractor has it."""

MAX_PASS_S: Final = {"cpu": 8.0, "mps": 8.0, "cuda": 32.0}
"""Sound in one pass: more is no faster, and its first convolution alone fills 5 MB a second."""


def default_layer(n_layers: int) -> int:
    """Give the layer that is read unless another is asked for: a third of the way up.

    Of MERT's 12 that is the fourth: half a second of sound takes 20 ms on one thread of the machine
    this was measured on (six layers 26, twelve 40), which beside 25 ms of hearing fits into 50.
    """
    return n_layers // 3


class NeuralEncoder:
    """Embeds windows with MERT, Wav2Vec 2.0 or another model of their shape.

    Built by `load`.

    Attributes
    ----------
    spec : EncoderSpec
    notice : str
        The licence of the weights, or that they are a stand-in's.
    device : str
        What it runs on.
    """

    def __init__(self, spec: EncoderSpec, notice: str, embed: "_Embed", n_threads: int) -> None:
        self.spec = spec
        self.notice = notice
        self.device = embed.device.type
        self._embed: Callable[[NDArray[np.float32]], NDArray[np.float32]] = embed.on_host
        if self.device == "cuda":
            self._embed = CudaGraphs(embed, spec.window_frames)
        elif self.device == "cpu" and n_threads > 1:
            self._embed = CpuCores(embed.on_host, n_threads)
        max_batch = int(MAX_PASS_S[self.device] * spec.rate_hz) // spec.window_frames
        self._max_batch = max(max_batch, 1)

    @classmethod
    def load(
        cls,
        name: str | Path = MERT,
        *,
        layer: int | tuple[int, ...] | None = None,
        layer_weights: tuple[float, ...] = (),
        pooling: str | None = None,
        window_s: float | tuple[float, ...] | None = None,
        n_threads: int = 1,
        precision: str = "auto",
        device: str = "auto",
    ) -> Self:
        """Load a checkpoint.

        Parameters
        ----------
        name
            ``"mert"``, a hub id, or a folder in the hub's layout.
        layer
            Which to read: 0 is what enters the first transformer layer, negative numbers count
            from the last; `default_layer` if None. Several are read in one pass.
        layer_weights
            Of several layers' mean; without them the layers stand side by side.
        pooling
            As `models.pooling` has it; the newest 100 ms if None.
        window_s
            Length of a window, 0.5 s if None; several windows end together, each embedded
            separately, side by side.
        n_threads
            CPU threads of a pass, set for the whole process; of a batch, as `models.cpu_cores` has
            it.
        precision, device
            As `models.precision` has them.

        Raises
        ------
        ValueError
            A layer the model lacks, an unknown pooling, a window shorter than a step or than what
            is pooled, weights that do not fit the layers, or less than one thread.
        EncoderError
            No such model, one of another architecture, no such device, or a precision that it
            does not have.
        WeightsError
            Its files are damaged, or its tensors are not those of its architecture.
        WeightsMissingError
            The weights are neither cached nor reachable.
        """
        if n_threads < 1:
            raise ValueError(f"n_threads is {n_threads}, needs at least 1")
        where = choose_device(device)
        torch.set_num_threads(n_threads)
        precision = choose_precision(precision, where)
        checkpoint = read_checkpoint(MERT_HUB_ID if name == MERT else name)
        model = checkpoint.architecture
        layers = _layers(layer, layer_weights, model.n_layers)
        windows = _windows_frames(window_s, checkpoint.rate_hz, model)
        pooling = DEFAULT_POOLING if pooling is None else pooling
        step_s = model.hop_frames / checkpoint.rate_hz
        weights = {
            n: np.trim_zeros(pooling_weights(pooling, model.n_steps(n), step_s), "f")
            for n in windows
        }
        spec = EncoderSpec(
            name=str(name),
            revision=checkpoint.revision,
            rate_hz=checkpoint.rate_hz,
            window_frames=windows[0],
            shorter_frames=windows[1:],
            dim=model.dim * len(windows) * (1 if layer_weights else len(layers)),
            layer=layers if isinstance(layer, tuple) else layers[0],
            layer_weights=layer_weights,
            pooling=pooling,
            precision=precision,
        )
        hear = _model_of(checkpoint, precision, where)
        for n in windows:
            hear.prepare(checkpoint.tensors.read, n_layers=max(layers), n_steps=model.n_steps(n))
        embed = _Embed(
            hear,
            spec,
            layers,
            {n: torch.from_numpy(of_steps).to(where) for n, of_steps in weights.items()},
            is_normalising=checkpoint.is_normalising,
            device=where,
        )
        return cls(spec, checkpoint.notice, embed, n_threads)

    def encode(self, windows: NDArray[np.float32]) -> NDArray[np.float32]:
        """Embed windows, as `models.encoder.Encoder` has it.

        They go in passes of powers of two, so that few shapes occur, of `MAX_PASS_S` at most.
        A window's embedding depends on its batch by rounding only (below 1e-5, relative, in fp32).

        Raises
        ------
        EncoderError
            There is not enough memory for a single window, or no finite embedding comes of one.
        """
        check_windows(windows, self.spec)
        embeddings = np.empty((len(windows), self.spec.dim), np.float32)
        start = 0
        while start < len(windows):
            n = 1 << min(len(windows) - start, self._max_batch).bit_length() - 1
            try:
                embeddings[start : start + n] = self._embed(windows[start : start + n])
            except RuntimeError as error:
                if not _is_out_of_memory(error):
                    raise
                if n == 1:
                    raise EncoderError(
                        f"the {self.device} has not enough memory for a window of "
                        f"{self.spec.window_s:g} s: choose a shorter window_s or another device"
                    ) from error
                self._max_batch = n // 2
                continue
            start += n
        if not np.isfinite(embeddings).all():
            raise EncoderError(
                f"{self.spec.name} computed NaN or infinity in {self.spec.precision}: look at the "
                'input, and choose [encoder] precision = "fp32"'
            )
        return embeddings


class _Embed:
    """The way from windows to embeddings, on the model's device."""

    def __init__(
        self,
        hear: Mert,
        spec: EncoderSpec,
        layers: tuple[int, ...],
        weights: dict[int, Tensor],
        *,
        is_normalising: bool,
        device: torch.device,
    ) -> None:
        self.device = device
        self._hear = hear
        self._layers = layers
        self._weights = weights
        self._is_normalising = is_normalising
        self._layer_weights = spec.layer_weights

    def __call__(self, frames: Tensor) -> Tensor:
        """Embed windows [shape=(n, n_frames), float32] on the device."""
        return torch.cat([self._one(frames[:, -n:], of) for n, of in self._weights.items()], 1)

    @torch.inference_mode()
    def on_host(self, windows: NDArray[np.float32]) -> NDArray[np.float32]:
        """Embed windows in the host's memory, one operation after the other."""
        frames = torch.from_numpy(np.ascontiguousarray(windows)).to(self.device)
        embeddings: NDArray[np.float32] = self(frames).cpu().numpy()
        return embeddings

    def _one(self, frames: Tensor, weights: Tensor) -> Tensor:
        """Embed windows of one length."""
        if self._is_normalising:
            frames = functional.layer_norm(frames, frames.shape[1:], eps=VARIANCE_FLOOR)
        heard = self._hear(frames, layers=self._layers, n_newest=len(weights))
        pooled = [weights @ steps.float() for steps in heard]
        if not self._layer_weights:
            return torch.cat(pooled, 1)
        total = sum(self._layer_weights)
        return sum(
            (w / total * p for w, p in zip(self._layer_weights, pooled, strict=True)),
            start=torch.zeros_like(pooled[0]),
        )


_IN_USE: WeakValueDictionary[tuple[str, str, str], Mert] = WeakValueDictionary()


def _model_of(checkpoint: Checkpoint, precision: str, where: torch.device) -> Mert:
    """Give the model that all encoders of a checkpoint share in a precision on a device."""
    key = (checkpoint.revision, precision, where.type)
    if (model := _IN_USE.get(key)) is None:
        model = Mert(checkpoint.architecture, arithmetic(precision, where), checkpoint.tensors.read)
        _IN_USE[key] = model
    return model


def _layers(
    layer: int | tuple[int, ...] | None, weights: tuple[float, ...], n_layers: int
) -> tuple[int, ...]:
    """Count the layers to read from the first."""
    if layer is None:
        layer = default_layer(n_layers)
    wanted = layer if isinstance(layer, tuple) else (layer,)
    for index in wanted:
        if not -n_layers - 1 <= index <= n_layers:
            raise ValueError(f"layer is {index}, needs 0 to {n_layers}, or negative from the last")
    if not wanted:
        raise ValueError("layer is an empty list, needs one layer at least")
    if weights and len(weights) != len(wanted):
        raise ValueError(f"layer_weights has {len(weights)} values for {len(wanted)} layers")
    return tuple(index if index >= 0 else index + n_layers + 1 for index in wanted)


def _windows_frames(
    window_s: float | tuple[float, ...] | None, rate_hz: int, model: Architecture
) -> tuple[int, ...]:
    """Give the lengths of the windows, the longest first."""
    if window_s is None:
        window_s = DEFAULT_WINDOW_S
    windows_s = window_s if isinstance(window_s, tuple) else (window_s,)
    windows = tuple(sorted({round(seconds * rate_hz) for seconds in windows_s}, reverse=True))
    if not windows:
        raise ValueError("window_s is an empty list, needs one length at least")
    if windows[-1] < model.receptive_frames:
        raise ValueError(
            f"a window has {windows[-1]} frames, which is less than the {model.receptive_frames} "
            "that one step needs"
        )
    return windows


def _is_out_of_memory(error: BaseException | None) -> bool:
    """Tell it from other mistakes, also where a recording of a pass could not be ended for it."""
    return error is not None and (
        isinstance(error, torch.OutOfMemoryError)
        or any(said in str(error) for said in ("out of memory", "can't allocate memory"))
        or _is_out_of_memory(error.__context__)
    )
