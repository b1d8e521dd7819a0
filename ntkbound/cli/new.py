"""The command ``new``: a working file to begin with."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

import typer

from ntkbound.cli.common import Quiet, tell
from ntkbound.core import registry
from ntkbound.core.declared import NAME
from ntkbound.core.errors import InputError

# Kind → the example that it begins with, and how to go on.
KINDS: Mapping[str, tuple[str, str]] = {
    "theorem": ("my_theorem.py", "ntkbound check --theorem {file}"),
    "head": ("my_head.py", "ntkbound train --model {file}:{cls}"),
    "study": ("my_study.py", "ntkbound study {file} --size smoke --out studies/"),
    "preset": ("my_preset.toml", "ntkbound check {file}"),
}


def register(app: typer.Typer) -> None:
    app.command(epilog="Example: ntkbound new theorem my-theorem")(new)


def new(
    kind: Annotated[
        Literal["theorem", "head", "study", "preset"],
        typer.Argument(metavar="theorem|head|study|preset", show_default=False),
    ],
    name: Annotated[str, typer.Argument(metavar="NAME", help="such as my-theorem")],
    out: Annotated[Path, typer.Option(help="folder to write to")] = Path(),
    quiet: Quiet = False,
) -> None:
    """Write a commented file that works, to be edited into one of your own.

    Nothing has to be installed or registered: the file is named on the command line that uses it.
    """
    if not NAME.fullmatch(name):
        told = "letters, digits and single hyphens are accepted, such as my-theorem"
        raise InputError(f"NAME {name!r}: {told}")
    if kind == "theorem" and registry.known(name.replace("_", "-")) is not None:
        raise InputError(f"NAME {name!r}: there is a theorem of this name already")
    example, then = KINDS[kind]
    path = out / (name.replace("-", "_") + Path(example).suffix)
    camel = "".join(part.capitalize() for part in re.split("[-_]", name))
    text = _renamed(_example(example), Path(example).stem, name, camel)
    try:
        with path.open("x", encoding="utf-8") as stream:
            stream.write(text)
    except FileExistsError:
        raise InputError(f"{path}: exists already; choose another name") from None
    if not quiet:
        tell(f"written: {path}")
        tell(f"next: {then.format(file=path, cls=camel)}")


def _renamed(text: str, stem: str, name: str, camel: str) -> str:
    """The example under another name, however the example spells its own."""
    old = "".join(part.capitalize() for part in stem.split("_"))
    spelled = {stem: name.replace("-", "_"), stem.replace("_", "-"): name.replace("_", "-"),
               old: camel}  # fmt: skip
    for before, after in spelled.items():
        text = re.sub(rf"\b{re.escape(before)}\b", after, text)
    return text


def _example(name: str) -> str:
    """The text of a shipped example: inside an installed package, beside it in a checkout."""
    package = Path(__file__).parents[1]
    inside = package / "examples"
    folder = inside if inside.is_dir() else package.parent / "examples"
    return (folder / name).read_text(encoding="utf-8")
