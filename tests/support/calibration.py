"""Calibration of the statistics by simulation; prints Markdown tables.

    python -m tests.support.calibration --trials 200 --checks 200   # minutes on one core
    python -m tests.support.calibration --only accepted --trials 20000

docs/calibration.md has the tables and the command of each.

Synthetic values of the declared form: y = s_r·x^b·e^{σz} (pure), y = s_r·(x^b + κ)·e^{σz} (floor
scaled with the seed) or y = (s_r·x^b + κ)·e^{σz} (floor shared by the seeds); x doubles from 1,
s_r lognormal with standard deviation 0.5.
"""

import argparse
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product

import numpy as np

from ntkbound.core.claim import Claim, Kind
from ntkbound.core.glossary import AGREES
from ntkbound.stats import Series, fit_floors, fit_power_laws
from ntkbound.stats.bends import bend
from ntkbound.stats.floor import LogData, score_test
from ntkbound.stats.forms.rate import conclude, measure, together
from ntkbound.stats.inference import holm, pool, seed_mean, t_quantile
from ntkbound.stats.margins import CHECK_LEVEL, RATE_MARGIN, VIOLATION_MARGIN
from ntkbound.stats.powerlaw import log_values

EXPONENTS = (-2.0, -1.0, -0.5, -0.25, 0.0)
POINTS = (4, 6, 8)
SEEDS = (3, 5, 12)
NOISES = (0.02, 0.1, 0.3)


@dataclass(frozen=True)
class Law:
    """One setting: y = s_r·(x^b + κ)·e^{σz} on `points` doubling from 1, for each of `seeds`.

    shared: κ is the same for all seeds instead of scaled with them; slope_sd: of the exponents
    between seeds; factor: range of the axis instead; shift: y = s_r·(x + shift)^b, whose local
    slope reaches b only towards the end of the range; common: share of the variance of the noise
    that is one draw for all seeds, as where they share their data.
    """

    b: float
    points: int
    seeds: int
    noise: float
    kappa: float = 0.0
    shared: bool = False
    slope_sd: float = 0.0
    factor: float = 0.0
    shift: float = 0.0
    common: float = 0.0


def draw(rng: np.random.Generator, trials: int, law: Law) -> list[Series]:
    """`trials` synthetic series of one setting."""
    x = np.geomspace(1, law.factor or 2.0 ** (law.points - 1), law.points)
    scale = np.exp(rng.normal(0, 0.5, (trials, law.seeds, 1)))
    slopes = law.b + law.slope_sd * rng.normal(size=(trials, law.seeds, 1))
    power = (x + law.shift) ** slopes
    mean = scale * power + law.kappa if law.shared else scale * (power + law.kappa)
    noise = rng.normal(0, law.noise * np.sqrt(1 - law.common), mean.shape)
    if law.common:
        noise += rng.normal(0, law.noise * np.sqrt(law.common), (trials, 1, law.points))
    values = mean * np.exp(noise)
    names = tuple(str(i) for i in range(law.seeds))
    return [Series("m", "term", "probe", "max", (), x, y, names) for y in values]


def coverage(series: list[Series], b: float, floor: bool) -> tuple[float, float]:
    """Share of intervals that contain b, and share that are bounded."""
    fits = fit_floors(series) if floor else fit_power_laws(series)
    low, high = (np.array([getattr(f, end) for f in fits]) for end in ("low", "high"))
    bounded = np.isfinite(low) & np.isfinite(high)
    return float(((low <= b) & (b <= high)).mean()), float(bounded.mean())


def kept(series: list[Series], b: float) -> float:
    """Share of series whose floor test keeps b, at a fraction of the cost of whole intervals.

    The interval is the hull of what is kept: it covers at least as often, up to 99 % where floor
    and exponent are hard to tell apart (short range, few seeds, much noise).
    """
    data = LogData(np.log(series[0].points), log_values(series))
    test = score_test(data, np.array([b]))
    t = test.mean / np.sqrt(test.variance / test.seeds)
    return float((np.abs(t) <= t_quantile(test.seeds)).mean())


def verdicts(series: list[Series], claims: list[Claim], per_check: int) -> list[tuple[str, ...]]:
    """Verdicts of checks of `per_check` claims each, series in the order of `claims`, repeated."""
    cases = measure([(claims[i % per_check], one) for i, one in enumerate(series)])
    found = []
    for start in range(0, len(cases), per_check):
        part = together(cases[start : start + per_check])
        adjusted = holm([case.p() for case in part])
        found.append(tuple(conclude(c, p).verdict for c, p in zip(part, adjusted, strict=True)))
    return found


def claim(exponent: float, floor: bool = False, kind: Kind = "upper") -> Claim:
    return Claim(
        term="term",
        probe="probe",
        statistic="max",
        axis="m",
        kind=kind,
        exponent=exponent,
        floor=floor,
    )


def true_checks(rng: np.random.Generator, checks: int, law: Law) -> list[tuple[str, ...]]:
    """Checks of 15 true claims: 10 upper, 3 tight, 2 with a floor; slopes exactly as claimed."""
    per_claim = []
    claims = []
    for k in range(15):
        floor = k >= 13
        b = (-0.5, -1.0, 0.0, -0.5, -0.5)[k % 5] if not floor else -0.5
        kappa = 0.2 if floor else 0.0
        per_claim.append(draw(rng, checks, replace(law, b=b, kappa=kappa)))
        claims.append(claim(b, floor, "tight" if 10 <= k < 13 else "upper"))
    series = [per_claim[k][i] for i in range(checks) for k in range(15)]
    return verdicts(series, claims, 15)


def edge_alarms(rng: np.random.Generator, checks: int, law: Law) -> float:
    """Share (%) of checks of 15 claims "at most x^b", true slopes b on average, with a *violated*.

    A verdict only where the p-value asks for one: many checks in little time.
    """
    x = np.log(np.exp2(np.arange(law.points)))
    x = x - x.mean()
    slopes = law.slope_sd * rng.normal(size=(checks * 15, law.seeds, 1))
    gap = slopes * x + rng.normal(0, law.noise, (checks * 15, law.seeds, law.points))
    means = seed_mean(gap, x / (x @ x))
    bad = 0
    for start in range(0, checks * 15, 15):
        rows = means.rows(start, start + 15)
        p = holm([float(v) for v in rows.upper_tail(VIOLATION_MARGIN, pool([rows]))])
        beyond = [start + i for i in range(15) if p[i] <= CHECK_LEVEL]
        bent = [bend(x, gap[i]) for i in beyond]
        bad += any(found is None or not found.harmless for found in bent)
    return 100 * bad / checks


def too_flat(rng: np.random.Generator, checks: int, law: Law) -> list[tuple[str, ...]]:
    """Checks of 15 claims whose first is too steep by 0.15; only its verdict matters."""
    flat = draw(rng, checks, replace(law, b=-0.35))
    rest = draw(rng, 14 * checks, replace(law, b=-0.5))
    series = [s for i in range(checks) for s in (flat[i], *rest[14 * i : 14 * i + 14])]
    return verdicts(series, [claim(-0.5)] * 15, 15)


def alone(rng: np.random.Generator, trials: int, law: Law, about: Claim) -> Counter[str]:
    """How often each verdict on one claim, in checks of that claim alone."""
    found: Counter[str] = Counter()
    for start in range(0, trials, 2000):
        series = draw(rng, min(2000, trials - start), law)
        found.update(word for (word,) in verdicts(series, [about], 1))
    return found


def accepted_share(found: Counter[str]) -> float:
    """Share (%) of verdicts that accept the claim."""
    return 100 * sum(found[word] for word in AGREES) / found.total()


def falsely_accepted(rng: np.random.Generator, trials: int, law: Law, about: Claim) -> float:
    """`accepted_share` of a claim without a floor, at a fraction of the cost: a verdict only where
    the interval of the pure law excludes what it has to."""
    count, b = 0, about.exponent
    for start in range(0, trials, 2000):
        series = draw(rng, min(2000, trials - start), law)
        near = [
            one
            for one, fit in zip(series, fit_power_laws(series), strict=True)
            if fit.high < b + RATE_MARGIN and (about.kind == "upper" or fit.low > b - RATE_MARGIN)
        ]
        count += sum(word in AGREES for (word,) in verdicts(near, [about], 1))
    return 100 * count / trials


def accepted_rows(rng: np.random.Generator, trials: int) -> Iterator[str]:
    """A slope 0.15 worse than claimed: must be accepted in at most 3 %."""
    yield "| law | slope sd | seeds | 1 % | 10 % | 30 % | 50 % |"
    yield "|---|---|---|---|---|---|---|"
    both = claim(-0.5, kind="tight")
    cases = (
        ("x^−0.35, at most x^−0.5", -0.35, claim(-0.5)),
        ("x^−0.35, exactly x^−0.5", -0.35, both),
        ("x^−0.65, exactly x^−0.5", -0.65, both),
    )
    for (name, b, about), sd, r in product(cases, (0.0, 0.13), (3, 5, 10)):
        shares = [
            falsely_accepted(rng, trials, Law(b, 6, r, n, slope_sd=sd), about)
            for n in (0.01, 0.1, 0.3, 0.5)
        ]
        yield f"| {name} | {sd:g} | {r} | {' | '.join(f'{s:.2f}' for s in shares)} |"


def common_rows(rng: np.random.Generator, trials: int) -> Iterator[str]:
    """Seeds that share part of their randomness: what intervals and verdicts are worth then."""
    yield "| shared % | seeds | covered % | violated % | false accepted % |"
    yield "|---|---|---|---|---|"
    for share, r in product((0.0, 0.25, 0.5, 0.75), (3, 5, 10)):
        law = Law(-0.5, 6, r, 0.3, common=share)
        covered, _ = coverage(draw(rng, trials, law), law.b, False)
        violated = alone(rng, trials, law, claim(law.b))["violated"] / trials
        false = falsely_accepted(rng, trials, replace(law, b=-0.35), claim(-0.5))
        row = f"| {100 * share:g} | {r} | {100 * covered:.1f} |"
        yield f"{row} {100 * violated:.1f} | {false:.1f} |"


def price_rows(rng: np.random.Generator, trials: int) -> Iterator[str]:
    """A true tight claim: how often it stays inconclusive."""
    yield "| slope sd | range | seeds | 1 % | 10 % | 30 % | 50 % |"
    yield "|---|---|---|---|---|---|---|"
    for sd, factor, r in product((0.0, 0.13), (16, 32), (3, 5, 10)):
        law = Law(-0.5, 5 if factor == 16 else 6, r, 0.1, slope_sd=sd)
        shares = [
            100 * found["inconclusive"] / found.total()
            for n in (0.01, 0.1, 0.3, 0.5)
            for found in [alone(rng, trials, replace(law, noise=n), claim(-0.5, kind="tight"))]
        ]
        yield f"| {sd:g} | {factor} | {r} | {' | '.join(f'{s:.1f}' for s in shares)} |"


def bend_rows(rng: np.random.Generator, trials: int) -> Iterator[str]:
    """Curves that are no power law: what is said of them."""
    yield "| curve, claim | seeds | noise | violated % | accepted % |"
    yield "|---|---|---|---|---|"
    floor = 0.28 / 0.72 * 32**-0.5  # 28 % of the last value
    cases = (
        ("1/√(x+4) on 2…64, x^−1/2", Law(-0.5, 6, 5, 0.1, shift=2.0)),
        ("x^−1/2 with a floor of 28 %, x^−1/2", Law(-0.5, 6, 5, 0.1, kappa=floor)),
    )
    for (name, law), r, noise in product(cases, (5, 10), (0.01, 0.02, 0.05, 0.1, 0.2, 0.3)):
        found = alone(rng, trials, replace(law, seeds=r, noise=noise), claim(-0.5))
        bad = 100 * found["violated"] / found.total()
        yield f"| {name} | {r} | {noise:g} | {bad:.1f} | {accepted_share(found):.1f} |"


def coverage_rows(rng: np.random.Generator, trials: int) -> Iterator[str]:
    yield "| form | b | points | seeds | noise | covered (floor: kept) % | bounded % |"
    yield "|---|---|---|---|---|---|---|"
    forms = (
        ("pure", 0.0, False),
        ("c/a = 0.01, scaled", 0.01, False),
        ("c/a = 0.1, scaled", 0.1, False),
        ("c/a = 0.1, shared", 0.1, True),
    )
    for (name, kappa, shared), b, p, r, noise in product(forms, EXPONENTS, POINTS, SEEDS, NOISES):
        series = draw(rng, trials, Law(b, p, r, noise, kappa, shared))
        if kappa:
            covered, (_, bounded) = kept(series, b), coverage(series[:64], b, True)
        else:
            covered, bounded = coverage(series, b, False)
        flag = "" if 0.93 <= covered <= 0.97 else " **"
        row = f"| {name} | {b:g} | {p} | {r} | {noise:g} | {100 * covered:.1f}{flag} |"
        yield f"{row} {100 * bounded:.0f} |"


def interval_rows(rng: np.random.Generator, trials: int) -> Iterator[str]:
    yield "| b | points | seeds | noise | c/a | kept % | interval covers % |"
    yield "|---|---|---|---|---|---|---|"
    for law in (
        Law(-1.0, 4, 3, 0.1, 0.01),
        Law(-0.5, 4, 5, 0.1, 0.01),
        Law(-0.5, 6, 5, 0.1, 0.1),
        Law(-0.25, 6, 5, 0.3, 0.1),
        Law(0.0, 6, 5, 0.1, 0.1),
        Law(-0.25, 4, 3, 0.3, 0.1),
        Law(-2.0, 8, 3, 0.1, 0.01),
        Law(-1.0, 6, 5, 0.1, 0.1, shared=True),
    ):
        series = draw(rng, trials, law)
        floor = f"{law.kappa:g} {'shared' if law.shared else 'scaled'}"
        shares = f"{100 * kept(series, law.b):.1f} | {100 * coverage(series, law.b, True)[0]:.1f}"
        row = f"| {law.b:g} | {law.points} | {law.seeds} | {law.noise:g} | {floor} |"
        yield f"{row} {shares} |"


def alarm_rows(rng: np.random.Generator, checks: int) -> Iterator[str]:
    yield "| points | seeds | noise | slope sd | violated % | inconclusive % | but for floors % |"
    yield "|---|---|---|---|---|---|---|"
    for sd, p, r, noise in product((0.0, 0.13), (4, 6), (3, 5, 10), (0.02, 0.1, 0.3)):
        found = true_checks(rng, checks, Law(0.0, p, r, noise, slope_sd=sd))
        bad = np.mean(["violated" in check for check in found])
        open_ = np.mean(["inconclusive" in check for check in found])
        rest = np.mean(["inconclusive" in check[:13] for check in found])
        row = f"| {p} | {r} | {noise:g} | {sd:g} | {100 * bad:.2f} | {100 * open_:.1f} |"
        yield f"{row} {100 * rest:.1f} |"


def edge_rows(rng: np.random.Generator, checks: int) -> Iterator[str]:
    yield "| slope sd | points | noise | 3 seeds | 5 seeds | 10 seeds |"
    yield "|---|---|---|---|---|---|"
    for sd, p, noise in product((0.0, 0.05, 0.13), (4, 6), (0.02, 0.1, 0.3, 0.5)):
        laws = [Law(0.0, p, r, noise, slope_sd=sd) for r in (3, 5, 10)]
        shares = " | ".join(f"{edge_alarms(rng, checks, law):.2f}" for law in laws)
        yield f"| {sd:g} | {p} | {noise:g} | {shares} |"


def power_rows(rng: np.random.Generator, checks: int) -> Iterator[str]:
    yield "| points | seeds | noise | slope 0.15 too flat found % |"
    yield "|---|---|---|---|"
    for p, r, noise in (
        (4, 5, 0.1),
        (6, 3, 0.1),
        (6, 5, 0.02),
        (6, 5, 0.1),
        (6, 5, 0.2),
        (6, 10, 0.1),
        (6, 10, 0.2),
        (8, 5, 0.1),
    ):
        found = too_flat(rng, checks, Law(0.0, p, r, noise))
        share = np.mean([check[0] == "violated" for check in found])
        yield f"| {p} | {r} | {noise:g} | {100 * share:.1f} |"


PARTS = {
    "coverage": ("Coverage of the 95 % interval", coverage_rows),
    "intervals": ("Printed floor intervals", interval_rows),
    "alarms": ("Checks of 15 true claims", alarm_rows),
    "edge": ("False alarms (%) of checks of 15 upper claims", edge_rows),
    "power": ("Power, in a check of 15 claims", power_rows),
    "accepted": ("Accepted although false (%), by noise", accepted_rows),
    "common": ("Seeds that share part of their randomness", common_rows),
    "price": ("True and tight, yet inconclusive (%), by noise", price_rows),
    "bends": ("Curves that are no power law", bend_rows),
}
OF_CHECKS = frozenset({"alarms", "edge", "power"})


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--trials", type=int, default=2000)
    parser.add_argument("--checks", type=int, default=1000)
    parser.add_argument("--only", choices=tuple(PARTS))
    options = parser.parse_args()
    for name, (title, rows) in PARTS.items():
        if options.only in (None, name):
            count = options.checks if name in OF_CHECKS else options.trials
            print(f"\n## {title} ({count} trials per row)\n")
            for row in rows(np.random.default_rng(20260116), count):
                print(row, flush=True)


if __name__ == "__main__":
    main()
