"""What a run costs, which runs train together, and what has to be compiled before."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from ntkbound.core.config import digest
from ntkbound.theorems.shallow_transformer.config import Config

# What runs that train together may differ in; all else, the task above all, they share.
OWN_FIELDS = frozenset({"seed", "init_seed", "eta", "eta_scale", "rho"})

# Small runs spend their time in calls rather than in arithmetic: those that share a task train as
# one. Beyond so many elements per step there is nothing to gain (docs/measurements.md).
TOGETHER_ELEMENTS = 1 << 16

# One thread of a 2.6 GHz server core: only the order of magnitude is meant.
SECONDS_PER_ELEMENT, SECONDS_PER_RUN = 2e-9, 0.5


def elements(config: Config) -> float:
    """Sample·token·head elements of one step: what its time is proportional to."""
    return float(config.n_train) * config.sizes.T * config.m


def cost(config: Config) -> float:
    """Rough seconds on one thread, teacher labels not included."""
    return SECONDS_PER_RUN + SECONDS_PER_ELEMENT * elements(config) * config.tau


def together(config: Config) -> str | None:
    """Equal for runs that share one descent: the same data and sizes, and full batches.

    None where a run is large enough to be better alone, and for a head of the user's own, of which
    nobody knows whether its bits depend on how many runs are computed at once.
    """
    if config.own_model or elements(config) > TOGETHER_ELEMENTS:
        return None
    own = OWN_FIELDS if config.batch is None else frozenset[str]()
    return digest(config.model_dump(exclude=set(own)))


def ready(configs: Sequence[Config], notice: Callable[[str], None]) -> None:
    """Compiles the native kernels that are missing; a head of the user's own has none."""
    from ntkbound.heads import native

    needs = [(c.model, c.sizes.d, c.dtype) for c in configs if not c.own_model]
    native.make_ready(needs, notice)


def prefix(config: Config) -> str:
    """The task, what is unusual, the sizes and the seed."""
    file = config.data_file or Path(config.task)
    start = "st" if config.task == "teacher" else file.stem[:16]
    if config.model != "transformer":
        start = f"{config.model_name.lower()}-{start}"
    if config.lag is not None:
        start = f"{start}-L{config.lag}"
    return f"{start}-m{config.m}-tau{config.tau}-n{config.n}-s{config.seed}"
