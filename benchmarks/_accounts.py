"""Accounts: what the referee and the program say of the same answers, one by one.

A performance hears notes where nobody played one (a tone's decay that swells, a chord that clashes)
and answers them; the referee has no onset for those. To hold its distribution against that of
everything the program answered would compare different things, so each of the referee's answers is
paired with the program's own note of it, and what has no pair is told apart.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from realtime.monotonic import NS_PER_S
from realtime.session import read_session

NS_PER_MS: Final = NS_PER_S // 1000
_LONGEST_WAY_NS: Final = 20 * NS_PER_MS
"""From the port to the referee it takes a JACK cycle, or a few where the server was late."""

Percentiles = dict[str, float]


@dataclass(frozen=True, slots=True)
class Account:
    """What the program says of its own answers, in the order they were sent.

    Attributes
    ----------
    sent_ns
        [shape=(n,), int64] Monotonic.
    late_ms
        [shape=(n,), float64] Its event latency.
    """

    sent_ns: NDArray[np.int64]
    late_ms: NDArray[np.float64]

    def paired(self, received_ns: NDArray[np.int64]) -> NDArray[np.int64]:
        """Give the place here of the answer that was received at each time; -1 for none.

        It is the newest that had been sent by then.
        """
        places = np.searchsorted(self.sent_ns, received_ns, side="right") - 1
        ways_ns = received_ns - self.sent_ns[places] if self.sent_ns.size else received_ns
        return np.where((places >= 0) & (ways_ns <= _LONGEST_WAY_NS), places, -1)


def read_account(folder: Path) -> Account:
    """Read what the newest performance recorded in a folder says of its answers."""
    session = read_session(folder)
    onset_ns = {line["attack"]["index"]: line["onset_ns"] for line in session.of_kind("attack")}
    answers = [line for line in session.of_kind("answer") if line["notes"]]
    sent_ns = np.array([line["sent_ns"] for line in answers], np.int64)
    onsets_ns = np.array([onset_ns[line["index"]] for line in answers], np.int64)
    return Account(sent_ns, (sent_ns - onsets_ns) / NS_PER_MS)


def compare(
    account: Account, seen_ms: NDArray[np.float64], received_ns: NDArray[np.int64]
) -> dict[str, Any]:
    """Hold the referee's answers against the program's account of them.

    Parameters
    ----------
    seen_ms, received_ns
        [shape=(n,)] Each answer's latency as the referee saw it, and when it received it.

    Returns
    -------
    dict
        Of the answers in both accounts ``n_paired`` and their ``seen_ms`` and ``reported_ms``; of
        the answers that nobody played to, ``n_untold`` and their ``untold_ms``.
    """
    places = account.paired(received_ns)
    is_paired = places >= 0
    own_ms = account.late_ms[places[is_paired]]
    untold_ms = np.delete(account.late_ms, places[is_paired])
    return {
        "n_paired": int(is_paired.sum()),
        "seen_ms": percentiles(seen_ms[is_paired]),
        "reported_ms": percentiles(own_ms),
        "apart_ms": percentiles(np.abs(seen_ms[is_paired] - own_ms)),
        "n_untold": int(untold_ms.size),
        "untold_ms": percentiles(untold_ms),
    }


def disagreement_ms(compared: dict[str, Any]) -> float:
    """Give how far the two are apart at p50 or p99, whichever is more."""
    seen, reported = compared["seen_ms"], compared["reported_ms"]
    return max(float(abs(seen[key] - reported[key])) for key in ("p50", "p99"))


def percentiles(values_ms: NDArray[np.float64]) -> Percentiles:
    """Give p50, p95, p99 and the largest; NaNs are left out."""
    known = values_ms[~np.isnan(values_ms)]
    if not known.size:
        return dict.fromkeys(("p50", "p95", "p99", "max"), float("nan"))
    p50, p95, p99, largest = np.percentile(known, [50, 95, 99, 100]).tolist()
    return {"p50": p50, "p95": p95, "p99": p99, "max": largest}
