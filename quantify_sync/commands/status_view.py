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
    """Print how everything stands."""
    if now.broker_answers:
        output.print_line(f"Redis      {now.broker}")
    else:
        where = f"at {now.broker} is away" if now.broker else "is not running"
        output.print_line(
            f"Redis      {where}: nothing is known of producers and queues. Start it, "
            "or 'quantify-sync up'.",
            "yellow",
        )
    output.print_line(f"Store      {now.store}")
    output.print_line(f"Catalogue  {now.catalogue}")
    if now.catalogue_error:
        output.print_line(now.catalogue_error, "red")
    else:
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
    for reason, count in now.refused.items():
        output.print_line(f"Refused {count} message(s): {reason}", "red")


def _counted(states: Mapping[State, int]) -> str:
    return ", ".join(f"{count} {state}" for state, count in states.items()) or "none"


def _print_source(source: SourceStatus, now: Status) -> None:
    output.print_heading(f"{source.name} ({source.set_up}): {source.directory}")
    if not now.catalogue_error:
        output.print_line(f"  datasets: {_counted(source.datasets)}")
    if source.producer is not None:
        _print_producer(source.producer)
    elif now.broker_answers:
        output.print_line(
            "  no producer is heard: start 'quantify-sync producer' on the lab "
            "machine, or 'quantify-sync up'.",
            "red",
        )
    for run in source.runs:
        left = "" if run.left is None else f", {output.duration(run.left)} left"
        output.print_line(
            f"  follows {run.tuid}: {run.filled} of {run.total} points, "
            f"{run.rate:.3g} a second{left}; the last {output.duration(run.age)} ago"
        )
    if source.unfollowed:
        output.print_line(
            f"  no live worker follows {', '.join(source.unfollowed)}: start one with "
            f"'quantify-sync worker --pool threads --queues {source.live_queue}', or "
            "one more if each has its hands full.",
            "yellow",
        )
    for told in source.disagreements:
        output.print_line(
            f"  producer and worker disagree about {told.tuid}: {told.difference}",
            "yellow",
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
    if producer.message:
        output.print_line(f"  {producer.message}", "yellow")
    for line in unsynced_lines(producer):
        output.print_line(f"  {line}", "yellow")
