"""Where compiled kernels are kept, and the decorator that puts them there.

numba notices changes of the file a function lives in, but not of those it calls. So every state of
this folder's sources has a cache folder of its own, named by their digest together with the
processor and the versions of Python and numba.
"""

from __future__ import annotations

import hashlib
import os
import sys
from functools import cache, partial
from pathlib import Path
from typing import Any

import numba
from llvmlite import binding

# typed without the options that only kernels use
config: Any = numba.config
njit: Any = numba.njit
HERE = Path(__file__).parent


@cache
def folder() -> Path:
    """The cache folder of these sources on this machine; it need not exist yet."""
    digest = hashlib.blake2b(digest_size=8)
    for source in sorted(HERE.glob("*.py")):
        digest.update(source.read_bytes())
    features = sorted(binding.get_host_cpu_features().items())
    machine = (sys.version, numba.__version__, binding.get_host_cpu_name(), features)
    digest.update(repr(machine).encode())
    return _base() / f"kernels-{digest.hexdigest()}"


def _base() -> Path:
    """What NUMBA_CACHE_DIR says, else beside the sources, else the user's cache."""
    if config.CACHE_DIR:
        return Path(config.CACHE_DIR)
    if os.access(HERE, os.W_OK):
        return HERE / "__pycache__"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ntkbound"


def native(function: Any = None, /, **options: Any) -> Any:
    """numba's ``njit`` for kernels, which release the GIL and are compiled once into ``folder()``.

    They allocate nothing: without numba's runtime, arrays passed on are not reference-counted,
    which would be atomic increments of counters that all threads share.
    """
    if function is None:
        return partial(native, **options)
    before, config.CACHE_DIR = config.CACHE_DIR, str(folder())
    try:
        return njit(nogil=True, cache=True, _nrt=False, error_model="numpy", **options)(function)
    finally:
        config.CACHE_DIR = before
