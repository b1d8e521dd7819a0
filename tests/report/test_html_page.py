"""The report page without a browser: its structure, its words, and that nothing gets out or in."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ntkbound.core.errors import InputError
from ntkbound.core.glossary import TERMS, VERDICTS
from ntkbound.core.outcome import Bound, check
from ntkbound.report.html import pictures, write
from ntkbound.report.html.material import Material, spread
from ntkbound.report.html.page import Grid, columns, numeral, texts, without_empty
from ntkbound.stats import check as judge
from tests.report import made_up
from tests.support.pages import Page, reaches_out

SECTIONS = ["summary", "judged", "claims", "bounds", "decomposition", "trajectories", "assumptions",
            "worst", "provenance", "glossary"]  # fmt: skip
EVIL = "</script><script>alert(1)</script><img src=http://x.invalid/y onerror=alert(1)>"
SORT = Path(write.__file__).parent / "template" / "sort.js"


def traced(record):
    steps = np.array([0, 10, 50, 100])
    series = np.exp(-steps / 50) * (1 + record.config["seed"])
    trace = {"step": steps, "residual/training/mean": series, "gap/own/norm": series[1:],
             "gap/own/step": steps[1:], "words": np.array(["a", "b", "c", "d"])}  # fmt: skip
    conditions = {"n ≥ d": True, "well posed": record.config["seed"] > 0, "sparse": None}
    environment = {"cpu": "made up", "seconds": 1.5}
    return replace(record, trace=trace, conditions=conditions, environment=environment,
                   notes=("a note",), bounds={"excess": 2.0, "radius": None})  # fmt: skip


def material(records=None, claims=None, **changes):
    made = [traced(one) for one in made_up.planted(-0.5)] if records is None else records
    result = judge(made, [made_up.claim()] if claims is None else claims)
    fields = {"title": "A title", "command": "ntkbound report made-up", "verdict": result.verdict}
    return Material(**{**fields, "result": result, "records": made, **changes})


def rendered(*arguments, **changes) -> str:
    return write.as_html(write.page_of(material(*arguments, **changes)))


@pytest.fixture(scope="module")
def text():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ntkbound.core.registry.find", made_up.find)
        return rendered()


def test_every_section_is_there_and_linked(text):
    page = Page(text)
    assert [attributes["id"] for attributes, _ in page.all("section")] == SECTIONS
    assert [attributes["href"] for attributes, _ in page.all("a")] == [f"#{s}" for s in SECTIONS]
    assert page.texts("h1") == ["A title"]
    ids = [attributes["id"] for _, attributes, _ in page.elements if attributes.get("id")]
    assert len(ids) == len(set(ids)), "ids of figures do not meet"
    used = set(re.findall(r'(?:href="#|url\(#)([^")]+)', text))
    assert used <= set(ids), "every reference is to something on the page"


def test_sections_say_what_the_records_say(text):
    page = Page(text)
    for section, words in {
        "summary": ["excess / test / max", "≤ −0.5", "tight"],
        "claims": ["Claimed: at most n^−0.5.", "slope −0.50"],
        "bounds": ["not exceeded in 25 runs", "1.", "×"],
        "decomposition": ["uniform", "(0.5)", "radius", "runs without"],
        "trajectories": ["residual/training/mean", "gap/own/norm", "n = 16", "n = 256"],
        "assumptions": ["n ≥ d 25 0 0", "well posed 20 5 0", "sparse 0 0 25"],
        "worst": ["The closest run of every bound", "seed = ", "ls-", "a note"],
        "provenance": ["least-squares 1 made up", "n 16 (5), 32 (5)", "cpu made up", "ls-16-0"],
        "glossary": [*VERDICTS, *TERMS],
    }.items():
        for word in words:
            assert word in page.section(section), (section, word)
    assert "Every claim and every bound was put to the test" in page.section("judged")
    assert page.texts("title") == ["A title: holds"]


def test_figures_are_inline_and_their_numbers_are_json(text):
    page = Page(text)
    assert len(page.all("figure")) == len(page.all("svg")) == 1 + 2 + 2
    (numbers,) = [t for a, t in page.all("script") if a.get("type") == "application/json"]
    found = json.loads(numbers)
    assert [one["title"] for one in found[:2]] == ["excess / test / max", "excess"]
    (fit,) = found[0]["fits"]
    assert fit["x"] == [16, 32, 64, 128, 256]
    assert np.polyfit(np.log(fit["x"]), np.log(fit["median"]), 1)[0] == pytest.approx(
        -0.5, abs=0.02
    )
    assert fit["claimed"] == -0.5
    assert found[-1]["lines"][0]["label"] == "n = 16"
    assert "<?xml" not in text and "<metadata" not in text and "xmlns" not in text


def test_nothing_asks_the_network_or_another_file(text):
    assert reaches_out(text) == []
    assert "http" not in text
    assert reaches_out('<a href="http://x">y</a>') == ["a href=http://x"]
    assert reaches_out("<style>@import 'x'; a { b: url(x) }</style>") == ["@import", "url(x)"]


def test_whatever_a_record_holds_is_text():
    fields = {"id": EVIL, "notes": (EVIL,), "environment": {EVIL: EVIL}, "conditions": {EVIL: None},
              "bounds": {EVIL: 1.0}, "code": {EVIL: EVIL}}  # fmt: skip
    first, *others = (traced(one) for one in made_up.planted(-0.5))
    row = check(replace(made_up.EXCESS, term=EVIL), None, Bound(None, EVIL))
    trace = {**first.trace, f"{EVIL}/a/b": first.trace["residual/training/mean"]}
    bad = replace(first, **fields, checks=(*first.checks, row), trace=trace)
    named = made_up.claim(label=EVIL, status="refuted", reason=EVIL)
    changes = {"title": EVIL, "command": EVIL, "lost": {EVIL: EVIL}, "left_out": {EVIL: EVIL}}
    text = rendered([bad, *others], [named], **changes)
    page = Page(text)
    assert len(page.all("script")) == 2
    assert reaches_out(text) == []
    assert page.texts("h1") == [EVIL]
    for section in ("summary", "judged", "claims", "bounds", "provenance"):
        assert EVIL in page.section(section), section
    assert "onerror=alert(1)" in page.section("trajectories"), (
        "a title, broken to the figure's width"
    )


def test_half_a_character_and_mathematics_that_is_none_do_not_stop_it():
    first, *others = (traced(one) for one in made_up.planted(-0.5))
    trace = {**first.trace, r"$\frac$/a/b": first.trace["residual/training/mean"]}
    text = rendered([replace(first, notes=("\ud800",), trace=trace), *others])
    assert "\ud800" not in text
    assert r"$\frac$/a/b" in Page(text).section("trajectories")


def test_the_same_records_give_the_same_page(text):
    assert rendered() == text
    assert not re.search(r"\d\d:\d\d:\d\d", text), "no time of day"


def test_what_was_not_judged_is_said():
    vacuous = [traced(replace(one, checks=(made_up.absent("excess", "n < d"),)))
               for one in made_up.planted(-0.5, points=(16, 32), seeds=2)]  # fmt: skip
    lost = {"ls-1": "diverged", "ls-2": "diverged", "ls-3": "no memory"}
    page = Page(rendered(vacuous, lost=lost, left_out={"ls-4": "damaged"}, verdict="inconclusive"))
    judged = page.section("judged")
    for word in ("inconclusive excess / test / max", "vacuous bound on excess / test / max",
                 "diverged 2", "no memory 1", "ls-3", "damaged 1",
                 "a check that would hold is inconclusive"):  # fmt: skip
        assert word in judged, word
    nothing = Page(rendered([made_up.record(checks=(), certificates=())], []))
    assert "No claim could be put to the test" in nothing.section("judged")
    for section in ("claims", "bounds", "decomposition", "trajectories", "assumptions"):
        assert "<table" not in nothing.section(section)
        assert len(nothing.section(section)) > 40, section


def test_a_claim_that_is_known_to_be_false_says_so():
    steep = made_up.claim(exponent=-2.0, status="refuted", reason="too steep")
    page = Page(rendered(claims=[steep]))
    (word,) = [a["class"] for a, t in page.all("span") if t == "violated (known to be false)"][:1]
    assert word == "verdict agrees"


def test_without_matplotlib_the_page_says_so(monkeypatch):
    monkeypatch.setattr(pictures, "find_spec", lambda name: None)
    text = rendered()
    assert "<svg" not in text
    assert pictures.NO_MATPLOTLIB in " ".join(Page(text).texts("dd"))
    assert "tight" in Page(text).section("summary")


def test_without_jinja2_one_line_says_so(monkeypatch, tmp_path):
    monkeypatch.setattr(write, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"pip install 'ntkbound\[report\]'"):
        write.check_page("output", tmp_path / "page.html")


def test_it_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "new" / "page.html"
    write.write_report(path, material())
    assert [one.name for one in path.parent.iterdir()] == ["page.html"]
    before = path.read_bytes()
    monkeypatch.setattr(write, "as_html", lambda page: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        write.write_report(path, material())
    assert path.read_bytes() == before
    for where in (tmp_path, path / "below.html"):
        with pytest.raises(InputError, match="folder"):
            write.check_page("output", where)


def test_a_thousand_records_stay_small():
    points = (16, 32, 64, 128, 256)
    records = []
    for arm in range(40):
        for one in made_up.planted(-0.5, points=points):
            fields = {"config": {**one.config, "d": 4 + arm}, "id": f"{one.id}-{arm}"}
            records.append(traced(replace(one, **fields)))
    assert len(records) == 1000
    names = ("excess/test/max", "residual/training/mean", "residual/training/spread")
    claims = [made_up.claim(term=t, probe=p, statistic=s)
              for t, p, s in (name.split("/") for name in names)]  # fmt: skip
    text = rendered(records, claims)
    assert len(text.encode()) <= 5_000_000
    page = Page(text)
    assert len(page.all("svg")) <= 40
    assert "left out of this page" in " ".join(page.texts("dd"))
    assert len(re.findall("<tr>", text)) > 1000, "every record is listed"


def test_several_bounds_on_one_number_each_have_their_closest_run():
    made = [traced(one) for one in made_up.planted(-0.5, points=(16, 32), seeds=2)]
    second = check(made_up.EXCESS, made[1].checks[0].measured, Bound(0.3))
    made[1] = replace(made[1], checks=(*made[1].checks, second))
    worst = Page(rendered(made, [])).section("worst")
    assert "excess / test / max " in worst and "excess / test / max (bound 2) " in worst
    first = min(made, key=lambda one: one.checks[0].slack)
    assert worst.index(first.id) < worst.index("(bound 2)") < worst.rindex(made[1].id)


def test_columns_without_anything_are_left_out():
    grid = Grid("", columns("a", "b", numeric=("b",)), [texts("x", "–"), texts("y", "–")])
    assert [column.title for column in without_empty(grid).columns] == ["a"]
    kept = replace(grid, rows=[[*texts("x"), numeral(0.5)]])
    assert without_empty(kept) == kept


def test_a_few_places_are_spread_over_the_axis():
    assert spread([1, 2, 3], 8) == [1, 2, 3]
    assert spread(list(range(100)), 4) == [0, 33, 66, 99]


def test_the_sorting_script_is_whole_and_knows_what_the_template_writes(text):
    script = SORT.read_text(encoding="utf-8")
    assert script.strip() in text
    for name in ("compare", "sort"):
        assert f"function {name}(" in script
    assert "dataset.order" in script and 'data-order="' in text
    assert "localeCompare" in script and "aria-sort" in script
    assert script.count("{") == script.count("}") and script.count("(") == script.count(")")
    for head in re.findall(r"<thead>.*?</thead>", text, re.DOTALL):
        assert head.count("<tr>") == 1
    rows = re.findall(r"<tr>(.*?)</tr>", text, re.DOTALL)
    assert all(row.count("<td") + row.count("<th") > 0 for row in rows)


def test_light_dark_phone_and_print_are_styled(text):
    (style,) = Page(text).texts("style")
    for rule in ("prefers-color-scheme: dark", "max-width: 40rem", "@media print"):
        assert rule in style
    assert 'name="viewport"' in text
    assert "#000000" not in text.split("</style>", 1)[1] and "stroke: currentColor" in text
