"""``import ntkbound``: the names that are promised, and many records as one object."""

from __future__ import annotations

import json
import shutil
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

import ntkbound
from ntkbound import InputError, check, configure, load, read, run, sweep
from ntkbound.runs.execute import Execution
from ntkbound.runs.record import write_failure
from tests.support.problems import tamper
from tests.test_architecture import without_torch


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The runs of the preset ``least-squares/smoke``."""
    out = tmp_path_factory.mktemp("made")
    for steps in (4, 8, 16, 32, 64):
        for seed in range(5):
            fields = {"theorem": "least-squares", "steps": steps, "seed": seed}
            run(configure(fields), Execution(out, save_params=False, save_inputs=False))
    return out


@pytest.fixture
def results(made, folder):
    return Path(shutil.copytree(made, folder / "results"))


def test_every_promised_name_is_there():
    for name in ntkbound.__all__:
        assert getattr(ntkbound, name) is not None, name
    for name, module in ntkbound.LATER.items():
        assert getattr(ntkbound, name) is getattr(import_module(module), name)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = ntkbound.nothing


def test_reading_and_judging_load_no_torch(results):
    without_torch(
        "from ntkbound import load\nfound = load('results')\n"
        "assert found.check().verdict == 'holds' and found.slopes() and found.rows()",
        results.parent,
    )


def test_a_preset_is_run_once_and_judged_by_the_claims_of_its_theorem(results):
    found = sweep("least-squares/smoke", results, jobs=1)
    assert repr(found) == "<Results: 25 of least-squares; 0 lost, 0 left out>"
    assert len(found) == 25
    assert found.check().verdict == check("least-squares/smoke", results).verdict == "holds"
    (fit,) = found.slopes()
    assert (fit.axis, fit.claimed, fit.verdict) == ("steps", -1, "faster")
    assert {row["id"]: row["suboptimality/final/gap"] for row in found.rows()} == {
        one.id: one.terms["suboptimality"]["final"]["gap"] for one in found.records
    }
    assert {row["steps"] for row in found.rows()} == {4, 8, 16, 32, 64}


def test_a_sweep_makes_what_is_missing_and_gives_only_its_own(results):
    gone = next(results.glob("least-squares-s0-*"))
    shutil.rmtree(gone)
    run(configure({"theorem": "least-squares", "steps": 7}), Execution(results))
    found = sweep("least-squares/smoke", results, jobs=1)
    assert gone.name in {one.id for one in found.records}
    assert (len(found), len(load(results))) == (25, 26)
    moved = sweep("least-squares/smoke", results, jobs=1, base_seed=100)
    assert {row["seed"] for row in moved.rows()} == {100, 101, 102, 103, 104}


def test_claims_of_the_callers_own_are_judged(results):
    (own,) = load(results).slopes()
    assert own.claim is not None
    steep = own.claim.model_copy(update={"kind": "lower", "exponent": -0.5})
    found = load(results)
    assert found.check([steep]).verdict == "violated"
    assert found.check().verdict == "holds"
    assert [fit.claim for fit in found.slopes([steep])] == [steep]
    assert found.slopes(axes=("n",)) == ()


def test_what_failed_or_diverged_keeps_a_check_from_holding(results):
    path = next(results.glob("least-squares-s0-*"))
    tamper(path, status="diverged")
    write_failure(results, "least-squares-s9-0", {}, "out of memory")
    found = load(results)
    assert found.lost == {path.name: "diverged", "least-squares-s9-0": "out of memory"}
    assert found.check().verdict == check(results).verdict == "inconclusive"


def test_what_cannot_be_judged_is_left_out_with_its_reason(results):
    stale, foreign, torn = list(results.glob("least-squares-s0-*"))[:3]
    tamper(stale, version=6)
    tamper(foreign, theorem="gone")
    (torn / "run.json").write_text("{")
    found = load(results)
    assert len(found) == 22 and found.check().verdict == "holds"
    assert found.left_out[stale.name] == "version 6 is not 1; run it again"
    assert found.left_out[foreign.name] == "theorem 'gone' is unknown"
    assert "not a readable record" in found.left_out[torn.name]


def test_a_plot_is_drawn_in_the_format_of_its_suffix(results, tmp_path):
    load(results).plot(tmp_path / "slopes.svg")
    assert (tmp_path / "slopes.svg").read_text(encoding="utf-8").count("<svg") == 1
    with pytest.raises(InputError, match=r"accepted: \.pdf, \.svg, \.png"):
        load(results).plot("slopes.gif")


def test_what_is_not_there_is_one_line(folder):
    with pytest.raises(InputError, match="no such results folder"):
        load("nowhere")
    with pytest.raises(InputError, match="preset 'nowhere' is unknown"):
        check("nowhere")
    with pytest.raises(InputError, match="did you mean 'smoke'"):
        sweep("smok")


# ``run``, and what a notebook shows.


def test_run_takes_fields_and_says_where_the_record_is(folder):
    record = run(theorem="least-squares", steps=7)
    assert repr(record) == f"<Record {record.id}: complete; 2 holds; in results/{record.id}>"
    assert run({"theorem": "least-squares"}, steps=7).id == record.id
    assert run(configure({"theorem": "least-squares", "steps": 9}), steps=7).id == record.id
    assert read(str(record.path)).terms == record.terms
    there = run({"theorem": "least-squares"}, Execution(str(folder / "there")), steps=7)
    assert there.path == folder / "there" / record.id


def test_a_mistake_of_run_is_one_line(folder):
    with pytest.raises(InputError, match="unknown field 'mm'; did you mean 'm'"):
        run(mm=8)
    with pytest.raises(InputError, match=r"theorem: 'leest-squares' is unknown.*'least-squares'"):
        run(theorem="leest-squares")
    assert list(folder.iterdir()) == []


def test_arrays_are_data(folder):
    rng = np.random.default_rng(0)
    X, y = 0.3 * rng.standard_normal((6, 3, 2)), rng.standard_normal(6)
    few = {"m": 2, "tau": 2, "search_samples": 1, "search_restarts": 1, "search_steps": 1}
    record = run(task={"X": X, "y": y}, **few)
    (kept,) = (folder / "results" / "data").glob("*.npz")
    assert record.config["n"] == 6 and record.data_sha256
    assert run(task={"X": X.tolist(), "y": y}, **few).id == record.id
    for wrong, told in (({"X": ["a"]}, "X is no array of numbers"), ({"Z": X}, "npz")):
        with pytest.raises(InputError, match=told):
            run(task=wrong, **few)
    assert list((folder / "results" / "data").iterdir()) == [kept], "nothing is left of a mistake"


def test_a_notebook_shows_tables(results):
    found = load(results)
    shown = found._repr_html_()
    assert shown.count("<tr>") == 21 and "… and 5 more" in shown and "<th>steps</th>" in shown
    assert "<td>holds</td>" in found.records[0]._repr_html_()
    assert "faster than the claimed" in found.check()._repr_html_()


def test_what_a_notebook_shows_is_escaped(results):
    path = next(results.glob("least-squares-s0-*"))
    tamper(path, notes=["<script>alert(1)</script>"])
    assert "<script>" not in read(path)._repr_html_()


def test_a_frame_has_one_row_a_run(results):
    frame = load(results).frame()
    assert len(frame) == 25
    assert frame["suboptimality/final/gap"].min() >= 0


def test_names_are_told():
    assert "run" in dir(ntkbound) and "__path__" not in dir(ntkbound)


def test_the_notebook_runs(folder, monkeypatch):
    text = Path(__file__).parents[1].joinpath("examples", "quickstart.ipynb").read_text("utf-8")
    space: dict[str, object] = {}
    for cell in json.loads(text)["cells"]:
        if cell["cell_type"] == "code":
            assert cell["outputs"] == []
            exec("".join(cell["source"]), space)
    assert (folder / "slopes.png").stat().st_size > 10_000
    assert repr(space["results"]).startswith("<Results: 25 of least-squares")
