"""The configuration: one TOML file, the same on every machine.

Each value can be overridden by an environment variable `QUANTIFY_SYNC_…` (for
nested ones `QUANTIFY_SYNC_TIMINGS__SETTLE`). The file is the one named by
`QUANTIFY_SYNC_CONFIG`, else `quantify-sync.toml` in the data directory.
"""

from __future__ import annotations

import os
import re
import tomllib
from itertools import combinations
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from platformdirs import user_data_path
from pydantic import (
    ByteSize,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from shared.errors import ConfigurationError, UnknownSourceError
from shared.models import Model
from shared.sources import Directory, Source, overlap
from shared.urls import without_password
from shared.webaccess import Web

CONFIG_NAME = "quantify-sync.toml"
CONFIG_VARIABLE = "QUANTIFY_SYNC_CONFIG"
DATA_DIR_VARIABLE = "QUANTIFY_SYNC_DATA_DIR"
DEFAULT_BROKER = "redis://localhost:6379/0"
MAX_PORT = 65_535
UNLISTED = "is not in this machine's configuration"
"""Said of a source that is announced here and not listed here."""
SLOWEST = 1000
"""Bytes a second: who writes less forgot the unit."""
STORE_SCHEMES = frozenset(
    {"file", "s3", "s3a", "gs", "az", "azure", "adl", "abfs", "abfss"}
)
"""Kinds of store that obstore knows and that can be listed."""

TLS_OPTIONS = frozenset(
    {
        "ssl_ca_certs",
        "ssl_cert_reqs",
        "ssl_certfile",
        "ssl_check_hostname",
        "ssl_keyfile",
    }
)
"""Options of a `rediss://` URL that redis-py and kombu both take."""

_SQLITE = re.compile(r"sqlite:///(?!:memory:).+")
_POSTGRESQL = re.compile(r"postgres(?:ql)?(?:\+\w+)?://.+")
_BEFORE_HOST = re.compile(r"(?<=://).*@")


def default_data_dir() -> Path:
    """Where this platform keeps a user's data."""
    return user_data_path("quantify-sync", appauthor=False)


class Timings(Model):
    """When things happen, in seconds. The defaults are those of the design.

    Attributes
    ----------
    settle
        Nothing changed for so long: a run is settled after a newer one appeared.
    quiet
        Nothing was written for so long: a run has ended.
    closing
        Two equal writes so close to each other end a filled run at once: Quantify
        ends with a pair 2 to 3 ms apart (measured), and makes no two others within
        its shortest update interval, 0.1 s.
    backoff_first, backoff_last
        Until an unanswered dataset is announced again: first and longest wait.
    recheck
        Between two sweeps of the recent folders.
    everything
        Between two announcements of everything, answered or not.
    server_poll
        Between two looks at a network folder; longer where a look takes long.
    """

    settle: float = Field(default=2.0, gt=0)
    quiet: float = Field(default=120.0, gt=0)
    closing: float = Field(default=0.1, ge=0)
    backoff_first: float = Field(default=30.0, gt=0)
    backoff_last: float = Field(default=600.0, gt=0)
    recheck: float = Field(default=600.0, gt=0)
    everything: float = Field(default=86_400.0, gt=0)
    server_poll: float = Field(default=0.5, gt=0)


class Settings(BaseSettings):
    """Everything that producer, workers and command line are told.

    Attributes
    ----------
    data_dir
        Where this machine keeps store, catalogue and logs unless told otherwise.
    broker
        Redis URL.
    store
        Object store URL: `file://`, `s3://`, `gs://`, `az://`.
    catalogue
        SQLAlchemy URL of the catalogue.
    live_dir
        Where a live worker keeps the replicas of running measurements: a disk of its
        own machine, not a network drive.
    sources
        What is synced.
    timings
        When things happen.
    web
        How the web page is reached.
    max_rate
        At most so many bytes a second are sent by a worker, all its processes and
        threads together; 0 for no limit.
    live_url, live_token
        Address of a web page on the machine where the live worker runs, and a token
        for it: running measurements are read from there if not here.
    metrics_port, metrics_host
        Where this process tells Prometheus of itself; port 0 for nowhere. Each process
        of a machine needs a port of its own.
    log_file
        Where this process logs, instead of to standard error; it is rotated. On
        Windows, each process needs a file of its own.
    log_json
        Log as JSON, one object a line.
    """

    model_config = SettingsConfigDict(
        env_prefix="QUANTIFY_SYNC_",
        env_nested_delimiter="__",
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,  # a part of an address may be a password
    )
    data_dir: Directory = Field(default_factory=default_data_dir)
    broker: str = DEFAULT_BROKER
    store: str = ""
    catalogue: str = ""
    live_dir: Directory | None = None
    sources: tuple[Source, ...] = ()
    timings: Timings = Timings()
    web: Web = Web()
    max_rate: ByteSize = ByteSize(0)
    live_url: str = ""
    live_token: SecretStr = SecretStr("")
    metrics_port: int = Field(default=0, ge=0, le=MAX_PORT)
    metrics_host: str = "127.0.0.1"
    log_file: Directory | None = None
    log_json: bool = False

    # None of these repeats the value: what is no URL can't be cleaned of passwords.

    @field_validator("broker")
    @classmethod
    def _broker_is_redis(cls, url: str) -> str:
        try:
            parts = urlsplit(url)
            database = parts.path.strip("/")
            options = {n for n, _ in parse_qsl(parts.query, keep_blank_values=True)}
            good = (
                parts.scheme in {"redis", "rediss"}
                and parts.port != 0
                and (not database or database.isdecimal())
                and options <= (TLS_OPTIONS if parts.scheme == "rediss" else set())
            )
        except ValueError:
            good = False
        if not good:
            raise ValueError(
                "this is no Redis URL: write it like 'redis://host:6379/0', or "
                "'rediss://…' for TLS, the only one with options (ssl_…); a password "
                "with '/', '?' or '#' in it is to be percent-encoded"
            )
        return url

    @field_validator("store")
    @classmethod
    def _store_is_known(cls, url: str) -> str:
        try:
            scheme = urlsplit(url).scheme
        except ValueError:
            scheme = ""
        if url and (scheme not in STORE_SCHEMES or "://" not in url):
            raise ValueError(
                "this is no store's URL: write it like 'file:///srv/quantify', "
                "'s3://bucket/prefix', 'gs://…' or 'az://…'"
            )
        return url

    @field_validator("catalogue")
    @classmethod
    def _catalogue_is_a_database(cls, url: str) -> str:
        good = not url or _SQLITE.fullmatch(url) is not None
        if _POSTGRESQL.fullmatch(url):
            try:
                good = urlsplit(_BEFORE_HOST.sub("", url)).port != 0
            except ValueError:
                good = False
        if not good:
            raise ValueError(
                "this is no URL of a catalogue: write it like "
                "'sqlite:////srv/quantify/catalogue.db' or "
                "'postgresql+psycopg://user@host:5432/database'"
            )
        return url

    @field_validator("live_url")
    @classmethod
    def _live_url_is_http(cls, url: str) -> str:
        try:
            parts = urlsplit(url)
            good = parts.scheme in {"http", "https"} and bool(parts.hostname)
            good = good and parts.port != 0 and "@" not in parts.netloc
        except ValueError:
            good = False
        if url and not good:
            raise ValueError(
                "this is no address of a web page: write it like "
                "'https://lab.example:8080', without user and password"
            )
        return url.rstrip("/")

    @field_validator("max_rate")
    @classmethod
    def _rate_is_of_use(cls, rate: ByteSize) -> ByteSize:
        if rate and rate < SLOWEST:
            raise ValueError(
                f"{rate} bytes a second would never end: write '5 MB' for five "
                f"megabytes a second, or 0 for no limit; the least is {SLOWEST}"
            )
        return rate

    @model_validator(mode="after")
    def _defaults_below_data_dir(self) -> Settings:
        # A frozen model's own validator may still complete it.
        if not self.store:
            object.__setattr__(self, "store", (self.data_dir / "store").as_uri())
        if not self.catalogue:
            path = (self.data_dir / "catalogue.sqlite").as_posix()
            object.__setattr__(self, "catalogue", f"sqlite:///{path}")
        return self

    @property
    def live(self) -> Path:
        """Where the replicas of running measurements are."""
        return self.live_dir or self.data_dir / "live"

    @model_validator(mode="after")
    def _names_are_unique(self) -> Settings:
        names = [source.name for source in self.sources]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(
                    f"two sources are called {name!r}; give each its own name"
                )
        return self

    @model_validator(mode="after")
    def _directories_are_apart(self) -> Settings:
        for one, other in combinations(self.sources, 2):
            if wrong := overlap(one, other):
                raise ValueError(
                    f"{wrong}. Remove the [[sources]] table of {one.name!r} or "
                    f"{other.name!r} from the file, or change its quantify_directory"
                )
        return self

    def source(self, name: str) -> Source:
        """Return the source of this name.

        Raises
        ------
        UnknownSourceError
            The configuration does not list it.
        """
        for source in self.sources:
            if source.name == name:
                return source
        raise UnknownSourceError(
            f"Source {name!r} {UNLISTED}: add it with "
            "'quantify-sync sources add', or stop the producer that announces it. "
            "Workers read it at their start only: restart them then."
        )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - the name is pydantic's
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the name is pydantic's
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - as above
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Put the environment above the file, whose values come by `__init__`."""
        return env_settings, init_settings


def config_path(data_dir: Path | None = None) -> Path:
    """Where the configuration file is, whether or not it exists.

    Parameters
    ----------
    data_dir
        The data directory, where the user named one.
    """
    if named := os.environ.get(CONFIG_VARIABLE):
        return Path(named).expanduser()
    if data_dir is None:
        chosen = os.environ.get(DATA_DIR_VARIABLE)
        data_dir = Path(chosen) if chosen else default_data_dir()
    return data_dir.expanduser() / CONFIG_NAME


def load_settings(path: Path | None = None, **override: Any) -> Settings:
    """Read the configuration.

    Parameters
    ----------
    path
        The file; by default `config_path`. It may be missing where it is not named.
    **override
        Values that go above those of the file, below the environment's.

    Raises
    ------
    ConfigurationError
        The file is missing though it was named, may not be read, is no TOML, or holds
        a wrong value.
    """
    named = path is not None or CONFIG_VARIABLE in os.environ
    path = path or config_path(override.get("data_dir"))
    values: dict[str, Any] = {}
    try:
        values = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        if named:
            raise ConfigurationError(
                f"There is no configuration at {path}: write one, or name another "
                f"with --config or {CONFIG_VARIABLE}."
            ) from None
    except OSError as error:
        raise ConfigurationError(
            f"{path} can't be read ({error.strerror}): it has to be a file that the "
            "user who runs this may read."
        ) from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigurationError(
            f"{path} can't be read as TOML ({error}): mend the line it names."
        ) from error
    values.update(override)
    try:
        return Settings(**values)
    except ValidationError as error:
        raise ConfigurationError(_complaints(path, error)) from None


def _complaints(path: Path, error: ValidationError) -> str:
    lines = [f"The configuration in {path} (or in QUANTIFY_SYNC_… variables) is wrong:"]
    for item in error.errors(include_url=False, include_input=False):
        where = ".".join(str(part) for part in item["loc"]) or "file"
        message = item["msg"].removeprefix("Value error, ")
        lines.append(f"  {where}: {without_password(message)}")
    return "\n".join(lines)
