"""Fixtures every package's tests share."""

from pathlib import Path

import pytest

import kernel_cache  # noqa: F401  before numba

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Give the folder of recordings with truth, or skip where it is absent."""
    folder = REPOSITORY.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"recordings are not at {folder}")
    return folder
