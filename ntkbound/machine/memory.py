"""How much memory there is, asked before something quadratic is allocated."""

from __future__ import annotations

import os
from pathlib import Path

from ntkbound.core.errors import InputError

GIB = 1 << 30


def available() -> int:
    """Bytes that can still be allocated: what the system and this process's control group allow."""
    limits = [_system()]
    group = Path("/sys/fs/cgroup")
    limit, used = _number(group / "memory.max"), _number(group / "memory.current")
    if limit is not None and used is not None:
        limits.append(max(0, limit - used))
    return min(limits)


def require(size: int, what: str, instead: str) -> None:
    """Raises InputError unless ``size`` bytes are available; ``instead`` says what to do then."""
    found = available()
    if size > found:
        raise InputError(
            f"{what} needs {size / GIB:.1f} GiB of memory and {found / GIB:.1f} GiB are available; "
            f"{instead}"
        )


def _system() -> int:
    try:
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) << 10
    except OSError:
        pass  # not Linux: all of the machine's memory is the best that is known
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text(encoding="ascii"))
    except (OSError, ValueError):  # no control group, or "max": no limit
        return None
