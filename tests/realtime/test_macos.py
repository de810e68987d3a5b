"""macOS: what is asked of its libraries, seen through the seam where they are loaded."""

import ctypes
from typing import Any

import pytest

from realtime.macos import (
    LATENCY_CRITICAL,
    USER_INITIATED,
    USER_INTERACTIVE,
    raise_quality,
    stay_awake,
)


class Libc:
    """A C library that knows classes of service."""

    def __init__(self, code: int) -> None:
        self.code = code
        self.asked: list[tuple[int, int]] = []

    def pthread_set_qos_class_self_np(self, quality: Any, relative: Any) -> int:
        """Take them, or refuse."""
        self.asked.append((quality.value, relative.value))
        return self.code


def test_a_thread_is_given_the_highest_quality() -> None:
    """User-interactive, at no relative priority."""
    raise_quality(libc := Libc(0))
    assert libc.asked == [(USER_INTERACTIVE, 0)]


def test_a_refusal_is_an_error() -> None:
    """With the system's code."""
    with pytest.raises(OSError, match="pthread_set_qos_class_self_np") as raised:
        raise_quality(Libc(1))
    assert raised.value.errno == 1


class Named:
    """A function of Objective-C's runtime that gives each name a number."""

    def __init__(self, names: list[bytes]) -> None:
        self.names = names
        self.restype: Any = None
        self.argtypes: Any = None

    def __call__(self, name: bytes) -> int:
        """Number it."""
        if name not in self.names:
            self.names.append(name)
        return self.names.index(name) + 1


def test_an_activity_is_begun_and_kept() -> None:
    """User-initiated and latency-critical, with a reason; retained, as nothing else holds it."""
    names: list[bytes] = []
    sent: list[tuple[bytes, bytes]] = []
    kinds: dict[bytes, list[Any]] = {
        b"stringWithUTF8String:": [ctypes.c_char_p],
        b"beginActivityWithOptions:reason:": [ctypes.c_uint64, ctypes.c_void_p],
    }
    given: list[Any] = []

    # a message arrives as the caller has typed it: read as many as its widest takes
    @ctypes.CFUNCTYPE(ctypes.c_size_t, *[ctypes.c_size_t] * 4)
    def receive(receiver: int, message: int, first: int, second: int) -> int:
        said = names[message - 1]
        known = names[receiver - 1] if receiver <= len(names) else b"object"
        sent.append((known, said))
        given.extend([first, second][: len(kinds.get(said, []))])
        return 1000 + len(sent)

    class Objc:
        objc_getClass = sel_registerName = Named(names)
        objc_msgSend = receive

    loaded: list[str] = []

    def load(path: str) -> Any:
        loaded.append(path)
        return Objc

    kept = stay_awake(load)
    assert [path.rsplit("/", 1)[1] for path in loaded] == ["Foundation", "libobjc.A.dylib"]
    assert sent == [
        (b"NSString", b"stringWithUTF8String:"),
        (b"NSProcessInfo", b"processInfo"),
        (b"object", b"beginActivityWithOptions:reason:"),
        (b"object", b"retain"),
    ]
    assert given[1:] == [USER_INITIATED | LATENCY_CRITICAL, 1001]
    assert kept == 1004
