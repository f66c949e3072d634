"""Named tuples that lie in Redis as JSON, read whatever version wrote them."""

from __future__ import annotations

import json
import logging
from typing import TypeVar

logger = logging.getLogger(__name__)

HintT = TypeVar("HintT", bound=tuple[object, ...])


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
        None for what can't be read, too: a hint is worth no error.
    """
    if not text:
        return None
    known = getattr(kind, "_fields")  # noqa: B009 - no type says that a tuple is a named one
    try:
        told = json.loads(text)
        return kind(**{name: told[name] for name in known if name in told})
    except (ValueError, TypeError) as error:
        logger.debug("No %s can be read from %r: %s", kind.__name__, text, error)
        return None
