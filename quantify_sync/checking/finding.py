"""What was found by trying one thing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared.errors import QuantifySyncError
from shared.models import Model

if TYPE_CHECKING:
    from collections.abc import Callable


class Finding(Model):
    """One thing that was tried.

    Attributes
    ----------
    subject
        What was tried.
    good
        Whether it is as it should be.
    told
        What was found; where it is wrong, with the remedy.
    """

    subject: str
    good: bool
    told: str


def good(subject: str, told: str) -> Finding:
    """Tell that something is as it should be."""
    return Finding(subject=subject, good=True, told=told)


def bad(subject: str, told: str) -> Finding:
    """Tell what is wrong, and the remedy."""
    return Finding(subject=subject, good=False, told=" ".join(told.split()))


def tried(subject: str, attempt: Callable[[], Finding]) -> Finding:
    """Try something; an error that is expected of it is a finding."""
    try:
        return attempt()
    except QuantifySyncError as error:
        return bad(subject, str(error))
    except OSError as error:
        return bad(
            subject,
            f"{error.filename or subject} can't be read ({error.strerror or error}): "
            "give this user the right to, or mount the drive again.",
        )
