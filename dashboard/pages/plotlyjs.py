"""plotly.js as a script, from the package plotly: nothing is fetched from elsewhere.

NiceGUI brings it as a module. A browser keeps what it has compiled of a script, but not
of a module of that size, and compiling takes longer than all the rest of a page
(`bench/web.py first`).
"""

from __future__ import annotations

import gzip
from functools import lru_cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Annotated

from fastapi import Header, Response
from fastapi.responses import FileResponse
from nicegui import ui

from shared.errors import ConfigurationError

if TYPE_CHECKING:
    from fastapi import FastAPI

ADDRESS = f"/plotly/{version('plotly')}/plotly.min.js"
"""Another version has another address: browsers may keep it for good."""
KEPT = {
    "Cache-Control": "private, max-age=31536000, immutable",
    "Vary": "Accept-Encoding",
}
TYPE = "text/javascript"
_PACKING = Lock()
# As a script that a module adds: what the page consists of is drawn before it runs.
_READ = f"""<script type="module">
  const script = document.createElement("script");
  window.plotlyRead = new Promise((there, failed) => {{
    script.onload = () => there(window.Plotly);
    script.onerror = failed;
  }});
  script.src = "{ADDRESS}";
  document.head.append(script);
</script>"""


def add_script(app: FastAPI) -> None:
    """Serve it.

    Raises
    ------
    ConfigurationError
        The package is without it.
    """
    path = _find()

    @app.get(ADDRESS, include_in_schema=False)
    def script(accept_encoding: Annotated[str, Header()] = "") -> Response:
        if "gzip" not in accept_encoding:
            return FileResponse(path, headers=KEPT, media_type=TYPE)
        headers = {**KEPT, "Content-Encoding": "gzip"}
        return Response(_pack(path), headers=headers, media_type=TYPE)


@lru_cache(maxsize=1)
def _packed(path: Path) -> bytes:
    return gzip.compress(path.read_bytes())


def _pack(path: Path) -> bytes:
    with _PACKING:  # once, however many ask at once
        return _packed(path)


def read_early() -> None:
    """Have this page's browser begin to read it: `window.plotlyRead` is its promise."""
    ui.add_body_html(_READ)


def _find() -> Path:
    spec = find_spec("plotly")
    for folder in (spec and spec.submodule_search_locations) or ():
        path = Path(folder) / "package_data" / "plotly.min.js"
        if path.is_file():
            return path
    raise ConfigurationError(
        "The package plotly has no plotly.min.js: install it again with "
        "pip install --force-reinstall plotly"
    )
