"""Examination: an input, the MIDI systems and an encoder, tried as a performance would use them.

Main thread, for the doctor. Each is opened, used for a moment and let go.
"""

import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Literal

import numpy as np

from models.encoder import Encoder
from models.errors import ModelsError
from models.meter import Meter
from oracle.errors import OracleError
from realtime.budget import unmet
from realtime.capture import AudioInput
from realtime.config import Config
from realtime.devices import input_devices
from realtime.doorbell import Doorbell
from realtime.errors import LiveError
from realtime.listen_input import opened
from realtime.midi_ports import MidiPortError, output_ports
from realtime.repertoire import Repertoire

State = Literal["ok", "warning", "failed"]

OK: Final = "ok"
WARNING: Final = "warning"
FAILED: Final = "failed"
KNOWN: Final = (ModelsError, OracleError, LiveError)

HEARD_S: Final = 0.5
N_PASSES: Final = 9


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check has shown.

    Attributes
    ----------
    said
        What was seen, a sentence or two.
    todo
        What to do; empty where nothing is to be done.
    """

    name: str
    state: State
    said: str
    todo: str = ""


def examine_input(config: Config, wanted: str | None) -> Iterator[Finding]:
    """Open the audio input that a performance would, and hear it for a moment.

    Raises
    ------
    AudioInputError
        It cannot be had.
    """
    devices = input_devices()
    for device in devices:
        yield Finding(
            "audio inputs",
            OK,
            f"{device.index} {device.name!r} ({device.host_api}): {device.n_channels} channels, "
            f"{device.default_rate_hz} Hz.",
        )
    what = wanted or str(config.capture.device)
    source = AudioInput(replace(config.capture, device=what), doorbell := Doorbell())
    latency_ms, name = source.latency_s * 1e3, source.name
    rate_hz, block_frames = source.rate_hz, source.block_frames
    if source.stop():
        doorbell.close()
    block_ms = block_frames / rate_hz * 1e3
    stated = f"states {latency_ms:.1f} ms of latency" if latency_ms else "states no latency"
    said = (
        f"{name!r} at {rate_hz} Hz in blocks of {block_frames} frames ({block_ms:.1f} ms); its "
        f"driver {stated}."
    )
    if latency_ms > config.budget.capture_ms:
        todo = (
            f"That is more than [budget] capture_ms = {config.budget.capture_ms:g}: make the "
            "driver's or audio server's buffer smaller, or use another interface."
        )
        yield Finding("audio input", WARNING, said, todo)
    else:
        yield Finding("audio input", OK, said)
    yield _heard(config, what)


def _heard(config: Config, what: str) -> Finding:
    """Hear an input for a moment: silence to the last bit tells of a missing permission."""
    meter = Meter()
    with opened(what, config.capture, HEARD_S) as input_:
        for block in input_.blocks:
            meter.take(block)
    if meter.peak == 0.0:
        return Finding(
            "sound",
            WARNING,
            "The input gives nothing but zeros.",
            "Unmute or connect it; on macOS allow the terminal to use the microphone (System "
            "Settings, Privacy & Security, Microphone) and start it again.",
        )
    said = f"The input is at {meter.loudest_dbfs:.0f} dBFS now."
    return Finding("sound", OK, said)


def examine_midi() -> Iterator[Finding]:
    """List the MIDI ports that notes could go to."""
    try:
        ports = output_ports()
    except MidiPortError as error:
        yield Finding("MIDI", WARNING, str(error))
        return
    others = f"; there are {', '.join(ports)}" if ports else ""
    yield Finding("MIDI", OK, f"A port of its own can be made{others}.")


def examine_encoders(config: Config, paths: Sequence[Path]) -> Iterator[Finding]:
    """Build the memories' encoders as a performance would, and time them against the budget.

    Raises
    ------
    EncoderError, MemoryFileError, SettingsError
        One cannot be built, or the memories not be played together.
    """
    missing = [path for path in paths if not path.exists()]
    for path in missing:
        yield Finding(
            "memory",
            WARNING,
            f"There is no memory at {path}.",
            "Learn one: python -m oracle.train RECORDING --output FILE; or make perform.",
        )
    repertoire = Repertoire.load([path for path in paths if path not in missing])
    for path, memory in zip(repertoire.paths, repertoire.memories, strict=True):
        yield Finding("memory", OK, f"{path} holds {memory.n_events} events.")
    if repertoire.memories:
        config = repertoire.as_learned(config)
    for build in repertoire.builders(None):
        yield from _timed(config, build(config.encoder))


def _timed(config: Config, encoder: Encoder) -> Iterator[Finding]:
    """Time an encoder's pass."""
    yield Finding("weights", OK, f"{encoder.spec}.")
    window = np.zeros((1, encoder.spec.window_frames), np.float32)
    encoder.encode(window)
    passes_ms = []
    for _ in range(N_PASSES):
        started_ns = time.monotonic_ns()
        encoder.encode(window)
        passes_ms.append((time.monotonic_ns() - started_ns) / 1e6)
    pass_ms = statistics.median(passes_ms)
    block_ms = config.capture.block_frames / (config.capture.rate_hz or 48_000) * 1e3
    todo = unmet(
        config.budget, heard_ms=config.listener.heard_ms, block_ms=block_ms, pass_ms=pass_ms
    )
    if todo is None:
        said = f"A pass takes {pass_ms:.1f} ms; [budget] inference_ms is"
        yield Finding("encoder", OK, f"{said} {config.budget.inference_ms:g}.")
    else:
        yield Finding("encoder", WARNING, todo)
