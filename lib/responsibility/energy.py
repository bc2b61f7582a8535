"""What a computation uses: processor time, energy and emissions, by numbers that are stated and can
be checked.
"""

import time
from types import TracebackType

# one busy core of a small computer, its share of the rest included: an assumption, to be replaced
# by a meter
WATTS = 15.0
GRAMS_PER_KWH = 433.0  # the mean of the United States in Strubell et al. (2019): 0.954 pounds


class measure_energy:
    """The processor time of a block (all threads of this process), and its energy at a stated
    power.

    watts: the power of one busy core.
    grams_per_kwh: what the grid emits for a kilowatt-hour, in grams of CO2 equivalents.

    Afterwards `.seconds`, `.watt_hours` = watts seconds / 3600 and `.grams`. Not counted: graphics
    processors, other processes, and whatever the machine draws while it waits.
    Raises ValueError if a number is negative or not finite.

    >>> with measure_energy(watts=3600.0) as used:
    ...     _ = sum(range(1000))
    >>> used.watt_hours == used.seconds
    True
    """

    def __init__(self, watts: float = WATTS, grams_per_kwh: float = GRAMS_PER_KWH) -> None:
        if not (0 <= watts < float("inf") and 0 <= grams_per_kwh < float("inf")):
            raise ValueError(
                f"watts, grams_per_kwh: expected finite numbers of at least 0, got {watts} "
                f"and {grams_per_kwh}"
            )
        self.watts, self.grams_per_kwh, self.seconds = watts, grams_per_kwh, 0.0

    def __enter__(self) -> "measure_energy":
        self._start = time.process_time()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.seconds = time.process_time() - self._start

    @property
    def watt_hours(self) -> float:
        """The energy of the block, in watt-hours."""
        return self.watts * self.seconds / 3600

    @property
    def grams(self) -> float:
        """Its emissions, in grams of CO2 equivalents."""
        return self.watt_hours / 1000 * self.grams_per_kwh
