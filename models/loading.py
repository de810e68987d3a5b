"""Loading: an encoder by name, or the one a memory was learned with.

Runs at start only, on whichever thread asks. It imports a model's libraries when that model is
asked for, and never gives another encoder than the one that was meant.
"""

from pathlib import Path

from models.encoder import DEFAULT_ENCODER, Encoder, EncoderSpec
from models.errors import EncoderError


def load_encoder(
    name: str | Path,
    *,
    layer: int | None = None,
    pooling: str | None = None,
    window_s: float | None = None,
    n_threads: int = 1,
) -> Encoder:
    """Build an encoder.

    Parameters
    ----------
    name
        ``"spectral"``, ``"mert"`` (the hub's m-a-p/MERT-v1-95M), another hub id of that
        architecture, or a local folder in the hub's layout.
    layer, pooling, window_s
        Settings of models that have them; the model's own default if None.
    n_threads
        CPU threads of a pass. One leaves the other cores to capture, listener and loop.

    Raises
    ------
    ValueError
        A setting out of range, or one that the spectral encoder does not have.
    EncoderError
        No such encoder, or its files are damaged or of another architecture.
    WeightsMissingError
        The weights are neither cached nor reachable.
    """
    if name == DEFAULT_ENCODER:
        from models.spectral import SpectralEncoder

        for key, value in {"layer": layer, "pooling": pooling, "window_s": window_s}.items():
            if value is not None:
                raise ValueError(f"{key} is {value}, but the spectral encoder has no such setting")
        return SpectralEncoder()
    # torch and transformers take seconds to import: only who asked for a model waits for them
    from models.mert import MertEncoder

    return MertEncoder.load(
        name, layer=layer, pooling=pooling, window_s=window_s, n_threads=n_threads
    )


def restore_encoder(
    spec: EncoderSpec, name: str | Path | None = None, *, n_threads: int = 1
) -> Encoder:
    """Build the encoder a memory was learned with.

    Parameters
    ----------
    spec
        As the memory keeps it.
    name
        Where to find it now, if no longer at `spec.name`.
    n_threads
        As in `load_encoder`.

    Raises
    ------
    EncoderError
        What was found there embeds into another space.
    WeightsMissingError
        The weights are neither cached nor reachable.
    """
    name = spec.name if name is None else name
    if name == DEFAULT_ENCODER:
        encoder = load_encoder(name)
    else:
        encoder = load_encoder(
            name,
            layer=spec.layer,
            pooling=spec.pooling,
            window_s=spec.window_s,
            n_threads=n_threads,
        )
    if encoder.spec != spec:
        raise EncoderError(
            f"the memory was learned with {spec}, which is not {encoder.spec}: "
            "choose the encoder it was learned with, or learn it again"
        )
    return encoder
