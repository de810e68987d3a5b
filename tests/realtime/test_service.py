"""The service's files say what is to be run, to the letter, and the system is asked in order."""

import plistlib
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from realtime.service import LABEL, UNIT, Service, main
from tests.commands import assert_refused, in_process

OPTIONS = ("--memory", 'my "solo" 100%.memory', "--midi-out", "Nord $tage\\")
EXPECTED = [sys.executable, "-m", "realtime.perform", "--headless", *OPTIONS]
SERVICE = Service(options=OPTIONS, folder=Path("/tmp"), cache="/tmp/kernels 1")


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[list[str]]:
    """Give the commands that the system was asked for, on a Linux machine with another home."""
    commands: list[list[str]] = []

    def run(command: tuple[str, ...], **_: object) -> "subprocess.CompletedProcess[str]":
        commands.append(list(command))
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("HOME", str(tmp_path))
    return commands


def test_the_launchd_agent_runs_this_interpreter_with_these_options() -> None:
    """In the player's folder, with the kernels that are compiled already, never restarted twice."""
    agent = plistlib.loads(SERVICE.launchd(Path("/logs")))
    assert agent["ProgramArguments"] == EXPECTED
    assert agent["WorkingDirectory"] == "/tmp"
    assert agent["EnvironmentVariables"] == {
        "NUMBA_CACHE_DIR": "/tmp/kernels 1",
        "MUSICHAL_LOG": agent["StandardErrorPath"],
    }
    assert (agent["RunAtLoad"], agent["KeepAlive"]) == (True, {"SuccessfulExit": False})


def test_the_systemd_unit_runs_this_interpreter_with_these_options() -> None:
    """Whatever quotes, blanks, dollars and per cent there are in them."""
    lines = dict(line.split("=", 1) for line in SERVICE.systemd().splitlines() if "=" in line)
    said = lines["ExecStart"].replace("%%", "%").replace("$$", "$")
    assert shlex.split(said) == EXPECTED
    assert shlex.split(lines["Environment"]) == ["NUMBA_CACHE_DIR=/tmp/kernels 1"]
    assert (lines["Restart"], lines["KillMode"]) == ("on-failure", "mixed")


def test_systemd_finds_nothing_wrong_with_the_unit(tmp_path: Path) -> None:
    """Asked where there is one."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("there is no systemd-analyze")
    unit = tmp_path / UNIT
    unit.write_text(SERVICE.systemd())
    verify = ["systemd-analyze", "--user", "verify", str(unit)]
    done = subprocess.run(verify, capture_output=True, text=True, timeout=60, check=False)
    assert UNIT not in done.stderr


def test_installing_writes_the_file_and_starts_it(
    asked: list[list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Uninstalling ends and removes it; asking says what there is."""
    unit = tmp_path / ".config/systemd/user" / UNIT
    assert "not installed" in in_process(main, ["status"], capsys).err
    assert in_process(main, ["install", "--seed", "3"], capsys).code == 0
    assert '"--headless" "--seed" "3"' in unit.read_text()
    assert [command[2:] for command in asked] == [
        ["daemon-reload"],
        ["enable", UNIT],
        ["restart", UNIT],
    ]
    assert "it runs" in in_process(main, ["status"], capsys).err
    assert in_process(main, ["uninstall"], capsys).code == 0
    assert not unit.exists()


def test_on_macos_it_is_launchd_that_is_asked(
    asked: list[list[str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """An agent that runs is replaced."""
    monkeypatch.setattr(sys, "platform", "darwin")
    assert in_process(main, ["install"], capsys).code == 0
    assert [command[:2] for command in asked] == [
        ["launchctl", "bootout"],
        ["launchctl", "bootstrap"],
    ]
    assert (tmp_path / "Library/LaunchAgents" / f"{LABEL}.plist").exists()


def test_what_cannot_be_installed_is_refused(
    asked: list[list[str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Options that the performer does not have, and a machine without systemd."""
    assert_refused(in_process(main, ["install", "--loud"], capsys), "unrecognized .*--loud")
    assert asked == []

    def lack(command: object, **_: object) -> None:
        raise FileNotFoundError(2, "No such file", "systemctl")

    monkeypatch.setattr(subprocess, "run", lack)
    assert_refused(in_process(main, ["install"], capsys), "this needs launchd or systemd")
