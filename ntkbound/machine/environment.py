"""Where and with what a run was made: never part of its identity."""

from __future__ import annotations

import os
import platform
import subprocess
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ntkbound.machine.parallel import Workers


def describe(workers: Workers, device: str, started: datetime, seconds: float) -> dict[str, Any]:
    """The ``environment`` of a record; ``threads`` are those of one rank."""
    import numpy
    import torch

    return {
        "ntkbound": version("ntkbound"),
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "numpy": numpy.__version__,
        "platform": platform.platform(),
        "cpu": _cpu(),
        "threads": workers.threads,
        "ranks": workers.ranks.count,
        "device": device,
        "gpu": _gpu() if device == "cuda" else None,
        "git": _git(),
        "started": started.astimezone(UTC).isoformat(timespec="seconds"),
        "seconds": round(seconds, 3),
    }


def _gpu() -> str:
    import torch

    return f"{torch.cuda.get_device_name()}, CUDA {torch.version.cuda}"


@cache
def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


@cache
def _git() -> str | None:
    """Commit of the checkout the package runs from, None for an installed package."""
    root = Path(__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return None
    done = subprocess.run(
        ["git", "-C", os.fspath(root), "rev-parse", "HEAD"],
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.strip() or None
