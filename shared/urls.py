"""Addresses as they may be shown: without passwords."""

from __future__ import annotations

import re

# A password may hold `/`, `@` and spaces, so it is taken to end at the last `@` of the
# line before another URL begins. Hiding too much now and then is the safe side.
_PASSWORD = re.compile(
    r"""(?<=://)([^:/?\#\s]*):(?:(?![\s'"(<,][A-Za-z][\w+.-]*://).)*@""", re.VERBOSE
)
_SECRET_PARAMETER = re.compile(
    r"([?&](?:[^=&\s]*(?:secret|password|token|key|signature|credential)[^=&\s]*|sig))"
    r"=[^&\s]*",
    re.IGNORECASE,
)


def without_password(text: str) -> str:
    """Replace each password and secret parameter of the URLs in `text` by `***`."""
    return _SECRET_PARAMETER.sub(r"\1=***", _PASSWORD.sub(r"\1:***@", text))
