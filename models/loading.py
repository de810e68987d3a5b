"""Loading: an encoder by name, or the one a memory was learned with.

Runs at start only, on whichever thread asks. It imports a model's libraries when that model is
asked for, and never gives another encoder than the one that was meant.
"""

from dataclasses import replace
from pathlib import Path

from models.encoder import DEFAULT_ENCODER, MERT, Encoder, EncoderConfig, EncoderSpec
from models.errors import EncoderError
from models.settings import SettingsError

HYBRID = "hybrid"
_AS_IT_IS = EncoderConfig()


def load_encoder(
    name: str | Path,
    *,
    layer: int | tuple[int, ...] | None = None,
    layer_weights: tuple[float, ...] = (),
    pooling: str | None = None,
    window_s: float | tuple[float, ...] | None = None,
    n_threads: int = 1,
    precision: str = "auto",
    device: str = "auto",
    part_scales: tuple[float, ...] = (),
) -> Encoder:
    """Build an encoder.

    Parameters
    ----------
    name
        ``"spectral"``, ``"mert"`` (the hub's m-a-p/MERT-v1-95M), another hub id of that
        architecture, a local folder in the hub's layout, ``"hybrid"`` (MERT and spectral side by
        side), or ``"hybrid:"`` with the name of another model.
    layer, layer_weights, pooling, window_s
        Settings of models, as `models.neural.NeuralEncoder.load` takes them.
    n_threads
        CPU threads of a pass. One leaves the other cores to capture, listener and loop.
    precision, device
        As `models.precision` has them.
    part_scales
        Of a hybrid, as a memory keeps them; measured if empty.

    Raises
    ------
    ValueError
        A setting out of range, or one that the spectral encoder does not have.
    EncoderError
        No such encoder or device, or its files are damaged or of another architecture.
    WeightsMissingError
        The weights are neither cached nor reachable.
    """
    if name == DEFAULT_ENCODER:
        from models.spectral import SpectralEncoder

        settings = {"layer": layer, "pooling": pooling, "window_s": window_s}
        for key, value in (settings | {"layer_weights": layer_weights or None}).items():
            if value is not None:
                raise ValueError(f"{key} is {value}, but the spectral encoder has no such setting")
        return SpectralEncoder()
    # torch takes seconds to import: only who asked for a model waits for it
    from models.neural import NeuralEncoder

    kind, _, of = str(name).partition(":")
    model = NeuralEncoder.load(
        (of or MERT) if kind == HYBRID else name,
        layer=layer,
        layer_weights=layer_weights,
        pooling=pooling,
        window_s=window_s,
        n_threads=n_threads,
        precision=precision,
        device=device,
    )
    if kind != HYBRID:
        return model
    from models.hybrid import HybridEncoder
    from models.spectral import SpectralEncoder

    return HybridEncoder(str(name), model, SpectralEncoder(), part_scales)


def load_as_set(config: EncoderConfig, name: str | None = None) -> Encoder:
    """Build the encoder that learns, as the settings say.

    Parameters
    ----------
    config
        The ``[encoder]`` table.
    name
        Another encoder than the table's.

    Raises
    ------
    SettingsError
        It has no such setting, or none of that value.
    EncoderError
        As `load_encoder`.
    """
    name = name or config.name
    try:
        return _load(name, config)
    except ValueError as error:
        raise SettingsError(f"[encoder] does not fit {name}: {error}.") from None


def restore_encoder(
    spec: EncoderSpec, name: str | Path | None = None, config: EncoderConfig = _AS_IT_IS
) -> Encoder:
    """Build the encoder a memory was learned with.

    How it runs is this machine's matter, not the memory's. So ``precision = "auto"`` is what is
    fastest here, whatever the memory was learned in: rounding flips hardly a token (``python -m
    benchmarks.inference`` counts them), and a token that comes too late is of no use.

    Parameters
    ----------
    spec
        As the memory keeps it.
    name
        Where to find it now, if no longer at `spec.name`.
    config
        `n_threads`, `precision` and `device` of it count.

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
        as_learned = replace(
            config,
            layer=spec.layer,
            layer_weights=spec.layer_weights,
            pooling=spec.pooling,
            window_s=spec.windows_s,
        )
        encoder = _load(name, as_learned, spec.part_scales)
    if encoder.spec != spec:
        raise EncoderError(
            f"the memory was learned with {spec}, which is not {encoder.spec}: "
            "choose the encoder it was learned with, or learn it again"
        )
    return encoder


def _load(name: str | Path, config: EncoderConfig, part_scales: tuple[float, ...] = ()) -> Encoder:
    """Build an encoder as settings say, whatever encoder they name."""
    return load_encoder(
        name,
        layer=config.layer,
        layer_weights=config.layer_weights,
        pooling=config.pooling,
        window_s=config.window_s,
        n_threads=config.n_threads,
        precision=config.precision,
        device=config.device,
        part_scales=part_scales,
    )
