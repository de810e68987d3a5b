"""Replay: ``python -m realtime.replay``, a recorded performance performed again.

One thread, as fast as the machine can. The sound is heard again by the same listener, and the same
memory is asked by the same improviser; what depended on the moment is taken from the recording:
which events were answered, with which token, and whether that had heard enough. So the notes are
the same, or something has changed; the exit code says which.
"""

import argparse
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from models.errors import ModelsError
from models.listener import ATTACK, Listener
from models.terminal import CommandLine, plain_console, preparing, run_command
from oracle.errors import OracleError
from oracle.gesture import clock
from oracle.graph_file import note_name
from oracle.transcriber import Attended
from realtime.errors import LiveError
from realtime.improviser import Improviser
from realtime.session import Session, SessionError, read_session

N_SHOWN: Final = 5

Played = list[list[float]]
"""An answer's notes: pitch, velocity, duration in seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """One answer, then and now; None where there was none."""

    index: int
    onset_s: float
    then: Played | None
    now: Played | None

    @property
    def is_same(self) -> bool:
        """Whether the notes are the same."""
        return self.then == self.now


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit code: 0 if there are notes, and all are the same."""
    options = _parser().parse_args(arguments)
    return run_command(lambda: compare(options.session), (ModelsError, OracleError, LiveError))


def compare(path: Path) -> int:
    """Perform a kept session again, and say whether the notes are the same."""
    with preparing(plain_console(stderr=True).print) as ready:
        session = read_session(path)
        answers = list(replay(session))
        ready()
    for said in verdict(session, answers):
        plain_console().print(said)
    return 0 if answers and all(answer.is_same for answer in answers) else 1


def replay(session: Session) -> Iterator[Answered]:
    """Perform a session again, and give each answer beside what it was.

    Raises
    ------
    SessionError
        Its sound is not the one that was heard.
    """
    attacks = {line["attack"]["index"]: line["attack"] for line in session.of_kind("attack")}
    answers = {line["index"]: line for line in session.of_kind("answer")}
    bodies = {line["body"]["index"]: line for line in session.of_kind("body")}
    improviser = Improviser(
        session.memory(), session.rate_hz, session.improviser, seed=session.seed
    )
    heard: dict[int, Attended] = {}
    for record in _records(session):
        index = int(record["index"])
        if record["kind"] == ATTACK and index in attacks:
            _require_same(session, record, attacks.pop(index))
            attended = heard[index] = improviser.attend(record)
            if index in answers:
                yield _answer(improviser, attended, answers.pop(index), session.rate_hz)
        elif index in heard and index in bodies:
            attended, line = heard.pop(index), bodies.pop(index)
            if line["is_learned"]:
                improviser.learn(attended, record, line["token"])
    n_frames = session.n_frames if answers else 0
    for index, line in answers.items():
        noted = attacks.get(index)
        if noted is not None and noted["decision_frame"] <= n_frames:  # it is not heard any more
            onset_s = noted["onset_frame"] / session.rate_hz
            yield Answered(index=index, onset_s=onset_s, then=line["notes"], now=None)


def verdict(session: Session, answers: list[Answered]) -> Iterator[str]:
    """Say whether the notes are the same, and which are not."""
    others = [answer for answer in answers if not answer.is_same]
    for lost in session.of_kind("lost"):
        yield (
            f"The recording lacks {lost['n_lines']} lines and {lost['n_frames']} frames, as its "
            "disk was too slow."
        )
    n_left_out = len(session.of_kind("answer")) - len(answers)
    if n_left_out:
        yield f"The sound was cut off: {n_left_out} answers after its end are left out."
    if not others:
        yield f"{len(answers)} answers performed again: all notes are the same."
        return
    yield f"{len(others)} of {len(answers)} answers are not the same:"
    for answer in others[:N_SHOWN]:
        yield f"  {clock(answer.onset_s)}: {_names(answer.now)}, and was {_names(answer.then)}"


def _records(session: Session) -> Iterator[np.void]:
    """Hear the sound again."""
    listener = Listener(session.rate_hz, session.listener)
    for block in session.blocks():
        yield from listener.hear(block)


def _require_same(session: Session, attack: np.void, noted: dict[str, Any]) -> None:
    """Refuse a sound in which an event begins elsewhere than it did."""
    if any(attack[name] != noted[name] for name in ("onset_frame", "decision_frame")):
        raise SessionError(
            f"Event {noted['index']} of {session.folder}, at "
            f"{clock(noted['onset_frame'] / session.rate_hz)}, is heard at "
            f"{clock(int(attack['onset_frame']) / session.rate_hz)} now: the sound or the listener "
            "has changed, so its notes say nothing."
        )


def _answer(
    improviser: Improviser, attended: Attended, line: dict[str, Any], rate_hz: int
) -> Answered:
    """Answer one event with what was known then."""
    answer = improviser.answer(attended, token=line["token"], is_considered=line["is_considered"])
    return Answered(
        index=line["index"],
        onset_s=int(attended.attack["onset_frame"]) / rate_hz,
        then=line["notes"],
        now=[list(note) for note in answer.notes],
    )


def _names(notes: Played | None) -> str:
    """Name notes."""
    if notes is None:
        return "not heard"
    return " ".join(note_name(int(pitch)) for pitch, _, _ in notes) or "silence"


def _parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = CommandLine(
        prog="python -m realtime.replay",
        description="Performs a recorded performance again, as fast as the machine can, with the "
        "decisions that depended on the moment, and says whether the notes are the same.",
        epilog="example: python -m realtime.replay recordings/2027-01-31_20-15-00",
    )
    parser.add_argument(
        "session",
        type=Path,
        metavar="DIR",
        help="a performance, or what --record named: then the newest in it",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
