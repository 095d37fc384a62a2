"""How one quantity looks in another unit."""

from __future__ import annotations

from typing import NamedTuple


class Change(NamedTuple):
    """Values become ``factor * value + offset``; ``name`` says how for a person."""

    name: str
    factor: float
    offset: float = 0.0

    @property
    def is_gross(self) -> bool:
        """Whether all values change at least fivefold: no world does that from one night to the next."""
        return not self.offset and not 0.2 < self.factor < 5


_PAIRS = (
    ("thousandths to ones", 0.001),
    ("hundredths to ones", 0.01),
    ("tenths to ones", 0.1),
    ("seconds to minutes", 1 / 60),
    ("seconds to hours", 1 / 3600),
    ("hours to days", 1 / 24),
    ("days to weeks", 1 / 7),
    ("millionths to ones", 1e-6),
    ("kilometres to miles", 0.621371),
    ("centimetres to inches", 1 / 2.54),
    ("millimetres to inches", 1 / 25.4),
    ("feet to metres", 0.3048),
    ("metres to miles", 1 / 1609.344),
    ("dozens to ones", 1 / 12),
    ("pounds to kilogrammes", 0.45359237),
    ("miles an hour to metres a second", 0.44704),
    ("kilometres an hour to metres a second", 1 / 3.6),
    ("kilometres an hour to knots", 1 / 1.852),
    ("litres to gallons", 1 / 3.785),
    ("millibars to inches of mercury", 0.02953),
    ("degrees to radians", 0.0174533),
)


def _back(name: str) -> str:
    first, second = name.split(" to ")
    return f"{second} to {first}"


CHANGES = (
    *(Change(name, factor) for name, factor in _PAIRS),
    *(Change(_back(name), 1 / factor) for name, factor in _PAIRS),
    Change("Fahrenheit to Celsius", 5 / 9, -160 / 9),
    Change("Celsius to Fahrenheit", 9 / 5, 32.0),
    Change("Fahrenheit to Kelvin", 5 / 9, 255.372),
    Change("Kelvin to Fahrenheit", 9 / 5, -459.67),
)
