"""Replay: ``python -m realtime.replay``, a recorded performance performed again.

One thread, as fast as the machine can. The sound is heard again by the same listener, and the same
memories are asked by the same improvisers; what depended on the moment is taken from the recording:
in which order events were answered and learned and phrases played on, by which memory, with which
token, whether that had heard enough, and when a memory had forgotten. So the notes are the same, or
something has changed; the exit code says which.
"""

import argparse
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from models.errors import ModelsError
from models.listener import ATTACK, BODY, Listener
from models.terminal import CommandLine, plain_console, preparing, run_command
from oracle.errors import OracleError
from oracle.gesture import clock
from oracle.graph_file import note_name
from oracle.memory import Memory
from oracle.transcriber import Attended
from realtime.answer import Answer
from realtime.ensemble import make_ensemble
from realtime.errors import LiveError
from realtime.session import Session, SessionError, read_session

N_SHOWN: Final = 5

Played = list[list[float]]
"""An answer's notes: pitch, velocity, duration in seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """One answer, or one note of a phrase, then and now; None where there was none."""

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
    memories = session.memories()
    asides = [_AsThen() for _ in memories]
    ensemble = make_ensemble(
        memories, session.rate_hz, session.improviser, seed=session.seed, asides=asides
    )
    sound = _Sound(session)
    attended: dict[int, Attended] = {}
    onset_s = 0.0
    for line in session.lines:
        match line["kind"]:
            case "attack":
                noted = line["attack"]
                attack = sound.find(ATTACK, noted["index"])
                if attack is not None:
                    _require_same(session, attack, noted)
                    attended[noted["index"]] = ensemble.attend(attack)
                elif noted["decision_frame"] > sound.n_frames:
                    return  # it was cut off
                onset_s = noted["onset_frame"] / session.rate_hz
            case "answer" if line["index"] in attended:
                answer = ensemble.answer(
                    attended[line["index"]],
                    turn=line["memory"],
                    token=line["token"],
                    is_considered=line["is_considered"],
                )
                yield _answered(onset_s, line, answer)
            case "played_on" if ensemble.next_s is not None:
                onset_s = ensemble.next_s
                yield _answered(onset_s, line, ensemble.play_on())
            case "answer" | "played_on":
                yield Answered(onset_s=onset_s, then=line["notes"], now=None)
            case "body" if line["body"]["index"] in attended:
                body = sound.find(BODY, line["body"]["index"])
                if body is not None:
                    index = line["body"]["index"]
                    tokens = {
                        i: token for i, token in enumerate(line["tokens"]) if token is not None
                    }
                    for aside, n_then, n_now in zip(
                        asides, line["n_forgotten"], ensemble.n_forgotten, strict=True
                    ):
                        aside.is_done = n_then > n_now
                    ensemble.learn(attended.pop(index), body, tokens)


class _AsThen:
    """Builds a memory's shorter ones: an `Aside`, and the `Building` it gives, one at a time.

    Attributes
    ----------
    is_done
        Whether it was there by the event that is learned next.
    """

    def __init__(self) -> None:
        self.is_done = False
        self._build: Callable[[], Memory]

    def __call__(self, build: Callable[[], Memory]) -> "_AsThen":
        """Take what is to be built."""
        self._build = build
        return self

    def done(self) -> bool:
        """Say whether it is there, as a `Building`."""
        return self.is_done

    def result(self) -> Memory:
        """Build it now: what was learned meanwhile makes no difference."""
        return self._build()


class _Sound:
    """The sound of a session, heard again as far as is needed.

    Attributes
    ----------
    n_frames : int
        Heard so far.
    """

    def __init__(self, session: Session) -> None:
        self.n_frames = 0
        self._records = self._hear(session)
        self._found: dict[tuple[int, int], np.void] = {}

    def find(self, kind: int, index: int) -> np.void | None:
        """Hear on until the record of an event comes; None if it does not come any more."""
        while (kind, index) not in self._found:
            record = next(self._records, None)
            if record is None:
                return None
            self._found[int(record["kind"]), int(record["index"])] = record
        return self._found.pop((kind, index))

    def _hear(self, session: Session) -> Iterator[np.void]:
        listener = Listener(session.rate_hz, session.listener)
        for block in session.blocks():
            self.n_frames += block.size
            yield from listener.hear(block)


def verdict(session: Session, answers: list[Answered]) -> Iterator[str]:
    """Say whether the notes are the same, and which are not."""
    others = [answer for answer in answers if not answer.is_same]
    for lost in session.of_kind("lost"):
        yield (
            f"The recording lacks {lost['n_lines']} lines and {lost['n_frames']} frames, as its "
            "disk was too slow."
        )
    n_left_out = len(session.of_kind("answer")) + len(session.of_kind("played_on")) - len(answers)
    if session.n_parts > 1:
        yield (
            f"This is the first of {session.n_parts} parts: what the memories had learned by the "
            "others is not kept, so they cannot be performed again."
        )
    if n_left_out:
        yield f"The sound was cut off: {n_left_out} answers after its end are left out."
    if not others:
        yield f"{len(answers)} answers performed again: all notes are the same."
        return
    yield f"{len(others)} of {len(answers)} answers are not the same:"
    for answer in others[:N_SHOWN]:
        yield f"  {clock(answer.onset_s)}: {_names(answer.now)}, and was {_names(answer.then)}"


def _require_same(session: Session, attack: np.void, noted: dict[str, Any]) -> None:
    """Refuse a sound in which an event begins elsewhere than it did."""
    if any(attack[name] != noted[name] for name in ("onset_frame", "decision_frame")):
        raise SessionError(
            f"Event {noted['index']} of {session.folder}, at "
            f"{clock(noted['onset_frame'] / session.rate_hz)}, is heard at "
            f"{clock(int(attack['onset_frame']) / session.rate_hz)} now: the sound or the listener "
            "has changed, so its notes say nothing."
        )


def _answered(onset_s: float, line: dict[str, Any], answer: Answer) -> Answered:
    """Put what is answered now beside what was answered then."""
    return Answered(onset_s=onset_s, then=line["notes"], now=[list(note) for note in answer.notes])


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
