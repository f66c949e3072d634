"""`producer`: runs it; what starts it by itself is installed beside it."""

from __future__ import annotations

import signal
import threading
from typing import TYPE_CHECKING, Annotated

import typer

from quantify_sync.commands.arguments import with_sources
from quantify_sync.commands.options import (
    LogFile,
    LogJson,
    MetricsHost,
    MetricsPort,
    wish_logs,
    wish_metrics,
)
from shared.errors import ConfigurationError

if TYPE_CHECKING:
    from types import FrameType

JOIN_SECONDS = 0.5  # Ctrl-C is noticed so late where joins can't be interrupted

Sources = Annotated[
    list[str] | None,
    typer.Option(
        "--source",
        help="Watch this source only; may be given several times. By default all "
        "that the configuration lists.",
        show_default=False,
    ),
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer()
    group.callback(invoke_without_command=True)(producer)
    app.add_typer(group, name="producer")


def producer(
    context: typer.Context,
    *,
    source: Sources = None,
    metrics_port: MetricsPort = None,
    metrics_host: MetricsHost = None,
    log_file: LogFile = None,
    log_json: LogJson = False,
) -> None:
    """Run the producer alone: it watches the sources and announces what changes."""
    from producer.service import run_producer  # noqa: PLC0415 - --help stays fast
    from shared.logs import set_up_logging  # noqa: PLC0415 - as above
    from shared.settings import load_settings  # noqa: PLC0415 - as above

    if context.invoked_subcommand:
        return
    wish_metrics(metrics_port, metrics_host)
    wish_logs(log_file, log_json=log_json)
    settings = load_settings()
    set_up_logging(settings)
    if not settings.sources:
        raise ConfigurationError(
            "There is nothing to watch: add a source with 'quantify-sync sources add'."
        )
    settings = with_sources(settings, source or ())
    stop = threading.Event()

    def ask_to_stop(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, ask_to_stop)
    signal.signal(signal.SIGINT, ask_to_stop)
    # Not in this thread: on Windows, only what wakes up now and then hears Ctrl-C.
    thread = threading.Thread(
        target=run_producer, args=(settings,), kwargs={"stop": stop}
    )
    thread.start()
    while thread.is_alive():
        thread.join(JOIN_SECONDS)
