"""A text of the user's own: a sentence per line, words between blanks; prefixes are inputs."""

from __future__ import annotations

import hashlib
from collections import Counter
from pathlib import Path

from ntkbound.core.config import cause
from ntkbound.core.errors import InputError
from ntkbound.theorems.next_token.sentences import Sentence, Sentences

LARGEST = 1000  # words that are told apart
LONGEST = 200  # words of a line: every prefix of it is an input
MOST = 1_000_000  # words of all prefixes


def read_text(path: Path) -> tuple[Sentences, str]:
    """The sentences of a text and the SHA-256 (hex) of its bytes.

    Raises InputError, in one line that names line and reason, for a text that cannot be read or
    that breaks an assumption of the theorem.
    """
    try:
        content = path.read_bytes()
        lines = [line.split() for line in content.decode("utf-8-sig").splitlines()]
        return _sentences(lines), hashlib.sha256(content).hexdigest()
    except (OSError, UnicodeDecodeError) as error:
        told = f"cannot be read ({cause(error)})"
        raise InputError(told, field="task", value=path) from None
    except InputError as error:
        raise InputError(str(error), field="task", value=path) from None


def _sentences(lines: list[list[str]]) -> Sentences:
    words = list(dict.fromkeys(word for line in lines for word in line))
    if all(len(line) < 2 for line in lines):
        raise InputError("no line has two words")
    if len(words) > LARGEST:
        raise InputError(f"{len(words)} different words are more than {LARGEST}")
    for number, line in enumerate(lines, start=1):
        if len(line) > LONGEST:
            raise InputError(f"line {number}: {len(line)} words are more than {LONGEST}")
    if sum(len(line) ** 2 // 2 for line in lines) > MOST:
        raise InputError(f"its prefixes have more than {MOST} words in all; take fewer lines")
    token = {word: place for place, word in enumerate(words)}
    targets: dict[Sentence, int] = {}
    counts: Counter[Sentence] = Counter()
    places: dict[Sentence, int] = {}
    for number, line in enumerate(lines, start=1):
        tokens = [token[word] for word in line]
        for k in range(1, len(tokens)):
            prefix = tuple(tokens[:k])
            counts[prefix] += 1
            place = places.setdefault(prefix, number)
            if targets.setdefault(prefix, tokens[k]) != tokens[k]:
                told = f"{line[k]!r} follows {' '.join(line[:k])!r}, and on line {place} another"
                raise InputError(f"line {number}: {told} word, {words[targets[prefix]]!r}")
    inputs = tuple(targets)
    return Sentences(
        V=len(words),
        inputs=inputs,
        targets=tuple(targets.values()),
        counts=tuple(counts[sentence] for sentence in inputs),
        words=tuple(words),
        places={n: f"line {places[sentence]}" for n, sentence in enumerate(inputs)},
    ).checked()
