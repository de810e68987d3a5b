"""Kernels of the beat tracker: a probability over tempo and phase, moved on and weighed.

Compiled for whoever hears the stream; they never allocate, and one onset costs the same after any
silence. `oracle.beats` says what the numbers mean.
"""

import math
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from oracle._jit import kernel

SLOWEST_BPM: Final = 40.0
FASTEST_BPM: Final = 240.0
TEMPO_STEP: Final = 0.02
N_PHASES: Final = 48
"""Every half, third, quarter and sixth of a beat has a place of its own."""

POSITIONS: Final = (0.0, 1 / 2, 1 / 4, 3 / 4, 1 / 3, 2 / 3)
ONSETS: Final = (0.6, 0.3, 0.1, 0.1, 0.05, 0.05)
"""Onsets expected at each position of every beat; chosen, with what follows, on the drum tracks."""
ACCENTED: Final = (0.75, 0.35, 0.25, 0.25, 0.25, 0.25)
"""Share of the onsets at each position that are accented."""
ELSEWHERE_HZ: Final = 0.4
ELSEWHERE_ACCENTED: Final = 0.3
SPREAD_S: Final = 0.03
USUAL_BPM: Final = 120.0
FIRST_SPREAD_OCTAVES: Final = 0.5
LASTING_SPREAD_OCTAVES: Final = 1.0
"""A tempo far from the usual one is unlikely, and has to stay likelier to be kept: every onset
tells a tempo from its half no better than the one before did, so a prior counted once is lost."""
TEMPO_CHANGE_HZ: Final = 0.05
"""Rate at which a tempo moves a step up or down."""
FORGETTING: Final = 1e-4
"""Share of the belief that starts anew at every onset."""


class BeatState(NamedTuple):
    """What the kernels know and believe; flat arrays.

    Attributes
    ----------
    periods_s, prior, preference, expected
        [shape=(n_tempi,)] beat period, share at first, weight at every onset, onsets a beat.
    accented_hz, unaccented_hz
        [shape=(n_tempi, N_PHASES)] rate of onsets wholly with and without an accent.
    survival
        [shape=(n_tempi, N_PHASES)] probability of no onset from the beat to the phase.
    belief, scratch
        [shape=(n_tempi, N_PHASES)] probability of tempo and phase at the last onset.
    """

    periods_s: NDArray[np.float64]
    prior: NDArray[np.float64]
    preference: NDArray[np.float64]
    expected: NDArray[np.float64]
    accented_hz: NDArray[np.float64]
    unaccented_hz: NDArray[np.float64]
    survival: NDArray[np.float64]
    belief: NDArray[np.float64]
    scratch: NDArray[np.float64]


def new_beat_state() -> BeatState:
    """Return the state before the first onset."""
    bpm = np.exp(np.arange(math.log(SLOWEST_BPM), math.log(FASTEST_BPM), TEMPO_STEP))
    periods_s = 60.0 / bpm
    octaves = np.log2(bpm / USUAL_BPM)
    prior = np.exp(-0.5 * (octaves / FIRST_SPREAD_OCTAVES) ** 2)
    prior /= prior.sum()
    spread_s = np.maximum(SPREAD_S, 0.5 * periods_s / N_PHASES)[:, np.newaxis]
    accented_hz = np.full((bpm.size, N_PHASES), 2 * ELSEWHERE_HZ * ELSEWHERE_ACCENTED)
    unaccented_hz = np.full((bpm.size, N_PHASES), 2 * ELSEWHERE_HZ * (1 - ELSEWHERE_ACCENTED))
    for position, n_onsets, share in zip(POSITIONS, ONSETS, ACCENTED, strict=True):
        apart = (np.arange(N_PHASES) / N_PHASES - position + 0.5) % 1 - 0.5
        apart_s = apart * periods_s[:, np.newaxis]
        bump_hz = np.exp(-0.5 * (apart_s / spread_s) ** 2) / (math.sqrt(2 * math.pi) * spread_s)
        accented_hz += 2 * n_onsets * share * bump_hz
        unaccented_hz += 2 * n_onsets * (1 - share) * bump_hz
    rate_hz = (accented_hz + unaccented_hz) / 2
    until = np.cumsum(rate_hz, axis=1) * (periods_s / N_PHASES)[:, np.newaxis]
    return BeatState(
        periods_s=periods_s,
        prior=prior,
        preference=np.exp(-0.5 * (octaves / LASTING_SPREAD_OCTAVES) ** 2),
        expected=until[:, -1].copy(),
        accented_hz=accented_hz,
        unaccented_hz=unaccented_hz,
        survival=np.exp(-until),
        belief=np.repeat(prior[:, np.newaxis] / N_PHASES, N_PHASES, axis=1),
        scratch=np.zeros((bpm.size, N_PHASES)),
    )


@kernel
def move_on(state: BeatState, elapsed_s: float) -> None:
    """Turn every phase by the time since the last onset, during which there was none."""
    n_tempi = state.periods_s.size
    for i in range(n_tempi):
        turned = elapsed_s / state.periods_s[i] * N_PHASES
        n_whole = int(turned)
        share = turned - n_whole
        n_beats, n_steps = n_whole // N_PHASES, n_whole % N_PHASES
        passed = math.exp(-n_beats * state.expected[i])
        wrapped = math.exp(-state.expected[i])
        for j in range(N_PHASES):
            near, far = j - n_steps, j - n_steps - 1
            near_passed, far_passed = passed, passed
            if near < 0:
                near, near_passed = near + N_PHASES, passed * wrapped
            if far < 0:
                far, far_passed = far + N_PHASES, passed * wrapped
            came = state.belief[i, near] / state.survival[i, near] * near_passed * (1.0 - share)
            came += state.belief[i, far] / state.survival[i, far] * far_passed * share
            state.scratch[i, j] = came * state.survival[i, j]
    changed = min(0.25, TEMPO_CHANGE_HZ * elapsed_s)
    for i in range(n_tempi):
        faster, slower = min(i + 1, n_tempi - 1), max(i - 1, 0)
        for j in range(N_PHASES):
            around = state.scratch[faster, j] + state.scratch[slower, j]
            state.belief[i, j] = (1.0 - 2.0 * changed) * state.scratch[i, j] + changed * around


@kernel
def weigh(state: BeatState, accent: float) -> None:
    """Weigh tempo and phase by an onset that is now, accented to a degree of 0…1."""
    n_tempi = state.periods_s.size
    total = 0.0
    for i in range(n_tempi):
        for j in range(N_PHASES):
            rate_hz = accent * state.accented_hz[i, j] + (1.0 - accent) * state.unaccented_hz[i, j]
            state.belief[i, j] *= rate_hz * state.preference[i]
            total += state.belief[i, j]
    if total == 0.0:  # after a day without an onset nothing is likely
        total = 1.0
        for i in range(n_tempi):
            state.belief[i, :] = state.prior[i] / N_PHASES
    for i in range(n_tempi):
        anew = FORGETTING * state.prior[i] / N_PHASES
        for j in range(N_PHASES):
            state.belief[i, j] = (1.0 - FORGETTING) / total * state.belief[i, j] + anew


@kernel
def lose_phase(state: BeatState) -> None:
    """Keep of tempo and phase, after a silence, half of what is believed of the tempo."""
    for i in range(state.periods_s.size):
        share = 0.0
        for j in range(N_PHASES):
            share += state.belief[i, j]
        for j in range(N_PHASES):
            state.belief[i, j] = 0.5 * (share + state.prior[i]) / N_PHASES


@kernel
def likeliest(state: BeatState) -> tuple[float, float, float]:
    """Return period in seconds, phase 0 … 1 and probability of the likeliest beat."""
    n_tempi = state.periods_s.size
    best, best_i, best_j = -1.0, 0, 0
    for i in range(n_tempi):
        faster, slower = min(i + 1, n_tempi - 1), max(i - 1, 0)
        for j in range(N_PHASES):
            state.scratch[i, j] = (
                state.belief[slower, j] + state.belief[i, j] + state.belief[faster, j]
            )
        for j in range(N_PHASES):
            around = state.scratch[i, j - 1] + state.scratch[i, j]
            around += state.scratch[i, j + 1 - N_PHASES]
            if around > best:
                best, best_i, best_j = around, i, j
    weight, steps, log_period = 0.0, 0.0, 0.0
    for i in range(max(0, best_i - 2), min(n_tempi, best_i + 3)):
        for step in range(-3, 4):
            share = state.belief[i, (best_j + step) % N_PHASES]
            weight += share
            steps += share * step
            log_period += share * math.log(state.periods_s[i])
    phase = (best_j + steps / weight) / N_PHASES % 1.0
    return math.exp(log_period / weight), phase, weight
