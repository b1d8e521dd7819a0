"""What is trained on: inputs with their next tokens, the collocation n, and the order it implies.

Source: arXiv 2409.17335, Section 2. A token is an index below V; the query of an input is its last
token.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from ntkbound.core.errors import InputError

Sentence = tuple[int, ...]
ABSENT = -1  # n of a token without a one-token input


@dataclass(frozen=True)
class Pairs:
    """The order >_q of one query: ``wins`` O_q, ``loses`` N_q, and the compared pairs E_q."""

    wins: tuple[int, ...]
    loses: tuple[int, ...]
    pairs: tuple[tuple[int, int], ...]

    @property
    def complete(self) -> bool:
        """Whether every token that wins was compared with every one that loses."""
        return len(self.pairs) == len(self.wins) * len(self.loses)


@dataclass(frozen=True)
class Sentences:
    """Distinct inputs, their targets, and how often each of them occurs.

    words: how tokens are called. places: where an input stands in what the user wrote, for
    messages; empty where nobody wrote it.
    """

    V: int
    inputs: tuple[Sentence, ...]
    targets: tuple[int, ...]
    counts: tuple[int, ...]
    words: tuple[str, ...]
    places: Mapping[int, str] = field(default_factory=dict)

    @property
    def share(self) -> np.ndarray:
        """(N,) π_n, frequency among all prefixes."""
        return np.array(self.counts) / sum(self.counts)

    @property
    def longest(self) -> int:
        """L, tokens of the longest input."""
        return max(map(len, self.inputs))

    @cached_property
    def next(self) -> np.ndarray:
        """(V,) n(x), the token after the one-token sentence x; ABSENT where there is none."""
        found = np.full(self.V, ABSENT)
        for sentence, target in zip(self.inputs, self.targets, strict=True):
            if len(sentence) == 1:
                found[sentence[0]] = target
        return found

    @cached_property
    def before(self) -> dict[int, int]:
        """n^{-1}: target → token."""
        return {int(after): token for token, after in enumerate(self.next) if after != ABSENT}

    @cached_property
    def optimal(self) -> tuple[int, ...]:
        """Per input, its optimal token n^{-1}(target)."""
        return tuple(self.before[target] for target in self.targets)

    @cached_property
    def order(self) -> dict[int, Pairs]:
        """Per query that compares tokens, in the order of the tokens: who wins against whom."""
        compared: dict[int, dict[tuple[int, int], None]] = {}
        for sentence, best in zip(self.inputs, self.optimal, strict=True):
            for token in sentence:
                if token != best:
                    compared.setdefault(sentence[-1], {})[best, token] = None
        return {query: _pairs(list(compared[query])) for query in sorted(compared)}

    @cached_property
    def optimal_most_frequent(self) -> bool:
        """Assumption 3: in every input the optimal type occurs at least as often as any other."""
        return all(
            Counter(sentence)[best] == max(Counter(sentence).values())
            for sentence, best in zip(self.inputs, self.optimal, strict=True)
        )

    def openings(self) -> np.ndarray:
        """(V,) how often each token opens a sentence of the data."""
        found = np.zeros(self.V)
        for sentence, count in zip(self.inputs, self.counts, strict=True):
            if len(sentence) == 1:
                found[sentence[0]] = count
        return found

    def checked(self) -> Sentences:
        """These sentences. Raises InputError, with the place, for what breaks Assumption 1."""
        taken: dict[int, int] = {}
        for token, after in enumerate(self.next):
            if after != ABSENT and taken.setdefault(int(after), token) != token:
                both = f"{self.words[taken[int(after)]]!r} and {self.words[token]!r}"
                self._refuse((token,), f"{both} have one next word, {self.words[after]!r}")
        for sentence, target in zip(self.inputs, self.targets, strict=True):
            best = self.before.get(target)
            if best is None:
                told = f"no sentence of one word goes on with {self.words[target]!r}"
                self._refuse(sentence, told)
            elif best not in sentence:
                told = f"needs {self.words[best]!r} before {self.words[target]!r}"
                self._refuse(sentence, f"{self._told(sentence)!r} {told}")
        self._refuse_confused()
        if not self.order:
            raise InputError("no line has two words before its last; nothing is compared")
        return self

    def _refuse_confused(self) -> None:
        """A token that wins in one input and loses in another with the same query."""
        won: dict[tuple[int, int], Sentence] = {}
        lost: dict[tuple[int, int], Sentence] = {}
        for sentence, best in zip(self.inputs, self.optimal, strict=True):
            for token in sentence:
                if any(other != best for other in sentence):
                    seen = won if token == best else lost
                    seen.setdefault((sentence[-1], token), sentence)
        for key in won:
            if key in lost:
                query, word = (self.words[one] for one in key)
                told = f"with the query {query!r}, {word!r} wins in {self._told(won[key])!r} "
                place = self._place(won[key])
                told += f"({place}) " if place else ""
                self._refuse(lost[key], f"{told}and loses in {self._told(lost[key])!r}")

    def _told(self, sentence: Sentence) -> str:
        return " ".join(self.words[token] for token in sentence)

    def _place(self, sentence: Sentence) -> str:
        return self.places.get(self.inputs.index(sentence), "")

    def _refuse(self, sentence: Sentence, told: str) -> None:
        place = self._place(sentence)
        raise InputError(f"{place}: {told}" if place else told)


def _pairs(pairs: Sequence[tuple[int, int]]) -> Pairs:
    wins, loses = (tuple(sorted(set(side))) for side in zip(*pairs, strict=True))
    return Pairs(wins, loses, tuple(pairs))


def of_pairs(V: int, pairs: Sequence[tuple[Sentence, int]]) -> Sentences:
    """Distinct inputs with targets, each once; tokens are called by their numbers."""
    distinct = dict(pairs)
    words = tuple(map(str, range(V)))
    return Sentences(V, tuple(distinct), tuple(distinct.values()), (1,) * len(distinct), words)
