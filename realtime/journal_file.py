"""The journal's file: records that are only ever added, each with its length and checksum.

Runs where the caller is, off the hot path. The first record says which memory the others belong to;
a record that was cut off by the end of a process or of the power, and whatever follows it, is not
there. One performance at a time holds it. It knows records and bytes, not what they mean, and never
unpickles.

A record is its payload's length and CRC-32, both 32 bits little-endian, then the payload: JSON, in
which NaN stands for what is missing.
"""

import fcntl
import itertools
import json
import os
import struct
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from realtime.errors import LiveError

SUFFIX: Final = ".journal"
OLD_SUFFIX: Final = ".journal.old"
FORMAT: Final = "musichal journal"
FORMAT_VERSION: Final = 1

_FRAME: Final = struct.Struct("<II")
_LONGEST_BYTES: Final = 1 << 16
"""No record is longer; a length beyond it is no length."""


class JournalError(LiveError):
    """Raised when a journal cannot be gone on with; the message says what to do."""


class JournalUnwritableError(JournalError):
    """Raised when nothing can be kept beside the memory; playing is still possible."""


class Content(NamedTuple):
    """What a journal holds.

    Attributes
    ----------
    payloads
        Of the records after the header, oldest first.
    n_bytes
        How much of the file is whole: 0 where not even its header is.
    """

    payloads: list[bytes]
    n_bytes: int


def encode(record: Mapping[str, Any]) -> bytes:
    """Give a record as it stands in the file."""
    payload = json.dumps(record, separators=(",", ":")).encode()
    assert 0 < len(payload) <= _LONGEST_BYTES
    return _FRAME.pack(len(payload), zlib.crc32(payload)) + payload


def header(memory_sha256: str) -> bytes:
    """Give the first record of the journal of a memory file with this hash."""
    return encode(
        {"format": FORMAT, "format_version": FORMAT_VERSION, "memory_sha256": memory_sha256}
    )


def read(path: Path, content: bytes, memory_sha256: str) -> Content:
    """Read the whole records of a journal of that memory.

    Parameters
    ----------
    path
        What to call it.

    Raises
    ------
    JournalError
        It is no journal, of another format, or of another memory.
    """
    begin = header(memory_sha256)
    if begin.startswith(content) or not content.strip(b"\0"):
        return Content([], len(content) if content == begin else 0)
    payloads, n_bytes = _whole_records(content)
    try:
        described = json.loads(payloads[0])
        if described["format"] != FORMAT:
            raise KeyError("format")
    except (IndexError, ValueError, TypeError, KeyError):
        raise JournalError(
            f"{path} is no journal of what was learned: move it away, or start with --afresh."
        ) from None
    if described.get("format_version") != FORMAT_VERSION:
        raise JournalError(
            f"{path} has journal format {described.get('format_version')}, this program reads "
            f"{FORMAT_VERSION}: start with --afresh, or with the program that wrote it."
        )
    if described.get("memory_sha256") != memory_sha256:
        raise JournalError(
            f"{path} was learned with another memory than the one beside it: put that one back, or "
            "start with --afresh, which sets the journal aside."
        )
    return Content(payloads[1:], n_bytes)


def opened(path: Path) -> int:
    """Open a journal, which may be new, for this performance alone, and give its descriptor.

    Raises
    ------
    JournalError
        Another performance holds it.
    OSError
        It cannot be opened for writing.
    """
    file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(file)
        raise JournalError(
            f"Another performance keeps what it learns in {path}: end it first, or give this one a "
            "copy of the memory."
        ) from None
    return file


def set_aside(path: Path) -> None:
    """Give a journal that nobody holds another name; raises as `opened` does."""
    file = opened(path)
    try:
        old = path.with_name(path.name.removesuffix(SUFFIX) + OLD_SUFFIX)
        numbered = (old.with_name(f"{old.name}.{number}") for number in itertools.count(2))
        path.replace(next(free for free in itertools.chain([old], numbered) if not free.exists()))
    finally:
        os.close(file)


def repaired(file: int, path: Path, sha256: str) -> tuple[list[bytes], int]:
    """Read a journal, cut off a torn tail, and give it a header if it has none.

    Returns
    -------
    payloads
        Of the records after the header, oldest first.
    n_torn_bytes
        How much was cut off.

    Raises
    ------
    JournalError
        It is no journal of that memory.
    """
    written = path.read_bytes()
    content = read(path, written, sha256)
    if content.n_bytes < len(written):
        os.ftruncate(file, content.n_bytes)
    if content.n_bytes == 0:
        write_all(file, header(sha256))
        os.fsync(file)
    return content.payloads, len(written) - content.n_bytes


def write_all(file: int, content: bytes) -> None:
    """Write all of it to a descriptor, however often that has to be asked for."""
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(file, rest) :]


def _whole_records(content: bytes) -> tuple[list[bytes], int]:
    """Give the payloads up to the first that is not as it was written, and where that begins."""
    payloads: list[bytes] = []
    begin = 0
    while begin + _FRAME.size <= len(content):
        n_bytes, checksum = _FRAME.unpack_from(content, begin)
        end = begin + _FRAME.size + n_bytes
        payload = content[begin + _FRAME.size : end]
        is_whole = 0 < n_bytes <= _LONGEST_BYTES and end <= len(content)
        if not is_whole or zlib.crc32(payload) != checksum:
            break
        payloads.append(payload)
        begin = end
    return payloads, begin
