"""What Python code calls beside ``load``: ``configure``, ``run``, ``sweep``, ``check``.

A file of the caller's own (``theorem="my_theorem.py"``, ``model="my_head.py:Head"``) is named by
the call, as it is by a command line. Several processes are started by ``sweep`` and ``check``: a
script that calls them needs ``if __name__ == "__main__":`` around the call, a notebook nothing.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ntkbound.core import registry
from ntkbound.core.config import Config
from ntkbound.core.errors import InputError
from ntkbound.core.preset import is_preset, load_preset
from ntkbound.core.record import Record
from ntkbound.results import Results, collected, load
from ntkbound.runs.files import check_writable, write_whole
from ntkbound.stats import CheckResult

if TYPE_CHECKING:
    from ntkbound.runs.execute import Execution

DATA = "data"  # folder of a results folder, for arrays that a caller gave


def configure(fields: Mapping[str, Any]) -> Any:
    """A resolved config of the theorem that ``fields`` name (the default one if none), by name or
    as ``FILE.py``. Raises InputError in one line that names the field."""
    return registry.configure(registry.with_code(fields))


def run(
    config: Config | Mapping[str, Any] | None = None,
    execution: Execution | None = None,
    **fields: Any,
) -> Record:
    """One run, or the record that it already has: ``run(theorem="least-squares", steps=50)``.

    config
        A resolved config, or its fields; ``fields`` go over them. The field that names data also
        takes arrays, ``task={"X": X, "y": y}``: they are written beside the records.
    execution
        Where and how: ``Execution(out="here", threads=2)``. The record is written to
        ``out/ID`` (out: ``results``) and ``record.path`` says where.

    Nothing is printed. Raises InputError for what cannot be run; nothing is written then.
    """
    from ntkbound.runs import execute

    how = execution or execute.Execution()
    if isinstance(config, Config) and not fields:
        return execute.run(config, how)
    given = config.model_dump() if isinstance(config, Config) else dict(config or {})
    given |= fields
    field = registry.named(str(given.get("theorem", registry.DEFAULT))).config.data
    if not isinstance(given.get(field), Mapping):
        return execute.run(configure(given), how)
    content = _packed(given[field], field)
    path = Path(how.out) / DATA / f"{hashlib.sha256(content).hexdigest()[:16]}.npz"
    check_writable(path.parent)
    known = path.exists()
    if not known:
        write_whole(path, lambda sibling: sibling.write_bytes(content))
    try:
        return execute.run(configure({**given, field: str(path)}), how)
    except InputError:
        if not known:
            path.unlink()
        raise


def sweep(
    preset: Path | str, out: Path | str = "results", *, jobs: int | None = None, base_seed: int = 0
) -> Results:
    """Runs what is missing of a preset (a TOML file, or a name) and gives exactly its runs.

    ``jobs`` processes (None: one a core) are started; a script that calls this has to be importable
    (``if __name__ == "__main__":``). ``base_seed`` is added to every seed. Raises InputError for a
    preset or a folder that cannot be used.
    """
    from ntkbound.machine.share import available_cores
    from ntkbound.machine.tools import silent_notice
    from ntkbound.runs import sweep as sweeps
    from ntkbound.runs.pools import LocalPool

    loaded, folder = load_preset(preset), Path(out)
    check_writable(folder)
    planned = sweeps.plan(loaded.configs(base_seed))

    def pool() -> LocalPool:
        sweeps.make_ready(planned, silent_notice)
        return LocalPool(jobs or available_cores())

    counts = sweeps.sweep(planned, folder, pool, lambda counts, line: None)
    found = collected(counts.records(folder), counts.failed, {})
    return replace(found, claims=loaded.claims)


def check(
    reference: Path | str, out: Path | str = "results", *, jobs: int | None = None
) -> CheckResult:
    """The verdicts on a preset, whose missing runs are made in ``out``, or on a results folder.

    Raises InputError as ``sweep`` and ``load`` do.
    """
    if is_preset(str(reference)):
        return sweep(reference, out, jobs=jobs).check()
    return load(reference).check()


def _packed(arrays: Mapping[str, Any], field: str) -> bytes:
    """The .npz of these arrays, the same bytes for the same arrays."""
    whole = {}
    for name, given in arrays.items():
        try:
            whole[str(name)] = np.asarray(given)
        except ValueError as error:
            raise InputError(f"{name} is no array ({error})", field=field) from None
        if whole[str(name)].dtype.kind not in "biuf":
            raise InputError(f"{name} is no array of numbers", field=field)
    stream = io.BytesIO()
    np.savez(stream, allow_pickle=False, **whole)
    return stream.getvalue()
