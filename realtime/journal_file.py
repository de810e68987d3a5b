"""The journal's file: records that are only ever added, each with its length and checksum.

Runs where the caller is, off the hot path. The first record says which memory the others belong to;
a record that was cut off by the end of a process or of the power, and whatever follows it, is not
there. It knows records and bytes, not what they mean, and never unpickles.

A record is its payload's length and CRC-32, both 32 bits little-endian, then the payload: JSON, in
which NaN stands for what is missing.
"""

import json
import struct
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from realtime.errors import LiveError

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
