"""plotly.js, as a page's browser reads it."""

from __future__ import annotations

import re

import pytest

from dashboard.pages.plotlyjs import ADDRESS

pytestmark = pytest.mark.usefixtures("stored")


def test_a_page_reads_plotly_from_this_server_packed_or_not(visit):
    async def look(user):
        page = (await user.http_client.get("/")).text
        assert re.search(r'script\.src = "([^"]+)"', page)[1] == ADDRESS
        packed = await user.http_client.get(ADDRESS)
        assert packed.headers["content-encoding"] == "gzip"
        assert "immutable" in packed.headers["cache-control"]
        plain = await user.http_client.get(
            ADDRESS, headers={"Accept-Encoding": "identity"}
        )
        assert "content-encoding" not in plain.headers
        assert packed.content == plain.content
        assert b"plotly.js v" in plain.content
        assert {packed.headers["vary"], plain.headers["vary"]} == {"Accept-Encoding"}

    visit(look)
