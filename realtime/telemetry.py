"""Telemetry: how the program speaks: structured log lines on stderr.

Configured once by `perform`, used by the loop thread and by workers at start and stop. Hot threads
never log; the heartbeat carries their counters once a second.
"""

import logging
import os
import sys
from typing import TextIO

import structlog


class _Audience:
    """A stream whose reader may go: the music goes on, and speaks to nobody."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> None:
        """Write, while somebody reads."""
        try:
            self._stream.write(text)
        except OSError:
            self._speak_to_nobody()

    def flush(self) -> None:
        """Let it be read."""
        try:
            self._stream.flush()
        except OSError:
            self._speak_to_nobody()

    def _speak_to_nobody(self) -> None:
        """Also when Python flushes the stream at exit."""
        nobody = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nobody, self._stream.fileno())
        os.close(nobody)


def configure_logging(level: str, *, is_pretty: bool, stream: TextIO = sys.stderr) -> None:
    """Send ``stage.happened`` lines to `stream`: coloured for a person, JSON for a machine.

    Parameters
    ----------
    level
        ``info``, ``warning`` or ``error``; what is below it is not said.
    """
    rendering: list[structlog.typing.Processor] = (
        [structlog.dev.ConsoleRenderer(colors=stream.isatty())]
        if is_pretty
        else [structlog.processors.dict_tracebacks, structlog.processors.JSONRenderer()]
    )
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *rendering,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(
            logging.getLevelNamesMapping()[level.upper()]
        ),
        logger_factory=structlog.PrintLoggerFactory(_Audience(stream)),  # type: ignore[arg-type]
        cache_logger_on_first_use=False,
    )
