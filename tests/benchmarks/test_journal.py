"""The journal's benchmark kills real writers, and the journal outlives them."""

import json
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]


def test_twenty_kills_refuse_no_start_and_lose_no_whole_record() -> None:
    """Each writer goes on with the journal of the one that was killed before it."""
    command = [sys.executable, "-m", "benchmarks.journal", "--quick", "--json"]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    result = json.loads(done.stdout)
    assert (result["n_kills"], result["n_refused"]) == (20, 0)
