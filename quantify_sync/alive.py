"""Whether this machine's producer lives, for a container's health check.

`python -m quantify_sync.alive [SOURCE …]` ends with 0 if each source that is named, or
each that is configured, has given a sign of life within 30 s.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from quantify_sync import exits
from shared import broker, presence
from shared.errors import QuantifySyncError
from shared.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(names: Sequence[str]) -> int:
    """Tell which sources have no producer; return the exit code."""
    try:
        settings = load_settings()
        wanted = list(names) or [source.name for source in settings.sources]
        with (
            broker.reaching(settings.broker),
            broker.connect(settings.broker) as redis,
        ):
            silent = [n for n in wanted if presence.read_agent(redis, n) is None]
    except QuantifySyncError as error:
        sys.stderr.write(f"{error}\n")
        return exits.exit_code(error)
    for name in silent:
        sys.stderr.write(f"{name}: no producer gives a sign of life\n")
    return exits.FOUND_WRONG if silent or not wanted else exits.OK


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
