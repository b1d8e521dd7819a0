"""A check for machines and reviewers: JUnit XML and a Markdown summary."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from ntkbound.core.errors import InputError
from ntkbound.core.glossary import VERDICTS
from ntkbound.report.changes import as_case
from ntkbound.report.changes import as_markdown as changes_as_markdown
from ntkbound.report.rates_table import TITLES, cells, markdown_table

if TYPE_CHECKING:
    from ntkbound.stats import Changes, CheckResult, Verdict

ELEMENTS = {"refutes": "failure", "undecided": "error", "untested": "skipped"}
NOTHING = "No claim could be judged"


def write_summaries(
    result: CheckResult,
    junit: Path | None,
    markdown: Path | None,
    failed: Mapping[str, str],
    changes: Changes | None = None,
) -> None:
    """Writes what was asked for, and appends to $GITHUB_STEP_SUMMARY where that is set.

    changes: against a baseline, where there is one. Raises InputError if a file cannot be written.
    """
    text = as_markdown(result, failed)
    if changes is not None:
        text += f"\n{changes_as_markdown(changes)}"
    if junit is not None:
        suite = as_junit(result, failed, changes)
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
    result: CheckResult, failed: Mapping[str, str], changes: Changes | None = None
) -> ET.Element:
    """One test case per claim, per bound, per failed run and for a baseline; what could not be
    judged is skipped, and so is a case of its own where no claim could be."""
    suite = ET.Element("testsuite", name="ntkbound")
    rows = [
        (f"{fit.term}.{fit.probe}.{fit.statistic}", _claimed(fit), fit.verdict, fit.sentence)
        for fit in result.fits
    ]  # fmt: skip
    rows += [
        (f"bound.{bound.term}.{bound.probe}.{bound.statistic}", "explicit bound", bound.verdict,
         bound.reason)
        for bound in result.bounds
    ]  # fmt: skip
    rows += [("run", identifier, "inconclusive", reason) for identifier, reason in failed.items()]
    for classname, name, verdict, sentence in rows:
        case = ET.SubElement(suite, "testcase", classname=classname, name=name)
        effect = VERDICTS[verdict].effect
        if effect in ELEMENTS:
            ET.SubElement(case, ELEMENTS[effect], message=f"{verdict}: {sentence}")
    if not result.judged:
        case = ET.SubElement(suite, "testcase", classname="check", name="claims")
        ET.SubElement(case, "skipped", message=f"{result.verdict}: {NOTHING}")
    if changes is not None:
        suite.append(as_case(changes))
    for attribute, kind in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        suite.set(attribute, str(len(suite.findall(f"testcase/{kind}"))))
    suite.set("tests", str(len(suite)))
    return suite


def as_markdown(result: CheckResult, failed: Mapping[str, str]) -> str:
    """What was judged, the table of claims, then every finding in words."""
    nothing = "" if result.judged else f" {NOTHING}."
    parts = [f"## ntkbound: {result.verdict}\n\n{result.counts}.{nothing}\n\n"]
    parts.append(markdown_table(TITLES, [cells(fit) for fit in result.fits]))
    parts.append("\n")
    parts += [
        f"- {fit.term} / {fit.probe} against {fit.axis}: {fit.sentence}\n" for fit in result.fits
    ]
    parts += [f"- bound {b.term} / {b.probe}: {b.reason}\n" for b in result.bounds]
    parts += [f"- run {identifier} failed: {reason}\n" for identifier, reason in failed.items()]
    return "".join(parts)


def _claimed(fit: Verdict) -> str:
    """What is claimed, in two words: "n: upper"."""
    return f"{fit.axis}: {'no claim' if fit.claim is None else fit.claim.kind}"


def _write(field: str, path: Path, text: str, mode: str) -> None:
    try:
        with path.open(mode, encoding="utf-8") as stream:
            stream.write(text)
    except OSError as error:
        told = f"cannot be written ({error.strerror})"
        raise InputError(told, field=field, value=path) from None
