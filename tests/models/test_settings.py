from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest

from models.settings import SettingsError, read_tables, settings_from_table


@dataclass(frozen=True, slots=True, kw_only=True)
class Kettle:
    """A stage's settings, small enough to read here."""

    heat_c: float = 90.0
    cups: int = 2
    lid: Literal["on", "off"] = "on"
    channel: Literal["mix"] | int = "mix"
    is_full: bool = False

    def __post_init__(self) -> None:
        """Refuse what no kettle can do."""
        if not 0 < self.heat_c <= 100:
            raise ValueError(f"heat_c must be above 0 and at most 100, got {self.heat_c}")


def test_an_empty_table_is_the_defaults() -> None:
    """Keys left out keep their defaults."""
    assert settings_from_table(Kettle, {}, "[kettle]") == Kettle()


def test_every_kind_of_value_arrives_as_its_own_type() -> None:
    """A whole number is a number, and a union takes either of its types."""
    made = settings_from_table(Kettle, {"heat_c": 80, "lid": "off", "channel": 3}, "[kettle]")
    assert made == Kettle(heat_c=80.0, lid="off", channel=3)
    assert isinstance(made.heat_c, float)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"heat": 90.0}, r"\[kettle\] has no key 'heat': did you mean 'heat_c'\?"),
        ({"xyzzy": 1}, r"has no key 'xyzzy': known are channel, cups"),
        ({"cups": 1.5}, r"cups must be a whole number, got 1.5"),
        ({"cups": True}, r"cups must be a whole number, got True"),
        ({"heat_c": "hot"}, r"heat_c must be a number, got 'hot'"),
        ({"heat_c": 10**400}, r"heat_c must be a number, got 1000"),
        ({"heat_c": float("nan")}, r"heat_c must be a number, got nan"),
        ({"heat_c": float("-inf")}, r"heat_c must be a number, got -inf"),
        ({"heat_c": 120.0}, r"\[kettle\]: heat_c must be above 0 and at most 100, got 120"),
        ({"lid": "ajar"}, r"lid must be one of 'on', 'off', got 'ajar'"),
        ({"channel": "left"}, r"channel must be 'mix' or a whole number, got 'left'"),
        ({"is_full": 1}, r"is_full must be true or false, got 1"),
        ("tea", r"\[kettle\] must be a table, got 'tea'"),
    ],
)
def test_what_does_not_fit_is_refused_with_its_place(table: object, message: str) -> None:
    """The message names the key, the value and the need."""
    with pytest.raises(SettingsError, match=message):
        settings_from_table(Kettle, table, "[kettle]")


def test_a_file_that_is_no_toml_is_one_sentence(tmp_path: Path) -> None:
    """Missing, broken and binary files each say what is wrong."""
    with pytest.raises(SettingsError, match="no settings file"):
        read_tables(tmp_path / "none.toml")
    broken = tmp_path / "broken.toml"
    broken.write_text("[kettle\n")
    with pytest.raises(SettingsError, match="not valid TOML"):
        read_tables(broken)
    broken.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SettingsError, match="cannot be read"):
        read_tables(broken)
