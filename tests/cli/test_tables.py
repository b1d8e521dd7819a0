"""``slopes`` and ``check`` on tables of somebody's own: judged right, or refused in one line."""

from __future__ import annotations

import json
import math

import pytest

from tests.support.own_tables import CLAIM, HEADER, SEEDS, WIDTHS, planted, write


@pytest.fixture
def claims(folder):
    path = folder / "claims.toml"
    path.write_text(CLAIM, encoding="utf-8")
    return path


def verdicts(out: str) -> list[str]:
    return [fit["verdict"] for fit in json.loads(out)["fits"]]


@pytest.mark.parametrize(
    ("exponent", "noise", "expected", "verdict"),
    [(-0.5, 0.05, 0, "tight"), (-0.2, 0.05, 1, "violated"), (-0.5, 2.0, 3, "inconclusive")],
)
def test_a_foreign_table_is_judged(command, folder, claims, exponent, noise, expected, verdict):
    table = write(folder / "runs.csv", HEADER, planted(exponent, noise))
    code, out, err = command("check", table, "--claims", claims, "--json")
    assert code == expected
    assert verdicts(out) == [verdict] * 2  # one per method
    assert err == "axis m, seed column seed, values loss; arms: method\n"


def test_summaries_name_the_column(command, folder, claims, monkeypatch):
    table = write(folder / "runs.csv", HEADER, planted())
    level = '[[claim]]\ncolumn = "loss"\nform = "level"\nkind = "upper"\nlevel = 9\n'
    claims.write_text(CLAIM + level, encoding="utf-8")
    command("check", table, "--claims", claims, "--junit", "j.xml", "--markdown", "m.md")
    assert 'classname="loss" name="' in (folder / "j.xml").read_text("utf-8")
    summary = (folder / "m.md").read_text("utf-8")
    assert "\n- loss against m: slope −0.5" in summary
    assert "\n- loss: mean " in summary


def test_slopes_guess_what_is_measured_and_say_so(command, folder):
    rows = [(*row, 2.0 * row[3] ** 2, row[1] * 7) for row in planted()]
    table = write(folder / "runs.csv", (*HEADER, "risk", "parameters"), rows)
    code, out, err = command("slopes", table, "--json")
    fits = json.loads(out)["fits"]
    assert code == 0
    assert {fit["column"] for fit in fits} == {"loss", "risk"}
    slopes = {(f["column"], f["where"]["method"]): f["slope"] for f in fits}
    assert slopes["loss", "gd"] == pytest.approx(-0.5, abs=0.05)
    assert slopes["risk", "gd"] == pytest.approx(-1.0, abs=0.1)
    assert err == (
        "axis m, seed column seed, values loss, risk; arms: method; "
        "ignored: parameters (follows m)\n"
    )
    code, out, err = command("slopes", table, "--value", "risk", "--json")
    assert {fit["column"] for fit in json.loads(out)["fits"]} == {"risk"}
    assert "ignored: loss (real-valued), parameters (follows m)" in err


def test_named_columns_win_over_guesses(command, folder):
    rows = [(m, seed, k, loss) for k, (_, m, seed, loss) in enumerate(planted()[:25])]
    table = write(folder / "runs.csv", ("width", "draw", "seed", "y"), rows)
    options = ("--axis", "width", "--seed-column", "draw", "--value", "y", "--json")
    _, out, err = command("slopes", table, *options)
    (fit,) = json.loads(out)["fits"]
    assert (fit["axis"], fit["points"], fit["seeds"]) == ("width", len(WIDTHS), SEEDS)
    assert err.startswith("axis width, seed column draw, seed, values y; arms: none")


def test_where_limits_a_table(command, folder):
    table = write(folder / "runs.csv", HEADER, planted())
    _, out, _ = command("slopes", table, "--where", "method=gd", "--json")
    (fit,) = json.loads(out)["fits"]
    assert fit["points"] == len(WIDTHS)


def test_runs_in_folders_are_one_table(command, folder, claims):
    for method, m, seed, loss in planted():
        steps = [(step, loss * (1 + 1 / step)) for step in (1, 10, 100)]
        path = folder / "runs" / str(method) / f"m={m}" / f"seed{seed}" / "metrics.csv"
        write(path, ("step", "loss"), steps)
    code, out, err = command(
        "check", "runs", "--pattern", "**/metrics.csv", "--claims", claims, "--json"
    )
    assert code == 0
    assert verdicts(out) == ["tight", "tight"]
    assert [fit["where"] for fit in json.loads(out)["fits"]] == [
        {"path1": "adam"},
        {"path1": "gd"},
    ]
    assert err.splitlines() == [
        "from the paths of 50 files: m, path1, seed",
        "axis m, seed column seed, step column step, values loss; arms: path1",
    ]


@pytest.mark.parametrize("command_line", [("slopes",), ("check", "--claims")])
def test_wide_tables_are_made_long(command, folder, claims, command_line):
    losses = {(m, seed): loss for _, m, seed, loss in planted()[:25]}
    rows = [(m, *(losses[m, seed] for seed in range(SEEDS))) for m in WIDTHS]
    table = write(folder / "wide.csv", ("m", *(f"loss_{i}" for i in range(SEEDS))), rows)
    name, *options = command_line
    code, out, err = command(name, table, *options, *([claims] if options else []), "--json")
    (fit,) = json.loads(out)["fits"]
    assert code == 0
    assert (fit["points"], fit["seeds"]) == (len(WIDTHS), SEEDS)
    assert err.splitlines()[0] == "wide: columns loss_0 … loss_4 are 5 values of seed of loss"


def test_runs_without_an_axis_are_fitted_along_their_steps(command, folder):
    rows = [
        (t, *(a * t**-0.75 * (1 + 0.01 * (-1) ** (a * t)) for a in (1, 2, 3)))
        for t in range(1, 200)
    ]
    table = write(folder / "curves.csv", ("step", "seed0", "seed1", "seed2"), rows)
    code, out, err = command("slopes", table, "--json")
    (fit,) = json.loads(out)["fits"]
    assert (code, fit["axis"], fit["seeds"]) == (0, "step", 3)
    assert fit["slope"] == pytest.approx(-0.75, abs=0.01)
    assert (
        err.splitlines()[1]
        == "axis step, seed column seed, step column step, values value; arms: none"
    )


def spoilt(row: int, column: int, cell: object) -> list[list[object]]:
    """The planted rows with one other cell; row is the line of the file."""
    rows = [list(values) for values in planted()]
    rows[row - 2][column] = cell
    return rows


GOOD = [list(row) for row in planted()]
SPOILT = {
    "missing value": (HEADER, spoilt(17, 3, ""), "row 17, column loss: the cell is empty"),
    "missing arm": (HEADER, spoilt(9, 0, ""), "row 9, column method: the cell is empty"),
    "missing seed": (HEADER, spoilt(4, 2, " "), "row 4, column seed: the cell is empty"),
    "text": (HEADER, spoilt(8, 3, "div"), "row 8, column loss: 'div' is no number"),
    "long text": (
        HEADER,
        spoilt(8, 3, "x" * 500),
        f"row 8, column loss: '{'x' * 39}…' is no number",
    ),
    "text on the axis": (HEADER, spoilt(30, 1, "wide"), "row 30, column m: 'wide' is no number"),
    "decimal comma": (
        HEADER,
        spoilt(2, 3, "0,25"),
        "row 2, column loss: '0,25' is no number; the decimal sign is a point, not a comma",
    ),
    "NaN": (HEADER, spoilt(51, 3, "nan"), "row 51, column loss: 'nan' is not finite"),
    "infinity": (HEADER, spoilt(3, 3, math.inf), "row 3, column loss: 'inf' is not finite"),
    "underscore": (HEADER, spoilt(3, 3, "1_0"), "row 3, column loss: '1_0' is no plain number"),
    "duplicate": (
        HEADER,
        [*GOOD, GOOD[7]],
        "row 52 is the run of row 9: method=adam, m=32, seed=2",
    ),
    "hidden setting": (
        (*HEADER, "lr"),
        [[*row, lr] for lr in (0.1, 0.25) for row in GOOD],
        "row 2: method=adam, m=16, seed=0; they differ in lr, which is ignored",
    ),
    "one seed": (
        HEADER,
        [row for row in GOOD if row[2] == 3],
        "column seed holds one seed only, 3; several are needed",
    ),
    "no rows": (HEADER, [], "has no rows below its header"),
    "ragged": (HEADER, [*GOOD, ["gd", 16]], "row 52 has 2 cells, the header 4"),
    "twice named": (("method", "m", "m", "loss"), GOOD, "row 1 names column 'm' twice"),
    "no header": (("1", "2", "3", "4"), GOOD, "row 1 is all numbers; a header that names"),
    "unknown column": (
        ("method", "m", "seed", "losses"),
        GOOD,
        "{file} has no column 'loss'; did you mean 'losses'?",
    ),
    "no axis": (
        ("method", "width", "seed", "loss"),
        GOOD,
        "{file} has no column 'm'; columns: method, width, seed, loss",
    ),
    "no seeds": (
        ("method", "m", "number", "loss"),
        GOOD,
        "--seed-column: {file}: no column looks like seeds or repetitions; columns: method, m,",
    ),
}


@pytest.mark.parametrize("case", SPOILT)
def test_a_spoilt_table_is_refused_in_one_line(refused, folder, claims, case):
    header, rows, told = SPOILT[case]
    table = write(folder / "runs.csv", header, map(tuple, rows))
    line = refused("check", table, "--claims", claims, "--junit", "check.xml")
    assert told.replace("{file}", str(table)) in line
    assert str(table) in line


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("runs.csv", b"", "is empty; a header and rows are needed"),
        ("runs.csv", b"m,seed,loss\n1,\0,3\n", "is no text: it holds a zero byte"),
        ("runs.csv", "m,seed,loss\n1,2,3\n".encode("utf-16"), "is UTF-16; save it as UTF-8"),
        ("runs.csv", b"m,seed,loss\n1,2,3\n\xe9,2,3\n", "row 3: byte 0xe9 is not UTF-8"),
        ("runs.csv", b'm,seed,loss\n1,2,3\n1,3,"4\n', "row 3: not a readable CSV"),
        ("runs.jsonl", b'{"m": 1}\n\n{"m": \n', "row 3 is no JSON"),
        ("runs.jsonl", b"[1, 2]\n", "row 1 is no JSON object"),
        ("runs.csv.gz", b"m,seed,loss\n", "cannot be read"),
    ],
)
def test_a_file_that_is_no_table_is_refused_in_one_line(
    refused, folder, claims, name, content, told
):
    (folder / name).write_bytes(content)
    assert told in refused("check", name, "--claims", claims)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("check", "runs.csv"), "--claims: a table is judged by a TOML file with [[claim]]"),
        (("check", "other.csv", "--claims", "claims.toml"), "other.csv: cannot be read"),
        (("check", "results", "--value", "loss"), "--value: is for tables only"),
        (("check", "results", "--axis", "m"), "--axis: is for tables only"),
        (("slopes", "results", "--seed-column", "s"), "--seed-column: is for tables only"),
        (("slopes", "runs.csv", "results"), "records and tables are not judged together"),
        (("slopes", "runs.csv", "--term", "loss"), "--term: is for records"),
        (("slopes", "runs.csv", "--axis", "n"), "runs.csv has no column 'n'"),
        (("slopes", "runs.csv", "--where", "method"), "--where: 'method' is not KEY=VALUE"),
        (("slopes", "runs.csv", "--where", "method=x"), "--where method=x: matches no row"),
        (("slopes", ".", "--pattern", "*/m.csv"), "--pattern */m.csv: no file below . matches"),
        (("slopes", "none", "--pattern", "*"), "none is no folder"),
        (("check", "runs.csv", "--claims", "claims.toml", "--jobs", "2"), "only for a preset"),
    ],
)
def test_options_that_do_not_fit_are_refused(refused, folder, claims, arguments, told):
    write(folder / "runs.csv", HEADER, planted())
    (folder / "results").mkdir()
    assert told in refused(*arguments)
