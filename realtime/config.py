"""Config: every stage's settings, read from one TOML file and held against each other.

Runs at start only. Each table is one stage's own frozen dataclass; what is left out keeps its
default, which `config.toml` in the repository spells out with units. It never half-accepts a file.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from models.codebook import CodebookConfig
from models.encoder import EncoderConfig
from models.hearing import require_time_to_hear
from models.listener import ListenerConfig
from models.settings import DEFAULT_PATH, SettingsError, read_settings
from realtime.budget import BudgetConfig
from realtime.improviser import ImproviserConfig
from realtime.midi import MidiConfig
from realtime.source import CaptureConfig

LEARNING_TABLES: Final = ("training",)
"""What `oracle.train` reads of the same settings file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TelemetryConfig:
    """The ``[telemetry]`` table: how much the program says while it plays.

    Attributes
    ----------
    level
        What is below it is not logged; None for ``warning``, or ``info`` where there is no screen.
    """

    level: Literal["info", "warning", "error"] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """All settings of a performance, one table a stage."""

    capture: CaptureConfig = field(default_factory=CaptureConfig)
    listener: ListenerConfig = field(default_factory=ListenerConfig)
    encoder: EncoderConfig = field(default_factory=EncoderConfig)
    codebook: CodebookConfig = field(default_factory=CodebookConfig)
    improviser: ImproviserConfig = field(default_factory=ImproviserConfig)
    midi: MidiConfig = field(default_factory=MidiConfig)
    budget: BudgetConfig = field(default_factory=BudgetConfig)
    telemetry: TelemetryConfig = field(default_factory=TelemetryConfig)


def load_config(path: Path | None = None) -> Config:
    """Read the settings.

    Parameters
    ----------
    path
        None for ``config.toml`` in the current folder, or the defaults where there is none.

    Raises
    ------
    SettingsError
        The file cannot be read, a key is unknown, a value does not fit, or stages contradict each
        other.
    """
    config = read_settings(Config, path, others=LEARNING_TABLES)
    heard_ms, listen_ms = config.listener.heard_ms, config.budget.listen_ms
    require_time_to_hear(heard_ms, listen_ms, str(path or DEFAULT_PATH))
    return config


def require_time_to_capture(block_frames: int, rate_hz: int, budget: BudgetConfig) -> None:
    """Refuse blocks that alone last longer than the capture's budget.

    Raises
    ------
    SettingsError
        A block of `block_frames` at `rate_hz` lasts longer than ``capture_ms``.
    """
    block_ms = block_frames / rate_hz * 1e3
    if block_ms > budget.capture_ms:
        raise SettingsError(
            f"A block of {block_frames} frames lasts {block_ms:.1f} ms at {rate_hz} Hz, but "
            f"[budget] capture_ms is {budget.capture_ms:g}: lower [capture] block_frames or raise "
            "capture_ms."
        )
