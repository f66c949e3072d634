"""`worker`: one worker alone, of the pool or of a lab machine."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated

import typer

from quantify_sync.commands.arguments import with_sources
from quantify_sync.commands.options import (
    PREFIX,
    LogFile,
    LogJson,
    MetricsHost,
    MetricsPort,
    wish_logs,
    wish_metrics,
)
from shared.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shared.settings import Settings
    from shared.sources import Source

POOLS = ("prefork", "threads", "solo")
EDGE_THREADS = 8
"""Of a worker on a lab machine, for each source: some follow runs for hours, and what
was measured meanwhile is stored beside them. Threads share one core, or little more."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(worker)


def worker(
    *,
    source: Annotated[
        list[str] | None,
        typer.Option(
            help="On a lab machine: serve the queues of this source alone, which "
            "has a `queue` of its own; may be given several times. The pool needs no "
            "access to its files then. What is to be done is decided by the pool's "
            "worker for the queue 'events'.",
            show_default=False,
        ),
    ] = None,
    queues: Annotated[
        str | None,
        typer.Option(
            help="Queues that it serves, with commas between them; by default those "
            "of all sources without a `queue`, the live one only with --pool threads.",
            show_default=False,
        ),
    ] = None,
    pool: Annotated[
        str | None,
        typer.Option(
            help="prefork, threads or solo (see Celery's manual); by default prefork, "
            "but threads on Windows and with --source.",
            show_default=False,
        ),
    ] = None,
    concurrency: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Tasks at a time; by default one a core, with --source "
            f"{EDGE_THREADS} a source.",
            show_default=False,
        ),
    ] = None,
    max_rate: Annotated[
        str | None,
        typer.Option(
            help="Bytes a second that it sends to the store at most, all its "
            "processes together: '5 MB', '500 kB'.",
            show_default=False,
        ),
    ] = None,
    name: Annotated[
        str, typer.Option(help="Different for each worker of a machine.")
    ] = "worker",
    metrics_port: MetricsPort = None,
    metrics_host: MetricsHost = None,
    log_file: LogFile = None,
    log_json: LogJson = False,
) -> None:
    """Run a worker alone: of the pool, or with --source one of a lab machine's own."""
    from shared.settings import load_settings  # noqa: PLC0415 - --help stays fast

    if source and queues is not None:
        raise typer.BadParameter(
            "the queues of a --source are known: leave --queues out",
            param_hint="--queues",
        )
    if pool is None:
        pool = "threads" if source or os.name == "nt" else "prefork"
    elif pool not in POOLS:
        raise typer.BadParameter(
            f"there is no pool {pool!r}: there are {', '.join(POOLS)}",
            param_hint="--pool",
        )
    wish_metrics(metrics_port, metrics_host)
    wish_logs(log_file, log_json=log_json)
    if max_rate is not None:
        os.environ[f"{PREFIX}MAX_RATE"] = max_rate  # its processes read it, too
    settings = load_settings()
    if source:
        wanted = _own_queues(settings, source)
        if concurrency is None and pool == "threads":
            concurrency = EDGE_THREADS * len(source)
    else:
        wanted = _pool_queues(settings, queues, pool)
    from workers.app import app  # noqa: PLC0415 - extra [worker]

    arguments = ["worker", "--hostname", f"{name}@%h", "--pool", pool]
    arguments += ["--loglevel", "INFO", "--without-gossip", "--without-mingle"]
    arguments += ["--queues", ",".join(wanted)]
    if concurrency:
        arguments += ["--concurrency", str(concurrency)]
    app.worker_main(arguments)


def _own_queues(settings: Settings, names: Sequence[str]) -> list[str]:
    """Name the queues that sources have for themselves."""
    from shared.queues import own_names  # noqa: PLC0415 - --help stays fast

    chosen = with_sources(settings, names).sources
    for source in chosen:
        if source.queue is None:
            raise ConfigurationError(
                f"Source {source.name!r} has no queue of its own, so the pool takes "
                f'its tasks: write `queue = "{_suffix(source)}"` into its '
                "[[sources]] table, on this machine and where the pool's workers "
                "run, and restart those."
            )
        for other in settings.sources:
            if other.queue == source.queue and other not in chosen:
                raise ConfigurationError(
                    f"The sources {source.name!r} and {other.name!r} share the queue "
                    f"{source.queue!r}: name both by --source, or give each a `queue` "
                    "of its own, here and where the pool's workers run."
                )
    return [
        name
        for suffix in dict.fromkeys(source.queue for source in chosen)
        for name in own_names(suffix)
    ]


def _suffix(source: Source) -> str:
    return source.name.replace(".", "_")  # a queue's own name has the dots


def _pool_queues(settings: Settings, named: str | None, pool: str) -> list[str]:
    """Name the queues of a worker of the pool."""
    from shared import queues  # noqa: PLC0415 - --help stays fast

    if named is None:
        # A follower stays for hours, where an upload is waited for.
        return [q for q in queues.ALL_QUEUES if q != queues.LIVE or pool == "threads"]
    known = queues.all_names(source.queue for source in settings.sources)
    wanted = [name.strip() for name in named.split(",")]
    if unknown := [name for name in wanted if name not in known]:
        raise typer.BadParameter(
            f"the configuration knows no queue {unknown[0]!r}: it knows "
            f"{', '.join(known)}",
            param_hint="--queues",
        )
    return wanted
