"""Report text: what a performance measured, for a reader: first in words, then where the time went.

Pure but for the printing; at the end of a performance, and in `realtime.status` during one.
"""

from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from realtime.budget import BudgetConfig

_LOSSES: Final = {
    "dropped_blocks": "blocks of sound, dropped",
    "silenced_samples": "samples that were no sound",
    "refused_records": "records without room",
    "skipped_windows": "windows not embedded",
    "late_tokens": "tokens too late",
    "late_notes": "notes too late",
    "lost_outlets": "MIDI outlets",
}


def print_report(console: Console, report: dict[str, Any], budget: BudgetConfig) -> None:
    """Show what was counted in words and, under it, the latency table of a performance."""
    console.print("\n".join(_words(report, budget)), highlight=False, markup=False)
    if not report["n_events"]:
        return
    is_virtual = report.get("pace") == "free"
    title = (
        "Latency in virtual time, in which only listening takes any" if is_virtual else "Latency"
    )
    table = Table(title=title, title_justify="left")
    for heading in ("", "p50 ms", "p95 ms", "p99 ms", "max ms", "budget ms", ""):
        table.add_column(heading, justify="left" if not heading else "right")
    for stage, budget_ms in budget.stages_ms.items():
        table.add_row(*_row(stage, report["stages"][stage], budget_ms))
    table.add_section()
    table.add_row(*_row("event latency", report["event_latency_ms"], budget.target_ms))
    table.add_row(*_row("token age", report["token_age_ms"], None))
    table.add_row(*_row("heard of the note", report["heard_ms"], None))
    console.print(table)


def _row(name: str, timing: dict[str, float], budget_ms: float | None) -> list[str]:
    """Format one line of the table; the verdict is on p99, and there is none on nothing."""
    if not timing["max"]:
        return [name, *("–" * 4), "" if budget_ms is None else f"{budget_ms:g}", ""]
    cells = [name, *(f"{timing[key]:.2f}" for key in ("p50", "p95", "p99", "max"))]
    if budget_ms is None:
        return [*cells, "", ""]
    verdict = "[green]kept[/]" if timing["p99"] <= budget_ms else "[red]exceeded[/]"
    return [*cells, f"{budget_ms:g}", verdict]


def _words(report: dict[str, Any], budget: BudgetConfig) -> list[str]:
    """Say how many events were answered, how soon and how, what was learned and what was lost."""
    if not report["n_events"]:
        return ["No event has been heard.", *_troubles(report)]
    return [_answers(report, budget), _modes(report), _lessons(report), *_troubles(report)]


def _answers(report: dict[str, Any], budget: BudgetConfig) -> str:
    """Say how many events were answered, and how soon."""
    said = (
        f"{report['n_events']} events heard, {report['n_answers']} answered "
        f"({report['considered_share']:.0%} considered)"
    )
    if unanswered := sum(report["unanswered"].values()):
        reasons = ", ".join(f"{count} {reason}" for reason, count in report["unanswered"].items())
        said += f", {unanswered} not ({reasons})"
    if report["n_answers"]:
        timing = report["event_latency_ms"]
        said += (
            f". 99 of 100 answers came within {timing['p99']:.0f} ms of the note's beginning "
            f"(of {budget.target_ms:g}), the slowest within {timing['max']:.0f}"
        )
    return f"{said}."


def _modes(report: dict[str, Any]) -> str:
    """Say what was played, how, and from which memories."""
    said = f"{report['n_notes']} notes in all, {report['n_played_on']} times unasked"
    by_memory = report["answers_by"].values()
    if len(by_memory) > 1:
        names = [Path(path).name for path in report.get("memories", [])]
        names = names or [f"memory {number}" for number in report["answers_by"]]
        answers = ", ".join(f"{n} by {name}" for n, name in zip(by_memory, names, strict=True))
        said += f"; answers: {answers}"
    if report["modes"]:
        said += f"; modes: {', '.join(report['modes'])}"
    return f"{said}."


def _lessons(report: dict[str, Any]) -> str:
    """Say what was learned, and what the memories had not."""
    said = f"{report['n_learned']} events learned"
    if report["n_learned_without_token"]:
        said += f" ({report['n_learned_without_token']} without a token)"
    if report["relaxed"]:
        relaxed = ", ".join(f"{part} {count}" for part, count in report["relaxed"].items())
        said += f"; asked of the memories in vain: {relaxed}"
    return f"{said}."


def _troubles(report: dict[str, Any]) -> list[str]:
    """Say what was lost, and what else went wrong."""
    lost = [f"{report[name]} {what}" for name, what in _LOSSES.items() if report[name]]
    lines = [f"Lost: {', '.join(lost)}." if lost else "Nothing was lost."]
    if report["xruns"]:
        lines.append(f"The audio system reported {report['xruns']} xruns.")
    lines += [
        f"Warm-up, {step['name']}: {step['state']}. {step['todo']}"
        for step in report["warm_up"]
        if step["state"] != "done"
    ]
    steps = report["hop_steps"]
    if steps["down"]:
        lines.append(
            f"The encoder was late: its hop was stepped down {steps['down']} times and up again "
            f"{steps['up']} times."
        )
    if report["encoder_failures"]:
        lines.append(
            f"Encoders failed {report['encoder_failures']} times and came back "
            f"{report['encoder_returns']} times; meanwhile answers by their memories were reflexes."
        )
    if report["n_negative_timings"]:
        lines.append(
            f"{report['n_negative_timings']} timings were below 0: the clock of the input is wrong."
        )
    return lines
