"""Service: have this machine perform whenever its player is logged in, or as soon as it is on.

Run as ``python -m realtime.service install`` with the options of ``realtime.perform``, `uninstall`
or `status`. It writes a launchd agent on macOS and a systemd user unit on Linux, which run this
interpreter in this folder, and hands it to the system. A performer that dies is started again by
our own supervisor, which knows what died; the system does so with one that has given up, half a
minute later. It runs nothing itself.
"""

import argparse
import os
import plistlib
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from models.terminal import CommandLine, plain_console, say_error
from realtime.command_line import parse
from realtime.errors import LiveError
from realtime.supervisor import LOG

LABEL: Final = "org.musichal.performer"
UNIT: Final = "musichal.service"
AGAIN_S: Final = 30
ENDING_S: Final = 25
_CACHE: Final = "NUMBA_CACHE_DIR"


class ServiceError(LiveError):
    """Raised when the system does not take the service; the message says what it said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """What is to be run, and where.

    Attributes
    ----------
    options
        Of ``realtime.perform``.
    folder
        In which paths in the options are looked for.
    cache
        Where compiled kernels are kept, so that the service does not compile them again.
    """

    options: tuple[str, ...]
    folder: Path
    cache: str

    @property
    def command(self) -> list[str]:
        """The command line."""
        return [sys.executable, "-m", "realtime.perform", "--headless", *self.options]

    def launchd(self, logs: Path) -> bytes:
        """Write it as a launchd agent, which logs into a file that the supervisor keeps short."""
        log = logs / "musichal.log"
        return plistlib.dumps(
            {
                "Label": LABEL,
                "ProgramArguments": self.command,
                "WorkingDirectory": str(self.folder),
                "EnvironmentVariables": {_CACHE: self.cache, LOG: str(log)},
                "RunAtLoad": True,
                "KeepAlive": {"SuccessfulExit": False},
                "ThrottleInterval": AGAIN_S,
                "ProcessType": "Interactive",  # otherwise the system slows it down
                "ExitTimeOut": ENDING_S,
                "StandardErrorPath": str(log),
            }
        )

    def systemd(self) -> str:
        """Write it as a systemd user unit."""
        return f"""[Unit]
Description=MusicHal, a live co-improviser
After=sound.target pipewire.service jack.service

[Service]
Type=exec
ExecStart={" ".join(map(_quoted, self.command))}
WorkingDirectory={str(self.folder).replace("%", "%%")}
Environment={_quoted(f"{_CACHE}={self.cache}", is_command=False)}
Restart=on-failure
RestartSec={AGAIN_S}
KillMode=mixed
TimeoutStopSec={ENDING_S}

[Install]
WantedBy=default.target
"""


def main(arguments: list[str] | None = None) -> int:
    """Install, remove or ask, and return the exit code."""
    options = _parse(arguments)
    console = plain_console(stderr=True)
    try:
        is_mac = sys.platform == "darwin"
        act = {"install": _install, "uninstall": _uninstall, "status": _status}[options.action]
        console.print(act(options.options, is_mac))
    except LiveError as error:
        say_error(console, error)
        return 1
    return 0


def _install(options: Sequence[str], is_mac: bool) -> str:
    """Write the file and have it started, now and at every login."""
    parse(list(options))  # refuses what the service would be refused
    service = Service(options=tuple(options), folder=Path.cwd(), cache=os.environ[_CACHE])
    path = _path(is_mac)
    content = service.launchd(Path.home() / "Library/Logs") if is_mac else service.systemd()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    except OSError as error:
        raise ServiceError(f"{path} cannot be written ({error.strerror}).") from None
    if is_mac:
        _run("launchctl", "bootout", f"gui/{os.getuid()}/{LABEL}", is_needed=False)
        _run("launchctl", "bootstrap", f"gui/{os.getuid()}", str(path))
        return f"{path} is installed and started; it speaks into ~/Library/Logs/musichal.log."
    _run("systemctl", "--user", "daemon-reload")
    _run("systemctl", "--user", "enable", UNIT)
    _run("systemctl", "--user", "restart", UNIT)
    return (
        f"{path} is installed and started; journalctl --user -u {UNIT} shows what it says, and "
        "loginctl enable-linger lets it start without a login."
    )


def _uninstall(options: Sequence[str], is_mac: bool) -> str:
    """End it and remove the file."""
    path = _path(is_mac)
    if not path.exists():
        return "There is no such service."
    if is_mac:
        _run("launchctl", "bootout", f"gui/{os.getuid()}/{LABEL}", is_needed=False)
    else:
        _run("systemctl", "--user", "disable", "--now", UNIT, is_needed=False)
    path.unlink()
    return f"{path} is removed."


def _status(options: Sequence[str], is_mac: bool) -> str:
    """Say whether it is installed and runs."""
    path = _path(is_mac)
    if not path.exists():
        return "It is not installed: python -m realtime.service install does that."
    command = ["launchctl", "print", f"gui/{os.getuid()}/{LABEL}"]
    if not is_mac:
        command = ["systemctl", "--user", "is-active", UNIT]
    return f"{path}: {'it runs' if _run(*command, is_needed=False) else 'it does not run'}."


def _path(is_mac: bool) -> Path:
    if is_mac:
        return Path.home() / "Library/LaunchAgents" / f"{LABEL}.plist"
    return Path.home() / ".config/systemd/user" / UNIT


def _run(*command: str, is_needed: bool = True) -> bool:
    """Run a command of the system's, and say whether it went well.

    Raises
    ------
    ServiceError
        It is needed and did not go well.
    """
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ServiceError(
            f"{' '.join(command)} cannot be run ({error}): this needs launchd or systemd."
        ) from None
    if is_needed and done.returncode:
        raise ServiceError(f"{' '.join(command)} failed: {done.stderr.strip()}")
    return done.returncode == 0


def _quoted(part: str, *, is_command: bool = True) -> str:
    """Write a word as systemd reads it."""
    part = part.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    if is_command:
        part = part.replace("$", "$$")
    return f'"{part}"'


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = CommandLine(
        prog="python -m realtime.service",
        description="Has this machine perform by itself, from now on: a launchd agent on macOS, a "
        "systemd user unit on Linux.",
        epilog="example: python -m realtime.service install --memory solo.memory --midi-out nord",
    )
    parser.add_argument("action", choices=("install", "uninstall", "status"))
    parser.add_argument(
        "options", nargs=argparse.REMAINDER, help="for install: those of python -m realtime.perform"
    )
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
