"""What a performance measured, in words and as a table."""

import io
from typing import Any

from rich.console import Console

from realtime.budget import BudgetConfig
from realtime.report import STAGES, Performance
from realtime.report_text import print_report
from tests.realtime.test_report import performance


def printed(report: dict[str, Any]) -> str:
    """Give the table and the counts as a wide terminal shows them."""
    screen = io.StringIO()
    print_report(Console(file=screen, width=120), report, BudgetConfig())
    return screen.getvalue()


def test_a_performance_without_events_is_a_sentence() -> None:
    """And no table of nothing, in which every budget would be kept."""
    assert printed(Performance().as_dict({})) == "No event has been heard.\nNothing was lost.\n"


def test_the_table_holds_each_p99_against_its_budget() -> None:
    """Four milliseconds are more than the oracle's three; two are within MIDI's two."""
    lines = printed(performance().as_dict({})).splitlines()
    rows = {line.split("│")[1].strip(): line for line in lines if line.startswith("│")}
    assert list(rows) == [*STAGES, "event latency", "token age", "heard of the note"]
    assert "4.00" in rows["oracle"]
    assert "exceeded" in rows["oracle"]
    assert "kept" in rows["midi"]
    assert "kept" in rows["event latency"]
    assert "kept" not in rows["token age"]


def test_what_was_not_measured_is_neither_kept_nor_exceeded() -> None:
    """A stage in which no time was taken has a dash."""
    lines = printed(performance().as_dict({})).splitlines()
    (capture,) = (line for line in lines if "capture" in line)
    assert capture.count("–") == 4
    assert "kept" not in capture


def test_the_counts_say_what_became_of_every_event() -> None:
    """In words, with reasons; what was not lost is not named."""
    text = " ".join(printed(performance().as_dict({})).split())
    assert "4 events heard, 3 answered (67% considered), 1 not (1 too late). 99 of 100" in text
    assert (
        "answers came within 31 ms of the note's beginning (of 50), the slowest within 31." in text
    )
    assert "5 notes in all, 0 times unasked." in text
    assert "4 events learned; asked of the memories in vain: register 2, taboo 1." in text
    assert "Lost: 17 samples that were no sound." in text
    assert "below 0" not in text


def test_which_memories_answered_is_said_by_name() -> None:
    """Where there are several; and in which modes."""
    made = performance()
    made.answers_by.update({"1": 2, "2": 1})
    made.modes += ["shadow", "lead"]
    about = {"memories": ["/music/a.memory", "/music/b.memory"]}
    text = " ".join(printed(made.as_dict(about)).split())
    assert "answers: 2 by a.memory, 1 by b.memory; modes: shadow, lead." in text


def test_encoders_that_failed_are_said() -> None:
    """And whether they came back."""
    made = performance()
    made.n_encoder_failures, made.n_encoder_returns = 2, 1
    assert "Encoders failed 2 times and came back 1 times" in printed(made.as_dict({}))


def test_a_clock_that_makes_latencies_negative_is_said() -> None:
    """Counted as 0 they would only look excellent."""
    made = performance()
    made.stages["capture"].record(-1)
    made.event_latency.record(-1)
    assert "2 timings were below 0" in printed(made.as_dict({}))
