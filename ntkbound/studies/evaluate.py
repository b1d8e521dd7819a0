"""A study's records → verdicts, findings, tables and panels."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from ntkbound.core.outcome import Terms
from ntkbound.core.record import Record
from ntkbound.runs.record import read
from ntkbound.stats import UNSET, BoundVerdict, Verdict, arm_text, check, config_of
from ntkbound.stats.verdicts import whole
from ntkbound.studies.measured import axis_value, cells, measured_panels, measured_table
from ntkbound.studies.study import Edition, Evaluation, Evidence, Finding, Judgement, Study


def read_records(out: Path, identifiers: Iterable[str]) -> list[Record]:
    """The records of exactly these runs, whatever else lies in the folder."""
    return [read(out / identifier) for identifier in identifiers]


def evaluate(edition: Edition, records: Sequence[Record], failed: Mapping[str, str]) -> Evaluation:
    """Judges the claims, the proved bounds and what else the study asks of its records.

    ``failed`` are the runs without a record, id → reason. Diverged runs count in the tables and in
    the study's own evaluation, never in a rate.
    """
    study = edition.study
    told = [with_terms(record, study.derive(record)) for record in records]
    evidence = Evidence(
        [record for record in told if record.complete],
        [record for record in told if not record.complete],
    )
    fits: list[Verdict] = []
    bounds: list[Finding] = []
    own = Judgement()
    if evidence.complete:
        result = check(evidence.complete, edition.claims(evidence.complete))
        fits = [fit for fit in result.fits if fit.claim is not None]
        bounds = _of_bounds(result.bounds)
        own = study.judge(evidence)
    fits += own.fits
    claims = [of_fit(fit, study) for fit in fits]
    found = cells(evidence, study.axis, study.arms)
    return Evaluation(
        edition.name,
        study,
        edition.size,
        _verdict([*claims, *own.findings], bounds, failed),
        _scope(told, edition),
        fits,
        [*claims, *bounds, *own.findings],
        [measured_table(study, found), *own.tables],
        [*measured_panels(study, found, fits), *own.panels],
        evidence.complete,
        {**failed, **{record.id: record.status for record in evidence.diverged}},
    )


def with_terms(record: Record, more: Terms) -> Record:
    """The record with further terms beside its own."""
    terms = {term: dict(probes) for term, probes in record.terms.items()}
    for term, probes in more.items():
        terms[term] = {**terms.get(term, {}), **probes}
    return replace(record, terms=terms)


def of_fit(fit: Verdict, study: Study) -> Finding:
    """A fitted rate as a statement with its verdict, in which arm if the study has several."""
    name = fit.label or f"{fit.term} / {fit.probe} / {fit.statistic}"
    arms = () if callable(study.arms) else tuple(study.arms)
    told = {field: value for field, value in fit.arm if value != UNSET}
    shown = {field: told[field] for field in (*arms, *study.axis.split("/")) if field in told}
    if fit.axis != study.axis:  # judged at every value of the axis, which may follow another field
        shown = shown or told
    place = ", ".join(f"{field} = {value}" for field, value in shown.items())
    name += f" ({place})" if place else ""
    status = fit.claim.status if fit.claim else "stated"
    return Finding(f"{name}: {_claimed(fit)}", fit.verdict, fit.sentence, status)


def _claimed(fit: Verdict) -> str:
    """What is claimed of a fit, in words: "at most m^−0.5"."""
    return f"no rate claimed in {fit.axis}" if fit.claim is None else fit.claim.said


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


def _verdict(
    answers: Sequence[Finding], bounds: Sequence[Finding], failed: Mapping[str, str]
) -> str:
    """As of a whole check: inconclusive where something is claimed and nothing of it could be
    judged, even where bounds hold; ``not-defined`` where nothing was asked at all."""
    verdict = whole(finding.effect for finding in (*answers, *bounds))
    if verdict != "holds":
        return verdict
    told = {finding.verdict for finding in answers}
    silent = told <= {"not-defined"}
    if failed or not (silent or any(finding.effect == "agrees" for finding in answers)):
        return "inconclusive"
    return "not-defined" if silent and not bounds else verdict


def _scope(records: Sequence[Record], edition: Edition) -> str:
    """Over what was measured: "n = 16 … 512 (6 values), 10 seeds; d 4, steps 1000".

    The fields named are those of the preset's ``[run]`` that are equal in all runs.
    """
    axis = edition.study.axis
    configs = [config_of(record) for record in records]
    if not configs:
        return "no run has a record"
    values = sorted({axis_value(record, axis) for record in records})
    seeds = len({config["seed"] for config in configs})
    text = f"{axis} = {values[0]:g} … {values[-1]:g} ({len(values)} values), {seeds} seeds"
    held = {
        field: {arm_text(config[field]) for config in configs}
        for field in edition.preset.fixed
        if field not in (axis, *axis.split("/"))
    }
    fixed = [f"{name} {next(iter(found))}" for name, found in held.items() if len(found) == 1]
    return f"{text}; {', '.join(fixed)}" if fixed else text
