"""Which runs train together."""

from __future__ import annotations

from ntkbound.core.config import digest
from ntkbound.theorems.encoder_only.config import Config, Sizes

# What runs that train together may differ in: not in init, which sets τ1.
OWN_FIELDS = frozenset({"seed", "data_seed", "init_seed", "gamma", "gamma_of", "hessian"})

# N·ds·(dm + d) up to which runs spend their time in calls rather than in arithmetic.
SMALL = 1 << 16


def small(sizes: Sizes) -> bool:
    """Whether runs of these sizes are better several at a time."""
    return sizes.N * sizes.ds * (sizes.dm + sizes.d) <= SMALL


def together(config: Config) -> str | None:
    """Equal for runs that share one descent; None where a run is large enough to be alone."""
    if config.images or not small(config.sizes):
        return None
    return digest(config.model_dump(exclude=set(OWN_FIELDS)))
