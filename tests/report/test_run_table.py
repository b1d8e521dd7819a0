"""One record of any theorem: checks, facts, reasons and levels, whatever is missing."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ntkbound.core.outcome import Bound, Certificate, Comparison, check
from ntkbound.core.quantity import Quantity
from ntkbound.report.run_table import print_levels, print_run, print_verification
from tests.report.made_up import EXCESS, THEOREM, absent, printed, record

LONG = Quantity(
    "a_term_whose_name_is_long_enough", "a_probe_with_a_long_name", "a_long_statistic_too"
)
MARKUP = "[red] [/] [bold]x :smile:"


def words(lines):
    return [line.split() for line in lines]


def test_headline_table_facts_reasons_and_notes_in_that_order():
    lines = printed(print_run, record(notes=("few samples",)))
    assert lines[0] == "seed = 0, n = 64, d = 4, steps = 100"
    assert words(lines[1:]) == [
        ["term", "probe", "statistic", "measured", "bound", "slack", "verdict"],
        ["excess", "test", "max", "0.25", "1", "4×", "holds"],
        ["residual", "training", "mean", "0.5", "–", "–", "condition-not-met"],
        ["·", "100", "steps"],
        ["·", "residual:", "n", "<", "d"],
        ["·", "few", "samples"],
    ]


def test_the_theorem_has_its_own_headline(monkeypatch):
    own = replace(THEOREM, headline=lambda record: f"{record.id} of mine", facts=lambda record: [])
    monkeypatch.setattr("ntkbound.core.registry.find", lambda name: own)
    lines = printed(print_run, record())
    assert lines[0] == "ls-0 of mine"
    assert "  · 100 steps" not in lines


def test_a_reason_is_given_once_with_all_its_terms():
    checks = (absent("excess", "unknown"), absent("excess", "unknown"), absent("bias", "unknown"))
    lines = printed(print_run, record(checks=checks))
    assert [line for line in lines if "unknown" in line] == ["  · excess, bias: unknown"]


@pytest.mark.parametrize(
    ("note", "told"),
    [("n < d", ["  · n < d"]), ("n < d always", ["  · residual: n < d", "  · n < d always"])],
)
def test_a_reason_among_the_notes_is_left_to_them_if_it_is_the_same(note, told):
    lines = printed(print_run, record(notes=(note,)))
    assert [line for line in lines if "n < d" in line] == told


def test_numbers_that_are_missing_are_dashes():
    row = replace(check(EXCESS, 0.25, Bound(1.0)), measured=None, bound=None, slack=None)
    lines = printed(print_run, record(checks=(row,)))
    assert lines[2].split() == ["excess", "test", "max", "–", "–", "–", "holds"]


def test_without_checks_the_terms_are_shown():
    lines = printed(print_run, record(checks=()))
    assert words(lines[1:]) == [
        ["term", "probe", "statistic", "measured"],
        ["excess", "test", "max", "0.25"],
        ["residual", "training", "mean", "0.5"],
        ["training", "spread", "–"],
        ["training", "best", "12345"],
        ["·", "100", "steps"],
    ]


def test_a_record_with_nothing_in_it_is_printed():
    lines = printed(print_run, record(checks=(), terms={}, certificates=()))
    assert lines[-1] == "  · 100 steps"
    assert printed(print_levels, record(certificates=())) == []


def test_an_unknown_theorem_is_shown_by_raw_names():
    lines = printed(print_run, record(theorem="gone", config={"theorem": "gone", "width": None}))
    assert lines[0] == "width = None"
    assert "  · gone: no such theorem here, numbers are shown by their names alone" in lines
    table = words(lines)
    assert ["excess", "test", "max", "0.25", "1", "4×", "holds"] in table
    assert ["training", "best", "12345"] in table
    assert ["excess", "test", "max", "0.25"] not in table, "a checked number is there already"


def test_markup_in_a_file_is_text():
    quantity = Quantity(*[MARKUP] * 3)
    made = record(
        config={"n": MARKUP},
        terms={MARKUP: {MARKUP: {MARKUP: 1.0}}},
        checks=(check(quantity, 1.0, Bound(None, MARKUP)),),
        notes=(f"note {MARKUP}",),
        certificates=(Certificate(MARKUP, MARKUP, 1.0, MARKUP),),
        theorem="gone",
    )
    lines = printed(print_run, made, width=200)
    assert lines[0] == f"n = {MARKUP}"
    assert sum(line.count(MARKUP) for line in lines) == 1 + 3 + 2 + 1
    levels = printed(print_levels, made, width=200)
    assert [line.count(MARKUP) for line in levels] == [0, 1, 1]
    rows = [Comparison(MARKUP, 1.0, 1.0)]
    assert sum(MARKUP in line for line in printed(print_verification, MARKUP, rows)) == 2


@pytest.mark.parametrize("width", [80, 100])
def test_long_names_go_on_in_the_next_line_and_no_number_is_cut(width):
    row = check(LONG, 0.000123456, Bound(0.00234567))
    lines = printed(print_run, record(checks=(row,)), width=width)
    assert max(map(len, lines)) <= width
    text = "\n".join(lines)
    for number in ("0.000123", "0.00235", "19×", "holds"):
        assert number in text
    assert "…" not in text


def test_levels_stand_in_the_order_in_which_they_occur():
    assert words(printed(print_levels, record())) == [
        [],
        ["proved", "bound", "uniform", "estimate", "realised", "measured"],
        ["excess", "3", "(0.5)", "–", "0.25"],
        ["radius", "–", "–", "2", "–"],
    ]


def test_the_first_quantity_that_a_record_has_is_compared():
    both = {"excess": {"worst": {"max": 0.75}, "test": {"max": 0.25}}}
    assert printed(print_levels, record(terms=both))[2].split()[-1] == "0.75"
    none = {"excess": {"worst": {"max": None}}}
    assert printed(print_levels, record(terms=none))[2].split()[-1] == "–"
    zero = {"excess": {"worst": {"max": 0.0}, "test": {"max": 0.25}}}
    assert printed(print_levels, record(terms=zero))[2].split()[-1] == "0"


def test_levels_of_an_unknown_theorem():
    lines = printed(print_levels, record(theorem="gone"))
    assert words(lines)[2] == ["excess", "3", "(0.5)", "–", "–"]


def test_verification_says_what_differs():
    rows = [Comparison("excess", 1.0, 1.0 + 1e-9), Comparison("residual", 1.0, 1.1)]
    lines = words(printed(print_verification, "ls-0", rows))
    assert lines[0] == ["ls-0"]
    assert [line[-1] for line in lines[2:]] == ["agrees", "differs"]
