"""Readable substitutes for letters that an output cannot show: "δ ≤ 4" is "delta <= 4"."""

from __future__ import annotations

import codecs
import sys
import unicodedata
from collections.abc import Mapping

ERRORS = "ntkbound.readable"  # the name of the error handler of a stream
REPLACED = ("strict", "surrogateescape", "backslashreplace")  # handlers that nobody chose
SURROGATES = range(0xDC80, 0xDD00)  # bytes of a file name that are no UTF-8
GREEK = ("GREEK SMALL", "GREEK CAPITAL")  # how Unicode's names of its letters begin
NAMES = {"LAMDA": "lambda"}  # where Unicode has another
MARKS = {"<super>": "^", "<sub>": "_"}  # of a raised or lowered letter
SUBSTITUTES: Mapping[str, str] = {
    "≤": "<=", "≥": ">=", "≠": "!=", "≈": "~", "∼": "~", "±": "+-", "×": "x", "÷": "/", "·": "*",
    "−": "-", "–": "-", "—": "-", "‑": "-", "…": "...", "→": "->", "←": "<-", "↔": "<->",
    "∞": "inf", "√": "sqrt ", "‖": "||", "∇": "grad ", "∂": "d", "∫": "int ", "∈": " in ",
    "∑": "sum ", "∏": "prod ", "⟨": "<", "⟩": ">", "°": " deg", "µ": "u", "•": "*", "∘": "o",
    "⊙": "(.)", "⊗": "(x)", "∪": " or ", "∩": " and ", "∀": "all ", "′": "'", "’": "'", "‘": "'",
    "“": '"', "”": '"', "‐": "-", "\u0302": "_hat", "\u0303": "_tilde", "\u0304": "_bar",
    "ß": "ss", "ø": "o", "Ø": "O", "ł": "l", "Ł": "L", "⌈": "ceil(", "⌉": ")", "⌊": "floor(",
    "⌋": ")", "⊤": "^T", "⊥": "^perp", "ℓ": "l", "∧": " and ", "∨": " or ", "∅": "{}", "½": "1/2 ",
}  # fmt: skip


def in_ascii(text: str) -> str:
    """The text in ASCII, as near to its meaning as letters allow; ``?`` for what has none."""
    return text if text.isascii() else "".join(_at(text, place) for place in range(len(text)))


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
    after = error.start + 1
    letter = ord(error.object[error.start])
    if letter in SURROGATES:
        return bytes([letter - SURROGATES.start + 0x80]), after
    return _at(error.object, error.start), after


def _at(text: str, place: int) -> str:
    """What stands for one letter; the name of a Greek one apart from letters beside it, "eta L"."""
    letter, before, after = text[place], text[place - 1 : place], text[place + 1 : place + 2]
    kind, _, name = unicodedata.name(letter, "").partition(" LETTER ")
    if kind not in GREEK or " " in name:
        return _one(letter)
    word = NAMES.get(name, name).lower()
    word = word.capitalize() if kind == GREEK[1] else word
    apart = after.isascii() and after.isalnum()
    return " " * before.isalnum() + word + " " * apart


def _one(letter: str) -> str:
    """What stands for a letter that is not Greek."""
    if letter.isascii() or letter in SUBSTITUTES:
        return SUBSTITUTES.get(letter, letter)
    plain = unicodedata.normalize("NFKD", letter)
    if plain == letter:
        return "?"
    kind = unicodedata.decomposition(letter).partition(" ")[0]
    return MARKS.get(kind, "") + "".join(
        _one(part) for part in plain if not unicodedata.combining(part)
    )
