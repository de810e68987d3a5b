"""Kernel cache: a kernel is never older than what it was compiled from."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import kernel_cache
import kernel_keeping
from kernel_cache import digest, kernel_sources, use_own_folder

CALLEE = "from numba import njit\n\n@njit(cache=True)\ndef answer():\n    return {}\n"
CALLER = (
    "import numba\nfrom models.callee import answer\n\n"
    "@numba.njit(cache=True)\ndef ask():\n    return answer()\n"
)
UNKEPT = "What is compiled for this machine cannot be kept "
ASK = "import kernel_cache\nfrom oracle.caller import ask\nprint(ask())\n"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Give a program of two kernels in two packages."""
    for package in kernel_cache.PACKAGES:
        (tmp_path / package).mkdir()
    (tmp_path / "models" / "callee.py").write_text(CALLEE.format(41))
    (tmp_path / "oracle" / "caller.py").write_text(CALLER)
    (tmp_path / "oracle" / "table.py").write_text("LEGS = 4\n")
    for module in (kernel_cache, kernel_keeping):
        source = Path(str(module.__file__))
        (tmp_path / source.name).write_text(source.read_text())
    return tmp_path


def ask(checkout: Path, before: str = "", says: str = "") -> str:
    """Run the program in a process of its own, which keeps its kernels."""
    environment = {key: value for key, value in os.environ.items() if "NUMBA" not in key}
    ran = subprocess.run(
        [sys.executable, "-c", before + ASK],
        cwd=checkout,
        env=environment,
        capture_output=True,
        check=True,
        text=True,
    )
    assert ran.stderr.startswith(says)
    assert len(ran.stderr.splitlines()) == bool(says)
    return ran.stdout.strip()


def test_a_kernel_whose_callee_changed_in_another_file_is_compiled_anew(checkout: Path) -> None:
    """Numba alone would go on answering 41 here."""
    assert ask(checkout) == "41"
    (checkout / "models" / "callee.py").write_text(CALLEE.format(42))
    assert ask(checkout) == "42"
    assert len([*(checkout / "__pycache__").glob("kernels-*")]) == 1


def test_a_disk_that_takes_no_kernel_costs_no_more_than_the_next_start(checkout: Path) -> None:
    """It is said in one line, however many kernels there are; then it is as it would have been."""
    full = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (10, 10))\n"
    assert ask(checkout, full, UNKEPT + "(File too large), ") == "41"
    assert not [*checkout.glob("__pycache__/kernels-*/*/*.nbc")]
    assert ask(checkout) == "41"
    assert len([*checkout.glob("__pycache__/kernels-*/*/*.nbc")]) == 2


def test_kernels_that_have_no_folder_are_compiled_all_the_same(checkout: Path) -> None:
    """Neither beside the sources nor at home."""
    for folder in (checkout, checkout / "models", checkout / "oracle"):
        (folder / "__pycache__").write_text("")
    homeless = "import os; os.environ |= {'HOME': '/dev/null', 'XDG_CACHE_HOME': '/dev/null'}\n"
    assert ask(checkout, homeless, UNKEPT) == "41"


def test_what_a_kernel_imports_counts_and_what_it_does_not_is_left_out(checkout: Path) -> None:
    """A constant is compiled in, wherever it is written."""
    names = [path.name for path in kernel_sources(checkout)]
    assert names == ["callee.py", "caller.py"]
    callee = checkout / "models" / "callee.py"
    callee.write_text("from oracle.table import LEGS\n" + CALLEE.format("LEGS"))
    assert [path.name for path in kernel_sources(checkout)] == [
        "callee.py",
        "caller.py",
        "table.py",
    ]
    before = digest(kernel_sources(checkout))
    (checkout / "oracle" / "table.py").write_text("LEGS = 6\n")
    assert digest(kernel_sources(checkout)) != before


def test_a_folder_that_is_named_in_the_environment_is_respected(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever sets it knows why."""
    monkeypatch.setenv("NUMBA_CACHE_DIR", "elsewhere")
    use_own_folder(checkout)
    assert os.environ["NUMBA_CACHE_DIR"] == "elsewhere"
    assert not (checkout / "__pycache__").exists()


def test_every_package_is_kept_by_it() -> None:
    """Each imports it before numba can be imported."""
    for package in kernel_cache.PACKAGES:
        text = (kernel_cache.ROOT / package / "__init__.py").read_text(encoding="utf-8")
        assert "\nimport kernel_cache" in text
