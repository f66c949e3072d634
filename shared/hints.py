"""Named tuples that lie in Redis as JSON, read whatever wrote them."""

from __future__ import annotations

import json
import logging
from functools import cache
from typing import TypeVar

from pydantic import TypeAdapter

logger = logging.getLogger(__name__)

HintT = TypeVar("HintT", bound=tuple[object, ...])
MAX_HINT = 10_000
"""Characters; what is longer is none of ours."""


def read_hint(kind: type[HintT], text: str | bytes | None) -> HintT | None:
    """Read a named tuple; fields that a newer version added are left out.

    Parameters
    ----------
    kind
        Which named tuple.
    text
        A JSON object with its fields; None where Redis has none.

    Returns
    -------
    HintT or None
        None for what can't be read, too: a hint is worth no error, whoever wrote it.
    """
    if not text or len(text) > MAX_HINT:
        return None
    known = getattr(kind, "_fields")  # noqa: B009 - no type says that a tuple is a named one
    try:
        told = json.loads(text)
        fields = {name: told[name] for name in known if name in told}
        checked: HintT = _checked(kind).validate_python(fields)
    except (ValueError, TypeError, RecursionError) as error:
        logger.debug("No %s can be read: %s", kind.__name__, error)
        return None
    return checked


@cache
def _checked(kind: type[HintT]) -> TypeAdapter[HintT]:
    return TypeAdapter(kind)
