"""The encoder: windows of audio in, one embedding per window out.

Whatever turns sound into vectors stands behind `Encoder`. What its vectors mean is stated by its
`EncoderSpec`, which every memory keeps: encoders of equal spec embed into the same space. An
encoder belongs to one thread (the encoder worker, or training) and never knows where its windows
come from.
"""

import json
from dataclasses import MISSING, asdict, dataclass, field, fields
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from models.settings import SettingsError, settings_from_table

DEFAULT_ENCODER = "spectral"
MERT = "mert"

Precision = Literal["auto", "fp32", "bf16", "fp16"]
Device = Literal["auto", "cpu", "cuda", "mps"]


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderSpec:
    """What an encoder's embeddings are: equal specs, same embedding space.

    Attributes
    ----------
    name
        What `models.loading` takes to build it again; where it was found, so no part of equality.
    revision
        Identity of the arithmetic and its weights.
    rate_hz
        Rate of the windows.
    window_frames
        Length of a window, at `rate_hz`.
    dim
        Values in an embedding.
    layer
        The layer read out, 0 being the input of the first, or several of them; None where there
        are no layers. Several of which there is one are that one.
    layer_weights
        Of several layers' mean; empty where they stand side by side, and for one layer.
    pooling
        How a window's steps become one vector.
    shorter_frames
        Lengths of further windows that end where the window does, embedded beside it.
    part_scales
        What the parts of a hybrid are multiplied with; empty where there are no parts.
    precision
        What it was computed in, which changes an embedding by rounding: no part of equality.

    Raises
    ------
    ValueError
        A number below 1, a negative layer, or a shorter window that is not shorter.
    """

    name: str = field(compare=False)
    revision: str
    rate_hz: int
    window_frames: int
    dim: int
    layer: int | tuple[int, ...] | None = None
    layer_weights: tuple[float, ...] = ()
    pooling: str = "whole"
    shorter_frames: tuple[int, ...] = ()
    part_scales: tuple[float, ...] = ()
    precision: str = field(default="fp32", compare=False)

    def __post_init__(self) -> None:
        for key in ("rate_hz", "window_frames", "dim"):
            if getattr(self, key) < 1:
                raise ValueError(f"{key} is {getattr(self, key)}, needs at least 1")
        if len(self.layers) == 1:
            object.__setattr__(self, "layer", self.layers[0])
            object.__setattr__(self, "layer_weights", ())
        if any(layer < 0 for layer in self.layers):
            raise ValueError(f"layer is {self.layer}, needs 0 or more")
        if not all(1 <= n < self.window_frames for n in self.shorter_frames):
            raise ValueError(
                f"shorter_frames is {self.shorter_frames}, needs 1 to {self.window_frames - 1}"
            )

    @property
    def layers(self) -> tuple[int, ...]:
        """The layers read out, in order."""
        if self.layer is None:
            return ()
        return self.layer if isinstance(self.layer, tuple) else (self.layer,)

    @property
    def window_s(self) -> float:
        """Length of a window in seconds."""
        return self.window_frames / self.rate_hz

    @property
    def windows_s(self) -> tuple[float, ...]:
        """Lengths in seconds of all windows that end together, the longest first."""
        return tuple(n / self.rate_hz for n in (self.window_frames, *self.shorter_frames))

    def __str__(self) -> str:
        layer = f", layer {' and '.join(map(str, self.layers))}" if self.layers else ""
        windows_s = " and ".join(f"{seconds:g}" for seconds in self.windows_s)
        return (
            f"{self.name} ({self.revision}{layer}): "
            f"{windows_s} s at {self.rate_hz} Hz → {self.dim} values"
        )

    def to_json(self) -> str:
        """Write the spec as one line of JSON with sorted keys."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> "EncoderSpec":
        """Read what `to_json` wrote.

        Raises
        ------
        ValueError
            Not JSON, or a key that is missing, unknown or of the wrong type.
        """
        values = json.loads(text)
        needed = {key.name: key for key in fields(cls) if key.default is MISSING}
        if not isinstance(values, dict) or not needed.keys() <= values.keys():
            raise ValueError(f"encoder spec is {text[:80]!r}, needs the keys {', '.join(needed)}")
        try:
            return settings_from_table(cls, values, "encoder spec")
        except SettingsError as error:
            raise ValueError(str(error)) from None


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderConfig:
    """The ``[encoder]`` table: which encoder learns and recognises, and how it runs.

    Attributes
    ----------
    name, layer, layer_weights, pooling, window_s, precision, device
        As `models.loading.load_encoder` takes them.
    n_threads
        CPU threads of a pass on stage; learning uses all cores.
    hop_ms
        How long without an event until a window is embedded unasked.

    Raises
    ------
    ValueError
        A number is out of range.
    """

    name: str = DEFAULT_ENCODER
    layer: int | tuple[int, ...] | None = None
    layer_weights: tuple[float, ...] = ()
    pooling: str | None = None
    window_s: float | tuple[float, ...] | None = None
    n_threads: int = 1
    precision: Precision = "auto"
    device: Device = "auto"
    hop_ms: float = 250.0

    def __post_init__(self) -> None:
        if self.n_threads < 1:
            raise ValueError(f"n_threads is {self.n_threads}, needs at least 1")
        if not 10.0 <= self.hop_ms <= 10_000.0:
            raise ValueError(f"hop_ms is {self.hop_ms:g}, needs 10 to 10000")
        if any(weight <= 0 for weight in self.layer_weights):
            raise ValueError(f"layer_weights is {self.layer_weights}, needs values above 0")


class Encoder(Protocol):
    """What embeds windows. One thread at a time."""

    @property
    def spec(self) -> EncoderSpec:
        """What the embeddings are."""
        ...

    @property
    def notice(self) -> str:
        """One sentence the player must be told once, such as a licence; empty if there is none."""
        ...

    def encode(self, windows: NDArray[np.float32]) -> NDArray[np.float32]:
        """Embed windows; a window's embedding does not depend on the others in the batch.

        Parameters
        ----------
        windows
            [shape=(n, window_frames), float32], n ≥ 1, finite, full scale ±1.

        Returns
        -------
        ndarray[shape=(n, dim), float32]
            Finite, and the caller's own.

        Raises
        ------
        ValueError
            Another shape, or values that are not finite.
        """
        ...


def device_of(encoder: Encoder) -> str:
    """Say what an encoder runs on: the CPU, unless it has another `device`."""
    return str(getattr(encoder, "device", "cpu"))


def check_windows(windows: NDArray[np.float32], spec: EncoderSpec) -> None:
    """Hold a batch against what `Encoder.encode` promises to take.

    Raises
    ------
    ValueError
        Not [shape=(n ≥ 1, window_frames), float32], or values that are not finite.
    """
    if windows.dtype != np.float32:
        raise ValueError(f"windows has dtype {windows.dtype}, needs float32")
    if windows.ndim != 2 or len(windows) < 1 or windows.shape[1] != spec.window_frames:
        raise ValueError(
            f"windows has shape {windows.shape}, needs (1 or more, {spec.window_frames})"
        )
    if not np.isfinite(windows).all():
        raise ValueError("windows holds NaN or infinity, needs finite values")
