"""Put the server together: the API, the pages, and the guard around both."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from fastapi import FastAPI
from fastapi_offline import FastAPIOffline

from dashboard.access import Guard, make_rules
from dashboard.api import curves, datasets, files, health, live
from dashboard.house import THREADS, House
from dashboard.problems import Problem, tell_problems
from quantify_sync.webtokens import Tokens
from shared.version import installed_version

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from typing import Any

    from shared.settings import Settings

API = "/api/v1"


def make_api(house: House) -> FastAPI:
    """Make the application that programs ask; it has its own documentation."""
    api: FastAPI = FastAPIOffline(
        title="quantify-sync",
        version=installed_version(),
        description="Datasets, running measurements and how everything stands.",
        docs_url="/docs",
        redoc_url=None,
        static_url="/docs-files",
    )
    for module in (files, datasets, health):  # what catches the rest comes last
        api.include_router(module.make_router(house))
    api.include_router(curves.make_router(house.hub))
    api.include_router(live.make_router(house))
    tell_problems(api)
    made = api.openapi

    def openapi() -> dict[str, Any]:
        schema = made()
        schemas = schema.setdefault("components", {}).setdefault("schemas", {})
        # On loopback, and behind a proxy that logs people in, none is needed.
        schema["components"]["securitySchemes"] = {
            "token": {"type": "http", "scheme": "bearer"}
        }
        schema["security"] = [{"token": []}, {}]
        schemas.setdefault(
            "Problem",
            Problem.model_json_schema(ref_template="#/components/schemas/{model}"),
        )
        for name, part in schemas["Problem"].pop("$defs", {}).items():
            schemas.setdefault(name, part)
        for unused in ("HTTPValidationError", "ValidationError"):
            schemas.pop(unused, None)
        return schema

    api.openapi = openapi  # type: ignore[method-assign] # as FastAPI's manual does it
    return api


def make_app(settings: Settings, *, host: str, pages: bool = True) -> Guard:
    """Make the whole application, for a server that listens at `host`.

    Parameters
    ----------
    settings
        The configuration.
    host
        Where it will listen: on loopback it is open.
    pages
        Whether there are pages, or the API only.

    Raises
    ------
    ConfigurationError
        The catalogue is of a newer version, or the tokens can't be read.
    CatalogueUnavailableError
        The catalogue does not answer.
    """
    house = House(settings)
    house.prepare()
    tokens = Tokens(settings)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        pool = ThreadPoolExecutor(THREADS, thread_name_prefix="page")
        asyncio.get_running_loop().set_default_executor(pool)  # the loop ends it
        with house:
            yield

    app = FastAPI(
        title="quantify-sync",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
    )
    app.mount(API, make_api(house))
    if pages:
        from dashboard.pages import add_pages  # noqa: PLC0415 - NiceGUI is slow to import

        add_pages(app, house)
    return Guard(app, make_rules(settings.web, host), tokens)
