"""Faults: what a gig's bad luck costs, in notes that hang, music forgotten and seconds.

Each fault is really staged, on a JACK server without hardware: a performer under its supervisor
plays to an endless phrase, and an audience writes down what it hears. Recovery counts from the
fault, or from the return of what went away, to the next note-on the audience hears. Ended is when
the last note that sounded at the fault does not any more. A note hangs that sounded then, or began
0.2 s after at the latest, when it was still on its way, and is not ended 6 s after the recovery,
longer than any note that can be learned; and any that is struck again before it is ended. Forgotten
are events that had been learned a second before the fault and that the next performer does not
know, or the journal lost.
Budget: no note hangs, nothing a second old is forgotten, 3 s, and notes end 0.5 s after a death.

It could mislead as the audience has to come back too when its server is killed: its start runs
beside the performer's, and is the shorter one. Faults come some seconds apart, so that an
understudy is ready; a second death within a minute waits half a second more, on purpose. A clock
that jumps cannot be staged without privileges; nothing on the way of an event reads one that can.
"""

import argparse
import math
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final
from unittest import mock

from benchmarks._mishaps import ENDS, FAULTS, Fault
from benchmarks._rig import PATIENCE_S, Rig
from benchmarks._run import Headline, run
from benchmarks._sounding import ended_s, hanging_notes
from benchmarks._stage import train

LIMIT_S: Final = 3.0
END_LIMIT_S: Final = 0.5
_PLAY_S: Final = 5.5
_ON_ITS_WAY_S: Final = 0.2
_LAST_ENDS_S: Final = 1.5
_LONGEST_NOTE_S: Final = 6.0  # [listener] max_event_s is 4 s, and a line is slowed by up to √2
_QUIET: Final = ("info",)


def stage(rig: Rig, fault: Fault) -> dict[str, Any]:
    """Let a fault happen to a performance that goes well, and see what becomes of it."""
    time.sleep(_PLAY_S)
    rig.wait_note(time.monotonic())
    learned = _n_learned(rig)
    pid = rig.performer_pid
    time.sleep(1.0)
    n_said = len(rig.said)
    fault_s = time.monotonic()
    back_s = fault(rig)
    time.sleep(_ON_ITS_WAY_S)  # what was on its way is no recovery
    note_s = rig.wait_note(back_s + _ON_ITS_WAY_S)
    time.sleep(_LAST_ENDS_S)
    n_hanging = _wait_ended(rig, fault_s, back_s + _ON_ITS_WAY_S, note_s + _LONGEST_NOTE_S)
    is_restarted = any(line["event"] == "perform.started" for line in rig.said[n_said:])
    rig.wait_for(lambda: rig.performance is not None, PATIENCE_S)
    assert is_restarted == (rig.performer_pid != pid), rig.said[n_said:]
    return {
        "recovery_s": note_s - back_s,
        "ended_s": ended_s(list(rig.heard), back_s),
        "is_restarted": is_restarted,
        "n_hanging": n_hanging,
        "n_forgotten": _n_forgotten(rig, learned, n_said, is_restarted=is_restarted),
        "said": _said(rig, n_said),
    }


def _wait_ended(rig: Rig, since_s: float, until_s: float, give_up_s: float) -> int:
    """Wait until what sounded between two moments has ended, and count what has not."""
    while n_hanging := len(hanging_notes(list(rig.heard), since_s, until_s)):
        if time.monotonic() > give_up_s:
            break
        time.sleep(0.02)
    return n_hanging


def stage_end(rig: Rig, fault: Fault) -> dict[str, Any]:
    """End a performance that goes well; recovery is that nobody of it is left."""
    time.sleep(_PLAY_S)
    rig.wait_note(time.monotonic())
    n_said = len(rig.said)
    began_s = fault(rig)
    over_s = time.monotonic()
    time.sleep(_ON_ITS_WAY_S)
    return {
        "recovery_s": over_s - began_s,
        "ended_s": ended_s(list(rig.heard), began_s),
        "is_restarted": False,
        "n_hanging": len(hanging_notes(list(rig.heard), began_s, math.inf)),
        "n_forgotten": 0,
        "said": _said(rig, n_said),
    }


def _n_learned(rig: Rig) -> int:
    """Say how many events the performance has learned, those of earlier ones too."""
    performance = rig.performance
    assert performance is not None
    n_learned: int = performance.performance.n_learned
    return n_learned + _n_known(rig.said)


def _n_forgotten(rig: Rig, learned: int, n_said: int, *, is_restarted: bool) -> int:
    """Say how many events are gone."""
    now = rig.said[n_said:]
    lost: int = sum(line.get("n_lost", 0) for line in now if line["event"] == "journal.resumed")
    return lost + (max(0, learned - _n_known(now)) if is_restarted else 0)


def _n_known(said: list[dict[str, Any]]) -> int:
    """Say how many events of earlier performances the newest performer knows."""
    notices = [str(line.get("notice", "")) for line in said]
    counts = [
        int(n.split(": ")[1].split(" ")[0]) for n in notices if n.startswith("Events learned")
    ]
    return counts[-1] if counts else 0


def _said(rig: Rig, n_said: int) -> dict[str, int]:
    """Count what was said that is more than information."""
    events = [line["event"] for line in rig.said[n_said:] if line.get("level") not in _QUIET]
    return {event: events.count(event) for event in dict.fromkeys(events)}


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Stage every fault, one after the other, on a rig for each kind of port."""
    rows: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as name, mock.patch.dict(os.environ):
        folder = Path(name)
        memory = train(folder, "spectral")
        for port, faults in FAULTS.items():
            if options.port not in (None, port):
                continue
            rig = Rig(folder, memory, port)
            try:
                for what, fault in list(faults.items())[: 1 if options.quick else None]:
                    rows[what] = stage(rig, fault)
                for what, fault in ENDS[port].items():
                    rows[what] = stage_end(rig, fault)
            finally:
                rig.close()
            if options.quick:
                break
    return {"faults": rows}


def headlines(result: dict[str, Any]) -> Iterator[Headline]:
    """Pick what decides."""
    rows = result["faults"]
    yield Headline(
        name="faults: longest recovery",
        value=max(row["recovery_s"] for row in rows.values()),
        unit="s",
        target=LIMIT_S,
    )
    deaths = [row["ended_s"] for what, row in rows.items() if what.startswith("performer killed")]
    if deaths:
        yield Headline(
            name="faults: notes of a dead performer ended within",
            value=max(deaths),
            unit="s",
            target=END_LIMIT_S,
        )
    yield Headline(
        name="faults: notes hanging", value=sum(row["n_hanging"] for row in rows.values()), target=0
    )
    yield Headline(
        name="faults: events forgotten",
        value=sum(row["n_forgotten"] for row in rows.values()),
        target=0,
    )


def show(result: dict[str, Any]) -> None:
    """Print the matrix."""
    print(
        f"{'fault':38} {'recovery s':>10} {'ended s':>7} {'new':>3} {'hang':>4} {'lost':>4}  said"
    )
    for what, row in result["faults"].items():
        said = ", ".join(f"{event} {n}" for event, n in row["said"].items())
        print(
            f"{what:38} {row['recovery_s']:10.2f} {row['ended_s']:7.2f} "
            f"{'yes' if row['is_restarted'] else 'no':>3} {row['n_hanging']:4} "
            f"{row['n_forgotten']:4} {said}"
        )


def _add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--port", choices=tuple(FAULTS), help="only the faults of this rig")


def main(arguments: list[str] | None = None) -> int:
    """Measure and print."""
    return run(__doc__, measure, show, headlines, add_options=_add_options, arguments=arguments)


if __name__ == "__main__":
    sys.exit(main())
