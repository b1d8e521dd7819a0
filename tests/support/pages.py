"""A report page as a test sees it: its elements, its text, and a browser where there is one."""

from __future__ import annotations

import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
APART = {"td", "th", "tr", "p", "li", "h3", "caption", "span"}
VOID = {"meta", "br", "link", "img", "input", "hr"}


class Page(HTMLParser):
    """Elements with attributes and text, and that every one is closed where it should be.

    ``elements``: (name, attributes, text) in the order in which they end.
    """

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, Any], str]] = []
        self.open: list[tuple[str, dict[str, Any], list[str]]] = []
        self.feed(text)
        self.close()
        assert not self.open, f"not closed: {self.open[-1][0]}"

    def handle_starttag(self, tag, attrs):
        if tag not in VOID:
            self.open.append((tag, dict(attrs), []))
        else:
            self.elements.append((tag, dict(attrs), ""))

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs), ""))

    def handle_endtag(self, tag):
        name, attributes, text = self.open.pop()
        assert name == tag, f"</{tag}> ends <{name}>"
        self.elements.append((name, attributes, "".join(text)))
        if self.open:
            apart = " " if tag in APART else ""
            self.open[-1][2].append("".join(text) + apart)

    def handle_data(self, data):
        if self.open:
            self.open[-1][2].append(data)

    def all(self, name: str) -> list[tuple[dict[str, Any], str]]:
        return [(attributes, text) for tag, attributes, text in self.elements if tag == name]

    def texts(self, name: str) -> list[str]:
        return [" ".join(text.split()) for _, text in self.all(name)]

    def section(self, name: str) -> str:
        """The text of a section."""
        (found,) = [text for attributes, text in self.all("section") if attributes["id"] == name]
        return " ".join(found.split())


def reaches_out(text: str) -> list[str]:
    """What of a page would ask the network, or another file, for anything."""
    page = Page(text)
    found = [name for name in ("link", "img", "iframe", "object", "image") if page.all(name)]
    for name, attributes, _ in page.elements:
        for key in ("src", "href", "xlink:href", "data", "action", "srcset"):
            value = attributes.get(key)
            if value is not None and not value.startswith("#"):
                found.append(f"{name} {key}={value}")
        found += [f"{name} {key}" for key in attributes if key.startswith("on")]
    style = " ".join(page.texts("style"))
    found += re.findall(r"@import|url\([^#)]*\)", style)
    return found + re.findall(
        r"\b(?:fetch|XMLHttpRequest|import)\b", " ".join(page.texts("script"))
    )


@pytest.fixture(scope="session")
def browser() -> str:
    """A headless Chromium; the test is skipped where there is none."""
    found = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip(f"none of {', '.join(BROWSERS)} is installed")
    return found


def dumped(browser: str, page: Path, profile: Path, *more: str) -> tuple[str, str]:
    """The page after its scripts ran, as HTML, and what the browser logged."""
    done = subprocess.run(
        [
            browser, "--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr",
            "--v=0", f"--user-data-dir={profile}", "--virtual-time-budget=2000", *more,
            "--dump-dom", page.as_uri(),
        ],
        capture_output=True, text=True, check=True, timeout=300,
    )  # fmt: skip
    return done.stdout, done.stderr
