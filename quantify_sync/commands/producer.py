"""`producer`: runs it; what starts it by itself is installed beside it."""

from __future__ import annotations

import signal
import threading
from typing import TYPE_CHECKING, Annotated

import typer

from quantify_sync import exits
from quantify_sync.commands.arguments import with_sources
from quantify_sync.commands.look import Json  # noqa: TC001 - Typer evaluates annotations
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
    from collections.abc import Iterable
    from types import FrameType

    from shared.settings import Settings

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
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Only print what would be written and run.")
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer()
    group.callback(invoke_without_command=True)(producer)
    group.command()(install)
    group.command()(remove)
    group.command()(status)
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
    _refuse_no_source(settings)
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


def install(
    *,
    source: Sources = None,
    metrics_port: MetricsPort = None,
    metrics_host: MetricsHost = None,
    log_json: LogJson = False,
    dry_run: DryRun = False,
) -> None:
    """Have the system start the producer: now, at each logon, and when it died.

    A systemd user unit on Linux, a launchd agent on macOS, a scheduled task on Windows.
    It may be given again, to change the options; --config and --data-dir are kept.
    """
    from quantify_sync import output  # noqa: PLC0415 - slow to import
    from quantify_sync.autostart import machine  # noqa: PLC0415 - --help stays fast
    from shared.settings import config_path, load_settings  # noqa: PLC0415 - as above

    settings = load_settings()
    _refuse_no_source(settings)
    with_sources(settings, source or ())
    if "broker" not in settings.model_fields_set:
        raise ConfigurationError(
            "The configuration names no Redis: write its address as `broker` into "
            f"{config_path(settings.data_dir)}."
        )
    options = [word for name in source or () for word in ("--source", name)]
    if metrics_port:
        options += ["--metrics-port", str(metrics_port)]
    if metrics_host:
        options += ["--metrics-host", metrics_host]
    if log_json:
        options.append("--log-json")
    system = machine.this_system()
    config = config_path(settings.data_dir).absolute()
    steps = system.install(machine.make_job(settings, config, options, system=system))
    if dry_run:
        _print_lines(machine.describe(steps))
        return
    machine.carry_out(steps, system=system)
    output.print_line(f"Installed {system.path} and started.", "green")
    output.print_line(machine.when(system))
    output.print_line("How it is: quantify-sync producer status")


def remove(*, dry_run: DryRun = False) -> None:
    """Stop the installed producer, and have it started no more."""
    from pathlib import Path  # noqa: PLC0415 - used here only

    from quantify_sync import output  # noqa: PLC0415 - slow to import
    from quantify_sync.autostart import machine  # noqa: PLC0415 - --help stays fast

    system = machine.this_system()
    if not Path(system.path).exists():
        output.print_line("It is not installed.")
        return
    if dry_run:
        _print_lines(machine.describe(system.remove()))
        return
    machine.carry_out(system.remove(), system=system)
    output.print_line("Stopped and removed; the configuration stays.", "green")


def status(*, json: Json = False) -> None:
    """Tell whether the producer is installed and runs, since when, and its last words.

    Exit code 1 if it does not run.
    """
    from quantify_sync import output  # noqa: PLC0415 - slow to import
    from quantify_sync.autostart import machine  # noqa: PLC0415 - --help stays fast
    from shared.settings import load_settings  # noqa: PLC0415 - as above

    settings = load_settings()
    found = machine.look(settings, system=machine.this_system())
    if json:
        output.print_json(found)
    elif found.path is None:
        output.print_line(
            "The producer is not installed: 'quantify-sync producer install' has the "
            "system start it.",
            "yellow",
        )
    else:
        output.print_line(f"Installed  {found.path}")
        output.print_line(f"Enabled    {'yes' if found.enabled else 'no'}")
        for line in found.told:
            output.print_line(f"System     {line}")
        output.print_line(f"When       {found.when}")
        output.print_line(f"Log        {found.log}")
        for line in found.last_lines:
            output.print_line(f"  {line}")
        if not found.running:
            output.print_line(
                "It does not run: see its last words, mend what they say, then "
                "'quantify-sync producer install' again. 'quantify-sync check' tries "
                "what it needs.",
                "red",
            )
    if not found.running:
        raise typer.Exit(exits.FOUND_WRONG)


def _refuse_no_source(settings: Settings) -> None:
    if not settings.sources:
        raise ConfigurationError(
            "There is nothing to watch: add a source with 'quantify-sync sources add'."
        )


def _print_lines(lines: Iterable[str]) -> None:
    for line in lines:
        typer.echo(line)
