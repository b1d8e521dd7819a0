"""The page of a check: its sections, and the one file that it is written to."""

from __future__ import annotations

import json
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from ntkbound.core.errors import InputError
from ntkbound.report.html import origins, steps, studies, terms, verdicts
from ntkbound.report.html.material import Material
from ntkbound.report.html.page import Page
from ntkbound.report.html.pictures import Pictures
from ntkbound.runs.files import check_writable, write_text

TEMPLATE = "page.html.j2"


def write_report(path: Path, material: Material) -> None:
    """Writes the page, whole or not at all. Raises InputError as ``check_page`` does."""
    check_page("output", path)
    write_text(path, as_html(page_of(material)))


def check_page(field: str, path: Path) -> None:
    """Raises InputError unless a page can be made and written here; creates nothing.

    ``field``: the argument that named the file.
    """
    if find_spec("jinja2") is None:
        raise InputError("needs jinja2; pip install 'ntkbound[report]'", field=field)
    if path.is_dir():
        raise InputError("is a folder; name a file", field=field, value=path)
    check_writable(path.parent, field)


def page_of(material: Material) -> Page:
    """The model: of a study its own sections first, then what every page has."""
    pictures = Pictures()
    first = [] if material.study is None else studies.of_study(material.study, pictures)
    claims = verdicts.claims(material, pictures)
    decomposition = terms.decomposition(material, pictures)
    trajectories = steps.trajectories(material, pictures)
    sections = [
        *(first or [verdicts.summary(material)]),
        verdicts.judged(material),
        claims,
        verdicts.bounds(material),
        decomposition,
        trajectories,
        origins.assumptions(material),
        terms.worst_cases(material),
        origins.provenance(material),
        origins.glossary(material),
    ]
    theorems = ", ".join(f"{len(own)} of {name}" for name, own in material.parts.items())
    facts = [("Runs", theorems or "none")]
    facts += [("Made by", material.command)] if material.command else []
    facts.append(("With", f"ntkbound {version('ntkbound')}"))
    facts += [("Figures", pictures.note)] if pictures.note else []
    counts = f"{material.result.counts}."
    return Page(material.title, verdicts.overall(material), counts, facts, sections)


def as_html(page: Page) -> str:
    """The page as text: every text of it escaped, SVG, style and script as they are."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("ntkbound.report.html", "template"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    numbers = [{"title": figure.title, **figure.data} for figure in page.figures]
    told = json.dumps(numbers, ensure_ascii=True, allow_nan=False).replace("<", "\\u003c")
    text = environment.get_template(TEMPLATE).render(page=page, numbers=told)
    return text.encode("utf-8", "replace").decode("utf-8")  # half a surrogate is no text
