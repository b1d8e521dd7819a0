"""Tables and paragraphs fit the console, cut no number and leave no blank at the end of a line."""

from __future__ import annotations

import io

import pytest
from rich.console import Console
from rich.text import Text

from ntkbound.report.tables import Table, fold, percent, print_lines, print_table, print_text
from tests.report.made_up import printed

NAME = "change_of_feature / transported / feature_norm_max"


def made(**changes):
    table = Table(("name", "estimate", "95 %", "runs", "verdict"), ("estimate", "95 %", "runs"),
                  **changes)  # fmt: skip
    table.add_row((NAME, "−0.4712", "[−0.6623, −0.2811]", "12×10", Text("inconclusive", "yellow")))
    table.add_row(("loss", "1.234e-09", "[1e-10, 2e-08]", "1×5", "holds"))
    return table


@pytest.mark.parametrize("width", range(61, 120, 3))
def test_names_fold_and_numbers_stay_whole(width):
    lines = printed(print_table, made(folded=("name",)), width=width)
    assert max(map(len, lines)) <= width
    for word in ("−0.4712", "[−0.6623, −0.2811]", "12×10", "inconclusive", "1.234e-09"):
        assert sum(word in line for line in lines) == 1, word
    names = "".join(line[: width - 45].split("  ")[0] for line in lines)
    for part in ("change", "of", "feature", "transported", "norm", "max"):
        assert part in names


def test_a_number_is_never_cut_however_narrow():
    text = "\n".join(printed(print_table, made(folded=("name",)), width=20))
    assert "[−0.6623, −0.2811]" in text
    assert "1.234e-09" in text


def test_columns_of_little_value_go_where_folding_is_not_enough_and_are_named():
    table = made(folded=("name",), optional=("runs", "95 %"))
    assert "12×10" in "\n".join(printed(print_table, table, width=61))
    lines = printed(print_table, table, width=56)
    assert "12×10" not in "\n".join(lines)
    assert "−0.2811]" in "\n".join(lines)
    assert lines[-1] == "  left out for want of room: runs"
    assert printed(print_table, table, width=30)[-2:][0].startswith("  left out for want of room")


def test_two_blanks_between_columns_unless_they_do_not_fit():
    table = Table(("a", "b"))
    table.add_row(("x" * 10, "y" * 10))
    assert printed(print_table, table, width=22)[1] == "x" * 10 + "  " + "y" * 10
    assert printed(print_table, table, width=21)[1] == "x" * 10 + " " + "y" * 10


def test_a_slash_stays_with_the_word_before_it():
    lines = [line.plain for line in fold(Text("change_of_feature / worst / max"), 20)]
    assert lines == ["change_of_feature /", "worst / max"]


def test_an_exponent_is_no_place_to_break_a_word():
    assert [line.plain for line in fold(Text("1e-09/1e-10"), 9)] == ["1e-09/", "1e-10"]
    assert [line.plain for line in fold(Text("st-m64-s0"), 5)] == ["st-", "m64-", "s0"]


def test_lines_of_a_note_stand_under_each_other():
    note = "suprema searched at 8 of 512 samples; to first order the ascents could gain 4e-09"
    assert printed(print_lines, [note], width=40) == [
        "  · suprema searched at 8 of 512",
        "    samples; to first order the ascents",
        "    could gain 4e-09",
    ]


def test_an_empty_paragraph_is_an_empty_line():
    assert printed(print_text, "a\n\nb") == ["a", "", "b"]


def test_letters_that_the_console_lacks_are_replaced_before_the_width_is_taken():
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    console = Console(file=stream, width=40)
    print_table(console, made(folded=("name",), optional=("runs", "95 %")))
    table = Table(("name", "τ"), ("τ",))
    table.add_row(("a", "5"))
    print_table(console, table)
    print_text(console, "η ≤ 1/√τ and so on, over more than one line", "  · ")
    stream.flush()
    lines = stream.buffer.getvalue().decode("ascii").splitlines()
    assert max(map(len, lines)) <= 40
    assert lines[-4:-2] == ["name  tau", "a       5"]
    assert lines[-2:] == ["  * eta <= 1/sqrt tau and so on, over", "    more than one line"]
    assert "-0.4712" in "\n".join(lines)


def test_styles_survive():
    stream = io.StringIO()
    console = Console(file=stream, width=80, force_terminal=True, color_system="standard",
                      no_color=False, _environ={})  # fmt: skip
    print_table(console, made(folded=("name",)))
    assert "\x1b[33minconclusive\x1b[0m" in stream.getvalue()
    assert "\x1b[1mname" in stream.getvalue()


def test_no_negative_zero():
    assert percent(-0.0004) == "0.0%"
    assert percent(0.1724) == "17.2%"
    assert percent(-0.0006) == "-0.1%"
