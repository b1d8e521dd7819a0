"""What a run costs, which runs train together, and what a run is called."""

from __future__ import annotations

from typing import Any

from ntkbound.core.config import digest

# One thread of a 2.6 GHz server core: only the order of magnitude is meant.
SECONDS_PER_RUN = 0.1
SECONDS_PER_NUMBER = 5e-9  # of W_ov, per step of stage 1
SECONDS_PER_TOKEN = 1.2e-7  # per step of stage 2, which has about 3V inputs of few types
TOGETHER_SECONDS = 1.0  # a longer run is better alone: its job is what others wait for


def cost(config: Any) -> float:
    """Rough seconds on one thread."""
    V = int(config.V or 20)
    first = SECONDS_PER_NUMBER * V**2 * int(config.T0)
    each = SECONDS_PER_TOKEN * V if config.ov_init == 0 else 2 * SECONDS_PER_NUMBER * V**2
    return SECONDS_PER_RUN + first + each * int(config.tau)


def together(config: Any) -> str | None:
    """Equal for runs that differ in their seed alone; None where a run is long."""
    if cost(config) > TOGETHER_SECONDS:
        return None
    return digest(config.model_dump(exclude={"seed"}))


def prefix(config: Any) -> str:
    """The task, what is unusual, the sizes and the seed."""
    task = config.task if config.file is None else config.file.stem[:16]
    how = "" if config.method == "ngd" else f"-{config.method}"
    return f"nt-{task}{how}-V{config.V}-T{config.T0}-tau{config.tau}-s{config.seed}"
