"""Inference: how fast is our MERT, how near to the usual way's, and in whose way.

Budgets: 12 layers in bf16 four times as fast as the usual way for one second of sound on two cores;
the recommended setting eight times, within 3 % of fp32, and half a second in 25 ms on one thread
where the CPU has bf16 units; in fp32 equal to 0.01 %; a 1 ms timer beside it less than 1 ms late at
the 99th percentile; learning twenty times as fast as the music plays; a token of 2048 within 1 ms.

The usual way is transformers' HubertModel in fp32, eager, with all hidden states, on the same
random weights of MERT-v1-95M's shape (`models.standin`), the same threads and the same windows of
real recordings, five passes of each in turn, pooled as the defaults do. `ours_first_ms` is the
first pass of a turn, whose caches are full of somebody else's: the price of a pass that comes
alone. `relative_error` compares embeddings with the usual way's same layer; `flips` is the share of
tokens that another precision changes.

How it could mislead: cost does not depend on the weights, but error and flips do a little; the
processor's clock falls when both cores use AMX; a batch's time is for the whole batch.
"""

import argparse
import math
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from itertools import cycle, islice
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks._run import REPOSITORY, Headline, NotMeasuredError, run
from models.audio_file import TAIL_S, AudioFile
from models.codebook import Codebook, train_codebook
from models.encoder import EncoderSpec
from models.hearing import hear
from models.listener import ListenerConfig
from models.neural import DEFAULT_POOLING, DEFAULT_WINDOW_S, NeuralEncoder, default_layer
from models.pooling import pooling_weights
from models.precision import choose_precision
from models.standin import MERT_95M, write_stand_in
from models.windows import WindowCutter
from oracle.ahead import ahead
from oracle.material import N_AHEAD

DATA: Final = REPOSITORY.parent / "shared" / "data"
RECORDINGS: Final = ("piano/mozart_k265_var1.mp3", "ensemble/vibe_ace.ogg", "voice/vocadito_1.flac")
N_LAYERS: Final[int] = MERT_95M["num_hidden_layers"]
RATE_HZ: Final[int] = MERT_95M["sample_rate"]
STEP_S: Final[float] = math.prod(MERT_95M["conv_stride"]) / RATE_HZ
CPU: Final = torch.device("cpu")
TIMER_S: Final = 0.001
PASSES_PER_TURN: Final = 5
N_TOKENS: Final = 2048

Windows = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One row: what is encoded, and how."""

    layers: int
    window_s: float
    batch: int
    threads: int
    precision: str
    device: str = "cpu"
    recommended: bool = False


def settings(*, is_quick: bool) -> list[Setting]:
    """Give the rows, the recommended one first."""
    best = choose_precision("auto", CPU)
    shape: dict[str, Any] = {
        "layers": default_layer(N_LAYERS),
        "window_s": 1.0,
        "batch": 1,
        "threads": 1,
        "precision": best,
    }
    recommended = Setting(**shape, recommended=True)
    if is_quick:
        return [recommended]
    changes: list[dict[str, Any]] = [
        {"threads": 2},
        {"window_s": DEFAULT_WINDOW_S},
        {"window_s": DEFAULT_WINDOW_S, "threads": 2},
        {"layers": 6},
        {"layers": N_LAYERS, "threads": 2},
        {"layers": N_LAYERS, "threads": 2, "precision": "fp32"},
        {"layers": N_LAYERS, "threads": 2, "precision": "fp32", "window_s": 0.25, "batch": 4},
        {"batch": 16, "threads": 2},
    ]
    if torch.cuda.is_available():
        cuda = {"layers": N_LAYERS, "device": "cuda", "precision": "bf16"}
        changes += [cuda, cuda | {"batch": 16}]
    return [recommended, *(Setting(**shape | change) for change in changes)]


def real_windows(window_s: float) -> Iterator[Windows]:
    """Cut windows [shape=(window_frames,)] from real recordings, in turn, again and again."""
    n_frames = round(window_s * RATE_HZ)
    spec = EncoderSpec(name="", revision="", rate_hz=RATE_HZ, window_frames=n_frames, dim=1)
    streams = []
    for name in RECORDINGS:
        file = AudioFile(DATA / name)
        audio = np.concatenate(list(islice(file.blocks(file.rate_hz), 20)))
        cutter = WindowCutter(file.rate_hz, spec)
        starts = range(0, len(audio) - cutter.n_frames, file.rate_hz // 4)
        streams.append([cutter.cut(audio[start : start + cutter.n_frames]) for start in starts])
    return cycle([window for together in zip(*streams, strict=False) for window in together])


class UsualWay:
    """Transformers' model as the hub's page shows it, one layer taken at the end."""

    def __init__(self, folder: Path, device: str) -> None:
        from transformers import HubertModel, Wav2Vec2FeatureExtractor
        from transformers.utils import logging

        logging.set_verbosity_error()
        logging.disable_progress_bar()
        self._extractor = Wav2Vec2FeatureExtractor.from_pretrained(folder)
        model = HubertModel.from_pretrained(folder, attn_implementation="eager")
        self._model = model.eval().to(device)
        self._device = device

    def encode(self, windows: Windows, layer: int) -> Windows:
        """Give a layer, pooled as the defaults pool it."""
        inputs = self._extractor(list(windows), sampling_rate=RATE_HZ, return_tensors="pt")
        with torch.inference_mode():
            heard = self._model(
                inputs.input_values.to(self._device), output_hidden_states=True
            ).hidden_states[layer]
        weights = pooling_weights(DEFAULT_POOLING, heard.shape[1], STEP_S)
        pooled: Windows = (torch.from_numpy(weights).to(self._device) @ heard).cpu().numpy()
        return pooled


def measure_row(folder: Path, usual: UsualWay, setting: Setting, n_turns: int) -> dict[str, Any]:
    """Time both in turn, and compare what they give."""
    ours = _load(folder, setting)
    windows = real_windows(setting.window_s)
    torch.set_num_threads(setting.threads)
    ours_s, usual_s = np.zeros((2, n_turns + 1, PASSES_PER_TURN))
    found, expected = [], []
    for turn in range(n_turns + 1):
        batches = [np.stack(list(islice(windows, setting.batch))) for _ in range(PASSES_PER_TURN)]
        for index, batch in enumerate(batches):
            usual_s[turn, index], theirs = _timed(usual.encode, batch, setting.layers)
            expected.append(theirs)
        for index, batch in enumerate(batches):
            ours_s[turn, index], embeddings = _timed(ours.encode, batch)
            found.append(embeddings)
    ours_s, usual_s = ours_s[1:], usual_s[1:]  # the first turn warmed up
    difference = np.concatenate(found) - np.concatenate(expected)
    reference_ms, ours_ms = (float(np.median(s)) * 1e3 for s in (usual_s, ours_s))
    return {
        "encoder": "mert (stand-in)",
        **asdict(setting),
        "reference_ms": reference_ms,
        "ours_ms": ours_ms,
        "ours_first_ms": float(np.median(ours_s[:, 0])) * 1e3,
        "ratio": reference_ms / ours_ms,
        "relative_error": float(np.linalg.norm(difference) / np.linalg.norm(expected)),
    }


def measure_lateness(encoder: NeuralEncoder, n_passes: int) -> float:
    """Give how late a 1 ms timer thread wakes beside passes in another thread, p99 in ms."""
    batch = next(real_windows(encoder.spec.window_s))[None]
    worker = threading.Thread(target=lambda: [encoder.encode(batch) for _ in range(n_passes)])
    late_s = []
    worker.start()
    while worker.is_alive():
        due_s = time.perf_counter() + TIMER_S
        time.sleep(TIMER_S)
        late_s.append(time.perf_counter() - due_s)
    return float(np.percentile(late_s, 99)) * 1e3


def measure_flips(encoder: NeuralEncoder, exact: NeuralEncoder, n_windows: int) -> float:
    """Give the share of tokens that another precision changes."""
    windows = np.stack(list(islice(real_windows(encoder.spec.window_s), n_windows)))
    embeddings = exact.encode(windows)
    codebook, _ = train_codebook(embeddings)
    tokens = codebook.lookup_batch(embeddings)[0]
    return float((codebook.lookup_batch(encoder.encode(windows))[0] != tokens).mean())


def measure_learning(encoder: NeuralEncoder, n_s: int, n_times: int) -> float:
    """Give how many times faster than it plays a recording is heard, with its windows encoded.

    The median of several times: in one second a neighbour on these cores can take a third.
    """
    file = AudioFile(DATA / RECORDINGS[0])
    blocks = list(islice(file.blocks(file.rate_hz, tail_s=TAIL_S), n_s))
    config = ListenerConfig()
    listen = partial(ahead, n_at_most=N_AHEAD)
    took_s = [
        _timed(lambda: list(hear(blocks, file.rate_hz, config, encoder, ahead=listen)))[0]
        for _ in range(n_times + 1)
    ][1:]  # the first warmed up
    return len(blocks) / float(np.median(took_s))


def measure_lookup(n_times: int) -> float:
    """Give what finding the nearest of 2048 centroids of 768 values takes, p99 in ms."""
    rng = np.random.default_rng(0)
    codebook = Codebook(rng.standard_normal((N_TOKENS, 768), np.float32))
    embeddings = rng.standard_normal((n_times, 768), np.float32)
    codebook.lookup(embeddings[0])
    took_s = [_timed(codebook.lookup, embedding)[0] for embedding in embeddings]
    return float(np.percentile(took_s, 99)) * 1e3


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Measure every row, and what the recommended setting does to the rest."""
    if not DATA.is_dir():
        raise NotMeasuredError(f"recordings are not at {DATA}")
    n_turns = 1 if options.quick else 10
    n_passes = n_turns * PASSES_PER_TURN
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_stand_in(folder, is_tiny=options.quick)
        rows = settings(is_quick=options.quick)
        if options.quick:
            rows = [Setting(**asdict(row) | {"layers": 1}) for row in rows]
        usual = {device: UsualWay(folder, device) for device in {row.device for row in rows}}
        measured = [
            measure_row(folder, usual[row.device], row, n_turns if row.batch == 1 else 1)
            for row in rows
        ]
        del usual
        stage = Setting(**asdict(rows[0]) | {"window_s": DEFAULT_WINDOW_S})
        encoder = _load(folder, stage)
        exact = _load(folder, Setting(**asdict(stage) | {"precision": "fp32"}))
        lateness_ms = measure_lateness(encoder, n_passes)
        flips = measure_flips(encoder, exact, 8 * n_passes)
        pair = _load(folder, Setting(**asdict(stage) | {"threads": 2}))
        learning = measure_learning(pair, 3 if options.quick else 24, n_turns)
    return {
        "rows": measured,
        "timer_late_p99_ms": lateness_ms,
        "flips": flips,
        "learning_times_as_fast": learning,
        "lookup_p99_ms": measure_lookup(20 * n_passes),
    }


def headlines(result: dict[str, Any]) -> Iterator[Headline]:
    """Pick what decides."""
    rows = result["rows"]
    half_s = next((r for r in rows if r["window_s"] == 0.5 and r["threads"] == 1), None)
    whole = next((r for r in rows if r["layers"] == N_LAYERS and r["precision"] != "fp32"), None)
    if whole is not None:
        yield _times("12 layers, 2 threads", whole["ratio"], 4)
    yield _times("recommended", rows[0]["ratio"], 8)
    yield Headline(
        name="recommended, error", value=100 * rows[0]["relative_error"], unit="%", target=3
    )
    exact = [100 * row["relative_error"] for row in rows if row["precision"] == "fp32"]
    if exact:
        yield Headline(name="fp32, error", value=max(exact), unit="%", target=0.01)
    if half_s is not None:
        name = "half a second, 1 thread"
        yield Headline(name=name, value=half_s["ours_ms"], unit="ms", target=25)
    yield Headline(name="timer beside it", value=result["timer_late_p99_ms"], unit="ms", target=1)
    yield _times("learning", result["learning_times_as_fast"], 20)
    yield Headline(name="lookup", value=result["lookup_p99_ms"], unit="ms", target=1)
    yield Headline(name="tokens flipped", value=100 * result["flips"], unit="%")


def show(result: dict[str, Any]) -> None:
    """Print the rows for a reader."""
    print("device layers window_s batch threads precision   usual    ours ms   ratio  error")
    for row in result["rows"]:
        print(
            "{device:6} {layers:6} {window_s:8g} {batch:5} {threads:7} {precision:9} "
            "{reference_ms:7.1f} {ours_ms:10.2f} {ratio:7.2f} {relative_error:6.1%}".format(**row)
            + ("  recommended" if row["recommended"] else "")
        )


def _times(name: str, value: float, target: float) -> Headline:
    return Headline(name=name, value=value, unit="×", target=target, better="higher")


def _timed(call: Callable[..., Any], *arguments: Any) -> tuple[float, Any]:
    """Give how long a call took, and what it gave."""
    started_s = time.perf_counter()
    result = call(*arguments)
    return time.perf_counter() - started_s, result


def _load(folder: Path, setting: Setting) -> NeuralEncoder:
    return NeuralEncoder.load(
        folder,
        layer=setting.layers,
        window_s=setting.window_s,
        n_threads=setting.threads,
        precision=setting.precision,
        device=setting.device,
    )


def main(arguments: list[str] | None = None) -> int:
    """Measure and print."""
    return run(__doc__, measure, show, headlines, arguments=arguments)


if __name__ == "__main__":
    sys.exit(main())
