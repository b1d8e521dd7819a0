"""Slopes of any theorem's records, as a table on the terminal, CSV, Markdown and LaTeX."""

from __future__ import annotations

import csv
import io
from dataclasses import replace

import pytest

from ntkbound.report.rates_table import (
    COLUMNS,
    as_text,
    cells,
    headlines,
    markdown_table,
    print_companions,
    print_rates,
    print_whole,
    titles,
)
from ntkbound.stats import check
from tests.report.made_up import EXCESS, NAME, RESIDUAL, SPREAD, claim, planted, printed

MARKUP = "[red] [/] :smile:"


@pytest.fixture(scope="module")
def records():
    return planted(-1.0)


@pytest.fixture
def result(records):
    """One claim, and two statistics that nobody claims anything about."""
    return check(records, [claim()], unclaimed=True, axes=("n",))


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"kind": "upper"}, "≤ −0.5"),
        ({"kind": "lower"}, "≥ −0.5"),
        ({"kind": "tight"}, "= −0.5"),
        ({"exponent": 0}, "≤ 0"),
        ({"exponent": 0, "log_power": 1}, "log"),
        ({"exponent": 0, "log_power": 0.5}, "≤ log^0.5"),
        ({"exponent": 0, "log_power": 2, "kind": "tight"}, "= log^2"),
        ({"exponent": 0, "log_power": 1, "kind": "lower"}, "≥ log"),
        ({"exponent": -1, "log_power": 2}, "≤ −1 log^2"),
        ({"exponent": 0.5, "log_power": 1}, "≤ 0.5 log"),
    ],
)
def test_what_is_claimed_in_a_few_signs(changes, text):
    assert claim(**changes).sign == text


def test_headlines_are_claims_then_declared_quantities(result):
    keys = [fit.key for fit in result.fits]
    assert sorted(keys) == sorted([EXCESS.key, RESIDUAL.key, SPREAD.key])
    assert [fit.key for fit in headlines(result.fits, [NAME])] == [EXCESS.key, RESIDUAL.key]
    shown = headlines(result.fits, ["gone"])
    assert shown[0].claim is not None, "claims come first"
    assert {fit.key for fit in shown} == {EXCESS.key, RESIDUAL.key, SPREAD.key}
    assert [fit.key for fit in headlines(result.fits, [])] == [EXCESS.key]


def test_a_quantity_without_slope_is_no_headline(result):
    (fit,) = (fit for fit in result.fits if fit.key == RESIDUAL.key)
    assert headlines([fit], [NAME]) == [fit]
    assert headlines([replace(fit, estimate=None)], [NAME]) == []


def test_the_statistic_beside_a_claimed_one_is_not_shown(records):
    fits = check(records, [claim(**SPREAD.key._asdict())], unclaimed=True, axes=("n",)).fits
    shown = [fit.key for fit in headlines(fits, [NAME])]
    assert shown == [SPREAD.key, EXCESS.key]  # residual/training is spoken of by the claim


def test_a_row_per_fit_and_every_reason_once(result):
    shown = headlines(result.fits, [NAME])
    lines = printed(print_rates, result, shown)
    assert lines[0].split() == " ".join(titles(result.fits)).split()
    assert lines[1].startswith("n    excess / test / max")
    assert lines[1].split()[-4:] == ["≤", "−0.5", "faster", "1"]
    assert lines[2].split()[-3:] == ["–", "not-defined", "2"]
    assert lines[3] == f"  1  {shown[0].reason}"
    again = printed(print_rates, result, [shown[0], shown[0]])
    assert sum(line == f"  1  {shown[0].reason}" for line in again) == 1


def test_bounds_that_do_not_hold_are_told(records):
    broken = [
        replace(run, checks=(replace(run.checks[0], bound=1e-9, verdict="bound-violated"),))
        for run in records
    ]
    result = check(broken, [claim()])
    lines = printed(print_rates, result, result.fits)
    assert any(line.startswith(f"bound on {EXCESS.key}: bound-violated") for line in lines)
    assert printed(print_whole, result) == [
        "1 claim: 1 judged, 1 held; 1 bound: 1 judged, 1 violated: violated"
    ]


def test_fits_without_numbers_are_dashes(result):
    bare = replace(result.fits[0], estimate=None, low=None, high=None, claim=None, fit=None)
    assert cells(bare)[3:6] == ["–", "[–, –]", "–"]
    line = printed(print_rates, result, [bare])[1]
    assert line.count("–") == 4
    assert printed(print_companions, [bare])[1:] == []
    (row,) = csv.DictReader(io.StringIO(as_text([bare], "csv")))
    assert (row["slope"], row["kind"], row["claimed"].strip()) == ("", "", row["claimed"])


def test_second_opinions_stand_beside_every_slope(result):
    lines = printed(print_companions, headlines(result.fits, [NAME]))
    assert len(lines) == 3
    assert "−1.00" in lines[1]


def test_names_and_reasons_from_files_are_text(result):
    odd = result.fits[0].key._replace(term=MARKUP)
    fit = replace(result.fits[0], key=odd, reason=MARKUP)
    lines = printed(print_rates, result, [fit], width=140)
    assert [line.count(MARKUP) for line in lines] == [0, 1, 1]


def test_long_names_leave_the_numbers_whole(result):
    long = result.fits[0].key._replace(term="a_term_" * 9, statistic="with_a_long_name")
    for width in (80, 100):
        lines = printed(print_rates, result, [replace(result.fits[0], key=long)], width=width)
        assert max(map(len, lines)) <= width
        assert "…" not in "".join(lines)
        assert "−1.00" in "".join(lines)


def test_csv_has_todays_columns(result):
    rows = list(csv.DictReader(io.StringIO(as_text(result.fits, "csv"))))
    assert tuple(rows[0]) == COLUMNS
    assert (rows[0]["claimed"], rows[0]["kind"], rows[0]["verdict"]) == ("-0.5", "upper", "faster")


def test_markdown_cells_cannot_break_the_table():
    table = markdown_table(("a", "b"), [("x | y", "two\nlines")])
    assert table.splitlines()[-1] == r"| x \| y | two lines |"


def test_latex_escapes_what_it_would_read(result):
    fit = replace(result.fits[0], claim=claim(exponent=0, log_power=0.5))
    odd = replace(fit, key=fit.key._replace(term=r"a_b&c#d$e{f}\g~h"))
    row = as_text([odd], "latex").splitlines()[-3]
    assert r"a\_b\&c\#d\$e\{f\}\textbackslash{}g\textasciitilde{}h / test / max" in row
    assert r"$\leq$ log\textasciicircum{}0.5" in row
    assert row.endswith(r"\\")
