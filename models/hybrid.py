"""The hybrid: a model's embedding and the spectral one side by side, in one vector.

Distances of the two have nothing to do with each other, so each part is divided by the mean
distance between its embeddings of a few unlike sounds: then both count alike. The scales are
measured once, when a memory is learned, and kept in it. Same thread and same promises as its parts.
"""

import numpy as np
from numpy.typing import NDArray

from models.encoder import Encoder, EncoderSpec, check_windows, device_of
from models.errors import EncoderError

N_SOUNDS = 8
LOWEST_HZ = 110.0


class HybridEncoder:
    """Embeds with a model and another encoder of the same rate, in the model's window.

    Parameters
    ----------
    name
        For its spec.
    model, other
        Its parts; windows of both end together.
    scales
        What their embeddings are multiplied with; measured if empty.

    Attributes
    ----------
    spec : EncoderSpec
    notice : str
        The parts'.
    device : str
        What the model runs on.

    Raises
    ------
    EncoderError
        The parts are not of the same rate.
    ValueError
        The model's window is shorter than the other's, or not one scale a part.
    """

    def __init__(
        self, name: str, model: Encoder, other: Encoder, scales: tuple[float, ...] = ()
    ) -> None:
        self._parts = (model, other)
        rates = {part.spec.rate_hz for part in self._parts}
        if len(rates) > 1:
            raise EncoderError(
                f"a hybrid needs parts of one rate, and {model.spec.name} is at "
                f"{model.spec.rate_hz} Hz, {other.spec.name} at {other.spec.rate_hz} Hz: choose "
                "another model"
            )
        if other.spec.window_frames > model.spec.window_frames:
            raise ValueError(
                f"window_s is {model.spec.window_s:g}, needs at least {other.spec.window_s:g} "
                f"beside {other.spec.name}"
            )
        scales = scales or tuple(_scale(part) for part in self._parts)
        if len(scales) != len(self._parts):
            raise ValueError(f"part_scales has {len(scales)} values, needs {len(self._parts)}")
        self._scales = np.array(scales, np.float32)
        self.spec = EncoderSpec(
            name=name,
            revision="+".join(part.spec.revision for part in self._parts),
            rate_hz=model.spec.rate_hz,
            window_frames=model.spec.window_frames,
            shorter_frames=model.spec.shorter_frames,
            dim=sum(part.spec.dim for part in self._parts),
            layer=model.spec.layer,
            layer_weights=model.spec.layer_weights,
            pooling=model.spec.pooling,
            part_scales=scales,
            precision=model.spec.precision,
        )
        self.device = device_of(model)
        self.notice = " ".join(part.notice for part in self._parts if part.notice)

    def encode(self, windows: NDArray[np.float32]) -> NDArray[np.float32]:
        """Embed windows, as `models.encoder.Encoder` has it."""
        check_windows(windows, self.spec)
        return np.concatenate(
            [
                scale * part.encode(windows[:, -part.spec.window_frames :])
                for scale, part in zip(self._scales, self._parts, strict=True)
            ],
            axis=1,
        )


def _scale(part: Encoder) -> float:
    """Give one over the mean distance between a part's embeddings of unlike sounds."""
    embeddings = part.encode(_sounds(part.spec))
    distances = np.linalg.norm(embeddings[:, None] - embeddings, axis=2)
    mean = distances.sum() / (N_SOUNDS * (N_SOUNDS - 1))
    return float(np.float32(1 / max(mean, 1e-6)))


def _sounds(spec: EncoderSpec) -> NDArray[np.float32]:
    """Make plucked tones three semitones apart, each noisier and struck later than the last."""
    rng = np.random.default_rng(0)
    seconds = np.arange(spec.window_frames) / spec.rate_hz
    sounds = np.empty((N_SOUNDS, spec.window_frames), np.float32)
    for index, sound in enumerate(sounds):
        since_s = seconds - seconds[-1] * (0.5 + index / N_SOUNDS / 2)
        tone = sum(
            np.sin(2 * np.pi * LOWEST_HZ * 2 ** (index / 4) * harmonic * seconds) / harmonic
            for harmonic in range(1, 5)
        )
        noise = rng.standard_normal(len(seconds)) * index / N_SOUNDS
        sound[:] = 0.1 * np.where(since_s < 0, 0.0, np.exp(-4 * since_s)) * (tone + noise)
    return sounds
