"""The bases of the pydantic models that cross a border."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Model(BaseModel):
    """A frozen record that refuses fields it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Hint(BaseModel):
    """A frozen record that Redis holds for others to look at.

    What it does not know it leaves out: a newer version may tell more, and one that is
    not upgraded yet must not take it for dead.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)
