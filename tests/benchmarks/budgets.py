"""What a measurement was meant to be: printed beside it, never asserted, since a busy machine is no fault.

`make bench` runs each file by itself and names a file in $BENCH_TABLE, in which all budgets are gathered.
"""

import os
from pathlib import Path


def budget(what: str, measured: float, limit: float, unit: str = "ms") -> None:
    """Print whether `measured` keeps within `limit`, both in `unit`."""
    verdict = "kept" if measured <= limit else f"MISSED, {measured:.3g} {unit}"
    print(f"  budget: {what} at most {limit:g} {unit}: {verdict}")
    row(what, f"{measured:.3g} {unit}", f"<= {limit:g}", kept=measured <= limit)


def row(what: str, measured: str, goal: str, *, kept: bool) -> None:
    """A line of the table at the end of `make bench`."""
    if (path := os.environ.get("BENCH_TABLE")) is not None:
        with Path(path).open("a") as table:
            table.write(f"{'' if kept else 'MISSED':7} {what:50} {measured:>18}  goal {goal}\n")
