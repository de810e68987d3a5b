"""Enforcement: what an encoder that takes 5 to 200 ms at random does to the answers.

The program's own engine plays to the bundled take in real time, with the spectral encoder made slow
on purpose: once with its budget of 50 ms, and once with a deadline so far away that every token is
waited for. Budget: p99 of event latency below 50 ms with it, though its considered share falls;
above without it, or nothing would have been shown.

How it could mislead: the encoder sleeps, so it leaves the processor to the others; an encoder that
computes for 200 ms also takes it away from them (`benchmarks.latency` has one).
"""

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import uvloop
from numpy.typing import NDArray

from benchmarks._run import Headline, run
from benchmarks._stage import TAKE, train
from models.audio_file import AudioFile
from models.codebook import Codebook
from models.listener import Listener
from models.spectral import SpectralEncoder
from oracle.memory import Memory
from realtime.budget import BudgetConfig
from realtime.config import Config
from realtime.doorbell import Doorbell
from realtime.engine import Engine
from realtime.ensemble import make_ensemble
from realtime.file_source import FileSource
from realtime.input_level import InputLevel
from realtime.learned import as_learned
from realtime.midi import NotePlayer
from realtime.recogniser import Recogniser
from realtime.report import Performance
from realtime.ring import Observer
from realtime.telemetry import configure_logging

SLOW_S: Final = (0.005, 0.200)
NO_DEADLINE_MS: Final = 60_000.0
QUICK_S: Final = 3.0
TARGET_MS: Final = BudgetConfig().target_ms


class SleepyEncoder(SpectralEncoder):
    """Embeds after a nap of random length."""

    def __init__(self) -> None:
        super().__init__()
        self._rng = np.random.default_rng(0)

    def encode(self, windows: NDArray[np.float32]) -> NDArray[np.float32]:
        """Sleep, then embed."""
        time.sleep(self._rng.uniform(*SLOW_S))
        return super().encode(windows)


def perform(memory_path: Path, target_ms: float, seconds: float | None) -> dict[str, Any]:
    """Play to the bundled take with a slow encoder and that deadline, and return the report."""
    memory = Memory.load(memory_path)
    config = as_learned(Config(budget=replace(BudgetConfig(), target_ms=target_ms)), memory, TAKE)
    frames_ready = Doorbell()
    source = FileSource(AudioFile(TAKE), config.capture, frames_ready)
    ensemble = make_ensemble([memory], source.rate_hz, config.improviser, seed=0)
    performance = Performance()
    engine = Engine(
        source=source,
        frames_ready=frames_ready,
        listener=Listener(source.rate_hz, config.listener),
        recognisers=[Recogniser(SleepyEncoder(), {0: Codebook(memory.centroids)})],
        ensemble=ensemble,
        make_player=lambda scheduler: NotePlayer([], scheduler, config.midi),
        budget=config.budget,
        performance=performance,
        hop_s=config.encoder.hop_ms / 1e3,
        level=InputLevel(Observer(source.audio.ring), source.rate_hz, config.listener.gate_dbfs),
    )
    engine.warm_up()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(engine.run(asyncio.Event(), seconds))
    return performance.as_dict({})


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Perform with and without a deadline."""
    configure_logging("error", is_pretty=False, stream=sys.stderr)
    seconds = QUICK_S if options.quick else None
    with tempfile.TemporaryDirectory() as folder:
        memory = train(Path(folder), "spectral")
        return {
            "enforced": perform(memory, TARGET_MS, seconds),
            "unenforced": perform(memory, NO_DEADLINE_MS, seconds),
        }


def headlines(result: dict[str, Any]) -> Iterator[Headline]:
    """Pick what decides."""
    for name, better in (("enforced", "lower"), ("unenforced", "higher")):
        yield Headline(
            name=f"event latency p99, {name}",
            value=result[name]["event_latency_ms"]["p99"],
            unit="ms",
            target=TARGET_MS,
            better=better,  # type: ignore[arg-type]
        )


def show(result: dict[str, Any]) -> None:
    """Print the answer for a reader."""
    for name, report in result.items():
        latency = " / ".join(f"{value:.1f}" for value in report["event_latency_ms"].values())
        print(
            f"{name}: event latency {latency} ms (p50 / p95 / p99 / max), "
            f"{report['considered_share']:.0%} of {report['n_answers']} answers considered, "
            f"{report['late_notes']} late notes, hop steps {report['hop_steps']}"
        )


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit code."""
    return run(__doc__, measure, show, headlines, arguments=arguments)


if __name__ == "__main__":
    sys.exit(main())
