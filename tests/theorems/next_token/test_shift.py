"""Sentences never seen: what the paper's example predicts, and every kind by its definition."""

from __future__ import annotations

import pytest

from ntkbound.theorems.next_token.shift import predicted, unseen
from tests.theorems.next_token.support import trained


@pytest.mark.parametrize("tau", [1, 900])
def test_unseen_texts_of_example_1(tau):
    run = trained(task="example1", eta0=0.1, eta=0.025, tau=tau)
    letters = "SVOP"
    for text, expected in {"SP": "V", "OSP": "P", "VP": "O", "PSV": "O", "OVP": "P"}.items():
        sentence = tuple(letters.index(letter) for letter in text)
        assert sentence not in run.sentences.inputs
        logits = predicted(sentence, run.first.W, run.W_kq)
        assert letters[int(logits.argmax())] == expected, text


@pytest.mark.parametrize("task", ["rollout", "free"])
def test_kinds_are_what_they_are_called(task):
    run = trained(task=task, V=14, tau=1)
    found = unseen(run.sentences, run.first.W, run.W_kq)
    assert set(found) >= {"non_comparable", "optimal", "held_out_OM", "held_out_MN", "held_out_MM"}
    for name, kind in found.items():
        assert kind.count == len(set(kind.sentences)) > 0
        for sentence, deciding in zip(kind.sentences, kind.deciding, strict=True):
            assert sentence not in run.sentences.inputs
            order = run.sentences.order[sentence[-1]]
            wins = [token for token in sentence if token in order.wins]
            between = [t for t in sentence if t not in order.wins and t not in order.loses]
            assert deciding in sentence
            if name in ("optimal", "held_out_OM", "held_out_ON"):
                assert wins == [deciding]
            else:
                assert not wins and deciding in between
                assert len(between) == (2 if name == "held_out_MM" else 1)
        if name != "held_out_MM":
            assert kind.accuracy == 1.0  # from the first step on
    assert found["held_out_MM"].accuracy < 1


def test_held_out_pairs_exist_where_pairs_are_held_out():
    run = trained(task="free", keep=0.5, V=14, tau=1)
    pairs = unseen(run.sentences, run.first.W, run.W_kq)["held_out_ON"]
    assert pairs.count > 10 and pairs.accuracy == 1.0
