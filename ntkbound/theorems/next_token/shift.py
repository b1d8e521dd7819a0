"""Sentences never seen: what the trained model predicts where the order decides, and where not.

O, N and M are the tokens that win, lose and are in no pair with the query. Theorem 3 of arXiv
2409.17335: a token of O is followed, else a single one of M; of two of M it says nothing.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from ntkbound.theorems.next_token.sentences import ABSENT, Pairs, Sentence, Sentences
from ntkbound.theorems.next_token.statement import UNSEEN

FEW = 25  # tokens of M per query
MANY = 2000  # sentences of one kind

Item = TypeVar("Item")


@dataclass(frozen=True)
class Unseen:
    """Sentences of one kind with the token that decides, and what the model says of them: accuracy,
    the median probability of the right next token."""

    sentences: tuple[Sentence, ...]
    deciding: tuple[int, ...]
    accuracy: float
    median_probability: float

    @property
    def count(self) -> int:
        return len(self.sentences)


def unseen(sentences: Sentences, W_ov: np.ndarray, W_kq: np.ndarray) -> dict[str, Unseen]:
    """Every kind of which there is a sentence that was not trained on."""
    trained = set(sentences.inputs)
    found: dict[str, dict[Sentence, int]] = {name: {} for name in UNSEEN}
    for query, order in sentences.order.items():
        between = _between(sentences, order)
        for name, sentence, deciding in _of_query(query, order, between):
            if sentence not in trained:
                found[name].setdefault(sentence, deciding)
    return {
        name: _judged(_thinned(list(kind.items()), MANY), sentences, W_ov, W_kq)
        for name, kind in found.items()
        if kind
    }


def predicted(sentence: Sentence, W_ov: np.ndarray, W_kq: np.ndarray) -> np.ndarray:
    """(V,) logits of the next token."""
    scores = W_kq[list(sentence), sentence[-1]]
    attention = np.exp(scores - scores.max())
    return np.asarray(W_ov[:, list(sentence)] @ (attention / attention.sum()))


def _between(sentences: Sentences, order: Pairs) -> list[int]:
    """Some of the tokens of M that have a next one."""
    compared = {*order.wins, *order.loses}
    known = np.flatnonzero(sentences.next != ABSENT).tolist()
    return _thinned([token for token in known if token not in compared], FEW)


def _of_query(
    query: int, order: Pairs, between: Sequence[int]
) -> Iterator[tuple[str, Sentence, int]]:
    """Kind, sentence and deciding token; the query ends each sentence and stands in it once."""
    losers = [token for token in order.loses if token != query]

    def made(*tokens: int) -> Sentence:
        return (*(token for token in dict.fromkeys(tokens) if token != query), query)

    for m in between:
        for o in order.wins:
            yield "optimal", made(o, m, *losers), o
            yield "held_out_OM", made(o, m), o
    for o in order.wins:
        for b in order.loses:
            yield "held_out_ON", made(o, b), o
    if query in order.wins:  # it wins whatever else there is
        return
    for m in between:
        yield "non_comparable", made(m, *losers), m
        for b in order.loses:
            yield "held_out_MN", made(m, b), m
    for m, other in itertools.pairwise(between):
        yield "held_out_MM", made(m, other), m


def _judged(
    kind: list[tuple[Sentence, int]], sentences: Sentences, W_ov: np.ndarray, W_kq: np.ndarray
) -> Unseen:
    right, probability = [], []
    for sentence, deciding in kind:
        logits, target = predicted(sentence, W_ov, W_kq), int(sentences.next[deciding])
        right.append(float(logits.argmax() == target))
        share = np.exp(logits - logits.max())
        probability.append(share[target] / share.sum())
    texts, deciders = zip(*kind, strict=True)
    return Unseen(texts, deciders, float(np.mean(right)), float(np.median(probability)))


def _thinned(items: list[Item], most: int) -> list[Item]:
    """At most so many of them, evenly spread."""
    if len(items) <= most:
        return items
    return [items[int(i)] for i in np.linspace(0, len(items) - 1, most)]
