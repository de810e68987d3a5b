"""Telemetry: how the program speaks: structured log lines on stderr.

Configured once by `perform`, used by the loop thread and by workers at start and stop. Hot threads
never log; the heartbeat carries their counters once a second.
"""

import contextlib
import logging
import os
import shutil
import sys
from pathlib import Path
from typing import Final, TextIO

import structlog

from realtime.at_once import write_at_once

_LONGEST_LOG_BYTES: Final = 10_000_000


class _Audience:
    """A stream whose reader may go, or stop reading: the music goes on.

    To a reader who is gone it speaks no more. A line that would have to wait for its reader is
    dropped and counted, and the next that does not says how many were.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._n_dropped = 0
        self._begun = b""  # the rest of a line that was taken in part, to be ended first
        try:
            self._fd: int | None = stream.fileno()
        except OSError:  # in memory
            self._fd = None

    def write(self, text: str) -> None:
        """Write, while somebody reads."""
        if self._fd is None:
            self._stream.write(text)
            return
        try:
            self._begun = write_at_once(self._fd, self._begun)
            if self._n_dropped:
                said = f'{{"event": "telemetry.dropped", "n_lines": {self._n_dropped}}}\n'
                text = said + text
            content = text.encode(errors="replace")
            rest = content if self._begun else write_at_once(self._fd, content)
        except OSError:
            self._speak_to_nobody()
            return
        if rest == content:
            self._n_dropped += 1
        else:
            self._n_dropped, self._begun = 0, rest

    def flush(self) -> None:
        """Nothing is held back."""

    def _speak_to_nobody(self) -> None:
        """Also when Python flushes the stream at exit."""
        nobody = os.open(os.devnull, os.O_WRONLY)
        assert self._fd is not None
        os.dup2(nobody, self._fd)
        os.close(nobody)


def keep_short(log: Path) -> None:
    """Set a log that has grown long aside, in place of what was set aside before.

    Whoever writes goes on at its begin, if they write to its end, as launchd has them do.
    """
    with contextlib.suppress(OSError):
        if log.stat().st_size > _LONGEST_LOG_BYTES:
            shutil.copyfile(log, log.with_name(f"{log.name}.1"))
            os.truncate(log, 0)


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
        logger_factory=structlog.WriteLoggerFactory(_Audience(stream)),  # type: ignore[arg-type]
        cache_logger_on_first_use=False,
    )
