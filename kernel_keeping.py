"""Kernel keeping: a kernel that cannot be kept is compiled again, and that is all it costs.

Numba imports this when the first kernel is to be kept (`kernel_cache` names it), and never before:
whoever starts no kernel starts no compiler. By itself numba ends with a traceback where it finds no
folder for a kernel, or where that takes no more: a full disk would keep everybody from playing.
"""

import logging
from collections.abc import Callable
from functools import wraps
from typing import Any, Self

from numba.core.caching import Cache, InTreeCacheLocator


class Unkept(InTreeCacheLocator):  # type: ignore[misc]
    """The place of a kernel that has no other: each attempt to keep it there fails."""

    @classmethod
    def from_function(cls, py_func: Any, py_file: str) -> Self:
        """Take what every other locator has refused."""
        return cls(py_func, py_file)


def say_once(reason: str) -> None:
    """Say why kernels are not kept, and what to do."""
    if _log.isEnabledFor(logging.WARNING):
        _log.warning(
            "What is compiled for this machine cannot be kept (%s), so that every start takes a "
            "minute: free some space, or name a folder in NUMBA_CACHE_DIR.",
            reason,
        )
        _log.setLevel(logging.ERROR)


def _or_nothing(method: Callable[..., Any]) -> Callable[..., Any]:
    """Let what the system refuses be as if nothing were kept."""

    @wraps(method)
    def attempt(*arguments: Any) -> Any:
        try:
            return method(*arguments)
        except OSError as error:
            say_once(error.strerror or str(error))
            return None

    return attempt


_log = logging.getLogger(__name__)
Cache.load_overload = _or_nothing(Cache.load_overload)
Cache.save_overload = _or_nothing(Cache.save_overload)
