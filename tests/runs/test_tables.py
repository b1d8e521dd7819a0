"""What stands in a file, whatever its format, and what its path says."""

from __future__ import annotations

import gzip
import json
import sys
from pathlib import Path

import numpy as np
import pytest

from ntkbound.core.errors import InputError
from ntkbound.core.frame import Frame
from ntkbound.runs.formats import delimited
from ntkbound.runs.formats.gather import CHUNK
from ntkbound.runs.path_parts import path_columns
from ntkbound.runs.tables import find_tables, is_table, read_tables

PLAIN = "method,m,seed,loss\ngd,16,0,0.5\ngd,32,0,0.25\nadam,16,1,1e-3\n"


def frame_of(tmp_path: Path, content: str | bytes, name: str = "t.csv") -> Frame:
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_tables([path])


def values(frame: Frame) -> dict[str, list[object]]:
    return {
        name: [cells.value(row) for row in range(len(frame.rows))]
        for name, cells in frame.columns.items()
    }


WANTED = {
    "method": ["gd", "gd", "adam"],
    "m": [16, 32, 16],
    "seed": [0, 0, 1],
    "loss": [0.5, 0.25, 1e-3],
}


@pytest.mark.parametrize(
    "content",
    [
        PLAIN,
        "\ufeff" + PLAIN,
        PLAIN.replace("\n", "\r\n"),
        PLAIN.replace("\n", "\r"),
        PLAIN.replace(",", ";"),
        PLAIN.replace(",", "\t"),
        "sep=;\n" + PLAIN.replace(",", ";"),
        PLAIN.replace(",", ", "),
        PLAIN.replace("gd", '"gd"').replace("method", '"method"'),
        "# made by train.py\n\n" + PLAIN,
        PLAIN.replace("adam", "\n , ,,\n,,,\nadam") + "\n\n",
    ],
    ids=[
        "plain",
        "bom",
        "crlf",
        "cr",
        ";",
        "tab",
        "sep",
        "spaces",
        "quoted",
        "comment",
        "blank lines",
    ],
)
def test_csv_as_programs_write_it(tmp_path, content):
    assert values(frame_of(tmp_path, content)) == WANTED


def test_the_same_table_in_every_format(tmp_path):
    rows = [dict(zip(WANTED, row, strict=True)) for row in zip(*WANTED.values(), strict=True)]
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    assert values(frame_of(tmp_path, lines, "t.jsonl")) == WANTED
    packed = gzip.compress(PLAIN.encode())
    assert values(frame_of(tmp_path, packed, "t.csv.gz")) == WANTED


def test_parquet(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    table = pyarrow.table({**WANTED, "ema": [True, None, False], "config": [[1], [2], [3]]})
    parquet.write_table(table, tmp_path / "t.parquet")
    frame = read_tables([tmp_path / "t.parquet"])
    assert values(frame) == {**WANTED, "ema": ["true", "", "false"]}
    assert frame.notes == (f"{tmp_path / 't.parquet'}: passed over nested columns config",)
    assert frame.place(1).endswith("row 2")


def test_parquet_without_pyarrow_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(InputError, match=r"needs pyarrow; pip install 'ntkbound\[frame\]'"):
        frame_of(tmp_path, b"PAR1", "t.parquet")


def test_damaged_parquet_is_refused(tmp_path):
    pytest.importorskip("pyarrow")
    with pytest.raises(InputError, match="not a readable Parquet file"):
        frame_of(tmp_path, b"PAR1 and then nothing", "t.parquet")


def test_rows_are_lines_of_the_file(tmp_path):
    """Whatever stands above the header, between rows, or inside a quoted cell."""
    content = '# note\n\nnote,loss\na,1\n\n"two\nlines",2\n,\nb,3\n'
    assert frame_of(tmp_path, content).rows.tolist() == [4, 6, 9]


def test_rows_of_many_chunks_keep_their_places(tmp_path):
    count = 2 * CHUNK + 5
    lines = [f"{i},{i / 7!r}\n" for i in range(count)]
    lines[CHUNK + 1] = "\n" + lines[CHUNK + 1]
    frame = frame_of(tmp_path, "i,x\n" + "".join(lines))
    places = np.arange(count) + 2
    places[CHUNK + 1 :] += 1
    np.testing.assert_array_equal(frame.rows, places)
    np.testing.assert_array_equal(frame.columns["x"].numbers, np.arange(count) / 7)


@pytest.mark.parametrize(
    "cell",
    ['"two\nlines"', ' "quoted"', '"a ""b"" c"', "", "x", "1_0", "1e999", '"a', "１"],
    ids=["break", "space", "quotes", "empty", "word", "underscore", "range", "open", "script"],
)
def test_a_file_reads_the_same_as_csv_reads_it(tmp_path, monkeypatch, cell):
    """The fast tokenizer and `csv`, on a cell that might part them in each of three columns."""
    lines = [f"w{i % 3},{i},{i / 7!r}" for i in range(2 * CHUNK)]
    for column in range(3):
        row = lines[CHUNK + 7].split(",")
        row[column] = cell
        for place in (CHUNK + 7, 2 * CHUNK - 1):
            text = "\n".join(["a,b,c", *lines[:place], ",".join(row), *lines[place + 1 :]])
            read = [outcome(tmp_path, text)]
            with monkeypatch.context() as without:
                without.setattr(delimited, "_tokenized", lambda *_: None)
                read.append(outcome(tmp_path, text))
            assert read[0] == read[1]


def outcome(tmp_path: Path, text: str) -> object:
    """What the file holds, or why it is refused."""
    try:
        frame = frame_of(tmp_path, text)
    except InputError as error:
        return str(error)
    return values(frame), frame.rows.tolist()


def test_words_are_found_whichever_chunk_they_are_in(tmp_path):
    lines = ["a,1\n"] * CHUNK + ["b,x\n", "a,2\n"]
    frame = frame_of(tmp_path, "word,number\n" + "".join(lines))
    assert frame.columns["word"].coded[1] == ("a", "b")
    with pytest.raises(InputError, match=rf"row {CHUNK + 2}, column number: 'x' is no number"):
        frame.numbers("number")


def test_json_lines_of_other_kinds(tmp_path):
    content = '{"seed": 12345678901234567890, "on": true, "x": null}\n{"seed": 1, "z": "a"}\n'
    frame = frame_of(tmp_path, content, "t.ndjson")
    assert values(frame) == {
        "seed": ["12345678901234567890", 1],  # float64 would make one of two such seeds
        "on": ["true", ""],
        "x": ["", ""],
        "z": ["", "a"],
    }


def test_what_was_passed_over_is_told(tmp_path):
    frame = frame_of(tmp_path, ";m;loss\n0;16;0.5\n1;32;0.25\n")
    assert values(frame) == {"m": [16, 32], "loss": [0.5, 0.25]}
    assert [note.split(": ")[1] for note in frame.notes] == [
        "separated by semicolon",
        "passed over column 1, which has no name",
    ]


def test_what_is_said_of_many_files_is_said_once(tmp_path):
    for seed in range(3):
        (tmp_path / f"seed{seed}.csv").write_text("m;loss\n8;0.5\n", encoding="utf-8")
    first = tmp_path / "seed0.csv"
    assert read_tables(find_tables(tmp_path, "*.csv")).notes == (
        f"{first} and 2 more: separated by semicolon",
        "from the paths of 3 files: seed",
    )


@pytest.mark.parametrize(
    ("paths", "columns"),
    [
        (["lr=0.1/seed3/m.csv", "lr=0.2/seed4/m.csv"], {"lr": ["0.1", "0.2"], "seed": ["3", "4"]}),
        (["m64_seed0.csv", "m128_seed0.csv"], {"m": ["64", "128"], "seed": ["0", "0"]}),
        (["on=a_b,lr=1e-3.csv", "on=c,lr=0.1.csv"], {"on": ["a_b", "c"], "lr": ["1e-3", "0.1"]}),
        (["gd/run-1/m.csv", "adam/run-2/m.csv"], {"path1": ["gd", "adam"], "run": ["1", "2"]}),
        (["resnet18/m.csv", "vgg16/m.csv"], {"path1": ["resnet18", "vgg16"]}),
        (["a/m.csv"], {}),
    ],
)  # fmt: skip
def test_what_paths_say(paths, columns):
    assert path_columns([Path("results") / path for path in paths]) == columns


def test_a_column_of_the_file_wins_over_its_path(tmp_path):
    for seed in (0, 1):
        path = tmp_path / f"seed={seed}" / "m.csv"
        path.parent.mkdir()
        path.write_text(f"seed,loss\n{seed + 7},0.5\n", encoding="utf-8")
    frame = read_tables(find_tables(tmp_path, "**/m.csv"))
    assert values(frame)["seed"] == [7, 8]
    assert frame.notes == ("column seed is that of the files, not of their paths",)
    assert frame.place(1).endswith("seed=1/m.csv: row 2")


def test_a_column_that_one_file_lacks_is_missing_there(tmp_path):
    for name, content in (("a", "x,y\n1,2\n"), ("b", "x\n3\n"), ("c", "x,z\n4,5\n")):
        (tmp_path / f"{name}.csv").write_text(content, encoding="utf-8")
    frame = read_tables(find_tables(tmp_path, "*.csv"))
    assert values(frame)["y"] == [2, "", ""]
    assert values(frame)["z"] == ["", "", 5]
    with pytest.raises(InputError, match=r"b\.csv: row 2, column y: the cell is empty"):
        frame.numbers("y")


@pytest.mark.parametrize(
    ("name", "table"),
    [("a.csv", True), ("a.CSV", True), ("a.csv.gz", True), ("a.pq", True), ("a.toml", False),
     ("results", False), ("smoke", False)],
)  # fmt: skip
def test_a_table_is_known_by_its_name(name, table):
    assert is_table(Path(name)) == table
