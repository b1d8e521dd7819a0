"""How often claims of the other forms err, by simulation; the figures of docs/calibration.md.

    python -m tests.support.calibration_forms --only inside --trials 2000
    python -m tests.support.calibration_forms --only numbers --trials 20000

Planted inside runs: law(step) · e^noise at 150 steps, equal in log step from 10 to 10⁴ (for an
exponential equal in step, from 20 to 3000), where noise is AR(1) per step (memory 0.9 or 0.99), or
an oscillation of random phase with three periods over the range. Seeds are independent; every claim
is alone in its check.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from scipy.signal import lfilter

from ntkbound.core.claim import STEP, Claim
from ntkbound.core.glossary import AGREES
from ntkbound.core.quantity import Key
from ntkbound.stats.forms import FORMS
from ntkbound.stats.insides import binned
from ntkbound.stats.observations import Series
from ntkbound.stats.samples import Pairs, Sample
from ntkbound.stats.verdicts import Verdict

KEY = Key("value", "", "")
STEPS = np.geomspace(10, 1e4, 150)
EVEN = np.linspace(20, 3000, 150)
SEEDS = (3, 5, 10)
Draw = Callable[[np.random.Generator, int, int], np.ndarray]  # trials, seeds → (trials, seeds, K)


def ar(noise: float, memory: float) -> Draw:
    """Stationary AR(1) noise of this standard deviation."""

    def draw(rng: np.random.Generator, trials: int, seeds: int) -> np.ndarray:
        shocks = rng.normal(0, noise * np.sqrt(1 - memory**2), (trials, seeds, len(STEPS)))
        shocks[..., 0] = rng.normal(0, noise, (trials, seeds))
        return np.asarray(lfilter([1.0], [1.0, -memory], shocks, axis=-1))

    return draw


def oscillation(noise: float) -> Draw:
    """A sine of this standard deviation, three periods over the range, another phase a seed."""

    def draw(rng: np.random.Generator, trials: int, seeds: int) -> np.ndarray:
        phase = rng.uniform(0, 2 * np.pi, (trials, seeds, 1))
        place = np.linspace(0, 6 * np.pi, len(STEPS))
        return np.asarray(
            np.sqrt(2) * noise * np.sin(place + phase) + ar(0.02, 0.9)(rng, trials, seeds)
        )

    return draw


NOISES: dict[str, Draw] = {
    "AR 0.9, 10 %": ar(0.1, 0.9),
    "AR 0.9, 30 %": ar(0.3, 0.9),
    "AR 0.99, 10 %": ar(0.1, 0.99),
    "AR 0.99, 30 %": ar(0.3, 0.99),
    "oscillation, 10 %": oscillation(0.1),
}


def series(steps: np.ndarray, logs: np.ndarray, scale: Any) -> Series:
    """A line as `stats.insides` makes it, of log values (R, K)."""
    points, values = binned(steps, np.exp(logs), scale)
    names = tuple(str(i) for i in range(len(logs)))
    return Series(STEP, *KEY, (), points, values, names)


def judge(claim: Claim, evidence: object) -> Verdict:
    form = FORMS[claim.form]
    (case,) = form.prepare([(claim, evidence)])
    return form.conclude(case, case.p() if case.lacking is None else None)


@dataclass
class Count:
    """What came of some trials: verdicts, and how often the interval kept the truth."""

    trials: int
    verdicts: Counter[str]
    covered: int

    @classmethod
    def of(cls, found: Iterator[Verdict], truth: float) -> Count:
        each = list(found)
        covered = sum(
            v.low is not None and v.high is not None and v.low <= truth <= v.high for v in each
        )
        return cls(len(each), Counter(v.verdict for v in each), covered)

    def share(self, *words: str) -> str:
        return f"{100 * sum(self.verdicts[w] for w in words) / self.trials:.1f}"

    @property
    def accepted(self) -> str:
        return self.share(*AGREES)

    @property
    def coverage(self) -> str:
        return f"{100 * self.covered / self.trials:.1f}"


@dataclass(frozen=True)
class Line:
    """What is planted inside runs: a slope beyond the claimed one, in units of that, which changes
    by ``late`` in the last fifth of the range."""

    claim: Claim
    beyond: float = 0.0
    late: float = 0.0

    def tried(self, draw: Draw, trials: int, seeds: int) -> Count:
        straight = self.claim.form == "exponential"
        unit = 0.002 if straight else 1.0
        x = EVEN if straight else np.log(STEPS)
        bend = x[0] + 0.8 * (x[-1] - x[0])
        slope = unit * (self.beyond - 1)
        law = slope * x + unit * self.late * np.maximum(x - bend, 0)
        logs = law + draw(np.random.default_rng([seeds, trials]), trials, seeds)
        steps, scale = (EVEN, "linear") if straight else (STEPS, "log")
        found = (judge(self.claim, series(steps, one, scale)) for one in logs)
        return Count.of(found, -slope if straight else slope)


INSIDE = {
    "rate": Claim(column="value", form="rate", axis=STEP, kind="upper", exponent=-1),
    "exponential": Claim(column="value", form="exponential", axis=STEP, kind="upper", rate=0.002),
}


def inside(trials: int) -> None:
    """Rates and exponentials along the steps inside runs."""
    head("form", "noise", "seeds", "covers", "true: violated", "true: accepted",
         "0.15 worse: violated", "0.15 worse: accepted")  # fmt: skip
    for form, (noise, draw), seeds in product(INSIDE, NOISES.items(), SEEDS):
        true = Line(INSIDE[form]).tried(draw, trials, seeds)
        worse = Line(INSIDE[form], 0.15).tried(draw, trials, seeds)
        row(form, noise, seeds, true.coverage, true.share("violated"), true.accepted,
            worse.share("violated"), worse.accepted)  # fmt: skip
    print("\nThe last fifth is flatter by 0.5.\n")
    head("form", "rest", "seeds", "violated", "accepted")
    for form, beyond, seeds in product(INSIDE, (0.0, -0.3), SEEDS):
        found = Line(INSIDE[form], beyond, 0.5).tried(ar(0.1, 0.9), trials, seeds)
        told = "0.3 steeper than claimed" if beyond else "as claimed"
        row(form, told, seeds, found.share("violated"), found.accepted)


def numbers(trials: int) -> None:
    """Levels, orders and fractions."""
    rng = np.random.default_rng(7)
    spreads: dict[str, Callable[[tuple[int, int]], np.ndarray]] = {
        "normal": lambda shape: rng.normal(0, 1, shape),
        "lognormal, σ 0.5": lambda shape: _unit(rng.lognormal(0, 0.5, shape), 0.5),
        "lognormal, σ 1": lambda shape: _unit(rng.lognormal(0, 1, shape), 1.0),
    }
    claims = {
        "level": Claim(column="value", form="level", kind="upper", level=0),
        "order": Claim(column="value", form="order", smaller={"a": 1}, larger={"a": 2}),
    }
    head("form", "values", "seeds", "covers", "at the level: violated", "at the level: accepted",
         "2 sd beyond: violated")  # fmt: skip
    for (told, draw), seeds, (form, claim) in product(spreads.items(), SEEDS, claims.items()):
        edge, far = (
            Count.of((judge(claim, _evidence(claim, v + by)) for v in draw((trials, seeds))), by)
            for by in (0.0, 2.0)
        )
        row(form, told, seeds, edge.coverage, edge.share("violated"), edge.accepted,
            far.share("violated"))  # fmt: skip
    print()
    head("share claimed", "runs", "true share", "violated", "accepted")
    for share, runs, less in product((0.5, 0.9), (10, 20, 50), (0.0, 0.2, 0.4)):
        claim = Claim(column="value", form="fraction", share=share)
        hits = (rng.random((trials, runs)) < share - less).astype(float)
        found = Count.of((judge(claim, _evidence(claim, v)) for v in hits), share - less)
        told = f"{share - less:.1f}"
        row(f"≥ {share}", runs, told, found.share("violated"), found.accepted)


def head(*titles: str) -> None:
    row(*titles)
    print("|---" * len(titles) + "|")


def row(*cells: object) -> None:
    print("| " + " | ".join(str(cell) for cell in cells) + " |", flush=True)


def _unit(values: np.ndarray, sigma: float) -> np.ndarray:
    """Lognormal values with mean 0 and standard deviation 1."""
    mean = np.exp(sigma**2 / 2)
    return np.asarray((values - mean) / (mean * np.sqrt(np.exp(sigma**2) - 1)))


def _evidence(claim: Claim, values: np.ndarray) -> Sample | Pairs:
    names = tuple(str(i) for i in range(len(values)))
    runs = np.arange(len(values))
    if claim.form == "order":  # it errs where the differences are below 0
        return Pairs(KEY, (), values, np.zeros(len(values)), names, runs)
    return Sample(KEY, (), values, np.full(len(values), np.nan), names, runs)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=("inside", "numbers"), required=True)
    parser.add_argument("--trials", type=int, default=2000)
    given = parser.parse_args()
    {"inside": inside, "numbers": numbers}[given.only](given.trials)


if __name__ == "__main__":
    main()
