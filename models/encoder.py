"""The encoder: windows of audio in, one embedding per window out.

Whatever turns sound into vectors stands behind `Encoder`. What its vectors mean is stated by its
`EncoderSpec`, which every memory keeps: encoders of equal spec embed into the same space. An
encoder belongs to one thread (the encoder worker, or training) and never knows where its windows
come from.
"""

import json
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

DEFAULT_ENCODER = "spectral"
MERT = "mert"


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
        The layer read out, 0 being the input of the first; None where there are no layers.
    pooling
        How a window's steps become one vector.

    Raises
    ------
    ValueError
        A number below 1, or a negative layer.
    """

    name: str = field(compare=False)
    revision: str
    rate_hz: int
    window_frames: int
    dim: int
    layer: int | None = None
    pooling: str = "whole"

    def __post_init__(self) -> None:
        for key in ("rate_hz", "window_frames", "dim"):
            if getattr(self, key) < 1:
                raise ValueError(f"{key} is {getattr(self, key)}, needs at least 1")
        if self.layer is not None and self.layer < 0:
            raise ValueError(f"layer is {self.layer}, needs 0 or more")

    @property
    def window_s(self) -> float:
        """Length of a window in seconds."""
        return self.window_frames / self.rate_hz

    def __str__(self) -> str:
        layer = "" if self.layer is None else f", layer {self.layer}"
        return (
            f"{self.name} ({self.revision}{layer}): "
            f"{self.window_s:g} s at {self.rate_hz} Hz → {self.dim} values"
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
        kinds: dict[str, Any] = {f.name: f.type for f in fields(cls)}
        if not isinstance(values, dict) or values.keys() != kinds.keys():
            raise ValueError(f"encoder spec is {text[:80]!r}, needs the keys {', '.join(kinds)}")
        for key, kind in kinds.items():
            # bool is an int to isinstance
            if isinstance(values[key], bool) or not isinstance(values[key], kind):
                raise ValueError(f"encoder spec has {key} = {values[key]!r}, needs {kind}")
        return cls(**values)


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderConfig:
    """The ``[encoder]`` table: which encoder learns and recognises, and how it runs.

    Attributes
    ----------
    name, layer, pooling, window_s, n_threads
        As `models.loading.load_encoder` takes them.
    hop_ms
        How long without an event until a window is embedded unasked.

    Raises
    ------
    ValueError
        A number is out of range.
    """

    name: str = DEFAULT_ENCODER
    layer: int | None = None
    pooling: str | None = None
    window_s: float | None = None
    n_threads: int = 1
    hop_ms: float = 250.0

    def __post_init__(self) -> None:
        if self.n_threads < 1:
            raise ValueError(f"n_threads is {self.n_threads}, needs at least 1")
        if not 10.0 <= self.hop_ms <= 10_000.0:
            raise ValueError(f"hop_ms is {self.hop_ms:g}, needs 10 to 10000")


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
