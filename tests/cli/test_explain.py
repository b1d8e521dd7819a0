"""``explain``: the words, through the real command and in docs/verdicts.md."""

from __future__ import annotations

import json
from pathlib import Path
from typing import get_args

import pytest

from ntkbound.cli import main
from ntkbound.core.glossary import EXIT_CODES, TERMS, VERDICTS
from ntkbound.core.outcome import Verdict
from ntkbound.report.glossary import as_markdown

DOCS = Path(__file__).parents[2] / "docs" / "verdicts.md"


def run(capsys, *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as exit:
        main(["explain", *arguments])
    out, err = capsys.readouterr()
    return exit.value.code, out, err


@pytest.mark.parametrize("word", [*VERDICTS, *TERMS])
def test_every_word_is_explained(capsys, word):
    code, out, _ = run(capsys, word)
    assert code == 0 and out.startswith(word)
    meaning = VERDICTS[word].meaning if word in VERDICTS else TERMS[word]
    assert " ".join(meaning.split()) in " ".join(out.split())


def test_a_verdict_tells_its_exit_code_and_error_rate(capsys):
    _, out, _ = run(capsys, "violated")
    assert "exit code 1" in out and "how often wrong: false in 0–0.8 %" in out
    _, out, _ = run(capsys, "holds", "--json")
    (told,) = json.loads(out)["words"]
    assert (told["word"], told["exit"], told["effect"]) == ("holds", 0, "agrees")


def test_without_a_word_all_are_listed(capsys):
    code, out, _ = run(capsys)
    assert code == 0
    assert [word for word in (*VERDICTS, *TERMS) if f"\n{word} " not in out] == []


def test_an_unknown_word_is_one_line_with_the_nearest(capsys):
    assert run(capsys, "tigth") == (
        2, "", "ntkbound: explain: 'tigth' is unknown; did you mean 'tight'?\n",
    )  # fmt: skip
    code, _, err = run(capsys, "zzz")
    assert code == 2 and "accepted: holds, tight, faster" in err


def test_the_docs_say_the_same():
    assert as_markdown() in DOCS.read_text(encoding="utf-8")


def test_every_verdict_of_a_run_is_a_word():
    words = {word for part in get_args(Verdict) for word in (get_args(part) or (part,))}
    assert words <= VERDICTS.keys()
    assert {EXIT_CODES[VERDICTS[w].effect] for w in ("violated", "bound-violated")} == {1}
