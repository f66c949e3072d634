"""Hiding secrets in what is logged: those that are known, and what looks like one."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote, unquote_plus

from pydantic import BaseModel, SecretStr

from shared.urls import passwords, without_password

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from shared.settings import Settings

HIDDEN = "***"
SHORTEST = 6
"""Letters of a secret that is looked for wherever it stands. A shorter one would be
found within words; within a URL it is hidden all the same."""

_SECRET_VARIABLE = re.compile(r"secret|passw|token|credential|_key$", re.IGNORECASE)


class Redactor:
    """Takes secrets out of texts.

    A library may print a password alone, decoded, or within the text of an error of
    another library; so those of the configuration are looked for by themselves.

    Parameters
    ----------
    secrets
        Those that are known.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        forms = {form for secret in secrets for form in _forms(secret)}
        # The longest first: one may be the beginning of another.
        wanted = sorted((f for f in forms if len(f) >= SHORTEST), key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, wanted))) if wanted else None

    def __call__(self, text: str) -> str:
        """Give `text` with `***` in place of each secret."""
        if self._known is not None:
            text = self._known.sub(HIDDEN, text)
        # By line: a password within a URL is taken to end at the last `@` of its line.
        return without_password(text)


def redactor(
    settings: Settings | None, environment: Mapping[str, str] = os.environ
) -> Redactor:
    """Make the redactor of a process.

    Parameters
    ----------
    settings
        Its configuration; None before it was read.
    environment
        Its environment, where clients of object stores look for their keys.
    """
    secrets = {v for n, v in environment.items() if _SECRET_VARIABLE.search(n)}
    if settings is not None:
        for url in (settings.broker, settings.store, settings.catalogue):
            secrets |= passwords(url)
        secrets |= set(_declared(settings))
    return Redactor(secrets)


def _declared(model: BaseModel) -> Iterator[str]:
    """Give the settings that are secrets by their type."""
    for _, value in model:
        if isinstance(value, SecretStr):
            yield value.get_secret_value()
        elif isinstance(value, BaseModel):
            yield from _declared(value)


def _forms(secret: str) -> set[str]:
    """Give a secret in the forms in which it may be printed."""
    plain = {secret, unquote(secret), unquote_plus(secret)}
    return plain | {quote(p, safe="") for p in plain} | {repr(p)[1:-1] for p in plain}
