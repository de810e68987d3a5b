"""Outlets: where the notes go, as a command line asks for it.

Main thread, before the first note and after the last. It falls back on a MIDI file only where
nothing was named and nobody would hear it, and says so; what was named is had or refused.
"""

import argparse
import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from models.output_path import OutputPathError, require_writable
from realtime.keeper import KeptPort
from realtime.midi import NoteSink
from realtime.midi_file import MIDI_SUFFIXES, MidiFileSink
from realtime.midi_ports import CLIENT_NAME, VIRTUAL, MidiPortError, open_port
from realtime.opening import TAKE, Tell
from realtime.returning_port import ReturningPort
from realtime.supervised import Supervised
from realtime.supervisor import NO_PORT

DEFAULT_MIDI_FILE: Final = Path("performance.mid")
REPORT_SUFFIXES: Final = (".json",)


def require_outputs(options: argparse.Namespace) -> None:
    """Refuse files that could not be written in the end, or would be written over what is read.

    Raises
    ------
    OutputPathError
        Naming the first.
    """
    read = (*options.memory, options.input, options.config)
    sources = [TAKE, *map(Path, filter(None, read))]
    for output, suffixes in ((options.midi_file, MIDI_SUFFIXES), (options.report, REPORT_SUFFIXES)):
        if output is not None:
            require_writable(output, suffixes, sources=sources)


@dataclass(frozen=True, kw_only=True)
class Outlets:
    """Where the notes go."""

    port: ReturningPort | KeptPort | None
    midi_file: MidiFileSink | None

    @property
    def sinks(self) -> list[NoteSink]:
        """All of them, the port first, since somebody hears it."""
        return [sink for sink in (self.port, self.midi_file) if sink is not None]

    @contextmanager
    def kept(self, tell: Tell) -> Iterator[None]:
        """Put the file of the performance within in place if it ends well.

        Raises
        ------
        MidiFileError
            It cannot be put there.
        """
        try:
            yield
        except BaseException:
            if self.midi_file is not None and self.midi_file.is_unfinished:
                tell(f"What was played until then is in {self.midi_file.unfinished}.")
            raise
        if self.midi_file is not None and not self.midi_file.keep():
            tell(f"No note was played, so {self.midi_file.name} was not written.")


def open_outlets(
    options: argparse.Namespace, *, is_take: bool, tell: Tell, supervised: Supervised
) -> Outlets:
    """Open where the notes go, and say where that is.

    A supervised performer's port is kept for it, and may not be there yet.

    Parameters
    ----------
    is_take
        Whether they answer the bundled take, which is for those who have no instrument at hand.

    Raises
    ------
    MidiPortError
        The port that was named cannot be had.
    OutputPathError
        The file is the report's, too.
    """
    port, midi_file, is_unheard = None, options.midi_file, is_take
    if options.midi_out not in (None, NO_PORT):
        port = _port(options.midi_out, supervised)
    elif options.midi_out is None and options.pace == "realtime":
        try:
            port = _port(VIRTUAL, supervised)
        except MidiPortError:
            is_unheard = True
    if is_unheard and midi_file is None:
        midi_file = _unused(DEFAULT_MIDI_FILE)
    if midi_file is not None and _is_same(midi_file, options.report):
        raise OutputPathError(
            f"{options.report} cannot be both the report and the MIDI file: choose another "
            "--report."
        )
    outlets = Outlets(port=port, midi_file=None if midi_file is None else MidiFileSink(midi_file))
    if port is not None:
        advice = "" if options.midi_out else ": connect your synthesiser to it"
        tell(f"Notes go to the MIDI port '{port.name}'{advice}.")
    if midi_file is not None:
        tell(f"Notes go to {midi_file}.")
    return outlets


def _port(wanted: str, supervised: Supervised) -> ReturningPort | KeptPort:
    """Open a port that may go and come back; beside a supervisor there is one that is kept."""
    if supervised.port_fd is not None:
        return KeptPort(supervised.port_fd, CLIENT_NAME if wanted == VIRTUAL else wanted)
    port = ReturningPort(wanted, open_port(wanted))
    port.start()
    return port


def _unused(path: Path) -> Path:
    """Give the path, or where an earlier performance is there, the next one: NAME-2, NAME-3, …."""
    numbered = (path.with_stem(f"{path.stem}-{number}") for number in itertools.count(2))
    return next(free for free in itertools.chain([path], numbered) if not free.exists())


def _is_same(path: Path, other: Path | None) -> bool:
    """Say whether two paths, however they are written, lead to one file."""
    return other is not None and path.resolve() == other.resolve()
