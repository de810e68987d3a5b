"""Supervisor: a small parent that keeps a performer alive, and silences the port if it dies.

Run as ``python -m realtime.supervisor PORT`` with the options of ``realtime.perform``, which does
so itself with ``--headless``. It owns nothing real-time and imports nothing heavy, asleep but for
the performer's beats. When a performer dies or hangs, every note is ended through the keeper's
port, and an understudy that was waiting plays on: at once after a device that went away, soon after
anything else, and not any more when performers keep dying.
"""

import os
import select
import signal
import sys
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import structlog

from realtime.backoff import Backoff
from realtime.telemetry import configure_logging, keep_short
from realtime.troupe import Keeper, Performer, keeper

DEVICE_GONE: Final = 75
"""Exit code of a performer whose audio input went away (EX_TEMPFAIL): to be started again."""

NO_PORT: Final = "none"
LOG: Final = "MUSICHAL_LOG"
"""Name in the environment: the file that stderr goes to, if nobody else keeps it short."""

_TICK_S: Final = 0.1
_SETTLED_S: Final = 3.0
"""How long a performer plays before its understudy gets ready, a second's work for one core."""

_BEHIND_S: Final = 30.0
"""How long an understudy may stay behind others, who may leave it no time at all."""

_MOST_DEATHS: Final = 5
_WITHIN_S: Final = 60.0
_LONGEST_DELAY_S: Final = 4.0
_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

_log = structlog.get_logger()


class _Cast:
    """Who performs, and who would be next."""

    def __init__(self, command: Sequence[str], port_fd: int | None) -> None:
        self._port_fd = port_fd
        self.performer = Performer(command, port_fd)
        self._again = [part for part in command if part != "--afresh"]
        self._understudy: Performer | None = None
        self._preparing = Backoff()
        self._replacing = Backoff(_LONGEST_DELAY_S)

    def prepare(self) -> None:
        """Have an understudy get ready once the performer has settled in, and behind it.

        One that died while it waited is replaced, less and less often.
        """
        now_s = time.monotonic()
        if self._understudy is not None and not self._understudy.is_alive:
            self._say_missing(_how_it_ended(self._understudy.code))
            self._preparing.fail(now_s)
            self.dismiss()
        since_s = self.performer.playing_since_s
        if since_s is None:
            return
        played_s = now_s - since_s
        if self._understudy is None and played_s > _SETTLED_S:
            if not self._preparing.may_try(now_s):
                return
            try:
                self._understudy = Performer(self._again, self._port_fd)
            except OSError as error:
                self._say_missing(str(error))
                self._preparing.fail(now_s)
                return
            is_behind = self._understudy.step_back()
            _log.info("supervisor.understudy_started", is_behind=is_behind)
        elif self._understudy is not None and played_s > _SETTLED_S + _BEHIND_S:
            self._understudy.come_forward()  # ready by now, and asleep, or it would never be

    def replace(self) -> bool:
        """Let the understudy perform, or a new one if it is dead; False if there is none yet."""
        understudy, self._understudy = self._understudy, None
        if understudy is not None and understudy.is_alive:
            self.performer = understudy
            return True
        if understudy is not None:
            understudy.dismiss()
        now_s = time.monotonic()
        if not self._replacing.may_try(now_s):
            return False
        try:
            self.performer = Performer(self._again, self._port_fd)
        except OSError as error:
            _log.error("supervisor.no_performer", reason=str(error))
            self._replacing.fail(now_s)
            return False
        return True

    def dismiss(self) -> None:
        """End the understudy."""
        if self._understudy is not None:
            self._understudy.dismiss()
            self._understudy = None

    def _say_missing(self, reason: str) -> None:
        _log.warning("supervisor.no_understudy", reason=reason)


def supervise(command: Sequence[str], keeper: Keeper | None, log: Path | None = None) -> int:
    """Keep a command running until it ends as it should, and return its exit code."""
    passed_on = _SignalBox()
    cast = _Cast(command, None if keeper is None else keeper.fd)
    try:
        return _keep_going(cast, keeper, passed_on, log)
    finally:
        cast.dismiss()
        if keeper is not None:
            keeper.close()


def _keep_going(
    cast: _Cast, keeper: Keeper | None, passed_on: "_SignalBox", log: Path | None
) -> int:
    deaths: deque[float] = deque()
    last_beat: dict[str, Any] = {}
    has_played = False
    while True:
        performer = cast.performer
        performer.call(last_beat)
        signals = 0
        while not performer.wait_ended(_TICK_S):
            for number in passed_on.take():
                performer.end(number)
                signals += 1
            cast.prepare()
            if keeper is not None and not keeper.is_well():
                _log.error("supervisor.keeper_died")
            if log is not None:
                keep_short(log)
        code = performer.code
        has_played |= performer.playing_since_s is not None
        last_beat = performer.last_beat
        if code == 0 or signals or (code > 0 and not has_played):
            return code if code >= 0 else 128 - code
        if keeper is not None:
            keeper.end_all_notes()
        now_s = time.monotonic()
        while deaths and now_s - deaths[0] > _WITHIN_S:
            deaths.popleft()
        is_death = code != DEVICE_GONE
        if is_death:
            deaths.append(now_s)
        how = "hung" if performer.was_hung else _how_it_ended(code)
        _log.error("supervisor.performer_died", how=how)
        if is_death and len(deaths) >= _MOST_DEATHS:
            _log.error(
                "supervisor.gave_up",
                notice=f"The performance has died {len(deaths)} times within a minute, last: "
                f"{how}: see what it said before, and start it again.",
            )
            return 1
        delay_s = min(_LONGEST_DELAY_S, 0.5 * 2 ** (len(deaths) - 2))
        if passed_on.wait(delay_s if is_death and len(deaths) > 1 else 0.0):
            return 0
        while not cast.replace():
            if passed_on.wait(_TICK_S):
                return 0


class _SignalBox:
    """Signals to be passed on, as they come."""

    def __init__(self) -> None:
        self._numbers: list[int] = []
        self._read_fd, write_fd = os.pipe()
        os.set_blocking(self._read_fd, False)
        os.set_blocking(write_fd, False)
        signal.set_wakeup_fd(write_fd, warn_on_full_buffer=False)
        for number in _SIGNALS:
            if signal.getsignal(number) != signal.SIG_IGN:  # nohup's way to play on
                signal.signal(number, lambda number, frame: self._numbers.append(number))

    def take(self) -> list[int]:
        """Give those that have come since the last time."""
        taken, self._numbers = self._numbers, []
        return taken

    def wait(self, delay_s: float) -> bool:
        """Wait, and say whether a signal came first."""
        select.select([self._read_fd], [], [], delay_s)
        return bool(self._numbers)


def _how_it_ended(code: int) -> str:
    if code == DEVICE_GONE:
        return "the audio input went away"
    return f"exit code {code}" if code >= 0 else f"killed by {signal.Signals(-code).name}"


def main(port: str, *options: str) -> int:
    """Perform with these options into that port, and return the exit code."""
    configure_logging("info", is_pretty=False)
    command = [sys.executable, "-m", "realtime.perform", *options]
    log = os.environ.get(LOG)
    return supervise(
        command, None if port == NO_PORT else keeper(port), None if log is None else Path(log)
    )


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
