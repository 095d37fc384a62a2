"""Run every benchmark, or those that are named: ``python -m benchmarks [night ...]``."""

from __future__ import annotations

import sys

from benchmarks import night, scoring

BENCHMARKS = {"scoring": scoring.main, "night": night.main}


def main(names: list[str]) -> int:
    """Run benchmarks by name, in order; all of them without names."""
    for name in names or list(BENCHMARKS):
        if name not in BENCHMARKS:
            print(f"There is no benchmark {name!r}; there are {', '.join(BENCHMARKS)}.", file=sys.stderr)
            return 2
        print(f"\n== {name}: {(sys.modules[BENCHMARKS[name].__module__].__doc__ or '').splitlines()[0]}")
        BENCHMARKS[name]()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
