"""A whole check: every claim against the records, corrected for how many there are."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from ntkbound.core.claim import Claim
from ntkbound.stats.bounds import BoundVerdict, judge_bounds
from ntkbound.stats.columns import Table, arm_text, config_of, read_table
from ntkbound.stats.inference import holm
from ntkbound.stats.noise import NoiseFloor
from ntkbound.stats.observations import DEFAULT_AXES, observe
from ntkbound.stats.powerlaw import PowerLawFit, fit_power_laws
from ntkbound.stats.verdicts import Verdict, conclude, describe, prepare, unmeasured, whole


@dataclass(frozen=True)
class CheckResult:
    """verdict: `violated` (any rate or bound is), else `inconclusive` (any is), else `holds`."""

    fits: tuple[Verdict, ...]
    bounds: tuple[BoundVerdict, ...]
    verdict: str

    def as_json(self) -> dict[str, Any]:
        return {
            "fits": [fit.as_json() for fit in self.fits],
            "bounds": [bound.as_json() for bound in self.bounds],
            "verdict": self.verdict,
        }


def check(
    records: Iterable[Mapping[str, Any]],
    claims: Sequence[Claim],
    *,
    unclaimed: bool = False,
    axes: Collection[str] = DEFAULT_AXES,
    ignore: Collection[str] = (),
    missing_seeds: Literal["common", "refuse"] = "common",
    noise: NoiseFloor | None = None,
) -> CheckResult:
    """Judge the claims and the explicit bounds of records in the shape of run.json.

    A claim is judged once in every arm (group of runs equal in all but the axis and seeds), all
    of them together under Holm's correction at `CHECK_LEVEL`. unclaimed: report also the slopes
    that no claim is about, along `axes` (what `slopes` shows). A claim about something whose
    conditions some run of the arm does not meet (its `checks` say so) is `condition-not-met`; a
    check in which no claim could be judged is inconclusive. Other arguments and errors as in
    `observe`.
    """
    rows = list(records)
    table = read_table(rows)
    along = dict.fromkeys([*(axes if unclaimed else ()), *(c.axis for c in claims)])
    series = observe(
        table, axes=tuple(along), ignore=ignore, missing_seeds=missing_seeds, noise=noise
    )
    wanted = {(c.axis, c.term, c.probe, c.statistic) for c in claims}
    if not unclaimed:
        series = tuple(s for s in series if (s.axis, s.term, s.probe, s.statistic) in wanted)
    by_name: dict[tuple[str, str, str, str], list[PowerLawFit]] = defaultdict(list)
    for fit in fit_power_laws(series):
        s = fit.series
        by_name[s.axis, s.term, s.probe, s.statistic].append(fit)
    outside = _outside(rows)
    concerned = _concerned(claims, by_name, table)
    fits = [_conditions(fit, outside) for fit in _judge_claims(claims, concerned)]
    claimed = {id(fit) for group in concerned for fit in group}
    for group in by_name.values():
        fits += [describe(fit) for fit in group if id(fit) not in claimed]
    bounds = judge_bounds(rows, table=table)
    counts = Counter([*(v.verdict for v in fits), *(v.verdict for v in bounds)])
    verdict = whole(counts)
    if verdict == "holds" and not any(fit.p is not None for fit in fits):
        verdict = "inconclusive"  # nothing was put to the test
    return CheckResult(tuple(fits), bounds, verdict)


Outside = Sequence[tuple[Mapping[str, Any], Mapping[str, Any]]]  # config, row of `checks`


def _outside(rows: Sequence[Mapping[str, Any]]) -> Outside:
    """The rows of `checks` that say that their run does not meet the theorem's conditions."""
    return [
        (config_of(record), row)
        for record in rows
        for row in record.get("checks") or ()
        if row["verdict"] == "condition-not-met"
    ]


def _conditions(fit: Verdict, outside: Outside) -> Verdict:
    """The verdict, or `condition-not-met` where a run of its arm is outside the theorem."""
    for config, row in outside if fit.p is not None else ():
        if (row["term"], row["probe"]) == (fit.term, fit.probe) and all(
            arm_text(config.get(name)) == value for name, value in fit.arm
        ):
            return replace(fit, verdict="condition-not-met", reason=str(row["reason"]))
    return fit


def _concerned(
    claims: Sequence[Claim],
    by_name: Mapping[tuple[str, str, str, str], list[PowerLawFit]],
    table: Table,
) -> list[list[PowerLawFit]]:
    """Per claim the fits of its statistic in arms of the model that it is about."""
    shared = table.fields["model"].values[0] if "model" in table.fields else None  # if none varies
    return [
        [
            fit
            for fit in by_name.get((claim.axis, claim.term, claim.probe, claim.statistic), [])
            if claim.model in (None, dict(fit.series.arm).get("model", shared))
        ]
        for claim in claims
    ]


def _judge_claims(claims: Sequence[Claim], concerned: Sequence[list[PowerLawFit]]) -> list[Verdict]:
    verdicts: list[Verdict] = []
    pairs: list[tuple[Claim, PowerLawFit]] = []
    for claim, group in zip(claims, concerned, strict=True):
        if not group:
            verdicts.append(unmeasured(claim))
        elif claim.kind == "none":
            verdicts += [describe(fit, claim) for fit in group]
        else:
            pairs += [(claim, fit) for fit in group]
    cases = prepare(pairs)
    adjusted = iter(holm([case.p() for case in cases if not case.lacking]))
    judged = [conclude(case, None if case.lacking else next(adjusted)) for case in cases]
    return judged + verdicts
