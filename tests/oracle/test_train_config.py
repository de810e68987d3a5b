import dataclasses
from pathlib import Path

import pytest

from models.settings import SettingsError
from oracle.train_config import (
    PROFILES,
    STAGE_TABLES,
    TrainConfig,
    TrainingConfig,
    load_train_config,
)
from realtime.config import LEARNING_TABLES, Config, load_config
from realtime.improviser import ImproviserConfig
from tests.conftest import REPOSITORY


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run where there are no settings."""
    monkeypatch.chdir(tmp_path)


def test_no_file_and_no_profile_are_the_defaults() -> None:
    """Nothing need be written to learn."""
    assert load_train_config() == TrainConfig()


def test_learning_and_playing_read_one_file() -> None:
    """Each knows the tables that are the other's."""
    stage = {field.name for field in dataclasses.fields(Config)}
    own = {field.name for field in dataclasses.fields(TrainConfig)}
    assert stage == {*STAGE_TABLES, *own - set(LEARNING_TABLES)}
    assert load_train_config(REPOSITORY / "config.toml") == TrainConfig()


def test_a_training_table_is_no_trouble_to_the_stage(tmp_path: Path) -> None:
    """It is read by learning alone."""
    path = tmp_path / "config.toml"
    path.write_text("[training]\nmax_events = 7\n")
    assert load_config() == Config()
    assert load_train_config().training.max_events == 7


def test_a_profile_goes_before_the_settings_and_the_command_line_before_both(
    tmp_path: Path,
) -> None:
    """What neither says is as in the settings."""
    (tmp_path / "config.toml").write_text(
        "[training]\nmax_events = 1\n[codebook]\nn_tokens = 9\nseed = 3\n[midi]\nchannel = 2\n"
    )
    (tmp_path / "mine.toml").write_text("[training]\nmax_events = 2\n[codebook]\nn_tokens = 8\n")
    config = load_train_config(profile="mine.toml")
    assert (config.training.max_events, config.codebook.n_tokens, config.codebook.seed) == (2, 8, 3)
    config = load_train_config(profile="mine.toml", max_events=3)
    assert (config.training.max_events, config.codebook.n_tokens) == (3, 8)


def test_the_shipped_profiles_are_read_by_name() -> None:
    """The full one keeps the defaults, and learns as many events as the stage can hold."""
    assert {path.stem for path in PROFILES.glob("*.toml")} == {"quick_test", "full_training"}
    quick, full = (
        load_train_config(profile="quick_test"),
        load_train_config(profile="full_training"),
    )
    held = TrainingConfig(max_events=ImproviserConfig().max_events)
    assert full == dataclasses.replace(TrainConfig(), training=held)
    assert (quick.training.max_events or 0) < (full.training.max_events or 0)
    assert quick.codebook.n_tokens < full.codebook.n_tokens


@pytest.mark.parametrize(
    ("settings", "profile", "message"),
    [
        ("", "quick", r"no profile 'quick': name full_training or quick_test, or a TOML file"),
        ("", "mine.toml", r"There is no settings file at mine\.toml"),
        ("[trainin]\n", None, r"no table 'trainin': did you mean 'training'"),
        ("[training]\nmax_events = 0\n", None, r"max_events is 0, needs at least 1"),
        ("[listener]\nheard_ms = 26.0\n", None, r"hears 26 ms .* listen_ms is 12\.5: raise"),
        ("[budget]\nlisten_ms = 11\n", "quick_test", r"hears 12 ms .* listen_ms is 11"),
        ('[budget]\nlisten_ms = "long"\n', None, r"\[budget\] listen_ms must be a number"),
    ],
)
def test_what_does_not_fit_is_refused(
    tmp_path: Path, settings: str, profile: str | None, message: str
) -> None:
    """In one sentence; also a memory that the stage would refuse to play with."""
    (tmp_path / "config.toml").write_text(settings)
    with pytest.raises(SettingsError, match=message):
        load_train_config(profile=profile)
