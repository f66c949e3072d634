"""The command line: what all commands have in common."""

from __future__ import annotations

import os
from pathlib import Path  # noqa: TC003 - Typer evaluates annotations
from typing import TYPE_CHECKING, Annotated, Any

from quantify_sync import exits

try:
    import typer
    from typer.core import TyperGroup

    from quantify_sync.commands import (
        look,
        mend,
        pausing,
        producer,
        run,
        sources,
        watch,
        web,
        worker,
    )
    from quantify_sync.extras import advise
    from shared.errors import QuantifySyncError
    from shared.version import installed_version
except KeyboardInterrupt:
    # They take most of the time before a command begins, and Ctrl-C is no defect.
    raise SystemExit(exits.INTERRUPTED) from None

if TYPE_CHECKING:
    from collections.abc import Sequence

_EVERYWHERE = ("--config", "--data-dir")
_EPILOG = f"""
[bold]Examples[/bold]

quantify-sync up ~/quantify-data --set-up dilution_fridge_1

quantify-sync ls --tag T1 --since "2 days"

quantify-sync get 20260302-015602-771-e40978

quantify-sync status

[bold]Exit codes[/bold]

{exits.OK} done; {exits.FOUND_WRONG} done, but something is wrong (a dataset failed, an
object is damaged, a check complains); {exits.USAGE} wrong options; {exits.REFUSED}
refused until somebody changes something; {exits.UNAVAILABLE} a service or drive does
not answer; {exits.INTERRUPTED} stopped by Ctrl-C.
"""


class _Commands(TyperGroup):
    """The commands, with one way to tell of errors."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Let `--config` and `--data-dir` stand behind the command as well."""
        return super().parse_args(ctx, _common_first(args))

    def invoke(self, ctx: Any) -> Any:
        """Run a command; an expected error is one line and an exit code."""
        try:
            return super().invoke(ctx)
        except QuantifySyncError as error:
            _complain(str(error))
            raise typer.Exit(exits.exit_code(error)) from None
        except ModuleNotFoundError as error:
            if (advice := advise(error)) is None:
                raise
            _complain(advice)
            raise typer.Exit(exits.REFUSED) from None
        except KeyboardInterrupt:
            raise typer.Exit(exits.INTERRUPTED) from None


def _common_first(args: Sequence[str]) -> list[str]:
    first: list[str] = []
    others: list[str] = []
    rest = iter(args)
    for arg in rest:
        if arg == "--":
            others += [arg, *rest]
        elif arg in _EVERYWHERE:
            value = next(rest, "-")
            # It would take the next option, or the command, for its value.
            if value.startswith("-"):
                raise typer.BadParameter(f"{arg} needs a value")
            first += [arg, value]
        elif arg.startswith(tuple(f"{option}=" for option in _EVERYWHERE)):
            first.append(arg)
        else:
            others.append(arg)
    return first + others


def _complain(message: str) -> None:
    from rich.console import Console  # noqa: PLC0415 - slow to import

    Console(stderr=True, soft_wrap=True).print(
        message, style="red", markup=False, highlight=False
    )


def _show_version(wanted: bool) -> None:  # noqa: FBT001 - Typer calls it so
    if wanted:
        typer.echo(installed_version())
        raise typer.Exit


app = typer.Typer(
    name="quantify-sync",
    cls=_Commands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    epilog=_EPILOG,
)


@app.callback()
def _common(
    *,
    config: Annotated[
        Path | None,
        typer.Option(
            help="Configuration file; else QUANTIFY_SYNC_CONFIG, else "
            "quantify-sync.toml in the data directory."
        ),
    ] = None,
    data_dir: Annotated[
        Path | None,
        typer.Option(
            help="Where store, catalogue, configuration and logs are; else "
            "QUANTIFY_SYNC_DATA_DIR, else the platform's place for a user's data."
        ),
    ] = None,
    version: Annotated[  # noqa: ARG001 - handled by its callback
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="Tell it and end."
        ),
    ] = False,
) -> None:
    """Get Quantify's measurements into one store and one catalogue, as they run."""
    # Every part, child processes included, reads these two from the environment.
    for variable, path in (
        ("QUANTIFY_SYNC_CONFIG", config),
        ("QUANTIFY_SYNC_DATA_DIR", data_dir),
    ):
        if path is not None:
            os.environ[variable] = str(path.expanduser().absolute())


for _module in (run, producer, worker, pausing, watch, web, look, mend, sources):
    _module.register(app)


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command line.

    Parameters
    ----------
    argv
        Arguments without the program's name; by default the process's own.

    Raises
    ------
    SystemExit
        Always; the codes are told in `quantify_sync.exits`.
    """
    try:
        app(args=None if argv is None else list(argv), prog_name="quantify-sync")
    except KeyboardInterrupt:
        raise SystemExit(exits.INTERRUPTED) from None
