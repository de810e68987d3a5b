"""Report: what one performance measured, kept while it plays and shown at its end.

Written on the loop thread only; the heartbeat, the board and `realtime.report_text` read it.
Writing costs an integer addition or one histogram bucket, and nothing is ever dropped: every event
ends as one answer or as one counted reason.
"""

import json
import os
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

import structlog

from models.terminal import Terminal
from realtime.budget import BudgetConfig
from realtime.errors import LiveError
from realtime.histogram import Histogram
from realtime.input_level import ZEROS_DBFS
from realtime.report_text import print_report
from realtime.warm_up import WarmUp

_log = structlog.get_logger()

STAGES: Final = tuple(BudgetConfig().stages_ms)


class ReportError(LiveError):
    """Raised when what was measured cannot be written."""


@dataclass(slots=True, kw_only=True)
class Performance:
    """Counters and histograms of one performance. Loop thread only.

    Attributes
    ----------
    event_latency
        From the ADC time of the onset's first frame to the note-on handed to the port.
    token_age
        At that moment, how old the newest frame is that the token in use has seen.
    heard
        How much of the new note the token in use contains.
    unanswered
        Events that got no note, by reason.
    answers_by
        Answers of each memory, by its number from 1.
    relaxed
        Answers for which a part of the request had to be given up, by that part.
    modes
        The modes it was in, one after the other.
    warm_up
        What was done before the first note, and what could not be.
    n_played_on
        Times it played on unasked: what it plays in the player's pauses, and where it leads.
    input_dbfs
        Peak of the input's last second, `ZEROS_DBFS` where every sample was 0.
    """

    event_latency: Histogram = field(default_factory=Histogram)
    token_age: Histogram = field(default_factory=Histogram)
    heard: Histogram = field(default_factory=Histogram)
    stages: dict[str, Histogram] = field(
        default_factory=lambda: {stage: Histogram() for stage in STAGES}
    )
    unanswered: Counter[str] = field(default_factory=Counter)
    answers_by: Counter[str] = field(default_factory=Counter)
    relaxed: Counter[str] = field(default_factory=Counter)
    modes: list[str] = field(default_factory=list)
    warm_up: WarmUp = field(default_factory=WarmUp)
    n_events: int = 0
    n_answers: int = 0
    n_considered: int = 0
    n_notes: int = 0
    n_played_on: int = 0
    n_learned: int = 0
    n_learned_without_token: int = 0
    late_notes: int = 0
    late_tokens: int = 0
    skipped_windows: int = 0
    n_encoder_failures: int = 0
    n_encoder_returns: int = 0
    n_hop_down: int = 0
    n_hop_up: int = 0
    xruns: int = 0
    dropped_blocks: int = 0
    silenced_samples: int = 0
    refused_records: int = 0
    lost_outlets: int = 0
    input_dbfs: int = ZEROS_DBFS

    @property
    def n_negative_timings(self) -> int:
        """Latencies below 0, which only a wrong clock gives."""
        return self.event_latency.n_negative + sum(t.n_negative for t in self.stages.values())

    @property
    def considered_share(self) -> float:
        """Share of the answers whose token had heard enough of the note, 0 to 1."""
        return self.n_considered / self.n_answers if self.n_answers else 0.0

    def as_dict(self, about: dict[str, Any]) -> dict[str, Any]:
        """Return the numbers as ``--report`` writes them; `about` names what was played."""
        return {
            **about,
            "event_latency_ms": self.event_latency.summary_ms(),
            "token_age_ms": self.token_age.summary_ms(),
            "heard_ms": self.heard.summary_ms(),
            "considered_share": round(self.considered_share, 4),
            "stages": {stage: timing.summary_ms() for stage, timing in self.stages.items()},
            "n_events": self.n_events,
            "n_answers": self.n_answers,
            "answers_by": dict(self.answers_by),
            "n_notes": self.n_notes,
            "n_played_on": self.n_played_on,
            "n_learned": self.n_learned,
            "n_learned_without_token": self.n_learned_without_token,
            "unanswered": dict(sorted((+self.unanswered).items())),
            "relaxed": dict(sorted(self.relaxed.items())),
            "modes": list(self.modes),
            "warm_up": [asdict(step) for step in self.warm_up.steps],
            "xruns": self.xruns,
            "dropped_blocks": self.dropped_blocks,
            "silenced_samples": self.silenced_samples,
            "refused_records": self.refused_records,
            "skipped_windows": self.skipped_windows,
            "encoder_failures": self.n_encoder_failures,
            "encoder_returns": self.n_encoder_returns,
            "hop_steps": {"down": self.n_hop_down, "up": self.n_hop_up},
            "late_notes": self.late_notes,
            "late_tokens": self.late_tokens,
            "lost_outlets": self.lost_outlets,
            "n_negative_timings": self.n_negative_timings,
        }


@dataclass(frozen=True, slots=True)
class Reporter:
    """Shows what was measured, and writes it to a file if there is one to write to.

    Attributes
    ----------
    about
        What was played, for the report to name.
    path
        Where the numbers go as JSON; None for nowhere.
    is_headless
        Whether they are shown as a log line in place of a table.
    """

    about: dict[str, Any]
    budget: BudgetConfig
    path: Path | None
    is_headless: bool

    def show(self, performance: Performance) -> None:
        """Say what was measured, however the performance ended."""
        report = performance.as_dict(self.about)
        if self.is_headless:
            _log.info("perform.ended", **report)
        else:
            print_report(Terminal(), report, self.budget)

    def write(self, performance: Performance) -> None:
        """Write what was measured, if there is a file to write to.

        Raises
        ------
        ReportError
            It could not be written.
        """
        if self.path is not None:
            write_report(self.path, performance.as_dict(self.about))


def write_report(path: Path, report: dict[str, Any]) -> None:
    """Write the report as JSON, whole or not at all.

    Raises
    ------
    ReportError
        It could not be written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
        temporary.replace(path)
    except OSError as error:
        raise ReportError(
            f"The report could not be written to {path} ({error.strerror}): free some space or "
            "choose another --report."
        ) from None
    finally:
        temporary.unlink(missing_ok=True)
