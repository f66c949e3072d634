"""Goals of the benchmarks: each is printed, and a missed one fails the benchmark."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


class Goals:
    """What was to be reached, and what of it was missed."""

    def __init__(self) -> None:
        self._missed: list[str] = []

    def check(self, goal: str, *, met: bool) -> None:
        """Print whether a goal is met."""
        print(f"    goal: {goal}: {'met' if met else 'missed'}")
        if not met:
            self._missed.append(goal)

    def at_most(
        self, what: str, value: float, limit: float | None, unit: str = ""
    ) -> None:
        """Check a figure that is to be no greater than `limit`, if there is one."""
        if limit is not None:
            self.check(f"{what} ≤ {limit:g} {unit}".rstrip(), met=value <= limit)

    def at_least(self, what: str, value: float, limit: float | None) -> None:
        """Check a ratio that is to be no smaller than `limit`, if there is one."""
        if limit is not None:
            self.check(f"{what} ≥ {limit:g}", met=value >= limit)

    def conclude(self) -> None:
        """End the process with 1 if a goal was missed."""
        if self._missed:
            raise SystemExit("\n  ".join(("Goals that were missed:", *self._missed)))


def run_sections(
    what: str, sections: Mapping[str, Sequence[Callable[[Goals], None]]]
) -> None:
    """Run the sections of a benchmark that the command line names, or all.

    Parameters
    ----------
    what
        The benchmark's docstring.
    sections
        Their names, and the parts of each.
    """
    parser = argparse.ArgumentParser(description=what.partition("\n")[0])
    parser.add_argument("section", nargs="*", choices=[[], *sections])
    goals = Goals()
    for section in parser.parse_args().section or sections:
        print(section)
        for part in sections[section]:
            part(goals)
    goals.conclude()
