"""A study's records → verdicts, findings, tables and panels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from ntkbound.runs.record import Record, read
from ntkbound.stats import BoundVerdict, Verdict, arm_text, check, config_of
from ntkbound.stats.verdicts import whole
from ntkbound.studies.measured import axis_value, cells, measured_panels, measured_table, with_terms
from ntkbound.studies.study import Evidence, Finding, Judgement, Outcome, Row, Study

KINDS = {"upper": "at most", "lower": "at least", "tight": "exactly", "none": "not claimed"}


def read_records(out: Path, identifiers: Iterable[str]) -> list[Record]:
    """The records of exactly these runs, whatever else lies in the folder."""
    return [read(out / identifier) for identifier in identifiers]


def evaluate(
    name: str, study: Study, size: str, records: Sequence[Record], failed: Mapping[str, str]
) -> Outcome:
    """Judges the claims, the proved bounds and what else the study asks of its records.

    ``failed`` are the runs without a record, id → reason. Diverged runs count in the tables and in
    the study's own evaluation, never in a rate.
    """
    rows = [with_terms(record.data, study.derive(record)) for record in records]
    evidence = Evidence(
        [row for row in rows if row["status"] == "complete"],
        [row for row in rows if row["status"] != "complete"],
    )
    fits: list[Verdict] = []
    findings: list[Finding] = []
    if evidence.rows:
        result = check(evidence.rows, study.claims)
        fits = [fit for fit in result.fits if not fit.reason.startswith("no claim")]
        findings = _of_bounds(result.bounds)
    own = study.judge(evidence) if evidence.rows else Judgement()
    fits += own.fits
    findings = [of_fit(fit, study) for fit in fits] + findings + list(own.findings)
    found = cells(evidence, study.axis, study.arms)
    lost = {**failed, **{str(row["id"]): str(row["status"]) for row in evidence.diverged}}
    return Outcome(
        name,
        study,
        size,
        _verdict(findings, failed),
        _scope(rows, study),
        fits,
        findings,
        [measured_table(study, found), *own.tables],
        [*measured_panels(study, found), *own.panels],
        evidence.rows,
        lost,
    )


def of_fit(fit: Verdict, study: Study) -> Finding:
    """A fitted rate as a statement with its verdict, in which arm if the study has several."""
    name = fit.label or f"{fit.term} / {fit.probe} / {fit.statistic}"
    arms = () if callable(study.arms) else study.arms
    place = ", ".join(
        f"{field} = {value}" for field, value in fit.arm if field in arms and value != "None"
    )
    name += f" ({place})" if place else ""
    if fit.kind == "log":
        claim = f"at most like the claimed logarithm of {fit.axis}"
    elif fit.claimed is None:
        claim = f"no rate claimed in {fit.axis}"
    else:
        exponent = f"{fit.claimed:g}".replace("-", "−")
        claim = f"{KINDS[fit.kind]} {fit.axis}^{exponent}"
    return Finding(f"{name}: {claim}", fit.verdict, fit.sentence)


def _of_bounds(bounds: Sequence[BoundVerdict]) -> list[Finding]:
    """One finding for all proved bounds that hold, one for each that does not."""
    held = [bound for bound in bounds if bound.verdict == "holds"]
    found = []
    if held:
        slack = min(bound.slack for bound in held if bound.slack is not None)
        runs = max(bound.runs for bound in held)
        told = f"{len(held)} bounds, up to {runs} runs each; the closest is {slack:.3g}× away"
        found.append(Finding("every proved bound that is defined here", "holds", told))
    for bound in bounds:
        if bound.verdict in ("bound-violated", "inconclusive"):
            name = f"{bound.term} / {bound.probe} / {bound.statistic} is below its proved bound"
            found.append(Finding(name, bound.verdict, bound.reason))
    return found


def _verdict(findings: Sequence[Finding], failed: Mapping[str, str]) -> str:
    """As of a whole check; ``not-defined`` where nothing was judged."""
    counts = Counter(finding.verdict for finding in findings)
    verdict = whole(counts)
    if verdict == "holds" and failed:
        return "inconclusive"
    return "not-defined" if set(counts) <= {"not-defined"} else verdict


def _scope(rows: Sequence[Row], study: Study) -> str:
    """Over what was measured: "m = 16 … 512 (6 values), 10 seeds; n = 256, T = 8, d = 4"."""
    configs = [config_of(row) for row in rows]
    if not configs:
        return "no run has a record"
    values = sorted({axis_value(row, study.axis) for row in rows})
    seeds = len({config["seed"] for config in configs})
    text = f"{study.axis} = {values[0]:g} … {values[-1]:g} ({len(values)} values), {seeds} seeds"
    held = {
        field: {arm_text(config[field]) for config in configs}
        for field in ("task", "activation", "query", "n", "T", "d", "m", "tau", "method", "rho")
        if field not in (study.axis, *study.axis.split("/"))
    }
    fixed = [f"{name} {next(iter(found))}" for name, found in held.items() if len(found) == 1]
    return f"{text}; {', '.join(fixed)}" if fixed else text
