"""The data of a run: a text, or sentences that satisfy the assumptions, from seeds or fixed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace

import numpy as np

from ntkbound.core import streams
from ntkbound.core.errors import InputError
from ntkbound.core.theorem import Prepared
from ntkbound.theorems.next_token.config import Config
from ntkbound.theorems.next_token.sentences import Sentence, Sentences, of_pairs
from ntkbound.theorems.next_token.text import read_text

Choose = Callable[[Sequence[int]], int]
Emitted = list[tuple[Sentence, int]]


def prepare(config: Config) -> Prepared:
    """The config with its vocabulary known, and the sentences to train on.

    Raises InputError for a text, or sizes of a task, that the theorem is not about.
    """
    if config.file is None:
        return Prepared(config, None, sentences(config))
    found, digest = read_text(config.file)
    return Prepared(config.with_size(found.V), digest, found)


def sentences(config: Config) -> Sentences:
    """The training data of a task that is no text; all of them satisfy Assumption 1."""
    made = TASKS[config.task](config)
    if not made.order:
        told = f"at seed {config.seed} no input compares two tokens: stage 2 has nothing to learn"
        raise InputError(told, field="task", value=config.task)
    return made


def example1() -> Sentences:
    """The paper's Example 1: subject, verb, object, punctuation, and four texts."""
    words = "SVOP"
    pairs: Emitted = []
    for text in ("SVOP", "VOP", "OPP", "PSV"):
        tokens = [words.index(letter) for letter in text]
        pairs += [(tuple(tokens[:k]), tokens[k]) for k in range(1, len(tokens))]
    return replace(of_pairs(4, pairs), words=tuple(words))


def counterexample() -> Sentences:
    """Satisfies Assumptions 1 to 3 and breaks the closed form of Proposition 2: the edges of query
    7 carry no flow with equal row sums and equal column sums (derived in docs/next-token.md)."""
    pairs: Emitted = [((x,), (x + 1) % 8) for x in range(8)]
    pairs += [((0, b, 7), 1) for b in range(2, 7)]
    return of_pairs(8, [*pairs, ((0, 7), 1), ((1, 7), 2)])


def cyclic(config: Config) -> Sentences:
    """``rollout`` without chance: n(x) = x + 1 mod V, starts in order, the smallest candidate."""
    V, max_len = config.V or 0, config.max_len or 0
    after = (np.arange(V) + 1) % V
    return of_pairs(V, _grown(after, range(V), max_len, min))


def rollout(config: Config) -> Sentences:
    """Texts that grow from every token by the order they define as they grow."""
    V, max_len = config.V or 0, config.max_len or 0
    rng = streams.generator(config.seed, "next-token/rollout")
    after = derangement(V, rng)
    starts = rng.permutation(V).tolist()
    return of_pairs(V, _grown(after, starts, max_len, lambda C: C[int(rng.integers(len(C)))]))


def derangement(V: int, rng: np.random.Generator) -> np.ndarray:
    """(V,) a random permutation that leaves no token where it is."""
    while True:
        after = rng.permutation(V)
        if (after != np.arange(V)).all():
            return after


def _grown(after: np.ndarray, starts: Collection[int], max_len: int, choose: Choose) -> Emitted:
    wins: dict[int, set[int]] = {query: set() for query in range(len(after))}
    loses: dict[int, set[int]] = {query: set() for query in range(len(after))}
    emitted: Emitted = []
    for start in starts:
        text = [start]
        while len(text) < max_len:
            query, types = text[-1], set(text)
            best = query
            if len(types) > 1:
                candidates = _candidates(text, wins[query], loses[query])
                if not candidates:
                    break
                best = choose(candidates)
                wins[query].add(best)
                loses[query] |= types - {best}
            emitted.append((tuple(text), int(after[best])))
            text.append(int(after[best]))
    return emitted


def _candidates(text: Sequence[int], wins: set[int], loses: set[int]) -> list[int]:
    """Tokens that may win here without being confused, and as often as any other token."""
    counts = Counter(text)
    known = counts.keys() & wins
    if len(known) > 1:
        return []
    most = max(counts.values())
    return sorted(
        token
        for token in known or counts.keys() - loses
        if counts[token] == most and not (counts.keys() - {token}) & wins
    )


def free(config: Config) -> Sentences:
    """Per query its own winners and losers, and every pair of them as one input, if kept."""
    V, k, m = config.V or 0, config.optimal or 0, config.non_optimal or 0
    rng = streams.generator(config.seed, "next-token/free")
    after = derangement(V, rng)
    pairs: Emitted = [((x,), int(after[x])) for x in range(V)]
    for query in range(V):
        others = rng.permutation([x for x in range(V) if x != query])[: k + m - 1].tolist()
        for best in others[:k]:
            for token in (query, *others[k:]):
                kept = rng.random() < (config.keep or 0.0)
                between = () if token == query else (token,)
                if kept:
                    pairs.append(((best, *between, query), int(after[best])))
    return of_pairs(V, pairs)


TASKS: Mapping[str, Callable[[Config], Sentences]] = {
    "example1": lambda config: example1(),
    "counterexample": lambda config: counterexample(),
    "cyclic": cyclic,
    "rollout": rollout,
    "free": free,
}
