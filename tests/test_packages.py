"""Each package's first page is a map of it."""

import importlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.mark.parametrize("name", ["models", "oracle", "realtime"])
def test_a_package_s_map_names_every_file(name: str) -> None:
    """By a line of its own, or among the commands; compiled kernels are left out."""
    package = importlib.import_module(name)
    files = {path.stem for path in (ROOT / name).glob("*.py") if not path.stem.startswith("_")}
    named = re.findall(r"^ *(\w+)(?: {2,}| …)|`(\w+)`", package.__doc__ or "", re.MULTILINE)
    assert files <= {each for pair in named for each in pair}


@pytest.mark.parametrize("name", ["models", "realtime"])
def test_a_package_of_stages_offers_all_of_them(name: str) -> None:
    """And nothing else; the oracle offers its classes."""
    files = {path.stem for path in (ROOT / name).glob("*.py") if not path.stem.startswith("_")}
    assert set(importlib.import_module(name).__all__) == files
