"""Tasks satisfy the assumptions; texts that do not are told in one line with its number."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ntkbound.core.errors import InputError
from ntkbound.theorems.next_token import tasks
from ntkbound.theorems.next_token.config import Config
from ntkbound.theorems.next_token.text import read_text


@given(V=st.integers(3, 25), seed=st.integers(0, 500), length=st.integers(3, 12))
def test_rollouts_satisfy_the_assumptions(V, seed, length):
    data = tasks.rollout(Config(V=V, seed=seed, max_len=length))
    assert sorted(data.next.tolist()) == list(range(V))
    assert (data.next != np.arange(V)).all()
    assert data.longest < length
    known = set(data.inputs)
    for sentence, target, best in zip(data.inputs, data.targets, data.optimal, strict=True):
        assert data.next[best] == target
        assert best in sentence
        assert len(sentence) == 1 or sentence[:-1] in known  # prefix-closed
        counts = Counter(sentence)
        assert counts[best] == max(counts.values())
    for order in data.order.values():
        assert not set(order.wins) & set(order.loses)
    if data.order:
        data.checked()


def test_free_pairs_are_kept_or_held_out():
    whole = tasks.free(Config(task="free", V=10))
    assert all(len(order.pairs) == 8 for order in whole.order.values())
    part = tasks.free(Config(task="free", V=10, keep=0.5))
    assert 0.3 < (len(part.inputs) - 10) / (len(whole.inputs) - 10) < 0.7


def write(folder, text):
    path = folder / "text.txt"
    path.write_text(text, encoding="utf-8")
    return path


# Every word opens a line, so that its next word is known: the cat sits on the …
SINGLE = "sun rises\nrises again\nagain sun\n"


def test_prefixes_are_counted(folder):
    data, digest = read_text(write(folder, SINGLE + "sun rises again sun\n"))
    assert data.words == ("sun", "rises", "again")
    assert data.inputs == ((0,), (1,), (2,), (0, 1), (0, 1, 2))
    assert data.targets == (1, 2, 0, 2, 0)
    assert data.counts == (2, 1, 1, 1, 1)
    assert data.openings().tolist() == [2, 1, 1]
    assert data.order[1].pairs == ((1, 0),)
    assert len(digest) == 64
    again, other = read_text(write(folder, "\ufeff" + SINGLE.replace("\n", "\r\n")
                                   + "\nsun rises again sun\n"))  # fmt: skip
    assert (again.inputs, again.counts) == (data.inputs, data.counts)
    assert other != digest


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("sun\n\nmoon\n", "no line has two words"),
        ("", "no line has two words"),
        (SINGLE, "no line has two words before its last; nothing is compared"),
        (SINGLE + "sun again\n",
         "line 4: 'again' follows 'sun', and on line 1 another word, 'rises'"),
        (SINGLE + "moon rises\n", "line 4: 'sun' and 'moon' have one next word, 'rises'"),
        (SINGLE + "sun rises moon\n", "line 4: no sentence of one word goes on with 'moon'"),
        (SINGLE + "sun rises sun\n", "line 4: 'sun rises' needs 'again' before 'sun'"),
        (SINGLE + "again sun rises again\nsun again rises\n",
         "line 5: 'again' follows 'sun', and on line 1 another word, 'rises'"),
        ("a b\nb a\n" + "a b " * 5000, "line 3: 10000 words are more than 200"),
        (SINGLE + 52 * ("sun rises again " * 66 + "\n"),
         "its prefixes have more than 1000000 words in all; take fewer lines"),
        ("a b\nb c\nc d\nd a\na b c\nd a b b\n",
         "line 6: with the query 'b', 'b' wins in 'a b' (line 5) and loses in 'd a b'"),
    ],
)  # fmt: skip
def test_texts_that_break_an_assumption(folder, text, told):
    path = write(folder, text)
    with pytest.raises(InputError) as refused:
        read_text(path)
    assert str(refused.value) == f"task {path}: {told}"


def test_unreadable_texts(folder, refused):
    assert refused("train", "--theorem=next-token", "--task=gone.txt") == (
        "--task gone.txt: cannot be read (No such file or directory)"
    )
    (folder / "bytes.txt").write_bytes(b"\xff\xfe\x00")
    assert refused("train", "--theorem=next-token", "--task=bytes.txt").startswith(
        "--task bytes.txt: cannot be read"
    )


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--task=rolout"], "--task: 'rolout' is unknown; accepted: rollout, cyclic, example1, "
         "counterexample, free, FILE.txt; did you mean 'rollout'?"),
        (["--V=1"], "--V: input should be greater than or equal to 2, not 1"),
        (["--V=1001"], "--V: input should be less than or equal to 1000, not 1001"),
        (["--task=example1", "--V=5"], "--V: 5 is not that of task example1: 4"),
        (["--keep=0.5"], "--keep: only used by task free; leave it out"),
        (["--task=free", "--max-len=5"],
         "--max-len: only used by tasks rollout and cyclic; leave it out"),
        (["--task=free", "--V=4"], "--optimal: 2 + 4 tokens are more than V = 4"),
        (["--batch=3"], "--batch: only used by method sgd; leave it out"),
        (["--max-len=2"], "--task rollout: at seed 0 no input compares two tokens: "
         "stage 2 has nothing to learn"),
        (["--eta=1e308"], "--eta: is so large that W_kq overflows; take a smaller one"),
        (["--eta0=1e308"], "--eta0: is so large that W_ov overflows; take a smaller one"),
        (["--eta=1e-300"], "--eta: is so small that W_kq stays zero; take a larger one"),
        (["--eta0=1e-300"], "--eta0: is so small that W_ov stays zero; take a larger one"),
        (["--ov-init=1e155"], "--ov-init: is so large that W_ov overflows; take a smaller one"),
        (["--ov-init=1e308"], "--ov-init: is so large that W_ov overflows; take a smaller one"),
        (["--ov-init=1000"], "--ov-init: is so large that n(x) is still 3.76e+03 below "
         "another token after stage 1; take a smaller one"),
        (["--tau=1000000000000"],
         "--tau: input should be less than or equal to 10000000, not 1000000000000"),
        (["--T0=0"], "--T0: input should be greater than or equal to 1, not 0"),
    ],
)  # fmt: skip
def test_options_that_cannot_be_used(refused, options, told):
    assert refused("train", "--theorem=next-token", *options) == told


def test_a_text_is_trained_and_known_by_its_content(command, folder):
    write(folder, SINGLE + "sun rises again sun\n")
    arguments = ("train", "--theorem=next-token", "--task=text.txt", "--ov-weights=counts")
    code, out, _ = command(*arguments, "--json")
    assert code == 0
    told = json.loads(out)
    assert told["config"]["V"] == 3 and told["data_sha256"]
    (record,) = folder.glob("results/nt-text-*")
    (folder / "text.txt").rename(folder / "moved.txt")
    code, out, _ = command(*(a.replace("text.txt", "moved.txt") for a in arguments), "--json")
    assert code == 0 and json.loads(out)["terms"] == told["terms"]
    assert json.loads(out)["id"].rsplit("-", 1)[1] == record.name.rsplit("-", 1)[1]
    assert command("verify", record)[0] == 0
    (folder / "moved.txt").rename(folder / "text.txt")
    code, out, _ = command("train", f"--config={record / 'run.json'}", "--tau=50", "--json", "-q")
    assert code == 0 and json.loads(out)["config"]["tau"] == 50


def test_the_example_text():
    path = Path(__file__).parents[3] / "examples" / "next_token" / "water.txt"
    data, _ = read_text(path)
    assert (data.V, len(data.inputs)) == (8, 40)
    assert all(len(order.wins) == 1 for order in data.order.values())
