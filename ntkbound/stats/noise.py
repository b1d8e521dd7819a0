"""Below which value is a measured number only rounding?"""

from dataclasses import dataclass

EPSILON = {"float16": 2.0**-10, "bfloat16": 2.0**-7, "float32": 2.0**-23, "float64": 2.0**-52}


@dataclass(frozen=True)
class NoiseFloor:
    """Rounding floor ``factor·ε·scale`` of an amplitude and its square for a squared one.

    Error terms are measured in `measured` (float64) at the parameters as stored, whatever dtype
    they were trained in, so ε is float64's; only `trained` terms, whose size is set by how far
    training got, have the ε of the run's own dtype. `factor` = 64 covers the accumulation of a
    sum over heads and tokens; `scale` is the size of f and y (O(1) in the theorems here).
    A statistic whose name ends in ``mse`` is a square: its floor is (factor·ε·scale)².
    """

    factor: float = 64.0
    scale: float = 1.0
    measured: str = "float64"
    trained: frozenset[str] = frozenset({"optimization"})

    def value(self, term: str, statistic: str, dtype: str) -> float:
        """The largest value of this statistic that counts as noise (unknown dtype: float64)."""
        own = dtype if term in self.trained else self.measured
        amplitude = self.factor * EPSILON.get(own, EPSILON["float64"]) * self.scale
        return amplitude**2 if statistic.endswith("mse") and "rmse" not in statistic else amplitude
