"""The command ``explain``: what a word on the screen means."""

from __future__ import annotations

from typing import Annotated

import typer

from ntkbound.cli.common import Json, print_json, stdout
from ntkbound.core.errors import InputError, nearest
from ntkbound.core.glossary import TERMS, VERDICTS


def register(app: typer.Typer) -> None:
    app.command(epilog="Example: ntkbound explain tight")(explain)


def explain(
    word: Annotated[
        str | None, typer.Argument(metavar="[WORD]", help="a verdict, or a term of a table")
    ] = None,
    as_json: Json = False,
) -> None:
    """Say what a verdict or a term means, when it is given and how often it is wrong.

    Without a WORD: all of them, one line each.
    """
    from ntkbound.report import glossary

    words = [*VERDICTS, *TERMS]
    if word is not None and word not in words:
        accepted = nearest(word, words) or f"; accepted: {', '.join(words)}"
        raise InputError(f"explain: {word!r} is unknown{accepted}")
    if as_json:
        told = words if word is None else [word]
        print_json({"words": [glossary.as_json(one) for one in told]})
    elif word is None:
        glossary.print_words(stdout())
    else:
        glossary.print_word(stdout(), word)
