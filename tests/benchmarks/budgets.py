"""What a measurement was meant to be: printed beside it, never asserted, since a busy machine is no fault."""


def budget(what: str, measured: float, limit: float, unit: str = "ms") -> None:
    """Print whether `measured` keeps within `limit`, both in `unit`."""
    verdict = "kept" if measured <= limit else f"MISSED, {measured:.3g} {unit}"
    print(f"  budget: {what} at most {limit:g} {unit}: {verdict}")
