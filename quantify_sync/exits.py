"""What the command line's exit codes mean."""

from __future__ import annotations

from shared.errors import QuantifySyncError, TransientError

OK = 0
FOUND_WRONG = 1
"""The command did its work, and found or left something wrong: a dataset failed, an
object is damaged, a check complains."""
USAGE = 2
"""Options or arguments are wrong."""
REFUSED = 3
"""Stays as it is until somebody changes something: no such dataset, wrong
configuration, …"""
UNAVAILABLE = 4
"""Redis, store, catalogue or a drive do not answer: try again later."""
INTERRUPTED = 130
"""Ctrl-C: 128 and the signal's number, as shells count."""


def exit_code(error: QuantifySyncError) -> int:
    """Give the exit code that tells of an error."""
    return UNAVAILABLE if isinstance(error, TransientError) else REFUSED
