"""The ring's benchmark answers its question, quickly."""

import json
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]


def test_the_quick_run_prints_one_object_with_every_answer() -> None:
    """All carriers are measured, and ours counts all it turns away."""
    command = [sys.executable, "-m", "benchmarks.ring", "--quick", "--json"]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    result = json.loads(done.stdout)
    carriers = {"ring", "SimpleQueue", "deque", "ring, kernels"}
    assert carriers <= set(result["blocks_per_s"])
    assert min(result["blocks_per_s"].values()) > 0
    assert result["ratio_to_simple_queue"]["SimpleQueue"] == 1.0
    for rows in result["latency_us"].values():
        assert carriers <= set(rows)
        for row in rows.values():
            assert list(row) == ["p50", "p95", "p99", "max"]
            assert sorted(row.values()) == list(row.values())
    assert result["losses"]["ring"] == {"kept": 128, "refused": 384, "lost_silently": 0}
