"""What every command prints: at 80, 100 and 160 columns, in a pipe, without UTF-8, and with -q."""

from __future__ import annotations

import json
import re
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from rich.cells import cell_len

from ntkbound import run
from ntkbound.cli import main
from ntkbound.runs.execute import Execution
from ntkbound.theorems.shallow_transformer.bench.table import print_bench, print_growth
from ntkbound.theorems.shallow_transformer.config import Config
from tests.report.made_up import printed
from tests.support.problems import SMALL_RUN, tamper

WIDTHS = (80, 100, 160)
NUMBER = re.compile(r"(?<![\w.])[-−+]?\d+(?:\.\d+)?(?:e[-+]\d+)?(?![\w.])")
LEFT_OUT = "left out for want of room"
# Of results/: two records of one grid point, the others of a grid of m and seeds.
COMMANDS = (
    ("show", "results/st-m8-*s0*"),
    ("show", "--levels", "results/st-m8-*s0*"),
    ("show", "results/*"),
    ("verify", "results/st-m8-*s0*"),
    ("slopes", "results/"),
    ("slopes", "results/", "--all", "--details"),
    ("slopes", "runs.csv"),
    ("check", "results/"),
    ("check", "runs.csv", "--claims", "claims.toml"),
    ("check", "results/", "--baseline", "changed/"),
    ("diff", "results/", "changed/"),
    ("status", "results/"),
    ("sweep", "least-squares/smoke", "--dry-run"),
    ("study", "--list"),
    ("explain",),
    ("explain", "violated"),
    ("presets",),
    ("theorems",),
    ("theorems", "shallow-transformer"),
    ("theorems", "next-token"),
    ("theorems", "least-squares"),
    ("audit", "results/st-m8-*s0*", "--steps", "5", "--threads", "1"),
    ("kernel", "results/st-m8-*s0*", "--infinite-heads", "64", "--threads", "1"),
    ("plan", "--target", "0.3"),
    ("plan", "--target", "0.3", "--from", "results/"),
    ("membership", "--n=16", "--T=3", "--d=2", "--m=8", "--seeds=2", "--threads=1"),
    ("train", "--theorem=next-token", "--V=8", "--tau=50", "--out=trained"),
    ("train", "--theorem=least-squares", "--out=trained"),
)
CLAIMS = """
[[claim]]
column = "error of the estimator"
axis = "m"
kind = "upper"
exponent = -1
where = { optimizer = "gradient-descent" }

[[claim]]
column = "error of the estimator"
axis = "m"
kind = "tight"
exponent = -0.5
where = { optimizer = "newton-raphson" }
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A working folder with records, the same with other numbers, and a table with two arms."""
    folder = tmp_path_factory.mktemp("terminal")
    for m in (4, 8, 16):
        for seed in range(3):
            run(Config(**SMALL_RUN | {"m": m, "seed": seed}), Execution(folder / "results", 1))
    shutil.copytree(folder / "results", folder / "changed")
    for path in (folder / "changed").glob("st-*"):
        terms = run_terms(path)
        terms["linearization"]["worst"]["max"] *= 1.0123456789
        tamper(path, terms=terms)
    rows = ["m,seed,optimizer,error of the estimator"]
    for k, name in enumerate(("gradient-descent", "newton-raphson")):
        rows += [f"{m},{s},{name},{(1 + 0.01 * s) * m ** (k / 2 - 1):.9f}"
                 for m in (8, 16, 32, 64) for s in range(4)]  # fmt: skip
    (folder / "runs.csv").write_text("\n".join(rows))
    (folder / "claims.toml").write_text(CLAIMS)
    return folder


def run_terms(path: Path):
    from ntkbound import read

    return {term: {p: dict(s) for p, s in probes.items()}
            for term, probes in read(path).terms.items()}  # fmt: skip


@pytest.fixture
def lines(made, monkeypatch, capsys):
    """The lines that a command prints on stdout at a width; a pattern stands for its paths."""
    monkeypatch.chdir(made)

    def call(arguments, width=None, encoding="utf-8"):
        monkeypatch.delenv("COLUMNS", raising=False)
        if width is not None:
            monkeypatch.setenv("COLUMNS", str(width))
        sys.stdout.reconfigure(encoding=encoding, errors="strict")
        paths = [sorted(map(str, Path().glob(a))) if "*" in a else [a] for a in arguments]
        with pytest.raises(SystemExit) as stopped:
            main([one for given in paths for one in given])
        out, err = capsys.readouterr()
        sys.stdout.reconfigure(encoding="utf-8")
        assert stopped.value.code in (0, 1, 3), err
        assert "Traceback" not in err
        return out.splitlines()

    return call


@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
def test_nothing_is_wider_than_the_terminal_and_no_number_is_cut(lines, arguments):
    wide = lines(arguments, 1000)
    numbers = NUMBER.findall("\n".join(wide))
    for width in WIDTHS:
        narrow = lines(arguments, width)
        assert max(map(cell_len, narrow)) <= width, (width, max(narrow, key=cell_len))
        assert [line for line in narrow if line != line.rstrip()] == []
        left_out = any(LEFT_OUT in line for line in narrow)
        found = NUMBER.findall("\n".join(narrow))
        missing = [one for one in numbers if one not in found]
        assert not missing or left_out, (width, missing)
    plain = lines(arguments, 80, "ascii")
    assert all(line.isascii() and "?" not in line.replace("NAME?", "") for line in plain) or (
        "study" in arguments[0]  # whose questions end in question marks
    )
    assert max(map(len, plain)) <= 80


def test_json_is_the_same_without_utf_8(lines):
    for arguments in (
        ("show", "results/st-m8-*s0*", "--json"),
        ("theorems", "next-token", "--json"),
    ):
        plain = "\n".join(lines(arguments, encoding="ascii"))
        assert plain.isascii()
        assert json.loads(plain) == json.loads("\n".join(lines(arguments)))


def test_help_and_mistakes_are_readable_without_utf_8(lines):
    told = lines(("train", "--help"), 80, "ascii")
    assert any("sigma; relu" in line for line in told)


def test_a_pipe_has_a_hundred_columns(lines):
    arguments = ("slopes", "results/", "--all", "--details")
    assert lines(arguments) == lines(arguments, 100) != lines(arguments, 80)


def test_without_colour_there_is_no_escape(lines, monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("FORCE_COLOR", "1")
    told = "\n".join(lines(("verify", "results/st-m8-*s0*"), 80))
    assert "\x1b[3" not in told
    monkeypatch.delenv("NO_COLOR")
    assert "\x1b[32m" in "\n".join(lines(("verify", "results/st-m8-*s0*"), 80))


def test_several_records_are_a_line_each(lines):
    told = lines(("show", "results/*"), 160)
    assert told[0].split()[:3] == ["run", "m", "seed"]
    runs = [line for line in told if line.startswith("st-")]
    assert len(runs) == 9
    assert all(line.endswith(("9 holds, 2 vacuous", "vacuous")) for line in runs)
    assert "linearization" in "\n".join(told)


def test_what_is_no_record_in_a_results_folder_is_passed_over(lines, made, capsys):
    kept = [made / "results" / name for name in ("plans", "data")]
    for folder in kept:
        folder.mkdir(exist_ok=True)
    (made / "results" / "study.md").write_text("a page")
    told = lines(("show", "results/*"), 100)
    assert sum(line.startswith("st-") for line in told) == 9
    assert lines(("verify", "results/*"), 100)[-1] == "9 of 9 records agree in all numbers"
    for arguments in (("show", "results/plans"), ("show", "results/st-m8-*", "results")):
        with pytest.raises(AssertionError, match="no such record"):
            lines(arguments, 100)


def test_verify_ends_with_a_line(lines):
    told = lines(("verify", "results/st-m8-*s0*"), 100)
    rows = [line for line in told if line.endswith("agrees")]
    assert told[-1] == f"{len(rows)} of {len(rows)} numbers agree"
    several = lines(("verify", "results/st-m8-*"), 100)
    assert len(several) == 4
    assert several[-1] == "3 of 3 records agree in all numbers"


def test_a_record_without_parameters_does_not_end_the_verification_of_others(
    made, tmp_path, command
):
    for path in list((made / "results").glob("st-m8-*"))[:1]:
        shutil.copytree(path, tmp_path / path.name)
    bare = Config(**SMALL_RUN | {"m": 6})
    run(bare, replace(Execution(tmp_path, 1), save_params=False))
    paths = list(tmp_path.glob("st-*"))
    code, out, err = command("verify", *paths)
    assert code == 3
    assert out.splitlines()[-1] == ("1 of 1 records agree in all numbers; 1 could not be verified")
    assert "saved without" in err


QUIET = (
    (("show", "results/st-m8-*s0*"), "heads on the boundary", "vacuous"),
    (("slopes", "results/"), "no claim", "not-defined"),
    (("check", "runs.csv", "--claims", "claims.toml"), "within ±0.15", "2 judged, 2 held: holds"),
    (("audit", "results/st-m8-*s0*", "--steps", "5"), "of 20 steps audited", "one-step"),
    (("kernel", "results/st-m8-*s0*", "--infinite-heads", "0"), "\x00", "the curves"),
    (("plan", "--target", "0.3", "--from", "results/"), "extrapolated:", "guaranteed RMSE"),
    (("theorems", "least-squares"), "its options:", "suboptimality"),
    (("audit", "--theorem=next-token", "--V=8", "--tau=50"), "are about steps", "Lemma 4"),
    (("status", "results/"), "\x00", "9 complete"),
    (("diff", "results/", "changed/"), "\x00", "numbers changed"),
)


@pytest.mark.parametrize(("arguments", "note", "verdict"), QUIET, ids=lambda one: one[0])
def test_quiet_leaves_notes_out_and_tables_in(lines, capsys, arguments, note, verdict):
    loud = "\n".join(lines(arguments, 160))
    quiet = "\n".join(lines((*arguments, "-q"), 160))
    assert verdict in loud and verdict in quiet
    assert note in loud or note == "\x00"
    assert note not in quiet


def test_bench_fits():
    sizes = {"n": 4000, "T": 16, "d": 8, "m": 256}
    names = ("kernel", "blocked", "autograd", "compile", "jax")
    result = {
        "sizes": sizes, "dtype": "float32", "device": "cpu", "threads": 2, "floor_ns": 0.123,
        "times_floor": 1.42, "ns_per_element": dict.fromkeys(names, 12345.678),
        "ratios": dict.fromkeys(names, 1234.5), "absent": {"jax": "not installed " * 9},
        "ceilings": {"multiply_adds_per_second": 1.2e11, "exp_ns": 0.51,
                     "copy_bytes_per_second": 2.1e10},
    }  # fmt: skip
    axis = {"elements": [2.0**k for k in range(16, 22)], "seconds": [1.234e-3 * 2**k for k in
            range(6)], "slope": 1.01, "slope_range": (0.99, 1.03)}  # fmt: skip
    grown = {"timed": "kernel", "d": 8, "dtype": "float32", "device": "cpu", "threads": 1,
             "axes": dict.fromkeys(("samples", "tokens", "heads"), axis)}  # fmt: skip
    for show, found in ((print_bench, result), (print_growth, grown)):
        numbers = NUMBER.findall("\n".join(printed(show, found, width=1000)))
        for width in WIDTHS:
            told = printed(show, found, width=width)
            assert max(map(len, told)) <= width
            left_out = any(LEFT_OUT in line for line in told)
            assert left_out or set(numbers) <= set(NUMBER.findall("\n".join(told)))
