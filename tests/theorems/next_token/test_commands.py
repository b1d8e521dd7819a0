"""The theorem by the commands of the engine: trained, shown, verified, swept, judged."""

from __future__ import annotations

import json

import numpy as np
import pytest

from ntkbound.theorems.next_token import THEOREM, statement, verify
from ntkbound.theorems.next_token.config import Config, follows

TRAIN = ("train", "--theorem=next-token")


def test_a_run_is_trained_shown_and_verified(command, folder):
    code, out, _ = command(*TRAIN, "--V=12", "--seed=3")
    assert code == 0
    assert "rollout, V = 12, max_len = 8, seed 3" in out and "telescoped" not in out
    assert "sentences never seen" in out and "trivial here (D1)" in " ".join(out.split())
    (path,) = folder.glob("results/*/run.json")
    assert path.parent.name.startswith("nt-rollout-V12-T900-tau900-s3-")
    assert command("show", path) == (0, out, "")
    code, out, _ = command("verify", path)
    assert code == 0 and "by autograd" in out and "differs" not in out
    data = json.loads(path.read_text())
    assert {row["level"] for row in data["certificates"]} == {"paper", "a-posteriori"}
    assert data["conditions"][statement.NORMALISED] is True
    with np.load(path.with_name("trace.npz")) as trace:
        steps = trace["direction/kq/step"]
        assert len(steps) == len(trace["direction/kq/gap"]) and steps[0] == 1 and steps[-1] == 900
        assert len(trace["step"]) == len(trace["loss/training/excess"])
        assert trace["direction/kq/gap"][-1] == data["terms"]["direction"]["kq"]["gap"]


@pytest.mark.parametrize("array", ["W_ov", "W_kq"])
def test_a_record_that_was_altered_does_not_verify(command, folder, array):
    from safetensors.numpy import load_file, save_file

    from ntkbound.runs.record import read

    command(*TRAIN, "--V=8", "--tau=50", "-q")
    (path,) = folder.glob("results/*")
    record = read(path)
    arrays = dict(record.arrays)
    assert all(row.agrees for row in verify.verify(record))
    arrays[array] = arrays[array] + 1e-3 * np.arange(64).reshape(8, 8) / 64
    save_file(arrays, path / "params.safetensors")
    altered = record.__class__(**{**vars(record), "arrays": load_file(path / "params.safetensors")})
    assert not all(row.agrees for row in verify.verify(altered))


def test_its_own_preset_holds(command):
    code, out, err = command("check", "--theorem=next-token", "--jobs=1")
    assert code == 0, out
    assert err.count("done nt-") == 20
    told = " ".join(out.split())
    assert "known to be false" in told and "ngd < gd" in told
    code, out, _ = command("slopes", "results", "--json")
    fits = json.loads(out)["fits"]
    assert {"violated", "holds"} <= {fit["verdict"] for fit in fits}


def test_a_claim_that_is_false_is_violated(command, folder):
    command("sweep", "next-token/smoke", "--jobs=1", "-q")
    (folder / "false.toml").write_text(
        "[[claim]]\nterm = 'attention'\nprobe = 'training'\nstatistic = 'final_min'\n"
        "form = 'fraction'\nshare = 1.0\nbelow = 0.4\n"
    )
    assert command("check", "results", "--claims=false.toml")[0] == 1


def test_help_teaches(command):
    code, out, _ = command(*TRAIN, "--help")
    assert code == 0
    told = " ".join(out.replace("│", " ").split())
    for word in ("--ov-weights", "--max-len", "--T0", "--eta0", "uniform|zipf|counts",
                 "ngd|gd|sgd|adam", "0.2/√V", "Stage 1, W_ov", "Stage 2, W_kq"):  # fmt: skip
        assert word in told


def test_step_sizes_that_follow_from_the_vocabulary_separate_no_arms():
    config = Config(V=10).model_dump()
    steps = {"eta0": "0.2/sqrt(V)", "eta": "0.05/sqrt(V)"}
    assert follows(config) == {**steps, "batch": "method"}
    assert "eta" not in follows(Config(V=10, eta=0.3).model_dump())
    # The usual batch of sgd does not keep it from being a pair of ngd; another one does.
    assert follows(Config(V=10, method="sgd").model_dump()) == {**steps, "batch": "method"}
    assert follows(Config(V=10, method="sgd", batch=8).model_dump()) == steps
    assert Config.underived(Config(method="sgd").model_dump()).get("batch") is None
    assert Config.underived(config)["V"] == 10 and "eta" not in Config.underived(config)
    assert "V" not in Config.underived(Config(task="example1").model_dump())


def test_another_start_is_another_run():
    assert THEOREM.identity(Config(ov_init=0.1)) != THEOREM.identity(Config())
    text = Config(task="a.txt", V=5)
    assert THEOREM.identity(text, "0" * 64) == THEOREM.identity(Config(task="b.txt", V=5), "0" * 64)


def test_the_audit(command, refused, monkeypatch):
    code, out, _ = command("audit", "--theorem=next-token", "--V=12")
    assert code == 0
    assert "Lemma 6" in out and "Theorem 1 are about steps t ≥ t0 = " in out
    arguments = ("audit", "--theorem=next-token", "--task=example1", "--eta0=0.1", "--eta=0.025")
    links = json.loads(command(*arguments, "--tau=2500", "--json")[1])["links"]
    assert [link["key"] for link in links] == list(statement.AUDITED)
    assert all(link["holds"] and link["left"] <= link["right"] for link in links)
    assert [link["step"] >= 2080 for link in links[3:]] == [True, True]
    monkeypatch.setattr("ntkbound.theorems.next_token.audit.theorem1", lambda run, t: 1e-9 / t)
    code, out, _ = command(*arguments, "--tau=2500")
    assert code == 1 and "violated" in out


def test_the_bench(command):
    code, out, _ = command("bench", "--theorem=next-token", "--V=6", "--steps=20", "--json")
    assert code == 0
    told = json.loads(out)
    assert set(told["ns_per_element"]) == {"kernel", "autograd", "arithmetic"}
    for name, seconds in told["seconds_per_step"].items():
        per_element = told["ns_per_element"][name]
        assert per_element == pytest.approx(1e9 * seconds / told["elements"])
    code, out, _ = command("bench", "--theorem=next-token", "--V=6", "--steps=20")
    assert code == 0 and "autograd" in out
