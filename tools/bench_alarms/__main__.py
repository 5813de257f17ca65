"""Run the tables that are named, or all: `python -m tools.bench_alarms honesty concept`."""

import importlib
import sys

TABLES = ("honesty", "concept", "estimate", "triage", "speed")


def main(names: list[str]) -> None:
    """Print each table; every module has `main() -> None`, fixed seeds, and its peers in the same run.

    Raises:
        SystemExit: a table of that name does not exist.
    """
    unknown = [name for name in names if name not in TABLES]
    if unknown:
        sys.exit(f"A table must be one of {', '.join(TABLES)}. Got {', '.join(unknown)}.")
    for name in names or TABLES:
        importlib.import_module(f"tools.bench_alarms.{name}").main()


if __name__ == "__main__":
    main(sys.argv[1:])
