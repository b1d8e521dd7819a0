"""How every figure looks: its size in an article, its fonts, and how its arms are told apart."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

from ntkbound.core.errors import InputError


class Shape(NamedTuple):
    """Width in inches, and at most how many panels beside and below each other."""

    inches: float
    columns: int
    rows: int


# Of a two-column article: one column, the text, and a page on its side.
WIDTHS: Mapping[str, Shape] = {
    "column": Shape(3.25, 1, 3),
    "text": Shape(6.75, 3, 3),
    "full": Shape(9.0, 4, 3),
}
LEAST_DPI, MOST_DPI = 50, 1200


@dataclass(frozen=True)
class Layout:
    """The width of a figure, by its name in `WIDTHS`, and the dots per inch of one made of dots.

    Raises InputError for another width, or a resolution that no file can have.
    """

    width: str = "text"
    dpi: int = 200

    def __post_init__(self) -> None:
        if self.width not in WIDTHS:
            told = f"{self.width!r} is unknown; accepted: {', '.join(WIDTHS)}"
            raise InputError(told, field="width")
        if not LEAST_DPI <= self.dpi <= MOST_DPI:
            told = f"{self.dpi} is none of {LEAST_DPI} … {MOST_DPI} dots per inch"
            raise InputError(told, field="dpi")

    @property
    def shape(self) -> Shape:
        return WIDTHS[self.width]


TEXT, SMALL = 8.0, 7.0  # points: of titles and axes; of ticks, notes and legends

# Type 42 is TrueType, which publishers accept; Type 3, the default, they refuse.
RC: Mapping[str, Any] = {
    "pdf.fonttype": 42,
    "ps.fonttype": 42,
    "svg.hashsalt": "ntkbound",
    "font.family": "DejaVu Sans",
    "mathtext.fontset": "dejavusans",
    "font.size": TEXT,
    "axes.titlesize": TEXT,
    "axes.labelsize": TEXT,
    "xtick.labelsize": SMALL,
    "ytick.labelsize": SMALL,
    "legend.fontsize": SMALL,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlelocation": "left",
    "axes.formatter.use_mathtext": True,
    "axes.formatter.limits": (-3, 6),
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.minor.width": 0.4,
    "ytick.minor.width": 0.4,
    "lines.linewidth": 1.1,
    "lines.markersize": 3.6,
    "legend.frameon": False,
}


@contextmanager
def style() -> Iterator[None]:
    """Everything that is drawn and saved inside has this look, and what is drawn later has not.
    Whether an SVG holds text or outlines is left to whom it is made for."""
    from matplotlib import rcParams
    from matplotlib.style import context

    with context(["default", {**RC, "svg.fonttype": rcParams["svg.fonttype"]}]):
        yield


class Look(NamedTuple):
    """Of one arm."""

    colour: str
    marker: str
    dash: Any


# Okabe and Ito's colours, neighbours of different lightness, so that grey tells them apart, too.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<")
DASHES = ("-", (0, (5, 1.5)), (0, (5, 1.5, 1, 1.5)), (0, (2, 1)), (0, (8, 1.5, 1, 1.5, 1, 1.5)))
NEUTRAL = "#404040"  # of what belongs to no arm
CLAIMED = (0, (6, 2.5))
BOUNDS: Mapping[str, Any] = {"upper": (0, (1, 1.4)), "lower": (0, (3, 1.2, 1, 1.2))}
REFERENCES = ((0, (8, 2)), (0, (1, 2)), (0, (4, 2, 1, 2)))


def look(arm: int) -> Look:
    """No two of the first 120 arms are alike, and no two of the first five in any respect."""
    return Look(COLOURS[arm % len(COLOURS)], MARKERS[arm % len(MARKERS)], DASHES[arm % len(DASHES)])
