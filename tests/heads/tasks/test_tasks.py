"""Data from files and packages: loading, every defect's one line, subsampling, content hashes."""

from __future__ import annotations

import io
import math
import zipfile

import numpy as np
import pytest
import torch

from ntkbound.core.errors import InputError
from ntkbound.core.registry import configure, find
from ntkbound.machine.parallel import Workers
from ntkbound.runs.cache import ArrayCache
from ntkbound.theorems.shallow_transformer.config import Config
from ntkbound.theorems.shallow_transformer.data import prepare
from ntkbound.theorems.shallow_transformer.start import build_model
from tests.support.checks import check_queries
from tests.support.problems import parts

RNG = np.random.default_rng(0)
X = RNG.uniform(-0.5, 0.5, (6, 3, 2))
Y = RNG.uniform(-1, 1, 6)
CSV = "sample,token,x1,x2,y\n" + "".join(
    f"s{j},{t},{float(X[j, t, 0])!r},{float(X[j, t, 1])!r},{float(Y[j])!r}\n"
    for j in range(6)
    for t in range(3)
)


def load(path, **fields):
    """The resolved config and the task of a file or of digits."""
    config, digest, make = parts(prepare(configure({"task": str(path), **fields})))
    task = make(build_model(config), Workers(1), ArrayCache(path.parent) if digest else None)
    return config, task


def save(folder, name="data.npz", **arrays):
    path = folder / name
    np.savez(path, **{"X": X, "y": Y, **arrays})
    return path


def refused(path, **fields):
    with pytest.raises(InputError) as caught:
        load(path, **fields)
    text = str(caught.value)
    assert "\n" not in text
    return text


def test_npz_and_csv_hold_the_same_data(tmp_path):
    (tmp_path / "data.csv").write_text(CSV)
    for path in (save(tmp_path), tmp_path / "data.csv"):
        config, task = load(path)
        assert (config.n, config.T, config.d) == (6, 3, 2)
        assert torch.equal(task.inputs.X, torch.from_numpy(X))
        assert torch.equal(task.y, torch.from_numpy(Y))
        assert torch.equal(task.inputs.q, torch.from_numpy(X[:, -1]))
        assert task.transport is None


def test_csv_lines_may_come_in_any_order_and_form(tmp_path):
    header, *lines = CSV.splitlines()
    path = tmp_path / "data.csv"
    path.write_text("\r\n".join([header.replace(",", " , "), *lines[::-1], "", ""]))
    _, task = load(path)
    assert torch.equal(task.inputs.X.flip(0), torch.from_numpy(X)), "tokens are sorted by number"
    assert torch.equal(task.y.flip(0), torch.from_numpy(Y))


def test_integers_and_booleans_are_numbers(tmp_path):
    tokens = np.zeros((4, 2, 1), dtype=np.uint8)
    _, task = load(save(tmp_path, X=tokens, y=np.array([True, False, True, False])))
    assert task.inputs.X.dtype == task.y.dtype == torch.float64


BAD_ARRAYS = [
    ({"X": np.where(X > 0.45, np.nan, X)}, "array 'X' holds NaN or infinity"),
    ({"X": np.where(X > 0.45, np.inf, X)}, "array 'X' holds NaN or infinity"),
    ({"y": np.where(Y > 0.4, np.nan, Y)}, "array 'y' holds NaN or infinity"),
    ({"q": np.full(2, -np.inf)}, "array 'q' holds NaN or infinity"),
    ({"X": X[0]}, "X has shape (3, 2); (n, T, d) with no zero is needed"),
    ({"X": X[:0], "y": Y[:0]}, "X has shape (0, 3, 2); (n, T, d) with no zero is needed"),
    ({"X": X[:, :0]}, "X has shape (6, 0, 2); (n, T, d) with no zero is needed"),
    ({"y": Y[:5]}, "y has shape (5,); (6,) is needed"),
    ({"y": Y[:, None]}, "y has shape (6, 1); (6,) is needed"),
    ({"y": np.float64(1)}, "y has shape ("),
    ({"q": np.zeros(3)}, "q has shape (3,); (2,) or (6, 2) is needed"),
    ({"X": X.astype(str)}, "array 'X' is not numeric"),
    ({"y": Y + 0j}, "array 'y' is not numeric (complex128)"),
    ({"X": 3 * X}, "token norms reach"),
    ({"X": X * 1e300}, "token norms reach"),
]  # fmt: skip


@pytest.mark.parametrize(("arrays", "text"), BAD_ARRAYS, ids=lambda v: str(v)[-30:])
def test_unusable_arrays(tmp_path, arrays, text):
    path = save(tmp_path, **arrays)
    found = refused(path)
    assert found.startswith(f"task {path}: {text}"), found


@pytest.mark.parametrize("name", ["X", "y"])
def test_missing_arrays(tmp_path, name):
    path = tmp_path / "data.npz"
    np.savez(path, **{n: a for n, a in {"X": X, "y": Y, "other": Y}.items() if n != name})
    assert refused(path) == (f"task {path}: array {name!r} is missing; X (n, T, d), y (n,) needed")


def test_object_arrays_are_refused_unread(tmp_path):
    """Unpickling a stranger's file would run a stranger's code."""

    class Trap:
        def __reduce__(self):
            return (pytest.fail, ("the pickle was loaded",))

    path = tmp_path / "data.npz"
    np.savez(path, X=X, y=np.array([Trap()] * 6, dtype=object), allow_pickle=True)
    assert "not a readable .npz of plain arrays" in refused(path)


def damaged(kind):
    """Content of files that only look like an .npz."""
    buffer = io.BytesIO()
    tokens = np.random.default_rng(1).uniform(-0.5, 0.5, (300, 3, 2))
    np.savez_compressed(buffer, X=tokens, y=np.zeros(300))
    whole = buffer.getvalue()
    if kind == "npy":  # a single array under the wrong name
        np.save(buffer := io.BytesIO(), X)
        return buffer.getvalue()
    if kind == "zip-of-text":
        with zipfile.ZipFile(buffer := io.BytesIO(), "w") as archive:
            archive.writestr("X.npy", "hello")
            archive.writestr("y", "hello")
        return buffer.getvalue()
    return {
        "empty": b"",
        "text": b"hello",
        "truncated": whole[:-400],
        "flipped": whole[:800] + bytes(255 - b for b in whole[800:900]) + whole[900:],
        "pickle": b"\x80\x04K\x01.",
    }[kind]


@pytest.mark.parametrize(
    "kind", ["npy", "zip-of-text", "empty", "text", "truncated", "flipped", "pickle"]
)
def test_damaged_files_are_one_line(tmp_path, kind):
    path = tmp_path / "data.npz"
    path.write_bytes(damaged(kind))
    assert refused(path).startswith(f"task {path}: ")


@pytest.mark.parametrize("name", ["absent.npz", "absent.csv"])
def test_absent_files(tmp_path, name):
    path = tmp_path / name
    assert refused(path) == f"task {path}: cannot be read (No such file or directory)"


def test_a_folder_is_no_file(tmp_path):
    (tmp_path / "data.npz").mkdir()
    assert "cannot be read (Is a directory)" in refused(tmp_path / "data.npz")


BAD_CSV = [
    ("", "line 1 must be the columns sample,token,x1,…,xd,y"),
    ("sample,token,y\n1,1,2\n", "line 1 must be the columns"),
    ("sample,token,x1,x3,y\n1,1,2,3,4\n", "line 1 must be the columns"),
    ("token,sample,x1,y\n1,1,2,3\n", "line 1 must be the columns"),
    ("sample,token,x1,y\n", "no samples below the header"),
    ("sample,token,x1,y\n1,1,0.5\n", "line 2 has 3 fields; 4 are needed"),
    ("sample,token,x1,y\n1,1,0.5,1\n1,2,0.5,1,7\n", "line 3 has 5 fields; 4 are needed"),
    ("sample,token,x1,y\n1,1,abc,1\n", "line 2 holds a field that is no number"),
    ("sample,token,x1,y\n1,1,,1\n", "line 2 holds a field that is no number"),
    ("sample,token,x1,y\n1,1,nan,1\n", "line 2 holds NaN or infinity"),
    ("sample,token,x1,y\n1,1,0.5,inf\n", "line 2 holds NaN or infinity"),
    ("sample,token,x1,y\na,1,0.5,1\na,2,0.5,1\nb,1,0.5,1\n", "sample b has 1 tokens, others 2"),
    ("sample,token,x1,y\na,1,0.5,1\na,1,0.5,1\n", "sample a repeats a token number"),
    ("sample,token,x1,y\na,1,0.5,1\na,2,0.5,2\n", "sample a has more than one y"),
    ("sample,token,x1,y\na,1,1.5,1\n", "token norms reach 1.5, outside the unit ball; "),
    ('sample,token,x1,y\n"a,1,0.5,1\n', "line 2 has 1 fields; 4 are needed"),
]  # fmt: skip


@pytest.mark.parametrize(("content", "text"), BAD_CSV, ids=lambda v: v[-30:])
def test_unusable_csv(tmp_path, content, text):
    path = tmp_path / "data.csv"
    path.write_text(content)
    assert refused(path).startswith(f"task {path}: {text}")


def test_csv_that_is_not_text(tmp_path):
    path = tmp_path / "data.csv"
    path.write_bytes(b"\xff\xfe\x00sample")
    assert "not a readable CSV" in refused(path)


def test_rescale_divides_by_the_largest_token_norm(tmp_path):
    path = save(tmp_path, X=30 * X)
    largest = np.linalg.norm(30 * X, axis=2).max()
    assert refused(path).endswith("or set rescale to divide by that norm")
    _, task = load(path, rescale=True)
    assert float(task.inputs.X.norm(dim=2).max()) == pytest.approx(1, abs=1e-15)
    assert torch.allclose(task.inputs.X * largest, torch.from_numpy(30 * X))
    assert any("divided by" in note for note in task.notes)


def test_float32_rounding_of_unit_vectors_is_no_offence(tmp_path):
    unit = (X / np.linalg.norm(X, axis=2, keepdims=True)).astype(np.float32)
    load(save(tmp_path, X=unit))


def test_queries_of_a_task():
    check_queries()


@pytest.mark.parametrize("query", ["last", "mean", "fixed"])
def test_queries_of_a_file(tmp_path, query):
    _, task = load(save(tmp_path), query=query)
    q = task.inputs.q.numpy()
    if query == "fixed":
        assert np.ptp(q, axis=0).max() == 0
        assert 1 - 1e-12 < np.linalg.norm(q[0]) <= 1
    else:
        assert np.allclose(q, X[:, -1] if query == "last" else X.mean(1), rtol=1e-14)


def test_given_queries(tmp_path):
    per_sample, shared = RNG.uniform(-0.5, 0.5, (6, 2)), np.array([0.6, 0.0])
    _, task = load(save(tmp_path, q=per_sample), query="given")
    assert torch.equal(task.inputs.q, torch.from_numpy(per_sample))
    config, task = load(save(tmp_path, q=shared), query="given")
    assert torch.equal(task.inputs.q, torch.from_numpy(np.tile(shared, (6, 1))))
    assert config.blocks[2] == "W"
    _, task = load(save(tmp_path, q=shared), query="fixed")
    assert np.allclose(task.inputs.q, [1.0, 0.0], atol=1e-14), "the direction, made a unit vector"


def test_queries_that_cannot_be_used(tmp_path):
    path = save(tmp_path)
    assert refused(path, query="given") == f"query given: {path} has no array q"
    path = save(tmp_path, q=np.array([1.5, 0.0]))
    assert "query norms reach 1.5; they must not exceed 1" in refused(path, query="given")
    path = save(tmp_path, q=np.zeros(2))
    assert "array q is zero; a fixed query needs a direction" in refused(path, query="fixed")


def test_an_unused_query_is_said(tmp_path):
    _, task = load(save(tmp_path, q=np.array([0.5, 0.0])))
    assert any("array q" in note and "not used" in note for note in task.notes)


def test_subsampling_is_seeded_and_without_repetition(tmp_path):
    path = save(tmp_path)

    def rows(**fields):
        return [tuple(r) for r in load(path, **fields)[1].inputs.X.flatten(1).tolist()]

    everything = {tuple(r) for r in X.reshape(6, -1).tolist()}
    chosen = rows(n=4)
    assert len(set(chosen)) == 4
    assert set(chosen) < everything
    assert rows(n=4) == chosen
    assert any(rows(n=4, data_seed=s) != chosen for s in range(1, 4))
    assert rows(n=2) == chosen[:2], "a smaller n keeps the first"
    labels = {tuple(x): y for x, y in zip(X.reshape(6, -1).tolist(), Y.tolist(), strict=True)}
    _, task = load(path, n=4)
    assert task.y.tolist() == [labels[r] for r in chosen], "labels stay with their inputs"


def test_subsampling_keeps_queries_with_their_inputs(tmp_path):
    q = X[:, 0] * 0.5
    _, task = load(save(tmp_path, q=q), query="given", n=3)
    assert torch.equal(task.inputs.q, task.inputs.X[:, 0] * 0.5)


def test_asking_for_more_than_there_is(tmp_path):
    path = save(tmp_path)
    assert refused(path, n=7) == f"n: 7 is more than the 6 samples of {path}"
    assert refused(path, T=4) == "T: 4 contradicts the data, which has T = 3"
    assert refused(path, d=4) == "d: 4 contradicts the data, which has d = 2"


def test_the_hash_is_of_the_content(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    first, copy = save(tmp_path), save(tmp_path / "elsewhere", "other.npz")
    changed = save(tmp_path, "changed.npz", y=Y + 1e-9)
    digests = [prepare(configure({"task": str(p)})).digest for p in (first, copy, changed)]
    assert digests[0] == digests[1] != digests[2]


def test_digits():
    config, digest, make = parts(prepare(configure({"task": "digits"})))
    assert (config.n, config.T, config.d) == (1797, 8, 8)
    task = make(build_model(config), Workers(1), None)
    norms = task.inputs.X.norm(dim=2)
    assert float(norms.max()) == pytest.approx(1, abs=1e-15)
    assert float(norms.max()) <= 1
    assert float(task.inputs.X.min()) >= 0
    assert sorted(set(task.y.tolist())) == [-1, 1]
    from sklearn.datasets import load_digits

    target = load_digits().target
    assert task.y.tolist() == [1.0 if t % 2 == 0 else -1.0 for t in target]
    three_config, other, make = parts(prepare(configure({"task": "digits", "target": "3"})))
    three = make(build_model(three_config), Workers(1), None)
    assert three.y.tolist() == [1.0 if t == 3 else -1.0 for t in target]
    assert digest != other
    assert find(three_config.theorem).identity(three_config, other) != find(
        config.theorem
    ).identity(config, digest)


def test_digits_without_scikit_learn_says_what_to_install(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(InputError, match=r"^task digits: needs scikit-learn; pip install "):
        prepare(configure({"task": "digits"}))


def test_tokens_of_the_teacher_are_seeded_apart_from_the_student(tmp_path):
    fields = {"n": 5, "T": 2, "d": 2, "teacher_heads": 8, "seed": 1}
    cache = ArrayCache(tmp_path)

    def make(**more):
        config, _, maker = parts(prepare(Config(**{**fields, **more})))
        return maker(build_model(config), Workers(1), cache)

    base = make()
    assert torch.equal(base.inputs.X, make(init_seed=9, m=8, teacher_seed=5).inputs.X)
    assert not torch.equal(base.inputs.X, make(data_seed=9).inputs.X)
    assert torch.equal(base.y, make(init_seed=9, m=8).y)
    assert not torch.equal(base.y, make(teacher_seed=5).y)
    assert base.token_norm == 1
    wide = make(input_norm=3, query="mean")
    assert (wide.token_norm, wide.query_norm) == (3, 3)
    assert math.isclose(make(query="fixed", input_norm=3).query_norm, 1)
