"""Below which value is a measured number only rounding?"""

from dataclasses import dataclass

from ntkbound.core.quantity import Quantity
from ntkbound.core.tolerance import EPSILON, FACTOR


@dataclass(frozen=True)
class NoiseFloor:
    """Rounding floor ``factor·ε·scale`` of an amplitude, (factor·ε·scale)² of a square of one.

    Numbers are measured in `measured` (float64) at the parameters as stored, whatever dtype they
    were trained in, so ε is float64's; only a quantity declared ``trained``, whose size is set by
    how far training got, has the ε of the run's own dtype. `factor` = 64 covers the accumulation
    of long sums; `scale` is the size of what is summed (O(1) in the theorems here).
    """

    factor: float = FACTOR
    scale: float = 1.0
    measured: str = "float64"

    def value(self, quantity: Quantity, dtype: str) -> float:
        """The largest value of this quantity that counts as noise (unknown dtype: float64)."""
        own = dtype if quantity.trained else self.measured
        amplitude = self.factor * EPSILON.get(own, EPSILON["float64"]) * self.scale
        return amplitude**2 if quantity.noise == "square" else amplitude
