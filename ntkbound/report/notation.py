"""Labels in a figure: the paper's notation, as it is written in plain text, set as mathematics."""

from __future__ import annotations

import re
import textwrap

# A letter with an accent, an index or a star, or a Greek one: ε_lin, R̂, W_kq*, τ.
SYMBOL = re.compile(
    r"(?P<letter>(?<![A-Za-z0-9_])[A-Za-z]|[Α-Ωα-ω])(?P<accent>[\u0302\u0303]?)"
    r"(?:_(?P<index>[A-Za-z0-9Α-Ωα-ω]+))?(?P<star>\*?)(?![A-Za-z0-9_])"
)
POWER = re.compile(r"\^([−-]?[0-9.]+)(·[A-Za-z]+)?")
EXPONENT = re.compile(r"(?<![\w.])(?P<factor>[0-9.]+)e(?P<sign>[−-]?)[+0]*(?P<power>[0-9]+)\b")
BOUND = re.compile(" ([−=≤≥]) ")  # what stands around these stays together
ACCENTS = {"\u0302": r"\hat", "\u0303": r"\tilde"}
GLYPH = 0.53  # of the font size: the width of a letter, in the mean
POINTS = 72  # an inch


def as_math(text: str) -> str:
    """The text for matplotlib: symbols as mathematics, everything else as it is."""
    plain = EXPONENT.sub(_exponent, text.replace("$", r"\$"))
    return POWER.sub(_power, SYMBOL.sub(_symbol, plain))


def _exponent(found: re.Match[str]) -> str:
    factor = "" if found["factor"] == "1" else f"{found['factor']}·"
    return f"{factor}10^{found['sign'].replace('-', '−')}{found['power']}"


def _power(found: re.Match[str]) -> str:
    factor = (found.group(2) or "").replace("·", r"\cdot ")
    return f"$^{{{found.group(1)}{factor}}}$"


def _symbol(found: re.Match[str]) -> str:
    letter, accent, index, star = found.group("letter", "accent", "index", "star")
    if letter.isascii() and not (accent or index or star):
        return letter
    told = f"{ACCENTS[accent]}{{{letter}}}" if accent else letter
    told += rf"_{{\mathrm{{{index}}}}}" if index else ""
    return f"${told}^{{*}}$" if star else f"${told}$"


def wrapped(text: str, inches: float, points: float) -> str:
    """The text as mathematics, in lines that fit this width at this font size."""
    letters = max(int(inches * POINTS / (GLYPH * points)), 8)
    bound = BOUND.sub("\N{NO-BREAK SPACE}\\1\N{NO-BREAK SPACE}", text)
    lines = [line for part in bound.splitlines() for line in textwrap.wrap(part, letters)]
    return "\n".join(as_math(line) for line in lines)
