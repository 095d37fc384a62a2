"""Run every benchmark, or those that are named: ``python -m benchmarks [night ...]``."""

from __future__ import annotations

import sys

from benchmarks import (
    alarms,
    calibration,
    calm_weeks,
    estimates,
    gates,
    history,
    large_night,
    night,
    parity,
    passports,
    performance_alarms,
    races,
    replay,
    rollback,
    scoring,
    search,
    shifts,
    sketches,
    trainings,
    validation,
    watch,
)

BENCHMARKS = {
    "scoring": scoring.main,
    "night": night.main,
    "replay": replay.main,
    "validation-1m": validation.one_million,
    "validation-10m": validation.ten_million,
    "alarms": alarms.main,
    "calm-weeks": calm_weeks.main,
    "performance-alarms": performance_alarms.main,
    "estimates": estimates.main,
    "shifts": shifts.main,
    "sketches": sketches.main,
    "parity": parity.main,
    "calibration": calibration.main,
    "gates": gates.main,
    "watch": watch.main,
}
# Minutes long: these run only when they are named.
LONG = {
    "large_night": large_night.main,
    "sketches-100m": sketches.hundred_million,
    "history": history.main,
    "races": races.main,
    "rollback": rollback.main,
    "search": search.main,
    "trainings": trainings.main,
    "passports": passports.main,
}


def main(names: list[str]) -> int:
    """Run benchmarks by name, in order; all but the long ones without names."""
    known = {**BENCHMARKS, **LONG}
    for name in names or list(BENCHMARKS):
        if name not in known:
            print(f"There is no benchmark {name!r}; there are {', '.join(known)}.", file=sys.stderr)
            return 2
        print(f"\n== {name}: {(sys.modules[known[name].__module__].__doc__ or '').splitlines()[0]}")
        known[name]()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
