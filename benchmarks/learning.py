"""Learning: how fast it is, in how much room, and what is left of it when it is killed.

Budget on two cores: an hour of recordings with the spectral encoder and ``--profile full_training``
60 times faster than it plays, in less than 1.5 GB; with MERT (random weights, which cost the same)
the time that encoding takes and at most 10 % more; killed at ten random moments and started again,
the same memory to the byte each time.

How it could mislead: the hour is the same few recordings again and again, so its gestures repeat
more than an evening's would. The kills are of a short recording, so that some hit every stage.
"""

import argparse
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from benchmarks._run import REPOSITORY, Headline, NotMeasuredError, run
from models.audio_file import SUFFIXES, AudioFile
from models.encoder import Encoder, EncoderSpec
from models.loading import load_encoder
from models.standin import write_stand_in
from oracle.learning import learn
from oracle.training import Training

DATA: Final = REPOSITORY.parent / "shared" / "data"
TAKE: Final = REPOSITORY / "takes" / "calling_card.flac"
RATE_HZ: Final = 44_100
N_KILLS: Final = 10
MODEL_S: Final = 300.0


class TimedEncoder:
    """An encoder that knows how long it has been at work."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder
        self.spec: EncoderSpec = encoder.spec
        self.notice = encoder.notice
        self.took_s = 0.0

    def encode(self, windows: NDArray[np.float32]) -> NDArray[np.float32]:
        """Embed windows."""
        started_s = time.perf_counter()
        embeddings = self._encoder.encode(windows)
        self.took_s += time.perf_counter() - started_s
        return embeddings


def write_recording(path: Path, duration_s: float) -> None:
    """Write the recordings one after the other, and again, until it is so long."""
    sources = [file for file in sorted(DATA.glob("*/*")) if file.suffix.lower() in SUFFIXES]
    if not sources:
        raise NotMeasuredError(f"The recordings are not at {DATA}.")
    audio = []
    for source in sources:
        file = AudioFile(source)
        frames = np.concatenate([*file.blocks(1 << 16)])
        audio.append(soxr.resample(frames, file.rate_hz, RATE_HZ))
    n_left = round(duration_s * RATE_HZ)
    with soundfile.SoundFile(path, "w", RATE_HZ, 1, "PCM_16") as out:
        while n_left > 0:
            for frames in audio:
                out.write(frames[:n_left])
                n_left -= min(len(frames), n_left)


def train(*arguments: object, kill_after_s: float | None = None) -> float:
    """Run the command, or kill it; give how long it took."""
    command = [sys.executable, "-m", "oracle.train", *map(str, arguments)]
    started_s = time.perf_counter()
    with subprocess.Popen(
        command,
        cwd=REPOSITORY,
        env={**os.environ, "SOURCE_DATE_EPOCH": "0"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    ) as process:
        try:
            _, said = process.communicate(timeout=kill_after_s)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.communicate()
            return time.perf_counter() - started_s
    if process.returncode:
        raise RuntimeError(said.decode())
    return time.perf_counter() - started_s


def measure_speed(folder: Path, duration_s: float) -> dict[str, float]:
    """Learn a long recording with the full profile."""
    recording = TAKE
    if duration_s:
        recording = folder / "long.wav"
        write_recording(recording, duration_s)
    train(TAKE, "--output", folder / "long.memory")  # compiles
    took_s = train(recording, "--output", folder / "long.memory", "--profile", "full_training")
    unit = 1 if sys.platform == "darwin" else 1024
    heard_s = AudioFile(recording).duration_s
    return {
        "heard_s": heard_s,
        "took_s": took_s,
        "times_as_fast": heard_s / took_s,
        "peak_rss_gb": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * unit / 1e9,
    }


def measure_model(folder: Path, *, is_tiny: bool) -> dict[str, float]:
    """Learn with MERT's architecture, and say how much of the time was its own."""
    write_stand_in(folder / "standin", is_tiny=is_tiny)
    recording = TAKE
    if not is_tiny:
        recording = folder / "excerpt.wav"
        write_recording(recording, MODEL_S)
    encoder = TimedEncoder(load_encoder(folder / "standin"))
    learn([AudioFile(TAKE)], Training(encoder=encoder))  # compiles and warms up
    encoder.took_s = 0.0
    started_s = time.perf_counter()
    learn([AudioFile(recording)], Training(encoder=encoder))
    took_s = time.perf_counter() - started_s
    return {"took_s": took_s, "encoding_s": encoder.took_s, "more": took_s / encoder.took_s - 1}


def measure_kills(folder: Path, n_kills: int) -> dict[str, Any]:
    """Kill trainings at random moments, start them again, and compare what they learned."""
    undisturbed = folder / "undisturbed.memory"
    took_s = train(TAKE, "--output", undisturbed)
    moments_s = np.random.default_rng(0).uniform(0, took_s, n_kills).tolist()
    n_same = 0
    for moment_s in moments_s:
        output = folder / "killed.memory"
        train(TAKE, "--output", output, kill_after_s=moment_s)
        train(TAKE, "--output", output)
        n_same += output.read_bytes() == undisturbed.read_bytes()
        output.unlink()
    left = [path.name for path in folder.iterdir() if path.name.startswith(".")]
    return {"moments_s": moments_s, "n_kills": n_kills, "n_same": n_same, "left_behind": left}


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Answer the questions."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        return {
            "speed": measure_speed(folder, 0.0 if options.quick else 60.0 * options.minutes),
            "model": measure_model(folder, is_tiny=options.quick),
            "kills": measure_kills(folder, 1 if options.quick else N_KILLS),
        }


def show(result: dict[str, Any]) -> None:
    """Print the answers for a reader."""
    speed, model, kills = result["speed"], result["model"], result["kills"]
    print(f"{speed['heard_s']:.0f} s of sound learned in {speed['took_s']:.1f} s, start included")
    print(f"with MERT {model['took_s']:.2f} s, {model['encoding_s']:.2f} s of it encoding")
    print(f"{kills['n_same']} of {kills['n_kills']} killed and gone on with are the same")


def headlines(result: dict[str, Any]) -> Iterable[Headline]:
    """Pick what decides."""
    speed, kills = result["speed"], result["kills"]
    yield Headline(
        name="faster than it plays",
        value=speed["times_as_fast"],
        unit="×",
        target=60.0,
        better="higher",
    )
    yield Headline(name="room", value=speed["peak_rss_gb"], unit="GB", target=1.5)
    yield Headline(
        name="with MERT, beyond encoding",
        value=100 * result["model"]["more"],
        unit="%",
        target=10.0,
    )
    yield Headline(
        name="memories not the same after a kill",
        value=kills["n_kills"] - kills["n_same"],
        target=0.0,
    )


def _add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--minutes", type=float, default=60.0, help="how long the long one is")


def main(arguments: list[str] | None = None) -> int:
    """Run from the command line."""
    return run(__doc__, measure, show, headlines, add_options=_add_options, arguments=arguments)


if __name__ == "__main__":
    sys.exit(main())
