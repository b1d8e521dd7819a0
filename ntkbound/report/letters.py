"""Readable substitutes for letters that an output cannot show: "τ ≤ 4" is "tau <= 4" in ASCII."""

from __future__ import annotations

import codecs
import sys
import unicodedata
from collections.abc import Mapping

ERRORS = "ntkbound.readable"  # the name of the error handler of a stream
REPLACED = ("strict", "surrogateescape", "backslashreplace")  # handlers that nobody chose
SURROGATES = range(0xDC80, 0xDD00)  # bytes of a file name that are no UTF-8
SUBSTITUTES: Mapping[str, str] = {
    "≤": "<=", "≥": ">=", "≠": "!=", "≈": "~", "∼": "~", "±": "+-", "×": "x", "÷": "/", "·": "*",
    "−": "-", "–": "-", "—": "-", "‑": "-", "…": "...", "→": "->", "←": "<-", "↔": "<->",
    "∞": "inf", "√": "sqrt ", "‖": "||", "∇": "grad ", "∂": "d", "∫": "int ", "∈": " in ",
    "∑": "sum ", "∏": "prod ", "⟨": "<", "⟩": ">", "°": " deg", "µ": "u", "•": "*", "∘": "o",
    "⊙": "(.)", "⊗": "(x)", "∪": " or ", "∩": " and ", "∀": "all ", "′": "'", "’": "'", "‘": "'",
    "“": '"', "”": '"', "‐": "-", "\u0302": "_hat", "\u0303": "_tilde", "\u0304": "_bar",
    "ß": "ss", "ø": "o", "Ø": "O", "ł": "l", "Ł": "L", "⌈": "ceil(", "⌉": ")", "⌊": "floor(",
    "⌋": ")", "⊤": "^T", "⊥": "^perp", "ℓ": "l", "∧": " and ", "∨": " or ", "∅": "{}", "⊆": "<=",
}  # fmt: skip


def in_ascii(text: str) -> str:
    """The text in ASCII, as near to its meaning as letters allow; ``?`` for what has none."""
    return text if text.isascii() else "".join(map(_one, text))


def write_readably() -> None:
    """Makes stdout and stderr write a substitute where their encoding lacks a letter, in place of
    stopping there; what the user chose by PYTHONIOENCODING stays."""
    codecs.register_error(ERRORS, _substitute)
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None and stream.errors in REPLACED:
            reconfigure(errors=ERRORS)


def _substitute(error: UnicodeError) -> tuple[str | bytes, int]:
    """What ``codecs`` asks of an error handler: the substitute, and where to go on."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    letter = error.object[error.start]
    if ord(letter) in SURROGATES:
        return bytes([ord(letter) - 0xDC00]), error.start + 1
    return _one(letter), error.start + 1


def _one(letter: str) -> str:
    if letter.isascii():
        return letter
    if letter in SUBSTITUTES:
        return SUBSTITUTES[letter]
    kind, _, name = unicodedata.name(letter, "").partition(" LETTER ")
    if kind in ("GREEK SMALL", "GREEK CAPITAL"):
        return name.split()[0].capitalize() if kind == "GREEK CAPITAL" else name.split()[0].lower()
    form = unicodedata.decomposition(letter)
    plain = "".join(part for part in unicodedata.normalize("NFKD", letter) if part.isascii())
    if form.startswith(("<super>", "<sub>")):
        under = unicodedata.normalize("NFKD", letter)
        return ("^" if form.startswith("<super>") else "_") + "".join(map(_one, under))
    return plain or "?"
