"""Answers: do they go with what the musician plays, mode by mode, as the README says.

A pianist, a singer and a guitarist play to memories of other recordings, in virtual time. What
sounds is known from the truth beside each recording. Consonance is Hutchinson and Knopoff's
roughness of each note with each that sounds, brought into one octave; its chance level are the same
answers, shuffled among the moments of the same performance, and z says how many standard deviations
of it lie in between. Answers of a player's own pitch class are consonant for nothing: "z beyond"
leaves them out, of what was played and of what was shuffled. It says nothing of a shadow, which
means to double: what is left of it are the notes that it mistook.

Targets: z of 3 and more in every mode, and what each mode promises besides (see `PROMISES`).

How it could mislead: three recordings and two memories are little music, and some numbers of
`realtime.harmony` were chosen on these very recordings; a shuffled answer is still of the right
key, so z is about the moment, not about the key. Nobody listens here.
"""

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from benchmarks._duet import DATA, TAKE, Duet, Played, Player, moves, play_duet, read_players
from benchmarks._run import Headline, run
from models.audio_file import AudioFile
from models.roughness import roughness
from models.spectral import SpectralEncoder
from oracle.learning import learn
from oracle.training import Training
from realtime.answer import REST
from realtime.stance import MODES, Mode

TRIO: Final = DATA / "ensemble" / "vibe_ace.ogg"
N_SEEDS: Final = 3
N_SHUFFLES: Final = 300
N_HARMONICS: Final = 11
OCTAVE: Final = 12
COMPANY: Final = (3, 4, 8, 9)
"""Thirds and sixths, above or below, by pitch class."""
STEP: Final = 7
"""Semitones: a line seldom moves by more than a fifth."""
FAR: Final = 6
"""Semitones: what is on the other side is more than a tritone away."""
MIDDLE_PITCH: Final = 60
MIDDLE_HZ: Final = 261.63
N_REGISTER: Final = 12
"""Notes of the player's of which the median is their register."""
N_KEY: Final = 24
"""Notes of the player's whose pitch classes are their key."""
LAGS: Final = (2, 3, 4)
"""By so many notes a canon may follow."""
LINE_S: Final = 2.0
"""Notes farther apart than this are of no line."""

Pairs = NDArray[np.float64]


@cache
def dyads() -> Pairs:
    """Return how rough any two pitch classes are together [shape=(12, 12)].

    Both lie between middle C and the C above it, with harmonics of 1/n: the nearer two notes are,
    the rougher, and how near an answer is to lie is another question than what it is to be.
    """
    harmonics = np.arange(1, N_HARMONICS + 1)
    hz = MIDDLE_HZ * 2 ** (np.arange(OCTAVE) / OCTAVE)
    amplitudes = np.concatenate([1 / harmonics, 1 / harmonics])
    table = [
        [roughness(np.concatenate([a * harmonics, b * harmonics]), amplitudes) for b in hz]
        for a in hz
    ]
    return np.array(table)


def together(duet: Duet) -> tuple[Pairs, NDArray[np.bool_]]:
    """Give how rough each of the answers is with what sounded at each of them.

    Returns
    -------
    pairs, is_own
        [shape=(n, n)] answer by moment; `is_own` where they share a pitch class.
    """
    heard = [(p.pitches, duet.player.sounding(p.at_s)) for p in duet.sounded]
    heard = [(ours, theirs) for ours, theirs in heard if len(theirs)]
    pairs = np.zeros((len(heard), len(heard)))
    is_own = np.zeros(pairs.shape, np.bool_)
    for i, (ours, _) in enumerate(heard):
        for j, (_, theirs) in enumerate(heard):
            pairs[i, j] = dyads()[np.ix_(np.array(ours) % OCTAVE, theirs % OCTAVE)].mean()
            is_own[i, j] = not {p % OCTAVE for p in ours}.isdisjoint(theirs % OCTAVE)
    return pairs, is_own


def consonance(duets: Sequence[Duet], seed: int = 0) -> dict[str, float]:
    """Compare the answers with themselves, shuffled within each performance."""
    generator = np.random.default_rng(seed)
    tables = [together(duet) for duet in duets]
    n = sum(len(pairs) for pairs, _ in tables)
    if n < 2:
        return dict.fromkeys(("roughness", "roughness_shuffled", "z", "z_beyond"), np.nan)

    def means(orders: Sequence[NDArray[np.int64]]) -> tuple[float, float]:
        rough = [p[o, np.arange(len(o))] for (p, _), o in zip(tables, orders, strict=True)]
        own = [w[o, np.arange(len(o))] for (_, w), o in zip(tables, orders, strict=True)]
        roughs, owns = np.concatenate(rough), np.concatenate(own)
        return float(roughs.mean()), float(roughs[~owns].mean()) if not owns.all() else np.nan

    played, beyond = means([np.arange(len(pairs)) for pairs, _ in tables])
    shuffled = np.array(
        [means([generator.permutation(len(p)) for p, _ in tables]) for _ in range(N_SHUFFLES)]
    )
    mean, spread = shuffled.mean(0), shuffled.std(0)
    return {
        "roughness": played,
        "roughness_shuffled": float(mean[0]),
        "z": float((mean[0] - played) / spread[0]),
        "z_beyond": float((mean[1] - beyond) / spread[1]),
        "own_pitch": float(np.concatenate([np.diagonal(is_own) for _, is_own in tables]).mean()),
    }


def share(flags: Sequence[bool] | NDArray[np.bool_]) -> float:
    """Return the share that is true, NaN of nothing."""
    return float(np.mean(flags)) if len(flags) else np.nan


def line(duets: Sequence[Duet]) -> dict[str, float]:
    """Tell how connected what was played is: in the memory, and to the ear."""
    n_notes, n_runs, leaps = 0, 0, list[int]()
    for duet in duets:
        sounded = duet.sounded
        n_notes += len(sounded)
        n_runs += bool(sounded)
        for before, after in pairwise(sounded):
            states = before.answer.state, after.answer.state
            n_runs += states[0] is None or states[1] != states[0] + 1
            if after.at_s - before.at_s <= LINE_S:
                leaps.append(abs(after.pitches[0] - before.pitches[0]))
    return {
        "run_notes": n_notes / n_runs if n_runs else np.nan,
        "interval": float(np.median(leaps)) if leaps else np.nan,
        "steps": share([leap <= STEP for leap in leaps]),
    }


def agreement(duet: Duet, lag: int, direction: int) -> NDArray[np.bool_]:
    """Say of each move whether it goes as the player's went, or against it, some notes before."""
    answers = duet.answers
    ours = moves([a.pitches[0] if a.answer.notes else None for a in answers])
    theirs = moves([duet.player.struck(a.onset_s or 0.0) for a in answers])
    ours, theirs = ours[lag:], theirs[: len(theirs) - lag]
    known = np.nan_to_num(ours * theirs) != 0
    agreed: NDArray[np.bool_] = ours[known] == direction * theirs[known]
    return agreed


def stance(duets: Sequence[Duet]) -> dict[str, float]:
    """Tell how it stood to the player: where, which way, and when not."""
    answers = [(duet.player, a) for duet in duets for a in duet.answers]
    sounded = [(player, a) for player, a in answers if a.answer.notes]
    struck = [(player.struck(a.onset_s or 0.0), a.pitches[0]) for player, a in sounded]
    apart = [ours - theirs for theirs, ours in struck if theirs is not None]
    canon = [
        max(
            (agreement(duet, lag, 1) for lag in LAGS),
            key=lambda flags: share(flags) if len(flags) else -1,
        )
        for duet in duets
    ]
    return {
        "answered": len(sounded) / len(answers),
        "rests": share([a.answer.why == REST for _, a in answers]),
        "near": share([abs(semitones) <= OCTAVE for semitones in apart]),
        "company": share([abs(semitones) % OCTAVE in COMPANY for semitones in apart]),
        "other_side": share([_is_other_side(player, a) for player, a in sounded]),
        "canon": share(np.concatenate(canon)),
        "mirrored": share(np.concatenate([agreement(duet, 1, -1) for duet in duets])),
    }


def _is_other_side(player: Player, answer: Played) -> bool:
    """Whether an answer is high where the player is low, or low where they are high."""
    before = player.pitch[player.start_s <= answer.at_s][-N_REGISTER:]
    register = np.median(before) if before.size else MIDDLE_PITCH
    if register < MIDDLE_PITCH:
        return bool(min(answer.pitches) > register + FAR)
    return bool(max(answer.pitches) < register - FAR)


def playing_on(duets: Sequence[Duet]) -> dict[str, float]:
    """Tell what was played in the player's pauses, and in general how much."""
    paused_s, n_paused, n_notes, lasted_s = 0.0, 0, 0, 0.0
    in_key, by_chance = list[bool](), list[float]()
    for duet in duets:
        player = duet.player
        lasted_s += float(player.end_s.max() - player.start_s[0])
        n_notes += len(duet.sounded)
        for begin_s, end_s in player.pauses():
            key = set((player.pitch[player.start_s < begin_s][-N_KEY:] % OCTAVE).tolist())
            within = [p for p in duet.sounded if begin_s <= p.at_s < end_s]
            paused_s += end_s - begin_s
            n_paused += len(within)
            in_key += [pitch % OCTAVE in key for p in within for pitch in p.pitches]
            by_chance += [len(key) / OCTAVE for p in within for _ in p.pitches]
    return {
        "notes_per_s": n_notes / lasted_s,
        "in_pauses_per_s": n_paused / paused_s if paused_s else np.nan,
        "in_key": share(in_key),
        "in_key_by_chance": float(np.mean(by_chance)) if by_chance else np.nan,
    }


def measure_mode(mode: Mode, duets: Sequence[Duet]) -> dict[str, Any]:
    """Put the figures of one mode together."""
    return {"mode": mode, **stance(duets), **consonance(duets), **line(duets), **playing_on(duets)}


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Let every player play to every memory of others, in every mode."""
    players = read_players()
    pairs = [(TAKE, "piano"), (TAKE, "voice"), (TRIO, "piano"), (TRIO, "voice"), (TRIO, "guitar")]
    pairs, n_seeds = (pairs[1:2], 1) if options.quick else (pairs, N_SEEDS)
    with tempfile.TemporaryDirectory() as folder:
        paths = {recording: Path(folder) / f"{recording.stem}.memory" for recording, _ in pairs}
        for recording, path in paths.items():
            learn([AudioFile(recording)], Training(encoder=SpectralEncoder()))[0].save(path)
        rows = [
            measure_mode(
                mode,
                [
                    play_duet(players[name], paths[recording], mode, seed)
                    for recording, name in pairs
                    for seed in range(n_seeds)
                ],
            )
            for mode in options.mode or MODES
        ]
    return {"rows": rows}


Promise = tuple[str, Callable[[dict[str, Any]], float], float, bool]
"""What is promised, the figure that tells, what it must reach, and whether more is better."""

CONSONANCE: Final[Promise] = ("consonance of the moment, z", lambda row: row["z"], 3.0, True)
BEYOND: Final[Promise] = (
    "consonance beyond the player's own pitch, z",
    lambda row: row["z_beyond"],
    3.0,
    True,
)
PROMISES: Final[dict[Mode, tuple[Promise, ...]]] = {
    "shadow": (
        ("answered", lambda row: row["answered"], 0.95, True),
        ("within an octave", lambda row: row["near"], 0.8, True),
        ("at the player's own pitch", lambda row: row["own_pitch"], 0.75, False),
        ("notes per second in pauses", lambda row: row["in_pauses_per_s"], 0.0, False),
    ),
    "imitate": (("moves as the player's line did", lambda row: row["canon"], 0.8, True),),
    "mirror": (("moves against the player's line", lambda row: row["mirrored"], 0.8, True),),
    "couple": (("thirds and sixths", lambda row: row["company"], 0.6, True),),
    "contrast": (
        ("on the other side", lambda row: row["other_side"], 0.8, True),
        ("rests, share of notes", lambda row: row["rests"], 0.3, True),
        ("notes of an unbroken line", lambda row: row["run_notes"], 4.0, True),
        ("moves by a fifth at most", lambda row: row["steps"], 0.8, True),
    ),
    "lead": (
        ("notes of an unbroken line", lambda row: row["run_notes"], 4.0, True),
        ("marks the player's notes", lambda row: row["answered"], 0.25, True),
        ("notes per second in pauses", lambda row: row["in_pauses_per_s"], 1.0, True),
    ),
}
GOES_ON: Final[tuple[Promise, ...]] = (
    ("notes per second in pauses", lambda row: row["in_pauses_per_s"], 0.5, True),
    (
        "in key in pauses, above chance",
        lambda row: row["in_key"] - row["in_key_by_chance"],
        0.1,
        True,
    ),
)


def headlines(result: dict[str, Any]) -> Iterator[Headline]:
    """Hold each mode to what the README says of it."""
    for row in result["rows"]:
        mode = row["mode"]
        promises = [CONSONANCE, *PROMISES[mode]]
        if mode != "shadow":
            promises.append(BEYOND)
        if mode in ("mirror", "couple", "contrast"):
            promises += GOES_ON
        for name, figure, target, is_more_better in promises:
            yield Headline(
                name=f"{mode}: {name}",
                value=figure(row),
                target=target,
                better="higher" if is_more_better else "lower",
            )


def show(result: dict[str, Any]) -> None:
    """Print the figures for a reader."""
    for name in result["rows"][0]:
        cells = [row[name] for row in result["rows"]]
        print(
            f"{name:20}"
            + "".join(f"{c:>10}" if isinstance(c, str) else f"{c:10.3f}" for c in cells)
        )


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the choice of modes."""
    parser.add_argument("--mode", action="append", choices=MODES, help="only this; may be repeated")


def main(arguments: list[str] | None = None) -> int:
    """Measure and print."""
    return run(__doc__, measure, show, headlines, add_options=add_options, arguments=arguments)


if __name__ == "__main__":
    sys.exit(main())
