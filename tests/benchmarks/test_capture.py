"""The capture's benchmark answers its question, or says why it cannot."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import capture
from realtime.errors import DeviceGoneError

REPOSITORY = Path(__file__).resolve().parents[2]
COMMAND = [sys.executable, "-m", "benchmarks.capture", "--quick", "--json"]


@pytest.mark.jack
def test_the_quick_run_prints_one_object_and_loses_no_block() -> None:
    """Two seconds with two threads on the GIL; skipped where there is no server."""
    done = subprocess.run(COMMAND, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    result = json.loads(done.stdout)
    if "skipped" in result:
        pytest.skip(result["skipped"])
    (row,) = result["rows"]
    assert row["callbacks"] > 0
    assert (row["dropped"], row["missing"]) == (0, 0)
    assert done.returncode == 0


def test_without_a_server_it_says_so_and_is_no_failure() -> None:
    """`make bench` goes on to the next benchmark."""
    nowhere = os.environ | {"PATH": ""}
    done = subprocess.run(COMMAND, cwd=REPOSITORY, env=nowhere, capture_output=True, check=True)
    assert "jackd" in json.loads(done.stdout)["skipped"]


def test_a_server_that_goes_meanwhile_is_said_and_is_no_failure(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A machine too busy for JACK cannot judge the capture."""

    def lose(*_: object, **__: object) -> None:
        raise DeviceGoneError("The input 'musician' has stopped.")

    monkeypatch.setattr(capture, "listen", lose)
    assert capture.main(["--quick", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"skipped": "The input 'musician' has stopped."}
