"""What does the path of a run say of it? ``lr=0.1/seed3/metrics.csv`` is lr = 0.1, seed = 3."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

from ntkbound.core.frame import as_number

# lr=0.1, also several in one part: method=proj_gd,lr=0.1_seed=3
NAME = r"[A-Za-z][A-Za-z0-9._]*"
PAIR = re.compile(rf"({NAME})=([^=]*?)(?=[,;_&\-+ ]{NAME}=|$)")
# seed3, m64_seed3, seed-3
NUMBERED = re.compile(r"([A-Za-z]+)[_\-]?(\d+(?:\.\d+)?)")
JOINT = re.compile(r"[,;_&\-+ ]*")


def path_columns(paths: Sequence[Path]) -> dict[str, list[str]]:
    """Column → one text per file, of the parts of the paths below the folder they share.

    A part is read as ``name=value`` or as a name and a number, several of them joined, where that
    gives the same names for all files; else it is the column ``path1``, ``path2``, … by its place,
    if it differs. One file alone has none.
    """
    if len(paths) < 2:
        return {}
    shared = Path(os.path.commonpath([path.parent for path in paths]))
    parts = [_parts(path.relative_to(shared)) for path in paths]
    columns: dict[str, list[str]] = {}
    for place in range(max(map(len, parts))):
        own = [part[place] if place < len(part) else "" for part in parts]
        named = [_named(part) for part in own]
        if named[0] and all(one.keys() == named[0].keys() for one in named):
            for name in named[0]:
                columns[name] = [one[name] for one in named]
        elif len(set(own)) > 1:
            columns[f"path{place + 1}"] = own
    return columns


def _parts(path: Path) -> list[str]:
    """Folders, and the file's name without its suffixes."""
    name = path.name
    while (suffix := Path(name).suffix) and as_number(suffix) is None:
        name = name.removesuffix(suffix)
    return [*path.parts[:-1], name]


def _named(part: str) -> dict[str, str]:
    """ "m64_seed3" → {m: 64, seed: 3}; empty where the part does not consist of such pairs."""
    for pattern in (PAIR, NUMBERED):
        found = dict(pattern.findall(part))
        if found and JOINT.fullmatch(pattern.sub("", part)):
            return found
    return {}
