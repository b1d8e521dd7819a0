"""Tables of somebody's own, on the command line: which arguments are one, and its judgement."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ntkbound.cli.common import tell
from ntkbound.cli.selecting import key_and_value
from ntkbound.core.claim import Claim
from ntkbound.core.errors import InputError

if TYPE_CHECKING:
    from ntkbound.stats import Changes, CheckResult
    from ntkbound.stats.own import Own

SeedColumn = Annotated[
    str | None, typer.Option(help="of a table: the column that numbers repetitions")
]
Value = Annotated[
    list[str] | None, typer.Option(help="of a table: only these measured columns (repeatable)")
]
Pattern = Annotated[
    str | None,
    typer.Option(help="tables below a folder, such as '**/metrics.csv'; paths become columns"),
]


@dataclass(frozen=True)
class Asked:
    """What the command line says of a table."""

    paths: Sequence[Path]
    axes: Sequence[str] = ()
    seed: str | None = None
    values: Sequence[str] = ()
    pattern: str | None = None
    where: Sequence[str] = ()

    @property
    def about_tables(self) -> bool:
        """Whether the paths name tables; else the options for tables must not be given.

        Raises InputError for such an option beside records, and for records beside tables.
        """
        from ntkbound.runs.tables import is_table

        if self.pattern is not None:
            return True
        tables = [path for path in self.paths if is_table(path)]
        if tables and len(tables) < len(self.paths):
            raise InputError(f"{tables[0]} is a table; records and tables are not judged together")
        for field, given in (("seed_column", self.seed), ("value", self.values)):
            if given and not tables:
                raise InputError("is for tables only, a .csv, .jsonl or .parquet file", field=field)
        return bool(tables)

    def changes(self, old: Path, new: Own, claims: Sequence[Claim], tolerance: float) -> Changes:
        """What changed since earlier tables of the same runs, read by the same options.

        Raises InputError for those that cannot be used.
        """
        from ntkbound.stats import compare_tables

        before = replace(self, paths=[old]).read(claims)
        return compare_tables(before.table, new.table, claims, tolerance)

    def read(self, claims: Sequence[Claim]) -> Own:
        """The tables as one, each column in its role; what claims name is kept.

        Raises InputError of one line for anything that cannot be used.
        """
        from ntkbound.runs.tables import find_tables, read_tables
        from ntkbound.stats.own import own_table
        from ntkbound.stats.roles import Named

        paths = list(self.paths)
        if self.pattern is not None:
            paths = [found for path in paths for found in find_tables(path, self.pattern)]
        frame = read_tables(paths)
        for condition in self.where:
            frame = frame.where(*key_and_value(condition))
        named = Named(tuple(self.values), tuple(self.axes), self.seed or "")
        return own_table(frame, named.and_of(claims))


def judge_table(
    own: Own, claims: Sequence[Claim], *, unclaimed: bool, quiet: bool = False
) -> CheckResult:
    """Judges the claims about a table, and says on stderr what each column was taken for."""
    from ntkbound.stats import check

    result = check(own.table, claims, unclaimed=unclaimed, axes=own.roles.axes)
    if not quiet:
        for line in (*own.notes, own.roles.told()):
            tell(line)
    return result
