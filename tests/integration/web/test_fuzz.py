"""The API against its own OpenAPI document, with whatever schemathesis thinks of."""

from __future__ import annotations

import json
import re

import pytest
import schemathesis
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from dashboard.app import make_api
from dashboard.house import House

TUIDS = ["20260302-015602-771-e40978", "20260302-143804-757-20c944"]
NONE: dict = {"type": "array", "maxItems": 0}
KNOWN = {
    ("path", "key"): {"enum": [*TUIDS, "20260101-000000-000-abcdef", "\x00 ü"]},
    ("query", "other"): {"enum": TUIDS},
    ("query", "source"): {"enum": ["fridge", "nowhere"]},
    ("query", "variable"): NONE,
    ("query", "cut"): NONE,
    ("query", "within"): NONE,
}
"""Values that there are: of what schemathesis thinks of, none is."""
EXAMPLES = 30  # of each route and mode: some 10 s in all
CHECKS = (
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
)
ENDLESS = ("/live/events", "/live/curves")  # streams; a run's own ends without a run


class LocalUser:
    """What the guard does on loopback."""

    def __init__(self, app):
        self.app = app

    async def __call__(self, scope, receive, send):
        scope.setdefault("state", {})["user"] = "fuzz"
        await self.app(scope, receive, send)


@pytest.fixture
def schema(stored, settings):
    """The API's document, which also names datasets that there are."""
    with House(settings) as house:
        api = make_api(house)
        made = api.openapi()
        for path in ENDLESS:
            del made["paths"][path]
        for route in made["paths"].values():
            for operation in route.values():
                for one in operation.get("parameters", ()):
                    where = one["in"], one["name"]
                    one["schema"] = KNOWN.get(where, one["schema"])
        made["servers"] = [{"url": "http://127.0.0.1"}]
        api.openapi = lambda: made
        yield schemathesis.openapi.from_asgi("/openapi.json", LocalUser(api))


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
def fuzz(operation, mode):
    """Ask one route; gives the statuses of the answers, none if there is nothing to."""
    statuses = set()

    @given(case=operation.as_strategy(generation_mode=mode))
    @hypothesis_settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    def ask(case):
        answer = case.call_and_validate(checks=list(CHECKS))
        statuses.add(answer.status_code)

    try:
        ask()
    except Unsatisfiable:
        assert mode is GenerationMode.NEGATIVE  # no parameter: nothing to be wrong
    return statuses


def test_the_document_has_all_it_refers_to_tells_problems_and_how_to_come_in(client):
    document = client.get("openapi.json").json()
    schemas = {
        f"#/components/schemas/{name}" for name in document["components"]["schemas"]
    }
    assert (
        set(re.findall(r'#/components/schemas/[^"]+', json.dumps(document))) <= schemas
    )
    for path, route in document["paths"].items():
        for operation in route.values():
            assert {"404", "422", "503"} <= operation["responses"].keys(), path
    assert document["components"]["securitySchemes"]["token"]["scheme"] == "bearer"
    assert document["security"] == [{"token": []}, {}]


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
def test_every_answer_is_one_that_the_document_tells(schema, mode):
    operations = [operation.ok() for operation in schema.get_all_operations()]
    answers = {one.label: fuzz(one, mode) for one in operations}
    assert len(answers) >= 12
    if mode is GenerationMode.POSITIVE:
        assert 200 in answers["GET /datasets"]
        assert answers["GET /datasets/{key}/data"] >= {200, 404}
        assert 200 in answers["PATCH /datasets/{key}/notes"]
    else:
        assert 422 in answers["PATCH /datasets/{key}/notes"]
