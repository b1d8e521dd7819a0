"""How often checks err that add seeds until they are decided, and how many seeds they save.

    python -m tests.support.calibration_looks --only alarms --trials 4000
    python -m tests.support.calibration_looks --only alone --trials 2000
    python -m tests.support.calibration_looks --only checks --trials 400

Planted as in `tests.support.calibration`: 6 points over a factor 32. A plan of looks from 5 seeds
to 20; beside it the same data at a fixed ten seeds, and (alarms) looks that spend nothing.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ntkbound.core.claim import Rate
from ntkbound.core.glossary import AGREES
from ntkbound.stats import Series
from ntkbound.stats.applicability import Concern
from ntkbound.stats.bends import bend
from ntkbound.stats.check import CheckResult, kept
from ntkbound.stats.claims import judge_concerns
from ntkbound.stats.forms.rate import conclude, prepare
from ntkbound.stats.inference import holm, pool, seed_mean
from ntkbound.stats.levels import ONCE, Look, plan_looks
from ntkbound.stats.margins import CHECK_LEVEL, VIOLATION_MARGIN
from ntkbound.stats.verdicts import whole
from tests.support.calibration import Law, claim, draw

PLAN = plan_looks(5, 20)
TEN = (Look(10, ONCE),)
CLAIMS = 15  # of a check


def unspent(plan: Sequence[Look]) -> tuple[Look, ...]:
    """The same looks, each with the whole of both error rates."""
    return tuple(replace(look, levels=ONCE) for look in plan)


@dataclass(frozen=True)
class End:
    """What a claim, alone in its check, came to, and after how many seeds."""

    verdict: str
    seeds: int

    @property
    def accepted(self) -> bool:
        return self.verdict in AGREES


def ends(series: Sequence[Series], about: Rate, plan: Sequence[Look]) -> list[End]:
    """Each series, of as many seeds as the last look has, on its own until it is decided."""
    found: list[End] = [End("inconclusive", 0)] * len(series)
    going = list(range(len(series)))
    for look in plan:
        part = [_first(series[i], look.seeds) for i in going]
        wanting = []
        for i, one in zip(going, part, strict=True):
            (case,) = prepare([(about, one)], look.levels.confidence)
            verdict = conclude(case, look.levels.corrected(case.p()))
            found[i] = End(verdict.verdict, look.seeds)
            if verdict.wants == "seeds":
                wanting.append(i)
        going = wanting
    return found


def _first(series: Series, seeds: int) -> Series:
    return replace(series, values=series.values[:seeds], seeds=series.seeds[:seeds])


def alarms(
    rng: np.random.Generator, checks: int, law: Law, plans: Sequence[Sequence[Look]]
) -> list[float]:
    """Per plan, the share (%) of checks of `CLAIMS` claims "at most x^0" with a *violated* at any
    look; a verdict only where the p-value asks for one, as in `calibration.edge_alarms`.

    No check stops early here: that is the most that a plan can err.
    """
    x = np.log(np.exp2(np.arange(law.points)))
    x = x - x.mean()
    most = plans[0][-1].seeds
    bad = np.zeros(len(plans))
    for _ in range(checks):
        slopes = law.b + law.slope_sd * rng.normal(size=(CLAIMS, most, 1))
        gap = slopes * x + rng.normal(0, law.noise, (CLAIMS, most, law.points))
        bad += [any(_alarm(x, gap, look) for look in plan) for plan in plans]
    return [float(share) for share in 100 * bad / checks]


def _alarm(x: np.ndarray, gap: np.ndarray, look: Look) -> bool:
    gap = gap[:, : look.seeds]
    means = seed_mean(gap, x / (x @ x))
    p = holm([float(v) for v in means.upper_tail(VIOLATION_MARGIN, pool([means]))])
    beyond = [i for i in range(CLAIMS) if look.levels.corrected(p[i]) <= CHECK_LEVEL]
    found = [bend(x, gap[i]) for i in beyond]
    return any(one is None or not one.harmless for one in found)


def alarm_rows(trials: int) -> Iterator[str]:
    told = ", ".join(str(look.seeds) for look in PLAN)
    yield f"| slope beyond the claim | slope sd | noise | looks at {told} | unspent | once, at 10 |"
    yield "|---|---|---|---|---|---|"
    for beyond, sd, noise in (
        (VIOLATION_MARGIN, 0.0, 0.3), (VIOLATION_MARGIN, 0.13, 0.3), (0.0, 0.0, 0.3),
        (0.0, 0.0, 0.5), (0.0, 0.05, 0.1), (0.0, 0.13, 0.1), (0.0, 0.13, 0.3), (0.0, 0.13, 0.5),
    ):  # fmt: skip
        rng = np.random.default_rng(20261125)
        law = Law(beyond, 6, PLAN[-1].seeds, noise, slope_sd=sd)
        shares = alarms(rng, trials, law, (PLAN, unspent(PLAN), TEN))
        told = " | ".join(f"{share:.2f}" for share in shares)
        yield f"| {beyond:g} | {sd:g} | {noise:g} | {told} |"


def alone_rows(trials: int) -> Iterator[str]:
    yield (
        "| slope, claim | slope sd | noise | accepted % | violated % | open % | seeds | "
        "unspent: accepted % | at 10: accepted % | violated % | open % |"
    )
    yield "|---|---|---|---|---|---|---|---|---|---|---|"
    upper, tight = claim(-0.5), claim(-0.5, kind="tight")
    rows = [
        ("true: x^−0.5, =", -0.5, tight, [(0, 0.02), (0, 0.1), (0, 0.3), (0.13, 0.1), (0.13, 0.3)]),
        ("true: x^−0.5, ≤", -0.5, upper, [(0, 0.1), (0, 0.3), (0.13, 0.3)]),
        ("0.30 worse: x^−0.2, ≤", -0.2, upper, [(0, 0.1), (0, 0.3), (0.13, 0.3)]),
        ("0.15 worse: x^−0.35, ≤", -0.35, upper,
         [(0, 0.02), (0, 0.1), (0, 0.3), (0, 0.5), (0.13, 0.1), (0.13, 0.3)]),
        ("0.15 worse: x^−0.35, =", -0.35, tight, [(0, 0.3), (0.13, 0.1)]),
        ("between: x^−0.4, ≤", -0.4, upper, [(0, 0.3), (0.13, 0.3)]),
    ]  # fmt: skip
    for name, b, about, settings in rows:
        for sd, noise in settings:
            rng = np.random.default_rng(20261125)
            series = draw(rng, trials, Law(b, 6, PLAN[-1].seeds, noise, slope_sd=sd))
            spent, loose, ten = (ends(series, about, p) for p in (PLAN, unspent(PLAN), TEN))
            used = np.mean([end.seeds for end in spent])
            loosely = 100 * np.mean([end.accepted for end in loose])
            yield (
                f"| {name} | {sd:g} | {noise:g} | {_shares(spent)} | {used:.1f} | {loosely:.2f} | "
                f"{_shares(ten)} |"
            )


def _shares(found: Sequence[End]) -> str:
    """Accepted, violated and open, in percent."""
    accepted = 100 * np.mean([end.accepted for end in found])
    violated = 100 * np.mean([end.verdict == "violated" for end in found])
    return f"{accepted:.2f} | {violated:.2f} | {100 - accepted - violated:.1f}"


def check_rows(trials: int) -> Iterator[str]:
    """Whole checks of true claims, ten upper and five tight, made as the command makes them."""
    yield (
        "| slope sd | noise | violated % | all decided % | seeds | "
        "at 10: violated % | all decided % |"
    )
    yield "|---|---|---|---|---|---|---|"
    about = [claim(-0.5)] * 10 + [claim(-0.5, kind="tight")] * 5
    for sd, noise in ((0, 0.02), (0, 0.1), (0, 0.3), (0.05, 0.1), (0.13, 0.1), (0.13, 0.3)):
        rng = np.random.default_rng(20261125)
        law = Law(-0.5, 6, PLAN[-1].seeds, noise, slope_sd=sd)
        told = []
        drawn = draw(rng, CLAIMS * trials, law)
        for plan in (PLAN, TEN):
            done = [
                check_of(drawn[start : start + CLAIMS], about, plan)
                for start in range(0, len(drawn), CLAIMS)
            ]
            bad = 100 * np.mean([result.verdict == "violated" for result in done])
            decided = 100 * np.mean([result.decided == CLAIMS for result in done])
            told.append(f"{bad:.2f} | {decided:.1f}")
            if plan is PLAN:
                told.append(f"{np.mean([result.looks[-1].seeds for result in done]):.1f}")
        yield f"| {sd:g} | {noise:g} | {' | '.join(told)} |"


def check_of(series: Sequence[Series], about: Sequence[Rate], plan: Sequence[Look]) -> CheckResult:
    """The check of these claims, each about its own series, at the look at which it stops."""
    done = CheckResult((), (), "inconclusive")
    # As many arms as claims: equal claims must be told apart.
    arms = [replace(one, arm=(("claim", str(i)),)) for i, one in enumerate(series)]
    for look in plan:
        concerns = [Concern([_first(one, look.seeds)]) for one in arms]
        fits = tuple(judge_concerns(about, concerns, look.levels))
        now = CheckResult(fits, (), whole(fit.effect for fit in fits))
        done = replace(kept(done, now), looks=(look,))
        if not done.wants_seeds:
            break
    return done


PARTS = {"alarms": alarm_rows, "alone": alone_rows, "checks": check_rows}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument("--only", choices=tuple(PARTS))
    options = parser.parse_args()
    for name, rows in PARTS.items():
        if options.only in (None, name):
            print(f"\n## {name} ({options.trials} trials per row)\n")
            for row in rows(options.trials):
                print(row, flush=True)


if __name__ == "__main__":
    main()
