"""Where compiled kernels are kept, and the decorator that puts them there.

numba notices changes of the file a function lives in, but not of those it calls. So every state of
this folder's sources has a cache folder of its own, named by their digest together with their
place, the processor and the versions of what compiles them. Where there is no such folder, kernels
are compiled by every process anew.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import sys
import tempfile
from collections.abc import Iterator
from functools import cache, partial
from pathlib import Path
from typing import Any

import llvmlite
import numba
from llvmlite import binding

# typed without the options that only kernels use
config: Any = numba.config
njit: Any = numba.njit
HERE = Path(__file__).parent


@cache
def folder() -> Path | None:
    """The cache folder of these sources on this machine, None if nothing can be kept."""
    sources = sorted(HERE.glob("*.py"))
    if not sources:  # imported from an archive: what they are cannot be told
        return None
    digest = hashlib.blake2b(digest_size=8)
    for source in sources:
        digest.update(source.read_bytes())
    features = sorted(binding.get_host_cpu_features().items())
    machine = (binding.get_host_cpu_name(), features)
    versions = (sys.version, numba.__version__, llvmlite.__version__, config.OPT)
    digest.update(repr((str(HERE), machine, versions)).encode())
    kept = (base / f"kernels-{digest.hexdigest()}" for base in _bases())
    return next(filter(_usable, kept), None)


def _bases() -> Iterator[Path]:
    """What NUMBA_CACHE_DIR says, else beside the sources, else the user's cache."""
    if config.CACHE_DIR:
        yield Path(config.CACHE_DIR)
    yield HERE / "__pycache__"
    with contextlib.suppress(RuntimeError):  # a user without a home
        yield Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ntkbound"


def _usable(path: Path) -> bool:
    try:
        path.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=path).close()
    except OSError:
        return False
    return True


def native(function: Any = None, /, **options: Any) -> Any:
    """numba's ``njit`` for kernels, which release the GIL and are compiled once into ``folder()``.

    They allocate nothing: without numba's runtime, arrays passed on are not reference-counted,
    which would be atomic increments of counters that all threads share. They divide by sizes only,
    which are not zero, so divisions are not checked.
    """
    if function is None:
        return partial(native, **options)
    place = folder()
    compiled = partial(njit, nogil=True, _nrt=False, error_model="numpy", **options)
    if place is None:
        return compiled()(function)
    before, config.CACHE_DIR = config.CACHE_DIR, str(place)
    try:
        made = compiled(cache=True)(function)
    finally:
        config.CACHE_DIR = before
    _one_at_a_time(made, place / "lock")
    return made


def _one_at_a_time(function: Any, lock: Path) -> None:
    """numba reads, extends and replaces the index of a function's compiled signatures: two
    processes that do so at once could leave the code of one under the name of the other."""
    save = function._cache.save_overload

    def locked(*arguments: Any) -> None:
        from filelock import FileLock  # seldom needed, and slow to import

        with FileLock(lock):
            save(*arguments)

    function._cache.save_overload = locked
