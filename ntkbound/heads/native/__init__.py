"""Head models as native vector code, compiled on first use and cached."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache


@cache
def available() -> bool:
    """Whether numba can be imported; without it everything runs on the torch paths."""
    try:
        from ntkbound.heads.native import kernel  # noqa: F401
    except ImportError:
        return False
    return True


def make_ready(needs: Iterable[tuple[str, int, str]], notice: Callable[[str], None]) -> None:
    """Compiles what runs of these models, token dimensions d and dtypes take, if it is missing.

    Without this every kernel is compiled when it is first called, one after the other.
    """
    if not available():
        return
    from ntkbound.heads.native.compiling import compile_side_by_side, missing, parts

    wanted = missing({part for need in set(needs) for part in parts(*need)})
    if wanted:
        notice("compiling the native kernels for this machine: once, about ten seconds")
        compile_side_by_side(wanted)
