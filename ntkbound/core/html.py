"""Small pieces of HTML, every text in them escaped."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape


def element(name: str, text: str, title: str = "") -> str:
    """``<name>text</name>``, with a tooltip where there is a title."""
    told = f' title="{escape(title, quote=True)}"' if title else ""
    return f"<{name}{told}>{escape(text)}</{name}>"


def table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of text, one header row."""
    head = "".join(element("th", title) for title in titles)
    body = "".join(f"<tr>{''.join(element('td', cell) for cell in row)}</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
