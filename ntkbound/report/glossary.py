"""The words of the glossary as a person reads them, and as docs/verdicts.md has them."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console
from rich.text import Text

from ntkbound.core.glossary import EXIT_CODES, TERMS, VERDICTS, Verdict
from ntkbound.report.tables import Table, print_table, print_text, verdict


def print_word(console: Console, word: str) -> None:
    """One word: what it means, and of a verdict when it is given and how often it is wrong."""
    if word not in VERDICTS:
        print_text(console, word, style="bold")
        print_text(console, TERMS[word], "  ")
        return
    found = VERDICTS[word]
    code = EXIT_CODES[found.effect]
    print_text(console, verdict(word) + Text(f"  (exit code {code})", style="dim"))
    for title, text in _told(found):
        print_text(console, f"{title}: {text}" if title else text, "  ")


def print_words(console: Console) -> None:
    """Every word, one line each: the verdicts with their exit codes, then the others."""
    table = Table(("word", "exit", "meaning"), ("exit",), folded=("meaning",))
    for word, found in VERDICTS.items():
        table.add_row((verdict(word), str(EXIT_CODES[found.effect]), found.meaning))
    for word, meaning in TERMS.items():
        table.add_row((word, "", meaning))
    print_table(console, table)


def as_markdown() -> str:
    """The section on words of docs/verdicts.md."""
    lines = []
    for word, found in VERDICTS.items():
        told = " ".join(f"*{title}*: {text}." if title else text for title, text in _told(found))
        lines.append(f"* **{word}** (exit {EXIT_CODES[found.effect]}). {told}\n")
    lines += [f"* **{word}**. {meaning}\n" for word, meaning in TERMS.items()]
    return "".join(lines)


def as_json(word: str) -> dict[str, object]:
    """The fields of a word."""
    if word not in VERDICTS:
        return {"word": word, "meaning": TERMS[word]}
    found = VERDICTS[word]
    return {"word": word, "exit": EXIT_CODES[found.effect], **vars(found)}


def _told(found: Verdict) -> Iterator[tuple[str, str]]:
    """Title → text of everything there is to say of a verdict; its meaning goes first, untitled."""
    yield "", found.meaning
    titled = (
        ("of a claim", found.claim),
        ("of a bound", found.bound),
        ("how often wrong", found.wrong),
        ("what to do", found.advice),
    )
    yield from ((title, text) for title, text in titled if text)
