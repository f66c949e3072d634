"""How `status` is shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from quantify_sync import output
from quantify_sync.unsynced import unsynced_lines

if TYPE_CHECKING:
    from collections.abc import Mapping

    from quantify_sync.status import ProducerStatus, SourceStatus, Status
    from shared.catalogue.records import State


def print_status(now: Status) -> None:
    """Print how everything stands: first what is wrong, with what mends it."""
    _print_troubles(now)
    output.print_line(f"Redis      {now.broker if now.broker_answers else 'away'}")
    output.print_line(f"Store      {now.store}")
    output.print_line(f"Catalogue  {now.catalogue}")
    if not now.catalogue_error:
        output.print_line(
            f"Datasets   {_counted(now.states)}; {now.with_defects} with defects"
        )
    if now.queues:
        waiting = ", ".join(f"{name} {count}" for name, count in now.queues.items())
        output.print_line(f"Queues     {waiting}; taken {now.unacknowledged}")
    for source in now.sources:
        _print_source(source, now)
    if now.failures:
        made = output.table("dataset", "reason", "do")
        for failure in now.failures:
            made.add_row(
                output.cell(failure.tuid),
                output.cell(failure.reason, "red"),
                output.cell(failure.command),
            )
        output.print_heading("Failed")
        output.print_table(made)


def _print_troubles(now: Status) -> None:
    number = len(now.troubles)
    if not number:
        output.print_line("All is well.", "green")
    elif number == 1:
        output.print_line("1 thing is wrong:", "bold red")
    else:
        output.print_line(f"{number} things are wrong, the worst first:", "bold red")
    for trouble in now.troubles:
        output.print_line(f"  {trouble.what}", "red")
        output.print_line(f"    {trouble.remedy}")
    output.print_line("")


def _counted(states: Mapping[State, int]) -> str:
    return ", ".join(f"{count} {state}" for state, count in states.items()) or "none"


def _print_source(source: SourceStatus, now: Status) -> None:
    output.print_heading(f"{source.name} ({source.set_up}): {source.directory}")
    if source.paused:
        output.print_line(f"  {source.paused.told(source.name)}", "yellow")
    if not now.catalogue_error:
        output.print_line(f"  datasets: {_counted(source.datasets)}")
    if source.producer is not None:
        _print_producer(source.producer)
    for run in source.runs:
        left = "" if run.left is None else f", {output.duration(run.left)} left"
        output.print_line(
            f"  follows {run.tuid}: {run.filled} of {run.total} points, "
            f"{run.rate:.3g} a second{left}; the last {output.duration(run.age)} ago"
        )


def _print_producer(producer: ProducerStatus) -> None:
    output.print_line(
        f"  producer: {producer.host}, version {producer.version}, heard "
        f"{output.duration(producer.age)} ago, clock {producer.clock_offset:+.1f} s"
    )
    waiting = producer.waiting
    since = "" if waiting is None else f", the oldest for {output.duration(waiting)}"
    output.print_line(
        f"  sees {producer.datasets} datasets: {producer.unanswered} without an "
        f"answer{since}, {producer.live} written in the last 2 min"
    )
    for line in unsynced_lines(producer):
        output.print_line(f"  {line}", "yellow")
