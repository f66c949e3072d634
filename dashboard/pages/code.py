"""Lines that one types elsewhere, with a button that copies them."""

from __future__ import annotations

from nicegui import html, ui

from dashboard.pages.frame import text

TOLD = 3.0
"""Seconds for which the button says that it has copied."""
# Over plain HTTP a browser gives a page no clipboard: what is selected is copied then.
_COPY = """() => {
  const shown = document.getElementById("%s");
  getSelection().selectAllChildren(shown);
  if (navigator.clipboard) navigator.clipboard.writeText(shown.textContent);
  else document.execCommand("copy");
}"""


def code(lines: str, *, what: str = "the command") -> None:
    """Show lines to copy.

    Parameters
    ----------
    lines
        Shown and copied as they are.
    what
        They are, for those who cannot see it: "Copy …".
    """
    with html.div().classes("code"):
        shown = text("pre", lines).props("tabindex=0")  # it scrolls by the keyboard
        shown.props["aria-label"] = what
        button = ui.button("Copy").props("flat dense no-caps aria-live=polite")
        button.props["aria-label"] = f"Copy {what}"

    def tell() -> None:
        button.set_text("Copied")
        ui.timer(TOLD, lambda: button.set_text("Copy"), once=True)

    button.on("click", js_handler=_COPY % shown.html_id)
    button.on("click", tell)


def teach(told: str, command: str) -> None:
    """Say why there is nothing, and the command that helps."""
    ui.label(told).classes("text-lg")
    code(command)
