"""macOS: what a performance asks it for: threads of the highest quality, and not to be put to nap.

Called before the first note. There is no SCHED_FIFO to ask for: a thread's class of service is its
priority, and user-interactive is the highest one that a program may choose (`pthread/qos.h`).

Against App Nap one activity of NSProcessInfo is the least that will do: user-initiated, it also
keeps an idle machine awake; latency-critical, it keeps timers from being put off to be served
together, which an IOKit power assertion does not (Apple's Energy Efficiency Guide for Mac Apps).
"""

import ctypes
from typing import Any, Final

USER_INTERACTIVE: Final = 0x21
USER_INITIATED: Final = 0x00FFFFFF
LATENCY_CRITICAL: Final = 0xFF00000000

_OBJC: Final = "/usr/lib/libobjc.A.dylib"
_FOUNDATION: Final = "/System/Library/Frameworks/Foundation.framework/Foundation"
_REASON: Final = b"A performance is played."


def raise_quality(libc: Any = None) -> None:
    """Raise the class of service of the calling thread to the highest.

    Raises
    ------
    OSError
        It is refused.
    """
    libc = libc or ctypes.CDLL(None)
    code = libc.pthread_set_qos_class_self_np(ctypes.c_uint(USER_INTERACTIVE), ctypes.c_int(0))
    if code:
        raise OSError(code, "pthread_set_qos_class_self_np was refused")


def stay_awake(load: Any = ctypes.CDLL) -> int:
    """Begin an activity that lasts as long as this process, and return it.

    Parameters
    ----------
    load
        Loads a library.
    """
    load(_FOUNDATION)
    objc = load(_OBJC)
    pointer = ctypes.c_void_p
    objc.objc_getClass.restype = objc.sel_registerName.restype = pointer
    objc.objc_getClass.argtypes = objc.sel_registerName.argtypes = [ctypes.c_char_p]

    def send(receiver: int, message: bytes, *typed: tuple[Any, Any]) -> Any:
        """Send a message: arm64 wants each call to know its arguments' types."""
        kind = ctypes.CFUNCTYPE(pointer, pointer, pointer, *(type_ for type_, _ in typed))
        call = ctypes.cast(objc.objc_msgSend, kind)
        return call(receiver, objc.sel_registerName(message), *(value for _, value in typed))

    reason = send(
        objc.objc_getClass(b"NSString"), b"stringWithUTF8String:", (ctypes.c_char_p, _REASON)
    )
    process = send(objc.objc_getClass(b"NSProcessInfo"), b"processInfo")
    activity = send(
        process,
        b"beginActivityWithOptions:reason:",
        (ctypes.c_uint64, USER_INITIATED | LATENCY_CRITICAL),
        (pointer, reason),
    )
    kept: int = send(activity, b"retain")
    return kept
