"""Kernel cache: compiled kernels are kept for exactly the sources they were compiled from.

Every package imports this first, before numba. Numba keeps compiled kernels between starts and
compiles anew when the file of a kernel changes, but looks at no other file: a kernel that calls
into another module would silently go on running that module's old code after an update (seen, and
measured as stale results). So the kernels of one state of the sources share one folder, named
after them; older ones are deleted. ``NUMBA_CACHE_DIR`` in the environment is respected. Where a
kernel cannot be kept, `kernel_keeping` has it compiled again at the next start.
"""

import hashlib
import os
import re
import shutil
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent
PACKAGES: Final = ("models", "oracle", "realtime")
_PLACES: Final = (
    "UserProvidedCacheLocator",
    "InTreeCacheLocator",
    "UserWideCacheLocator",
    "kernel_keeping.Unkept",
)
"""Numba's own, in its order, and one for a kernel that has none of them."""
_COMPILED: Final = re.compile(r"\b(?:numba|_jit)\b")
_IMPORT: Final = re.compile(rf"^from ((?:{'|'.join(PACKAGES)})[\w.]*) import", re.MULTILINE)


def kernel_sources(root: Path = ROOT) -> list[Path]:
    """List the files of kernels, and all that these import: constants are compiled in too."""
    texts = {
        path: path.read_text(encoding="utf-8")
        for package in PACKAGES
        for path in (root / package).rglob("*.py")
    }
    found = {path for path, text in texts.items() if _COMPILED.search(text)}
    while True:
        imported = {
            (root / name.replace(".", "/")).with_suffix(".py")
            for path in found
            for name in _IMPORT.findall(texts[path])
        }
        more = (imported & texts.keys()) - found
        if not more:
            return sorted(found)
        found |= more


def digest(paths: Iterable[Path]) -> str:
    """Name the contents of files: sixteen hexadecimal digits."""
    contents = hashlib.sha256()
    for path in paths:
        contents.update(path.name.encode())
        contents.update(path.read_bytes())
    return contents.hexdigest()[:16]


def use_own_folder(root: Path = ROOT) -> None:
    """Tell numba where to keep this version's kernels, and delete those of others."""
    if "NUMBA_CACHE_DIR" in os.environ or not os.access(root, os.W_OK):
        return
    folder = root / "__pycache__" / f"kernels-{digest(kernel_sources(root))}"
    if not folder.is_dir():
        for old in folder.parent.glob("kernels-*"):
            shutil.rmtree(old, ignore_errors=True)
        with suppress(OSError):  # it is said when the first kernel is to be kept
            folder.mkdir(parents=True, exist_ok=True)
    os.environ["NUMBA_CACHE_DIR"] = str(folder)


use_own_folder()
os.environ.setdefault("NUMBA_CACHE_LOCATOR_CLASSES", ",".join(_PLACES))
