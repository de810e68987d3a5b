"""The journal's file: what is read of it is what was written, up to where writing ended."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime.journal_file import JournalError, encode, header, read

PATH = Path("solo.memory.journal")
MINE, OTHER = "a" * 64, "b" * 64
RECORDS = [encode({"n": n, "text": "x" * n}) for n in range(20)]
WHOLE = header(MINE) + b"".join(RECORDS)


@pytest.mark.parametrize("content", [b"", bytes(4096), header(MINE)[:-1], header(MINE)[:1]])
def test_a_file_without_a_whole_header_holds_nothing(content: bytes) -> None:
    """Its writer ended, or the power did, before anything could be learned."""
    assert read(PATH, content, MINE) == ([], 0)


def test_a_header_alone_is_a_whole_journal() -> None:
    """Nothing was learned yet."""
    assert read(PATH, header(MINE), MINE) == ([], len(header(MINE)))


def test_records_come_back_in_order() -> None:
    """Payloads, without their lengths and checksums."""
    assert read(PATH, WHOLE, MINE) == ([record[8:] for record in RECORDS], len(WHOLE))


@given(n_bytes=st.integers(len(header(MINE)), len(WHOLE)), tail=st.sampled_from([b"", bytes(99)]))
def test_wherever_it_is_cut_what_was_whole_before_is_there(n_bytes: int, tail: bytes) -> None:
    """A torn record is not there, also where the system left zeros after it."""
    payloads, n_whole = read(PATH, WHOLE[:n_bytes] + tail, MINE)
    assert [record[8:] for record in RECORDS[: len(payloads)]] == payloads
    assert n_whole == len(header(MINE)) + sum(map(len, RECORDS[: len(payloads)])) <= n_bytes
    if len(payloads) < len(RECORDS):
        assert n_bytes < n_whole + len(RECORDS[len(payloads)])


@given(place=st.integers(len(header(MINE)), len(WHOLE) - 1), flip=st.integers(1, 255))
def test_a_changed_byte_is_never_read_as_content(place: int, flip: int) -> None:
    """What comes before the record that it is in stays."""
    changed = bytearray(WHOLE)
    changed[place] ^= flip
    payloads, n_whole = read(PATH, bytes(changed), MINE)
    assert [record[8:] for record in RECORDS[: len(payloads)]] == payloads
    assert n_whole <= place


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"Dear diary", r"solo\.memory\.journal is no journal .* start with --afresh"),
        (encode({"format": "diary"}), "is no journal"),
        (
            encode({"format": "musichal journal", "format_version": 99}),
            "has journal format 99, this program reads 1: start with --afresh",
        ),
        (header(OTHER), "was learned with another memory .* --afresh"),
    ],
)
def test_what_cannot_be_gone_on_with_is_refused_in_a_sentence(content: bytes, message: str) -> None:
    """It says what to do."""
    with pytest.raises(JournalError, match=message):
        read(PATH, content, MINE)
