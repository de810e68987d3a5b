"""Training's settings: the stage's own tables, changed by a profile, changed by the command line.

Runs at start only. A profile is a settings file like any other, shipped by name or given by path.
"""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from models.codebook import CodebookConfig
from models.encoder import EncoderConfig
from models.hearing import DEFAULT_LISTEN_MS, require_time_to_hear
from models.listener import ListenerConfig
from models.settings import (
    DEFAULT_PATH,
    SettingsError,
    read_settings,
    read_tables,
    settings_from_table,
)

STAGE_TABLES: Final = ("capture", "improviser", "midi", "budget", "telemetry")
"""What `realtime.config` reads of the same settings file."""
PROFILES: Final = Path(__file__).parent / "profiles"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingConfig:
    """The ``[training]`` table: how much is learned.

    Attributes
    ----------
    max_events
        How many events are learned at most, the first ones; None for all.

    Raises
    ------
    ValueError
        A number is out of range.
    """

    max_events: int | None = None

    def __post_init__(self) -> None:
        """Refuse to learn nothing."""
        if self.max_events is not None and self.max_events < 1:
            raise ValueError(f"max_events is {self.max_events}, needs at least 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainConfig:
    """What training reads of the settings."""

    listener: ListenerConfig = field(default_factory=ListenerConfig)
    encoder: EncoderConfig = field(default_factory=EncoderConfig)
    codebook: CodebookConfig = field(default_factory=CodebookConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)


def load_train_config(
    path: Path | None = None, *, profile: str | None = None, max_events: int | None = None
) -> TrainConfig:
    """Read the settings.

    Parameters
    ----------
    path
        None for ``config.toml`` in the current folder, or the defaults where there is none.
    profile
        A shipped profile's name, or a TOML file's path; what it says goes before the settings.
    max_events
        Goes before both.

    Raises
    ------
    SettingsError
        A file cannot be read, a key is unknown, a value does not fit, there is no such profile, or
        the stage would have no time to hear as much of a note.
    """
    config = read_settings(TrainConfig, path, others=STAGE_TABLES)
    where = path or DEFAULT_PATH
    if profile is not None:
        where = _profile_path(profile)
        config = read_settings(TrainConfig, where, others=STAGE_TABLES, base=config)
    if max_events is not None:
        given = settings_from_table(TrainingConfig, {"max_events": max_events}, "--max-events")
        config = replace(config, training=given)
    require_time_to_hear(config.listener.heard_ms, _listen_ms(path), str(where))
    return config


def _profile_path(profile: str) -> Path:
    """Find a profile."""
    shipped = {path.stem: path for path in sorted(PROFILES.glob("*.toml"))}
    if profile in shipped:
        return shipped[profile]
    if Path(profile).suffix == ".toml":
        return Path(profile)
    raise SettingsError(
        f"There is no profile {profile!r}: name {' or '.join(shipped)}, or a TOML file."
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _ListenBudget:
    """What learning needs to know of the ``[budget]`` table."""

    listen_ms: float = DEFAULT_LISTEN_MS


def _listen_ms(path: Path | None) -> float:
    """Read how long the stage may take to hear a note out; the rest of its budget is its own."""
    if path is None and not DEFAULT_PATH.exists():
        return DEFAULT_LISTEN_MS
    path = path or DEFAULT_PATH
    table = read_tables(path).get("budget", {})
    known = {key: table[key] for key in ("listen_ms",) if key in table}
    return settings_from_table(_ListenBudget, known, f"{path} [budget]").listen_ms
