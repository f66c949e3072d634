"""`web`: the page in the browser, and the tokens that let people in."""

from __future__ import annotations

from importlib import import_module
from typing import Annotated, Any

import typer

from quantify_sync.commands.look import (
    Json,  # noqa: TC001 - Typer evaluates annotations
)
from shared.errors import ConfigurationError

DASHBOARD = "dashboard.serve"
"""Above this package, so it is found when it is wanted, not imported."""


def register(app: typer.Typer) -> None:
    """Add the commands."""
    web = typer.Typer(invoke_without_command=True)
    web.callback(help=_serve.__doc__)(_serve)
    tokens = typer.Typer(no_args_is_help=True, help="Who may come in, and how.")
    tokens.command("add")(add)
    tokens.command("list")(list_tokens)
    tokens.command("remove")(remove)
    web.add_typer(tokens, name="token")
    app.add_typer(web, name="web")


def _serve(
    context: typer.Context,
    host: Annotated[
        str | None,
        typer.Option(help="Where it listens; 127.0.0.1: on this machine only."),
    ] = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65_535, help="0: any that is free.")
    ] = None,
    *,
    pages: Annotated[
        bool, typer.Option("--pages/--api-only", help="Only what programs ask.")
    ] = True,
) -> None:
    """Serve the page and the HTTP API until Ctrl-C."""
    if context.invoked_subcommand is not None:
        return
    from quantify_sync.page import is_installed  # noqa: PLC0415 - --help stays fast
    from shared.logs import set_up_logging  # noqa: PLC0415 - as above
    from shared.settings import load_settings  # noqa: PLC0415 - as above

    if not is_installed():
        raise ConfigurationError(
            "The page needs more than is installed here: install quantify-sync[web]."
        )
    settings = load_settings()
    set_up_logging(settings)
    dashboard: Any = import_module(DASHBOARD)
    dashboard.serve(
        settings,
        host=settings.web.host if host is None else host,
        port=settings.web.port if port is None else port,
        pages=pages,
        tell=typer.echo,
    )


def add(
    name: Annotated[str, typer.Argument(help="Whose it is; notes are in this name.")],
) -> None:
    """Make a token and print it: it is shown once."""
    from quantify_sync.webtokens import Tokens  # noqa: PLC0415 - --help stays fast
    from shared.settings import load_settings  # noqa: PLC0415 - as above

    token = Tokens(load_settings()).add(name)
    typer.echo(token)
    typer.echo(
        f"Give it to {name}: once in the browser, at /login, or as 'Authorization: "
        "Bearer …'. It is not shown again.",
        err=True,
    )


def list_tokens(*, json: Json = False) -> None:
    """List the tokens: names and dates."""
    from quantify_sync import output  # noqa: PLC0415 - slow to import
    from quantify_sync.webtokens import Tokens  # noqa: PLC0415 - as above
    from shared.settings import load_settings  # noqa: PLC0415 - as above

    tokens = Tokens(load_settings()).list()
    if json:
        for token in tokens:
            output.print_json_line(token)
        return
    if not tokens:
        output.print_line("There is no token: 'quantify-sync web token add NAME'.")
        return
    made = output.table("name", "since")
    for token in tokens:
        since = token.created.astimezone().isoformat(sep=" ", timespec="minutes")
        made.add_row(*map(output.cell, (token.name, since)))
    output.print_table(made)


def remove(name: Annotated[str, typer.Argument(help="Of the token.")]) -> None:
    """Take a token back; who is logged in with it is logged out."""
    from quantify_sync.webtokens import Tokens  # noqa: PLC0415 - --help stays fast
    from shared.settings import load_settings  # noqa: PLC0415 - as above

    Tokens(load_settings()).remove(name)
    typer.echo(f"The token of {name} lets nobody in any more.")
