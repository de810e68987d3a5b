"""Recording: a performance kept in a folder of its own, which `realtime.replay` performs again.

Main thread, around a performance: what it began with is kept before its first note, and what became
of the recording is said after its last.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from itertools import count
from pathlib import Path
from typing import Any

from models.output_path import OutputPathError
from oracle.errors import OracleError
from oracle.memory import Memory
from realtime.config import Config
from realtime.midi import NoteSink
from realtime.recorder import FINISH_S, Recorder, remedy
from realtime.responder import Record, nobody
from realtime.ring import Observer
from realtime.session_format import LINES, MIDI, VERSION, line, memory_name
from realtime.source import AudioSource


@dataclass(frozen=True, slots=True, kw_only=True)
class Tap:
    """Where a performance is listened in on.

    Attributes
    ----------
    record
        What the responder tells its decisions to.
    sinks
        What the notes are sent to besides.
    """

    record: Record = nobody
    sinks: tuple[NoteSink, ...] = ()


@contextmanager
def recorded(
    parent: Path | None,
    *,
    about: dict[str, Any],
    config: Config,
    memories: Sequence[Memory],
    seed: int,
    source: AudioSource,
    tell: Callable[[str], object],
) -> Iterator[Tap]:
    """Record the performance within into a new folder of `parent`, None for not at all.

    Raises
    ------
    OutputPathError
        The folder cannot be made, or the memories not be kept in it.
    """
    if parent is None:
        yield Tap()
        return
    folder = _new_folder(parent)
    head = {
        "version": VERSION,
        "rate_hz": source.rate_hz,
        "seed": seed,
        "n_memories": len(memories),
        "about": about,
        "config": asdict(config),
    }
    try:
        for place, memory in enumerate(memories):  # as they are now: they are going to learn
            memory.save(folder / memory_name(place))
        (folder / LINES).write_text(line("session", head), encoding="utf-8")
    except (OSError, OracleError) as error:
        raise OutputPathError(
            f"Nothing can be recorded in {folder} ({error}): free some space or choose another "
            "--record."
        ) from None
    recorder = Recorder(folder, Observer(source.audio.ring), source.rate_hz)
    recorder.start()
    try:
        yield Tap(record=recorder.record, sinks=(recorder,))
    finally:
        is_finished = recorder.finish()
        tell(_outcome(recorder, folder, is_finished=is_finished))


def _outcome(recorder: Recorder, folder: Path, *, is_finished: bool) -> str:
    """Say what became of a recording."""
    if not is_finished:
        return (
            f"The recording in {folder} may lack its end: its disk has not taken it within "
            f"{FINISH_S:g} s."
        )
    if recorder.error is not None:
        return (
            f"The recording in {folder} ends before the performance did ({remedy(recorder.error)})."
        )
    if recorder.n_lost_lines or recorder.n_lost_frames:
        why = (
            "was too slow."
            if recorder.n_parts == 1
            else f"took nothing for a while. It is in {recorder.n_parts} parts, of which the first "
            "can be performed again."
        )
        return (
            f"The recording in {folder} lacks {recorder.lost_s:.1f} s of sound and "
            f"{recorder.n_lost_lines} lines: its disk {why}"
        )
    if recorder.midi_error is not None:
        return f"The performance is recorded in {folder}, but for {MIDI}: {recorder.midi_error}"
    return f"The performance is recorded in {folder}."


def _new_folder(parent: Path) -> Path:
    """Make a folder named after the date and time."""
    name = time.strftime("%Y-%m-%d_%H-%M-%S")
    try:
        parent.mkdir(parents=True, exist_ok=True)
        for number in count(1):
            folder = parent / (name if number == 1 else f"{name}_{number}")
            with suppress(FileExistsError):
                folder.mkdir()
                break
    except OSError as error:
        raise OutputPathError(
            f"No folder can be made in {parent} ({error.strerror}): choose another --record."
        ) from None
    return folder
