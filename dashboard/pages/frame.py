"""What all pages have in common: header, colours, keyboard, a plot's look."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from nicegui import html, ui
from nicegui.elements.mixins.text_element import TextElement

from dashboard.pages.plotlyjs import read_early

if TYPE_CHECKING:
    from collections.abc import Iterator

PLACES = {
    "Now": "/",
    "Datasets": "/datasets",
    "Compare": "/compare",
    "Health": "/health",
}
PATIENCE = 30.0
"""Seconds that a catalogue may take to answer a page: it may be busy, or far away."""
MODE = "quantify_sync_mode"
"""Cookie that says "dark" or "light", once somebody has chosen."""
_SWITCH_MODE = f"""() => {{
  const dark = !document.body.classList.contains("body--dark");
  const kept = "; path=/; max-age=31536000; samesite=strict";
  document.cookie = "{MODE}=" + (dark ? "dark" : "light") + kept;
  emit(dark);
}}"""
_LEAVE = """<script>
setInterval(async () => {
  if (window.socket?.connected !== false) return;
  const answer = await fetch(location.href, { method: "HEAD" }).catch(() => null);
  if (answer?.status === 401) location.reload();
}, 2000);
</script>"""
"""Asks for a token where the connection was lost because it was taken back: NiceGUI
would try to connect for ever."""
_STYLE = Path(__file__).with_name("frame.css").read_text("utf-8")

COLOURS = (
    "#2f7fd6",
    "#d9660a",
    "#1d9142",
    "#d63c3c",
    "#9467d8",
    "#9a6b4f",
    "#d1499b",
    "#12929e",
)
"""Of curves; each is told from the grounds of both modes (contrast 3 and more)."""


@contextmanager
def frame(title: str, *, plots: bool = False) -> Iterator[None]:
    """Put a page's content between the header and the end.

    Parameters
    ----------
    title
        Of the page: its heading for screen readers, and the browser's tab.
    plots
        Whether it will draw some: plotly.js is read from the beginning then. It takes
        longer than all the rest.
    """
    ui.page_title(f"{title} · quantify-sync")
    ui.add_head_html(f"<style>{_STYLE}</style>")
    ui.add_body_html('<a class="skip" href="#content">Go to the content</a>')
    if ui.context.client.request.state.session:
        ui.add_body_html(_LEAVE)
    if plots:
        read_early()
    dark = ui.dark_mode(value=_chosen_mode())
    with (
        ui.header().classes("items-center gap-2 px-4 py-2"),
        ui.row().classes("w-full items-center gap-2"),
    ):
        ui.link("quantify-sync", "/").classes("font-bold no-underline")
        with ui.element("nav").props('aria-label="Pages"').classes("flex gap-1"):
            for name, address in PLACES.items():
                link = ui.link(name, address).classes("tab")
                if name == title:
                    link.props('aria-current="page"')
        ui.space()
        # A cookie alone may be that of a server at another port.
        if ui.context.client.request.state.session:
            with html.form(action="/logout", method="post"):
                text("button", "Log out").classes("action").props("type=submit")
        mode = ui.button(icon="contrast")
        mode.props('flat round dense color=none aria-label="Light or dark"')
        # Only the browser knows what mode it shows while nobody has chosen.
        mode.on("click", lambda e: dark.set_value(e.args), js_handler=_SWITCH_MODE)
    # NiceGUI's page around it is the <main>.
    with html.div().props("id=content tabindex=-1").classes("page"):
        yield


def _chosen_mode() -> bool | None:
    """Tell whether this browser's page is dark; None for as its system is."""
    chosen = ui.context.client.request.cookies.get(MODE)
    return {"dark": True, "light": False}.get(chosen or "")


def dataset_address(source: str, tuid: str) -> str:
    """Where a dataset's page is."""
    return f"/datasets/{quote(source)}/{tuid}"


def heading(text: str) -> ui.label:
    """Put a page's heading."""
    label = ui.label(text).classes("text-xl")
    return label.props('role=heading aria-level="1"')


def section(title: str) -> ui.element:
    """Make a part of a page, with a heading; use it in a `with`."""
    made = ui.element("section").classes("sheet p-4 w-full flex flex-col gap-2")
    with made:
        ui.label(title).classes("text-lg font-bold").props(
            'role=heading aria-level="2"'
        )
    return made


def text(tag: str, told: str) -> TextElement:
    """Put text into an element of its own kind, such as a table's cell."""
    return TextElement(tag=tag, text=told)


def layout(**more: Any) -> dict[str, Any]:
    """Give a plot's layout: no ground of its own, so that both modes fit."""
    axis = {
        "gridcolor": "rgba(128,140,152,.25)",
        "zerolinecolor": "rgba(128,140,152,.4)",
        "automargin": True,
    }
    return {
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "colorway": COLOURS,
        # Told from both grounds; its own choice is by a paper that nobody sees.
        "modebar": {
            "bgcolor": "rgba(0,0,0,0)",
            "color": "#768390",
            "activecolor": COLOURS[0],
        },
        "margin": {"l": 50, "r": 10, "t": 10, "b": 40},
        "uirevision": "kept",  # zoom stays while the plot grows
        **more,
        "xaxis": {**axis, **more.get("xaxis", {})},
        "yaxis": {**axis, **more.get("yaxis", {})},
    }
