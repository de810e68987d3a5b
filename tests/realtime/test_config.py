import dataclasses
import re
from pathlib import Path
from typing import Any

import pytest

from models.settings import SettingsError
from realtime.budget import BudgetConfig
from realtime.config import Config, load_config, require_time_to_capture
from tests.conftest import REPOSITORY

SHIPPED = REPOSITORY / "config.toml"
TABLES = {field.name: field.default_factory for field in dataclasses.fields(Config)}
KEYS = [
    (table, field)
    for table, stage in TABLES.items()
    for field in dataclasses.fields(stage)  # type: ignore[arg-type]
]
LINE = re.compile(r"(?P<off># )?(?P<key>\w+) = (?P<value>.+?)  # (?P<comment>\S.*)")


def load(folder: Path, text: str) -> Config:
    """Load settings of this text."""
    path = folder / "config.toml"
    path.write_text(text)
    return load_config(path)


def shipped(table: str) -> dict[str, re.Match[str]]:
    """Give the lines of one table of the shipped settings, by key."""
    _, _, rest = SHIPPED.read_text().partition(f"[{table}]")
    lines = rest.partition("\n[")[0].splitlines()[1:]
    matches = [LINE.fullmatch(line) for line in lines if line]
    return {match["key"]: match for match in matches if match is not None}


def test_no_file_is_the_defaults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing need be written to play."""
    monkeypatch.chdir(tmp_path)
    assert load_config() == Config()


def test_an_empty_file_is_the_defaults(tmp_path: Path) -> None:
    """A file says only what it changes."""
    assert load(tmp_path, "") == Config()


def test_a_file_in_the_current_folder_is_read_unasked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The player's own settings count wherever he plays."""
    (tmp_path / "config.toml").write_text("[midi]\nchannel = 10\n")
    monkeypatch.chdir(tmp_path)
    assert load_config().midi.channel == 10


def test_the_shipped_file_says_the_defaults() -> None:
    """What `config.toml` spells out is what happens without it."""
    assert load_config(SHIPPED) == Config()


@pytest.mark.parametrize(("table", "field"), KEYS, ids=lambda part: getattr(part, "name", part))
def test_the_shipped_file_explains_every_key(table: str, field: dataclasses.Field[Any]) -> None:
    """Each has a line with its default and a comment, commented out where there is no default."""
    line = shipped(table)[field.name]
    assert bool(line["off"]) == (field.default is None)


def test_the_shipped_file_has_no_key_too_many() -> None:
    """Also what is commented out is a key that there is."""
    for table, stage in TABLES.items():
        names = [field.name for field in dataclasses.fields(stage)]  # type: ignore[arg-type]
        assert list(shipped(table)) == names


def test_what_is_commented_out_can_be_switched_on(tmp_path: Path) -> None:
    """The values shown for keys without a default are values they take."""
    text = re.sub(r"^# (?=\w+ = )", "", SHIPPED.read_text(), flags=re.MULTILINE)
    config = load(tmp_path, text)
    for table, field in KEYS:
        assert getattr(getattr(config, table), field.name) is not None


def test_one_key_changes_one_value(tmp_path: Path) -> None:
    """All others keep their defaults."""
    config = load(tmp_path, "[budget]\ntarget_ms = 60\n")
    assert config.budget == BudgetConfig(target_ms=60.0)
    assert dataclasses.replace(config, budget=BudgetConfig()) == Config()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[lisener]\n", r"has no table 'lisener': did you mean 'listener'\?"),
        ("[qqq]\n", r"has no table 'qqq': known are budget, capture, codebook"),
        ("midi = 3\n", r"\[midi\] must be a table, got 3"),
        ("[midi]\nchanel = 3\n", r"\[midi\] has no key 'chanel': did you mean 'channel'\?"),
        ("[midi]\nchannel = 17\n", r"\[midi\]: channel must be 1 to 16, got 17"),
        ("[capture]\nrate_hz = 7999\n", r"\[capture\]: rate_hz must be from 8000 to 192000"),
        ("[budget]\nmidi_ms = 3.0\n", r"the stages add up to 50.5 ms but"),
        (
            "[budget]\nmidi_ms = 30.0\n",
            r"the stages add up to 77.5 ms but target_ms is 50: lower one",
        ),
        ("[budget]\ntarget_ms = inf\n", r"target_ms must be a number, got inf"),
        ('[telemetry]\nlevel = "debug"\n', r"level must be 'info' or 'warning' or 'error', got"),
        (
            "[listener]\nheard_ms = 26.0\n",
            r"hears 26 ms .* but \[budget\] listen_ms is 12\.5: raise",
        ),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path: Path, text: str, message: str) -> None:
    """Each sentence names the table, the value and the need."""
    with pytest.raises(SettingsError, match=message):
        load(tmp_path, text)


def test_a_file_that_was_named_must_be_there(tmp_path: Path) -> None:
    """Only the default file may be missing."""
    with pytest.raises(SettingsError, match=r"There is no settings file at .*mine\.toml"):
        load_config(tmp_path / "mine.toml")


def test_a_folder_is_no_settings_file(tmp_path: Path) -> None:
    """The system's own word is in the sentence."""
    with pytest.raises(SettingsError, match=r"cannot be read \(Is a directory\)"):
        load_config(tmp_path)


def test_a_block_must_fit_into_the_capture() -> None:
    """Exactly as long as its budget it does; 8192 frames at 44.1 kHz are 186 ms late at once."""
    require_time_to_capture(128, 16_000, BudgetConfig())
    with pytest.raises(SettingsError, match=r"129 frames lasts 8\.1 ms at 16000 Hz, but .* is 8:"):
        require_time_to_capture(129, 16_000, BudgetConfig())
    with pytest.raises(SettingsError, match=r"lasts 185\.8 ms .*: lower \[capture\] block_frames"):
        require_time_to_capture(8192, 44_100, BudgetConfig())
