"""Log lines: for a machine, for a person, and none where none is wanted."""

import io
import json
import os
from collections.abc import Iterator

import pytest
import structlog

from realtime.telemetry import configure_logging


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    """Leave logging as other tests expect it."""
    yield
    structlog.reset_defaults()


def test_what_is_below_the_level_is_not_said() -> None:
    """A player's terminal stays quiet until sound is lost."""
    stream = io.StringIO()
    configure_logging("warning", is_pretty=False, stream=stream)
    structlog.get_logger().info("engine.heartbeat")
    assert stream.getvalue() == ""


def test_a_machine_reads_one_json_object_a_line() -> None:
    """The event's name, its level, its time in UTC and its keys."""
    stream = io.StringIO()
    configure_logging("info", is_pretty=False, stream=stream)
    structlog.get_logger().info("engine.heartbeat", n_events=3)
    structlog.get_logger().warning("capture.overflowed", dropped_frames=256)
    first, second = map(json.loads, stream.getvalue().splitlines())
    assert (first["event"], first["level"], first["n_events"]) == ("engine.heartbeat", "info", 3)
    assert first["timestamp"].endswith("Z")
    assert (second["level"], second["dropped_frames"]) == ("warning", 256)


def test_a_machine_reads_a_traceback_as_data() -> None:
    """Type and message can be searched for."""
    stream = io.StringIO()
    configure_logging("error", is_pretty=False, stream=stream)
    log_an_exception()
    (line,) = stream.getvalue().splitlines()
    assert json.loads(line)["exception"][0]["exc_value"] == "no such note"


def test_a_person_reads_plain_lines_and_whole_tracebacks() -> None:
    """Without colour where the stream is no terminal."""
    stream = io.StringIO()
    configure_logging("debug", is_pretty=True, stream=stream)
    structlog.get_logger().debug("inference.encoded", took_ms=4)
    log_an_exception()
    text = stream.getvalue()
    assert "inference.encoded" in text
    assert "took_ms=4" in text
    assert "LookupError: no such note" in text
    assert "\x1b" not in text


def log_an_exception() -> None:
    """Log what was raised and caught."""
    try:
        raise LookupError("no such note")
    except LookupError:
        structlog.get_logger().exception("oracle.failed")


def test_an_unknown_level_is_the_caller_s_mistake() -> None:
    """Settings refuse it before it comes here."""
    with pytest.raises(KeyError, match="LOUD"):
        configure_logging("loud", is_pretty=False)


def test_a_reader_that_reads_no_more_keeps_nobody() -> None:
    """What its pipe does not take is dropped, and counted when it reads again."""
    read_fd, write_fd = os.pipe()
    with os.fdopen(write_fd, "w") as stream:
        configure_logging("info", is_pretty=False, stream=stream)
        for number in range(200):
            structlog.get_logger().info("engine.heartbeat", text="x" * 1000, number=number)
        os.read(read_fd, 1 << 20)
        structlog.get_logger().info("engine.heartbeat", number=200)
        dropped, last = os.read(read_fd, 1 << 16).splitlines()[-2:]
    os.close(read_fd)
    assert json.loads(dropped)["n_lines"] > 0
    assert json.loads(last)["number"] == 200


def test_a_log_that_nobody_reads_any_more_stops_nothing() -> None:
    """A pipe whose reader has ended: no line raises, nor does closing the stream at exit."""
    read_fd, write_fd = os.pipe()
    with os.fdopen(write_fd, "w", buffering=1) as stream:
        configure_logging("info", is_pretty=False, stream=stream)
        structlog.get_logger().info("engine.heartbeat", n_events=1)
        assert json.loads(os.read(read_fd, 1000))["n_events"] == 1
        os.close(read_fd)
        for n_events in range(2, 5):
            structlog.get_logger().info("engine.heartbeat", n_events=n_events)
