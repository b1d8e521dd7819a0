"""The configuration: resolution, aliases, the hash as an API, files, and every bad value's line."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ntkbound.cli.common import in_options
from ntkbound.core.config import load
from ntkbound.core.errors import InputError
from ntkbound.core.registry import configure
from ntkbound.theorems.shallow_transformer import THEOREM
from ntkbound.theorems.shallow_transformer.config import Config
from tests.support.problems import SMALL_RUN


def identity(config, data=None):
    return THEOREM.identity(config, data)


def fields_of(path):
    """What a file asks for, as the command line takes it."""
    fields, recorded = load(path)
    return Config.underived(fields) if recorded else fields


def message(fields, where=""):
    with pytest.raises(InputError) as caught:
        configure(fields, where)
    text = in_options(caught.value)
    assert "\n" not in text, "one line"
    return text


def test_defaults_are_the_contracts():
    c = Config()
    expected = {
        "n": 512, "T": 16, "d": 8, "m": 256, "tau": 4000, "activation": "tanh", "query": "last",
        "task": "teacher", "transport": "rank-one", "teacher_heads": 131072, "inputs": "shrunk",
        "eta_scale": 1.0, "validation": 0.0, "dtype": "float32", "seed": 0, "delta": 0.05,
        "method": "projgd", "rho": {"c": 1.0, "U": 1.0, "W": 1.0}, "batch": None, "decay": None,
        "data_seed": 0, "teacher_seed": 0, "init_seed": 0, "target": None, "input_norm": 1.0,
    }  # fmt: skip
    assert {name: getattr(c, name) for name in expected} == expected
    assert c.eta == 1 / math.sqrt(4000)
    assert c.nu == c.rho


def test_resolution_is_idempotent():
    for fields in ({}, {"query": "fixed"}, {"method": "projsgd"}, {"task": "digits"},
                   {"eta": 0.3, "seed": 5}, {"method": "decay", "rho": "c=2"}):  # fmt: skip
        once = configure(fields)
        assert configure(once.model_dump()) == once


def test_derived_values():
    assert Config(eta_scale=1.75, tau=4000).eta == 1.75 / math.sqrt(4000)
    assert Config(eta=0.5, tau=100).eta_scale is None, "η was given: it stays when τ changes"
    assert Config(seed=7).init_seed == 7
    assert Config(seed=7, data_seed=1).data_seed == 1
    assert Config(method="projsgd").batch == 64
    assert Config(method="decay").decay == 0.01
    assert Config(n=10, validation=0.25).n_train == 8
    assert Config(query="fixed").blocks == ("c", "U", "k")


@pytest.mark.parametrize(("given_value", "expected"), [
    (3, (3, 3, 3)), (3.0, (3, 3, 3)), ("3", (3, 3, 3)), ("3,2,1", (3, 2, 1)),
    ([3, 2, 1], (3, 2, 1)), ("c=3,W=1", (3, 1, 1)), (" W = 2 , c = 3 ", (3, 1, 2)),
    ({"U": 2}, (1, 2, 1)), ("0", (0, 0, 0)), ("1e-3", (1e-3, 1e-3, 1e-3)),
])  # fmt: skip
@pytest.mark.parametrize("name", ["rho", "nu"])
def test_every_spelling_of_radii(name, given_value, expected):
    found = getattr(Config(**{name: given_value}), name)
    assert found == dict(zip("cUW", expected, strict=True))
    assert list(found) == ["c", "U", "W"], "block order, whatever the order given"


def test_a_fixed_query_takes_w_or_k():
    by_w, by_k = (Config(query="fixed", rho=f"{b}=2") for b in "Wk")
    assert by_w.rho == by_k.rho == {"c": 1.0, "U": 1.0, "k": 2.0}
    assert identity(by_w) == identity(by_k)


BASE = {"m": 8, "tau": 10, "n": 20, "T": 3, "d": 2}
SAME = [
    {"m": 8.0}, {"rho": 1}, {"rho": 1.0}, {"rho": "1,1,1"}, {"rho": {"W": 1, "c": 1}},
    {"seed": 0, "data_seed": 0}, {"eta_scale": 1}, {"eta": 1 / math.sqrt(10)}, {"delta": 0.05},
    {"task": "teacher"}, {"input_norm": 1}, {"validation": 0}, {"transport": "rank-one"},
]  # fmt: skip
DIFFERENT = [
    {"m": 10}, {"tau": 11}, {"n": 21}, {"T": 4}, {"d": 3}, {"seed": 1}, {"data_seed": 1},
    {"teacher_seed": 1}, {"init_seed": 1}, {"activation": "erf"}, {"query": "mean"},
    {"query": "fixed"}, {"transport": "anchors"}, {"teacher_heads": 4}, {"inputs": "ball"},
    {"input_norm": 2}, {"method": "gd"}, {"method": "projsgd", "batch": 4},
    {"method": "projsgd", "batch": 5}, {"method": "decay"}, {"method": "decay", "decay": 0.1},
    {"eta": 0.1}, {"eta_scale": 2}, {"rho": 2}, {"rho": "c=2"}, {"nu": 2}, {"delta": 0.1},
    {"validation": 0.1}, {"dtype": "float64"}, {"bounds": False}, {"records": 5},
    {"search_samples": 3}, {"search_restarts": 3}, {"search_steps": 3}, {"task": "digits", "n": 5,
    "T": 8, "d": 8}, {"task": "digits", "n": 5, "T": 8, "d": 8, "target": "3"},
    {"task": "digits", "transport": "computed"},
    {"task": "digits", "transport": "computed", "ridge": 0.1},
    {"model": "indrnn"}, {"model": "indrnn", "omega": 1.1}, {"task": "ar", "d": 17},
    {"task": "ar", "lag": 2}, {"task": "ar", "positions": "none"}, {"task": "series:a.csv"},
    {"task": "ar", "query_scale": 3}, {"task": "ar", "positions": "onehot"},
]  # fmt: skip


@pytest.mark.parametrize("more", SAME, ids=str)
def test_the_hash_ignores_spelling(more):
    assert identity(configure({**BASE, **more})) == identity(configure(BASE))
    turned = dict(reversed(list({**BASE, **more}.items())))
    assert identity(configure(turned)) == identity(configure(BASE))


def test_the_hash_sees_everything_that_matters():
    hashes = {str(more): identity(configure({**BASE, **more})) for more in [{}, *DIFFERENT]}
    assert len(set(hashes.values())) == len(hashes)
    seen = {name for more in DIFFERENT for name in more} | {"rescale", "theorem"}
    assert seen == set(Config.model_fields), "a new field needs a case here"


def test_data_counts_by_content_not_by_path():
    a, b = (configure({**BASE, "task": f"{name}.npz"}) for name in ("one", "some/where/two"))
    assert identity(a, "00ff") == identity(b, "00ff") != identity(a, "00fe")
    rescaled = configure({**BASE, "task": "one.npz", "rescale": True})
    assert identity(rescaled, "00ff") != identity(a, "00ff")


def test_the_versions_of_schema_and_theorem_count(monkeypatch):
    config = configure(BASE)
    assert replace(THEOREM, version=THEOREM.version + 1).identity(config) != identity(config)
    before = identity(config)
    monkeypatch.setattr("ntkbound.core.theorem.SCHEMA", 10**6)
    assert identity(config) != before


@given(
    tau=st.integers(1, 10**6),
    eta=st.one_of(st.none(), st.floats(1e-6, 1e3)),
    scale=st.one_of(st.none(), st.floats(1e-3, 1e3)),
    seed=st.integers(0, 2**63 - 1),
    own=st.one_of(st.none(), st.integers(0, 5)),
    query=st.sampled_from(["last", "mean", "fixed"]),
    method=st.sampled_from(["projgd", "projsgd", "gd", "decay"]),
    rho=st.sampled_from(["2", "1,2,0", "c=0.1"]),
)
def test_run_json_given_as_config_is_the_same_run(
    tmp_path, tau, eta, scale, seed, own, query, method, rho
):
    """The contract: a run.json can be given as --config to run it again, to the last bit of η."""
    fields = {"tau": tau, "seed": seed, "query": query, "method": method, "rho": rho}
    step = {"eta": eta} if eta is not None else {"eta_scale": scale} if scale is not None else {}
    original = configure({**fields, **step, **({} if own is None else {"init_seed": own})})
    path = tmp_path / "run.json"
    path.write_text(json.dumps({"config": original.model_dump()}))
    again = configure(fields_of(path))
    assert identity(again) == identity(original)


def test_overrides_of_a_run_json_do_what_they_say(tmp_path):
    original = configure({"tau": 400, "seed": 3, "teacher_seed": 9})
    path = tmp_path / "run.json"
    path.write_text(json.dumps({"config": original.model_dump()}))
    longer = configure({**fields_of(path), "tau": 1600})
    assert longer.eta == 1 / 40
    other = configure({**fields_of(path), "seed": 4})
    assert (other.data_seed, other.teacher_seed, other.init_seed) == (4, 9, 4)


@pytest.mark.parametrize(("before", "option", "eta", "scale"), [
    ({}, "--eta=0.5", 0.5, None), ({"eta_scale": 2.0}, "--eta=0.5", 0.5, None),
    ({"eta": 0.3}, "--eta-scale=2", 0.4, 2.0),
], ids=str)  # fmt: skip
@pytest.mark.parametrize("kind", ["json", "toml"])
def test_the_step_size_of_a_file_can_be_overridden(command, kind, before, option, eta, scale):
    """η and η·√τ are one quantity in two spellings: the option replaces the file's spelling."""
    fields = {**SMALL_RUN, "tau": 25, **before}
    if kind == "json":
        Path("a.json").write_text(json.dumps({"config": configure(fields).model_dump()}))
    else:
        Path("a.toml").write_text("\n".join(f"{k} = {v}" for k, v in fields.items()))
    code, out, err = command("train", f"--config=a.{kind}", option, "--json", "--quiet")
    assert (code, err) == (0, "")
    config = json.loads(out)["config"]
    assert (config["eta"], config["eta_scale"]) == (eta, scale)


@pytest.mark.parametrize(("before", "after"), [("last", "fixed"), ("fixed", "last")])
def test_the_query_of_a_run_json_can_be_overridden(tmp_path, before, after):
    path = tmp_path / "run.json"
    path.write_text(
        json.dumps({"config": configure({"query": before, "rho": "1,2,3"}).model_dump()})
    )
    found = configure({**fields_of(path), "query": after})
    assert list(found.rho.values()) == [1, 2, 3]
    assert list(found.nu) == list(found.blocks)


def test_toml(tmp_path):
    path = tmp_path / "preset.toml"
    path.write_text("m = 8\nrho = {c = 3, W = 1}\n")
    assert configure(fields_of(path)).rho == {"c": 3.0, "U": 1.0, "W": 1.0}
    path.write_text("[run]\nm = 8\nrho = [1, 2, 3]\n")
    assert configure(fields_of(path)).rho == {"c": 1.0, "U": 2.0, "W": 3.0}
    path.write_text("actvation = 'erf'\n")
    assert message(fields_of(path), f"--config {path}").endswith(
        "preset.toml: unknown field 'actvation'; did you mean 'activation'?"
    )
    path.write_text("m = 7\n")
    found = message(fields_of(path), f"--config {path}")
    assert found.endswith("preset.toml: m: 7 is odd; symmetric initialisation needs an even number")


@pytest.mark.parametrize("content", ["m = ", "m = 8\nm = 9", "\x00", "[run\n"])
def test_broken_toml_is_one_line(tmp_path, content):
    path = tmp_path / "preset.toml"
    path.write_text(content)
    with pytest.raises(InputError, match=r"^config .*preset\.toml: ") as caught:
        load(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("name", "content"), [
    ("a.toml", b"\xff\xfe"), ("a.json", b"{"), ("a.json", b"[1]"), ("a.json", b'{"config": 3}'),
    ("a.json", b"null"), ("a.toml", b"run = 3"), ("missing.toml", None), (".", None),
])  # fmt: skip
def test_files_that_are_no_config(tmp_path, name, content):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=r"^config ") as caught:
        load(path)
    assert "\n" not in str(caught.value)


BAD = [
    ({"m": 7}, "--m: 7 is odd; symmetric initialisation needs an even number"),
    ({"m": 0}, "--m: input should be greater than or equal to 1, not 0"),
    ({"m": -2}, "--m: input should be greater than or equal to 1, not -2"),
    ({"tau": 0}, "--tau: input should be greater than or equal to 1, not 0"),
    ({"n": 0}, "--n: input should be greater than or equal to 1, not 0"),
    ({"T": -1}, "--T: input should be greater than or equal to 1, not -1"),
    ({"d": 0}, "--d: input should be greater than or equal to 1, not 0"),
    ({"m": 2.5}, "--m: input should be a valid integer"),
    ({"seed": -1}, "--seed: input should be greater than or equal to 0, not -1"),
    ({"seed": 2**63}, "--seed: input should be less than"),
    ({"eta": 0}, "--eta: input should be greater than 0, not 0"),
    ({"eta": math.nan}, "--eta: input should be"),
    ({"eta": math.inf}, "--eta: input should be a finite number"),
    ({"eta_scale": -1}, "--eta-scale: input should be greater than 0"),
    ({"eta": 0.1, "eta_scale": 3}, "--eta: contradicts eta_scale (η = eta_scale/√τ); give one"),
    ({"delta": 0}, "--delta: input should be greater than 0"),
    ({"delta": 1}, "--delta: input should be less than 1"),
    ({"delta": math.nan}, "--delta: input should be"),
    ({"validation": 1}, "--validation: input should be less than 1"),
    ({"validation": math.nan}, "--validation: input should be"),
    ({"n": 1, "validation": 0.9}, "--validation: 0.9 of n = 1 leaves no sample"),
    ({"rho": -1}, "--rho: input should be greater than or equal to 0"),
    ({"rho": "x"}, "--rho: expected a number, c,U,W or block=number pairs"),
    ({"rho": "c=1=2"}, "--rho: expected a number, c,U,W or block=number pairs"),
    ({"rho": "c=1,c=2"}, "--rho: "),
    ({"rho": ""}, "--rho: expected a number, c,U,W or block=number pairs"),
    ({"rho": "1,2"}, "--rho: "),
    ({"rho": "1,2,3,4"}, "--rho: "),
    ({"rho": "V=1"}, "--rho: block 'V' is unknown; accepted: one number, 3 numbers, or pairs"),
    ({"rho": "nan"}, "--rho: input should be"),
    ({"rho": "inf"}, "--rho: input should be a finite number"),
    ({"rho": True}, "--rho: expected a number"),
    ({"nu": "k=1"}, "--nu: block 'k' is unknown"),
    ({"activation": "relu"}, "--activation: relu has no bounded second derivative, so no bound "
     "holds; set bounds = false to measure without bounds"),
    ({"activation": "tan"}, "--activation: input should be 'tanh', 'erf', 'sigmoid', 'bump'"),
    ({"activation": "bump"}, "--transport: rank-one represents the zero function"),
    ({"activation": "relu", "bounds": False, "transport": "anchors"}, "--transport: "),
    ({"query": "given"}, "--query: 'given' reads the array q of an .npz task"),
    ({"query": "first"}, "--query: input should be 'last', 'mean', 'fixed' or 'given'"),
    ({"task": "digits", "nu": 2}, "--nu: only used by task teacher; leave it out"),
    ({"task": "teecher"}, "--task: 'teecher' is unknown; accepted: teacher, digits, ar, "
     "FILE.npz, FILE.csv, series:FILE.csv; did you mean 'teacher'?"),
    ({"task": "data.parquet"}, "--task: 'data.parquet' is unknown; accepted: teacher, digits"),
    ({"task": "digits", "target": "11"}, "--target: '11' is unknown; accepted: parity, 0 … 9"),
    ({"target": "3"}, "--target: only used by task digits; leave it out"),
    ({"task": "digits", "transport": "anchors"}, "--transport: only used by task teacher"),
    ({"transport": "computed"}, "--transport: 'computed' is for data whose map is unknown"),
    ({"task": "digits", "ridge": 0.1}, "--ridge: only used by transport computed"),
    ({"task": "a.npz", "teacher_heads": 8}, "--teacher-heads: only used by task teacher"),
    ({"task": "a.npz", "input_norm": 1}, "--input-norm: only used by task teacher"),
    ({"rescale": True}, "--rescale: only for a data file"),
    ({"batch": 8}, "--batch: only used by method projsgd; leave it out"),
    ({"decay": 0.1}, "--decay: only used by method decay; leave it out"),
    ({"method": "projsgd", "batch": 600}, "--batch: 600 is more than the 512 samples"),
    ({"method": "sgd"}, "--method: input should be 'projgd', 'projsgd', 'gd' or 'decay'"),
    ({"teacher_heads": 1}, "--teacher-heads: input should be greater than or equal to 2"),
    ({"records": 1}, "--records: input should be greater than or equal to 2"),
    ({"search_steps": 0}, "--search-steps: input should be greater than or equal to 1"),
    ({"search_samples": 0}, "--search-samples: input should be greater than or equal to 1"),
    ({"search_restarts": 0}, "--search-restarts: input should be greater than or equal to 1"),
    ({"input_norm": 0}, "--input-norm: input should be greater than 0"),
    ({"task": "series:a.npz"}, "--task: 'series:a.npz' is no series; accepted: series:FILE.csv"),
    ({"lag": 4}, "--lag: only used by tasks ar and series; leave it out"),
    ({"task": "ar", "lag": 0}, "--lag: input should be greater than or equal to 1, not 0"),
    ({"positions": "onehot"}, "--positions: only used by tasks ar and series"),
    ({"task": "ar", "positions": "sine"}, "--positions: input should be 'sincos', 'onehot' or"),
    ({"task": "ar", "nu": 1}, "--nu: only used by task teacher; leave it out"),
    ({"query_scale": 3}, "--query-scale: only used by a transformer on ar or series, query last"),
    ({"task": "ar", "query": "fixed", "query_scale": 3}, "--query-scale: only used by a"),
    ({"task": "ar", "model": "indrnn", "query_scale": 3}, "--query-scale: only used by a"),
    ({"task": "ar", "model": "indrnn", "query": "last"}, "--query: only used by model transformer"),
    ({"omega": 1}, "--omega: only used by model indrnn; leave it out"),
    ({"model": "indrnn", "omega": 0}, "--omega: input should be greater than 0, not 0"),
    ({"model": "lstm"}, "--model: 'lstm' is unknown; accepted: transformer, indrnn, FILE.py:Class"),
    ({"model": "indrnn", "rho": "k=1"}, "--rho: block 'k' is unknown; accepted: one number, 3 "
     "numbers, or pairs for c, U, w"),
    ({"model": "indrnn", "nu": "w=1"}, "--nu: block 'w' is unknown; accepted: one number, 3 "
     "numbers, or pairs for c, U, W"),
    ({"thau": 3}, "config: unknown field 'thau'; did you mean 'tau'?"),
]  # fmt: skip


@pytest.mark.parametrize(("fields", "start"), BAD, ids=lambda v: str(v)[:40])
def test_every_bad_value_is_one_line_naming_the_option(fields, start):
    assert message(fields).startswith(start)


def test_sizes_of_data():
    config = configure({"task": "a.npz", "n": 5})
    assert (config.T, config.d) == (None, None)
    sized = config.with_data(9, 4, 3)
    assert (sized.n, sized.T, sized.d) == (5, 4, 3)
    assert configure({"task": "a.npz"}).with_data(9, 4, 3).n == 9
    with pytest.raises(InputError, match=r"^n: 5 is more than the 3 samples of a\.npz$"):
        config.with_data(3, 4, 3)
    with pytest.raises(InputError, match=r"^T: 2 contradicts the data, which has T = 4$"):
        configure({"task": "a.npz", "T": 2}).with_data(9, 4, 3)
    with pytest.raises(InputError, match=r"^d: 2 contradicts the data, which has d = 3$"):
        configure({"task": "a.npz", "d": 2}).with_data(9, 4, 3)


def test_a_config_cannot_be_changed():
    config = Config(**SMALL_RUN)
    with pytest.raises(ValueError, match="frozen"):
        config.m = 4
