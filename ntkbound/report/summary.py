"""A check for machines and reviewers: JUnit XML and a Markdown summary."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from ntkbound.core.errors import InputError
from ntkbound.core.glossary import Effect
from ntkbound.report.changes import as_case
from ntkbound.report.changes import as_markdown as changes_as_markdown
from ntkbound.report.rates_table import cells, markdown_table, titles

if TYPE_CHECKING:
    from ntkbound.stats import BoundVerdict, Changes, CheckResult, Verdict

ELEMENTS: Mapping[Effect, str] = {"refutes": "failure", "undecided": "error", "untested": "skipped"}
NOTHING = "No claim could be judged"


def write_summaries(
    result: CheckResult,
    junit: Path | None,
    markdown: Path | None,
    lost: Mapping[str, str],
    changes: Changes | None = None,
) -> None:
    """``lost``: what could not be judged, a run or a theorem's records, each with the reason.

    Writes what was asked for, and appends to $GITHUB_STEP_SUMMARY where that is set.

    changes: against a baseline, where there is one. Raises InputError if a file cannot be written.
    """
    text = as_markdown(result, lost)
    if changes is not None:
        text += f"\n{changes_as_markdown(changes)}"
    if junit is not None:
        suite = as_junit(result, lost, changes)
        _write("junit", junit, ET.tostring(suite, encoding="unicode"), "w")
    write_markdown(text, markdown)


def write_markdown(text: str, markdown: Path | None) -> None:
    """Writes a summary, and appends it to $GITHUB_STEP_SUMMARY where that is set.

    Raises InputError if a file cannot be written.
    """
    if markdown is not None:
        _write("markdown", markdown, text, "w")
    step = os.environ.get("GITHUB_STEP_SUMMARY")
    if step:
        try:
            _write("", Path(step), text, "a")
        except InputError as error:  # named by the environment, not by an argument
            raise InputError(f"GITHUB_STEP_SUMMARY {step}: {error}") from None


def as_junit(
    result: CheckResult, lost: Mapping[str, str], changes: Changes | None = None
) -> ET.Element:
    """One test case per claim, per bound, per lost run and for a baseline; what could not be
    judged is skipped, and so is a case of its own where no claim could be."""
    suite = ET.Element("testsuite", name="ntkbound")
    cases: list[tuple[str, str, Effect, str]] = [
        (".".join(filter(None, fit.key)), _claimed(fit), fit.effect,
         f"{fit.verdict}: {fit.sentence}")
        for fit in result.fits
    ]  # fmt: skip
    cases += [
        (f"bound.{bound.term}.{bound.probe}.{bound.statistic}", _bound(bound), bound.effect,
         f"{bound.verdict}: {bound.reason}")
        for bound in result.bounds
    ]  # fmt: skip
    cases += [("run", run, "undecided", f"inconclusive: {why}") for run, why in lost.items()]
    for classname, name, effect, message in cases:
        case = ET.SubElement(suite, "testcase", classname=classname, name=name)
        if effect in ELEMENTS:
            ET.SubElement(case, ELEMENTS[effect], message=message)
    if not result.judged:
        case = ET.SubElement(suite, "testcase", classname="check", name="claims")
        ET.SubElement(case, "skipped", message=f"{result.verdict}: {NOTHING}")
    if changes is not None:
        suite.append(as_case(changes))
    for attribute, kind in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        suite.set(attribute, str(len(suite.findall(f"testcase/{kind}"))))
    suite.set("tests", str(len(suite)))
    return suite


def as_markdown(result: CheckResult, lost: Mapping[str, str]) -> str:
    """What was judged, the table of claims, then every finding in words."""
    nothing = "" if result.judged else f" {NOTHING}."
    parts = [f"## ntkbound: {result.verdict}\n\n{result.counts}.{nothing}\n\n"]
    parts.append(markdown_table(titles(result.fits), [cells(fit) for fit in result.fits]))
    parts.append("\n")
    parts += [
        f"- {fit.key}{f' against {fit.axis}' if fit.axis else ''}: {fit.sentence}\n"
        for fit in result.fits
    ]
    parts += [f"- bound {b.term} / {b.probe}: {b.reason}\n" for b in result.bounds]
    parts += [f"- not judged: {identifier} ({reason})\n" for identifier, reason in lost.items()]
    return "".join(parts)


def _claimed(fit: Verdict) -> str:
    """What is claimed, in two words: "n: upper", or the form of a claim without an axis."""
    if fit.claim is None:
        return f"{fit.axis}: no claim"
    return f"{fit.axis or fit.form}: {fit.kind or fit.claim.sign}"


def _bound(bound: BoundVerdict) -> str:
    """ "explicit bound", numbered from the second of one statistic on."""
    return "explicit bound" + (f" {bound.nth}" if bound.nth > 1 else "")


def _write(field: str, path: Path, text: str, mode: str) -> None:
    try:
        with path.open(mode, encoding="utf-8") as stream:
            stream.write(text)
    except OSError as error:
        told = f"cannot be written ({error.strerror})"
        raise InputError(told, field=field, value=path) from None
