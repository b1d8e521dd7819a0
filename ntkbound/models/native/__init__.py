"""The shallow Transformer as native vector code, compiled on first use and cached.

numba notices only changes of the file a kernel lives in, not of the kernels it calls: after editing
one of these files, delete this folder's ``__pycache__``.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path


@cache
def available() -> bool:
    """Whether numba can be imported; without it everything runs on the torch paths."""
    try:
        from ntkbound.models.native import kernel  # noqa: F401
    except ImportError:
        return False
    return True


def compiled() -> bool:
    """Whether an earlier run left compiled kernels in numba's cache (else the first is slow)."""
    from ntkbound.models.native.search import search_heads

    return any(Path(search_heads._cache.cache_path).glob("search.search_heads-*.nbi"))
