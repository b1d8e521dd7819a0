"""Options of every command that draws."""

from __future__ import annotations

from typing import Annotated

import typer

Width = Annotated[
    str, typer.Option(metavar="column|text|full", help="of the figure: 3.25, 6.75 or 9 inches")
]
Dpi = Annotated[int, typer.Option(help="dots per inch of a PNG")]
