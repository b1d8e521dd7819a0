"""What this process has of the machine: its cores, and whether others share its work.

Without torch: a sweep that leaves the work to processes of its own starts them the sooner.
"""

from __future__ import annotations

import os


def available_cores() -> int:
    """Cores this process may run on."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def cores_per_rank(cores: int) -> int:
    """This process's share of the machine's cores."""
    return max(1, cores // int(os.environ.get("LOCAL_WORLD_SIZE", "1")))


def started_by_torchrun() -> bool:
    """Whether this process is one of several ranks."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1
