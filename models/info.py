"""Info: which encoder, what it costs on this machine, how exact it is, and whether it is in budget.

``python -m models.info [NAME|DIR|MEMORY]`` loads an encoder as learning would, or the one that a
memory was learned with, embeds noise, and says what was found. It measures on the main thread and
changes nothing.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
from safetensors import SafetensorError, safe_open

from models.encoder import Encoder, EncoderConfig, EncoderSpec, device_of
from models.errors import EncoderError, ModelsError
from models.loading import load_as_set, restore_encoder
from models.settings import DEFAULT_PATH, read_settings, read_tables, settings_from_table
from models.terminal import CommandLine, run_command

N_WARM_UPS: Final = 5
N_PASSES: Final = 40
N_COMPARED: Final = 8

OTHER_TABLES: Final = (
    "capture",
    "listener",
    "codebook",
    "training",
    "improviser",
    "midi",
    "budget",
    "telemetry",
)
"""Of a settings file, what others read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InfoConfig:
    """What is read of the settings here."""

    encoder: EncoderConfig = field(default_factory=EncoderConfig)


@dataclass(frozen=True, slots=True, kw_only=True)
class _PassBudget:
    """What is read of the ``[budget]`` table here."""

    inference_ms: float | None = None


def measure_cost_ms(encoder: Encoder, n_passes: int = N_PASSES) -> tuple[float, float]:
    """Give what a pass of one window takes, median and 95th percentile, in milliseconds."""
    noise = np.random.default_rng(0).standard_normal((1, encoder.spec.window_frames), np.float32)
    took_ms = []
    for _ in range(N_WARM_UPS + n_passes):
        started_s = time.perf_counter()
        encoder.encode(noise)
        took_ms.append((time.perf_counter() - started_s) * 1e3)
    p50, p95 = np.percentile(took_ms[N_WARM_UPS:], [50, 95]).tolist()
    return p50, p95


def measure_error(encoder: Encoder, exact: Encoder) -> float:
    """Give how far an encoder's embeddings of noise are from the exact ones, relative to these."""
    shape = (N_COMPARED, encoder.spec.window_frames)
    noise = np.random.default_rng(0).standard_normal(shape, np.float32)
    expected = exact.encode(noise)
    return float(np.linalg.norm(encoder.encode(noise) - expected) / np.linalg.norm(expected))


def examine(
    build: Callable[[EncoderConfig], Encoder], config: EncoderConfig, budget_ms: float | None
) -> str:
    """Build an encoder, measure it, and describe it; once more in fp32 if it is not exact."""
    encoder = build(config)
    cost_ms = measure_cost_ms(encoder)
    error = 0.0
    if encoder.spec.precision != "fp32":
        error = measure_error(encoder, build(replace(config, precision="fp32")))
    return describe(encoder, cost_ms, error, budget_ms)


def describe(
    encoder: Encoder, cost_ms: tuple[float, float], error: float, budget_ms: float | None
) -> str:
    """Say what an encoder is and what it costs, a line each.

    Parameters
    ----------
    cost_ms
        Median and 95th percentile of a pass.
    error
        How far its embeddings are from fp32's, relative to these; 0 if it computes in fp32.
    budget_ms
        What ``[budget] inference_ms`` gives a pass; None where the settings do not say.
    """
    spec = encoder.spec
    layers = " and ".join(map(str, spec.layers)) or "none"
    windows = " and ".join(f"{seconds:g} s" for seconds in spec.windows_s)
    lines = [
        f"encoder    {spec.name} ({spec.revision})",
        f"layer      {layers}, pooling {spec.pooling}, {spec.dim} values",
        f"window     {windows} at {spec.rate_hz} Hz",
        f"computes   in {spec.precision} on the {device_of(encoder)}"
        + (f", {error:.1%} from fp32" if error else ""),
        f"a pass     {cost_ms[0]:.1f} ms, {cost_ms[1]:.1f} ms at p95",
    ]
    if budget_ms is not None:
        verdict = "is within" if cost_ms[1] <= budget_ms else "exceeds"
        lines.append(f"budget     {verdict} [budget] inference_ms = {budget_ms:g}")
    if encoder.notice:
        lines.append(f"notice     {encoder.notice}")
    return "\n".join(lines)


def load(name: str | None, config: EncoderConfig) -> Encoder:
    """Load the encoder of that name or folder, or the one of a memory.

    Raises
    ------
    ModelsError
        There is none, or it cannot be built.
    """
    if name is not None and Path(name).is_file():
        return restore_encoder(_spec_of_memory(Path(name)), config=config)
    return load_as_set(config, name)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; give the exit code."""
    parser = CommandLine(prog="python -m models.info", description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "name",
        nargs="?",
        metavar="NAME|DIR|MEMORY",
        help="an encoder as oracle.train takes it, or a memory (default: [encoder] name)",
    )
    parser.add_argument("--config", type=Path, metavar="FILE", help="settings")
    options: argparse.Namespace = parser.parse_args(arguments)
    return run_command(lambda: say_info(options), (ModelsError,), if_stopped="Stopped.")


def say_info(options: argparse.Namespace) -> None:
    """Print what is known of the encoder that was asked for."""
    path = options.config or (DEFAULT_PATH if DEFAULT_PATH.exists() else None)
    tables = read_tables(path) if path else {}
    config = read_settings(InfoConfig, path, others=OTHER_TABLES)
    said = examine(partial(load, options.name), config.encoder, _budget_ms(tables, path))
    sys.stdout.write(said + "\n")


def _budget_ms(tables: Mapping[str, Any], path: Path | None) -> float | None:
    """Read what the stage gives a pass; the rest of its budget is its own."""
    table = tables.get("budget", {})
    if isinstance(table, Mapping):
        table = {key: table[key] for key in ("inference_ms",) if key in table}
    return settings_from_table(_PassBudget, table, f"{path} [budget]").inference_ms


def _spec_of_memory(path: Path) -> EncoderSpec:
    """Read which encoder a memory was learned with, and nothing else of it."""
    try:
        with safe_open(path, "numpy") as file:
            memory = json.loads(file.metadata()["memory"])
        return EncoderSpec.from_json(memory["encoder"])
    except (OSError, SafetensorError, ValueError, KeyError, TypeError):
        raise EncoderError(
            f"{path} is no memory: give one that `python -m oracle.train` wrote, an encoder's "
            "name, or a folder"
        ) from None


if __name__ == "__main__":
    raise SystemExit(main())
