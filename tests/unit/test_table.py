"""A table as one element: texts stay texts."""

from __future__ import annotations

from html.parser import HTMLParser

from dashboard.pages.table import write_table

ODD = ("<script>alert(1)</script>", "a & b", "\"quoted'", "</td><td>", "")


class Reader(HTMLParser):
    """What a browser makes of it: tags, and the text of each cell."""

    def __init__(self, content):
        super().__init__()
        self.tags, self.cells = set(), []
        self.feed(content)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        if tag in {"th", "td"}:
            self.cells.append("")

    def handle_data(self, data):
        self.cells[-1] += data


def test_what_looks_like_html_is_shown_as_it_is():
    read = Reader(write_table([ODD, ODD], ODD))
    assert read.tags == {"table", "thead", "tbody", "tr", "th", "td"}
    assert read.cells == [*ODD, *ODD, *ODD]


def test_without_headings_there_is_no_head():
    read = Reader(write_table([("one", "1")], ()))
    assert read.tags == {"table", "tbody", "tr", "th", "td"}
    assert read.cells == ["one", "1"]
