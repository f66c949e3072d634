"""Named tokens for the web page: random, stored hashed, told once.

They lie in a private file of the data directory. 256 random bits need no slow hash:
nobody can try them out.
"""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from hashlib import sha256
from hmac import compare_digest
from typing import TYPE_CHECKING

from pydantic import AwareDatetime, Field, ValidationError

from quantify_sync.runtime import write_private
from shared.errors import ConfigurationError, NotFoundError, RefusedValueError
from shared.models import Model

if TYPE_CHECKING:
    from pathlib import Path

    from shared.settings import Settings

TOKEN_BYTES = 32
PREFIX = "qs_"
"""So that a token in the wrong place is recognised."""
NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_.@-]{0,63}$"


class Token(Model):
    """A token as it is stored.

    Attributes
    ----------
    name
        Whose it is: notes are written in this name.
    sha256
        Of the token, hexadecimal.
    created
        When it was made.
    """

    name: str = Field(pattern=NAME_PATTERN)
    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    created: AwareDatetime


class _File(Model):
    version: int = 1
    tokens: tuple[Token, ...] = ()


class Tokens:
    """The tokens of a data directory.

    A server sees at once what a command changed: the file is read again then.

    Parameters
    ----------
    settings
        Of which machine.
    """

    def __init__(self, settings: Settings) -> None:
        folder = settings.data_dir / "web"
        self._path = folder / "tokens.json"
        self._secret_path = folder / "secret"
        self._seen: tuple[int, int] | None = None
        self._tokens: tuple[Token, ...] = ()

    def list(self) -> tuple[Token, ...]:
        """Give all tokens, by name.

        Raises
        ------
        ConfigurationError
            Their file can't be read.
        """
        try:
            status = self._path.stat()
            seen = status.st_mtime_ns, status.st_ino
            if seen != self._seen:
                self._tokens = _read(self._path)
                self._seen = seen
        except FileNotFoundError:
            self._tokens, self._seen = (), None
        except OSError as error:
            raise ConfigurationError(
                f"{self._path} can't be read ({error.strerror}): mend its permissions."
            ) from None
        return self._tokens

    def add(self, name: str) -> str:
        """Make a token; it is told here, and nowhere again.

        Raises
        ------
        RefusedValueError
            There is one of this name, or the name has signs that it must not have.
        """
        if any(token.name == name for token in self.list()):
            raise RefusedValueError(
                f"There is a token {name!r} already: choose another name, or remove it "
                f"with 'quantify-sync web token remove {name}'."
            )
        token = PREFIX + secrets.token_urlsafe(TOKEN_BYTES)
        try:
            stored = Token(name=name, sha256=_hash(token), created=datetime.now(UTC))
        except ValidationError:
            raise RefusedValueError(
                f"{name!r} is no name for a token: use up to 64 letters, digits and "
                "_ . @ -."
            ) from None
        self._write((*self._tokens, stored))
        return token

    def remove(self, name: str) -> None:
        """Take a token back; what its owner has open in a browser ends too.

        Raises
        ------
        NotFoundError
            There is none of this name.
        """
        left = tuple(token for token in self.list() if token.name != name)
        if len(left) == len(self._tokens):
            raise NotFoundError(
                f"There is no token {name!r}: 'quantify-sync web token list' names "
                "those there are."
            )
        self._write(left)

    def owner(self, token: str) -> Token | None:
        """Tell whose a token is; None if it is nobody's."""
        given, found = _hash(token), None
        for one in self.list():  # all of them: the time tells nothing
            if compare_digest(one.sha256, given):
                found = one
        return found

    def secret(self) -> str:
        """Give the key that sessions are signed with; made when there is none."""
        try:
            return self._secret_path.read_text("ascii")
        except FileNotFoundError:
            self._secret_path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            write_private(self._secret_path, secrets.token_hex(TOKEN_BYTES))
            return self._secret_path.read_text("ascii")

    def _write(self, tokens: tuple[Token, ...]) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        in_order = tuple(sorted(tokens, key=lambda token: token.name))
        write_private(self._path, _File(tokens=in_order).model_dump_json(indent=1))
        self._seen = None


def _read(path: Path) -> tuple[Token, ...]:
    try:
        return _File.model_validate_json(path.read_bytes()).tokens
    except ValidationError:
        raise ConfigurationError(
            f"{path} holds no tokens: remove it, and make them anew with "
            "'quantify-sync web token add NAME'."
        ) from None


def _hash(token: str) -> str:
    return sha256(token.encode("utf-8", "surrogateescape")).hexdigest()
