"""Addresses as they may be shown: without passwords."""

from __future__ import annotations

import re

_PASSWORD = re.compile(r"(?<=://)([^/@\s]*?):[^/@\s]*@")
_SECRET_PARAMETER = re.compile(
    r"([?&][^=&\s]*(?:secret|password|token|key)[^=&\s]*)=[^&\s]*", re.IGNORECASE
)


def without_password(text: str) -> str:
    """Replace each password and secret parameter of the URLs in `text` by `***`."""
    return _SECRET_PARAMETER.sub(r"\1=***", _PASSWORD.sub(r"\1:***@", text))
