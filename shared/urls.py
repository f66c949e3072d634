"""Addresses as they may be shown: without passwords."""

from __future__ import annotations

import re

# A password may hold `/`, `@` and spaces, so it is taken to end at the last `@` of the
# line before another URL begins. Hiding too much now and then is the safe side.
_PASSWORD = re.compile(
    r"""(?<=://)([^:/?\#\s]*):(?P<secret>(?:(?![\s'"(<,][A-Za-z][\w+.-]*://).)*)@""",
    re.VERBOSE,
)
_SECRET_PARAMETER = re.compile(
    r"([?&](?:[^=&\s]*(?:secret|password|token|key|signature|credential)[^=&\s]*|sig))"
    r"=(?P<secret>[^&\s]*)",
    re.IGNORECASE,
)
# As libraries print what they were given: `password=…` (libpq, repr of an object),
# `'password': '…'` (of a dict).
_SECRET_SETTING = re.compile(
    r"""(
        (?<![?&\w])(?:\w*(?:passw(?:or)?d|secret)\w*)
        (?:\s*=\s*|['"]\s*[:,]\s*)
    )
    b?('[^']*'|"[^"]*"|[^\s,;)&}\]'"]+)""",
    re.IGNORECASE | re.VERBOSE,
)


def without_password(text: str) -> str:
    """Replace each password and secret parameter of the URLs in `text` by `***`."""
    text = _SECRET_PARAMETER.sub(r"\1=***", _PASSWORD.sub(r"\1:***@", text))
    return _SECRET_SETTING.sub(r"\1***", text)


def passwords(url: str) -> set[str]:
    """Give the passwords and secret parameters of a URL, as they are written in it."""
    patterns = (_PASSWORD, _SECRET_PARAMETER)
    return {m["secret"] for p in patterns for m in p.finditer(url)} - {""}
