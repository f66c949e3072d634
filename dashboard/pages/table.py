"""A table of plain texts as one element: hundreds of rows cost a browser little."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from nicegui import ui

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


def table(rows: Iterable[Sequence[str]], *, head: Sequence[str] = ()) -> None:
    """Show texts in rows; the first of each row is its heading.

    Parameters
    ----------
    rows
        Plain text: what looks like HTML is shown as it is.
    head
        Headings of the columns; empty for none.
    """
    ui.html(write_table(rows, head), sanitize=False)  # all of it is escaped


def write_table(rows: Iterable[Sequence[str]], head: Sequence[str]) -> str:
    """Write a `table` as HTML."""
    top = "".join(f'<th scope="col">{escape(one)}</th>' for one in head)
    body = "".join(
        f'<tr><th scope="row">{escape(first)}</th>'
        + "".join(f"<td>{escape(one)}</td>" for one in rest)
        + "</tr>"
        for first, *rest in rows
    )
    heading = f"<thead><tr>{top}</tr></thead>" if top else ""
    return f'<table class="settings">{heading}<tbody>{body}</tbody></table>'
